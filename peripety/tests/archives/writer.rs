//! An archive as no tar would write it.

pub const BLOCK: usize = 512;
pub const LOG: &[u8] =
    b"[    1.000000] I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2\n";

/// Writes archives that no tar would write.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A header with these fields as they are, and the right checksum.
    pub fn raw(
        &mut self,
        name: &[u8],
        kind: u8,
        size: &[u8],
        link: &[u8],
        more: impl Fn(&mut [u8]),
    ) -> &mut Self {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, most: usize, bytes: &[u8]| {
            let bytes = &bytes[..bytes.len().min(most)];
            header[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, 100, name);
        put(100, 8, b"0000644\0");
        put(124, 12, size);
        put(136, 12, b"15000000000\0");
        put(156, 1, &[kind]);
        put(157, 100, link);
        put(257, 8, b"ustar\x0000");
        more(&mut header);
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self
    }

    pub fn plain(&mut self, name: &[u8], kind: u8, size: u64, link: &[u8]) -> &mut Self {
        self.raw(name, kind, format!("{size:011o}\0").as_bytes(), link, |_| {})
    }

    pub fn data(&mut self, data: &[u8]) -> &mut Self {
        self.0.extend(data);
        let fill = (BLOCK - self.0.len() % BLOCK) % BLOCK;
        self.0.extend(std::iter::repeat_n(0, fill));
        self
    }

    pub fn long(&mut self, kind: u8, value: &[u8]) -> &mut Self {
        self.plain(b"././@LongLink", kind, value.len() as u64, b"").data(value)
    }

    pub fn pax(&mut self, records: &[(&str, &[u8])]) -> &mut Self {
        let mut all = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + rest.to_string().len();
            length = rest + length.to_string().len();
            all.extend(format!("{length} {key}=").as_bytes());
            all.extend(*value);
            all.push(b'\n');
        }
        self.plain(b"pax", b'x', all.len() as u64, b"").data(&all)
    }

    /// An entry whose name and link may be long.
    pub fn entry(&mut self, name: &[u8], kind: u8, link: &[u8], data: &[u8]) -> &mut Self {
        if name.len() > 100 {
            self.long(b'L', &[name, b"\0"].concat());
        }
        if link.len() > 100 {
            self.long(b'K', &[link, b"\0"].concat());
        }
        self.plain(name, kind, data.len() as u64, link).data(data)
    }

    pub fn file(&mut self, name: &str, data: &[u8]) -> &mut Self {
        self.entry(name.as_bytes(), b'0', b"", data)
    }

    pub fn link(&mut self, name: &str, to: &str) -> &mut Self {
        self.entry(name.as_bytes(), b'2', to.as_bytes(), b"")
    }

    pub fn done(&self) -> Vec<u8> {
        // What is good comes last: it is read for all that came before.
        let mut whole = Self(self.0.clone());
        whole.file("sos/sos_commands/kernel/dmesg", LOG);
        whole.0.extend([0; 2 * BLOCK]);
        whole.0
    }
}
