//! The kernel as it is within its compressed image: under emulation it takes longer to unpack than to boot.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result};

/// How kernels are compressed: what that begins with, and what undoes it. Both leave alone what stands behind.
const WAYS: [(&[u8], &str, &[&str]); 2] =
    [(b"\xfd7zXZ\0", "xz", &["-dc", "--single-stream"]), (b"\x28\xb5\x2f\xfd", "zstd", &["-dcq"])];
const ELF: &[u8] = b"\x7fELF";
/// The rest of the note that says where a kernel is entered without a BIOS (XEN_ELFNOTE_PHYS32_ENTRY, 18), behind its sizes.
const ENTRY: &[u8] = b"\x12\0\0\0Xen\0";

/// Writes the kernel that is in an image to `to`. No if there is none that can be booted as it is.
pub fn unpack(image: &Path, to: &Path) -> Result<bool> {
    let packed = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    for (magic, program, args) in WAYS {
        let places = packed.windows(magic.len()).enumerate().filter(|(_, bytes)| *bytes == magic);
        for (place, _) in places.take(4) {
            let kernel = unpacked(program, args, packed.get(place..).unwrap_or_default())?;
            if kernel.starts_with(ELF) && kernel.windows(ENTRY.len()).any(|bytes| bytes == ENTRY) {
                fs::write(to, kernel).with_context(|| format!("cannot write {}", to.display()))?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What a program makes of some bytes. It may complain of what stands behind them.
fn unpacked(program: &str, args: &[&str], bytes: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    let mut input = child.stdin.take().context("a pipe that was asked for")?;
    let bytes = bytes.to_vec();
    // It stops reading where its input ends.
    let feeding = thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().with_context(|| format!("waiting for {program}"))?;
    let _it_took_what_it_wanted = feeding.join();
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_taken_out_of_its_image_if_it_can_be_entered() {
        let dir = std::env::temp_dir().join(format!("peripety-vmlinux-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (image, to) = (dir.join("vmlinuz"), dir.join("vmlinux"));
        let mut found = Vec::new();
        for entry in [ENTRY, b"no note"] {
            let kernel = [ELF, &[7; 9000], entry, &[1; 100]].concat();
            let packed = unpacked("xz", &["-zc"], &kernel).unwrap();
            // A setup part before it, the length behind it.
            fs::write(&image, [&b"MZ\xfd7zXZ\0setup"[..], &packed, &[1, 2, 3, 4]].concat()).unwrap();
            found.push(unpack(&image, &to).unwrap() && fs::read(&to).unwrap() == kernel);
        }
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, [true, false]);
    }
}
