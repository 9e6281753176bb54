//! Compressed files, known by their first bytes and not by their names.

use std::io::{self, BufRead, BufReader, Read};

/// Memory that a file may ask of the decoder of xz.
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

const MAGIC: &[(&[u8], Packing)] = &[
    (b"\x1f\x8b\x08", Packing::Gzip),
    (b"BZh", Packing::Bzip2),
    (b"\xfd7zXZ\0", Packing::Xz),
    (b"\x28\xb5\x2f\xfd", Packing::Zstd),
];

/// How a file that starts so is packed.
pub(crate) fn packing(start: &[u8]) -> Packing {
    MAGIC.iter().find(|(magic, _)| start.starts_with(magic)).map_or(Packing::Plain, |(_, packing)| *packing)
}

/// Unpacks a file while it is read, however it is packed, and also one that is packed twice.
///
/// # Errors
///
/// It cannot be read.
pub fn unpack<'r>(from: impl Read + 'r) -> io::Result<Box<dyn BufRead + 'r>> {
    let mut reader: Box<dyn BufRead + 'r> = Box::new(BufReader::with_capacity(64 << 10, from));
    for _ in 0..2 {
        reader = match packing(reader.fill_buf()?) {
            Packing::Plain => return Ok(reader),
            Packing::Gzip => naming_errors("gzip", flate2::bufread::MultiGzDecoder::new(reader)),
            Packing::Bzip2 => naming_errors("bzip2", bzip2::bufread::MultiBzDecoder::new(reader)),
            Packing::Xz => {
                naming_errors("xz", lzma_rust2::XzReader::new_mem_limit(reader, true, XZ_MEMORY_KIB))
            }
            Packing::Zstd => naming_errors("zstd", Zstd::new(reader)),
        };
    }
    Ok(reader)
}

fn naming_errors<'r>(tool: &'static str, decoder: impl Read + 'r) -> Box<dyn BufRead + 'r> {
    Box::new(BufReader::new(NamedErrors { tool, decoder }))
}

/// A decoder whose errors say what is wrong with the file, and not with the decoder.
struct NamedErrors<R> {
    tool: &'static str,
    decoder: R,
}

impl<R: Read> Read for NamedErrors<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(to).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            // The file itself cannot be read.
            _ if error.raw_os_error().is_some() => error,
            kind => io::Error::new(kind, why(self.tool, &error)),
        })
    }
}

/// Decoders have words of their own for the end of a file that comes too early.
fn why(tool: &str, error: &io::Error) -> String {
    const EARLY: [&str; 4] = ["incomplete", "EOF", "UnexpectedEof", "fill whole buffer"];
    let words = error.to_string();
    let early = error.kind() == io::ErrorKind::UnexpectedEof || EARLY.iter().any(|part| words.contains(part));
    if early {
        return format!(
            "its {tool} data end too early: the file was cut or is still being written, get it once more"
        );
    }
    let words = words.split(['{', '(']).next().unwrap_or_default().trim().to_owned();
    format!(
        "its {tool} data are damaged ({words}): get the file once more, or unpack it with {tool} and give what comes out"
    )
}

/// Frames of Zstandard, one after the other.
struct Zstd<R: Read> {
    frame: Option<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
    rest: Option<R>,
}

impl<R: BufRead> Zstd<R> {
    fn new(from: R) -> Self {
        Self { frame: None, rest: Some(from) }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(to)?;
                if read > 0 || to.is_empty() {
                    return Ok(read);
                }
                self.rest = self.frame.take().map(ruzstd::decoding::StreamingDecoder::into_inner);
            }
            let Some(mut from) = self.rest.take() else { return Ok(0) };
            if from.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = ruzstd::decoding::StreamingDecoder::new(from);
            self.frame = Some(frame.map_err(io::Error::other)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn packed(tool: &str, args: &[&str], text: &[u8]) -> Option<Vec<u8>> {
        let mut child =
            Command::new(tool).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let text = text.to_owned();
        let writer = std::thread::spawn(move || io::Write::write_all(&mut stdin, &text));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        Some(output.stdout)
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpack(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn what_the_tools_pack_is_unpacked() {
        let text: Vec<u8> = (0..20_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        for (tool, args, packing_wanted) in [
            ("gzip", &["-c"][..], Packing::Gzip),
            ("bzip2", &["-c"], Packing::Bzip2),
            ("xz", &["-c"], Packing::Xz),
            ("zstd", &["-q", "-c"], Packing::Zstd),
        ] {
            let Some(bytes) = packed(tool, args, &text) else {
                println!("skipped: {tool} is not here");
                continue;
            };
            assert_eq!(packing(&bytes), packing_wanted);
            assert!(unpacked(&bytes).unwrap() == text, "{tool}");
            // Two files in one, as log rotation may leave them.
            let twice = [bytes.as_slice(), &bytes].concat();
            assert_eq!(unpacked(&twice).unwrap().len(), 2 * text.len(), "{tool}");
            // A file that was cut gives what it has, and an error or an early end.
            let cut = &bytes[..bytes.len() / 2];
            let mut out = Vec::new();
            let result = unpack(cut).and_then(|mut reader| reader.read_to_end(&mut out));
            assert!(result.is_err() || out.len() < text.len(), "{tool}");
            assert!(text.starts_with(&out), "{tool}");
        }
        assert_eq!(unpacked(b"plain").unwrap(), b"plain");
        assert_eq!(unpacked(b"").unwrap(), b"");
    }

    #[test]
    fn a_file_that_was_cut_says_so_however_it_is_packed() {
        let text: Vec<u8> =
            (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for (tool, args) in [("gzip", &["-c"][..]), ("bzip2", &["-c"]), ("xz", &["-c"]), ("zstd", &["-qc"])] {
            let Some(whole) = packed(tool, args, &text) else { continue };
            assert_eq!(unpacked(&whole).unwrap(), text, "{tool}");
            let error = unpacked(&whole[..whole.len() / 2]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("its {tool} data end too early")), "{tool}: {error}");
            let mut damaged = whole.clone();
            let middle = damaged.len() / 2;
            damaged[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x5a);
            if let Err(error) = unpacked(&damaged) {
                assert!(error.to_string().starts_with(&format!("its {tool} data ")), "{tool}: {error}");
            }
        }
    }
}
