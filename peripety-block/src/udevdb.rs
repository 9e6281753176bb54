//! udev's database: what its rules found out about a device, one file in /run/udev/data for each.

use super::{Dev, attr};
use crate::Roots;

/// udev's entry for one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UdevEntry {
    /// `E:` lines, in order.
    properties: Vec<(String, String)>,
    /// `S:` lines: links below /dev, without the `/dev/`.
    pub links: Vec<String>,
    /// `I:` line: when udev first saw this device, CLOCK_MONOTONIC in microseconds.
    pub initialized_us: Option<u64>,
}

impl UdevEntry {
    /// The entry of a block device; none when udev does not run or has not come to it yet.
    pub(super) fn read(roots: &Roots, dev: Dev) -> Option<Self> {
        let file = roots.run.join(format!("udev/data/b{}:{}", dev.major, dev.minor));
        attr::bytes(&roots.files, &file).map(|raw| Self::parse(&raw))
    }

    /// Reads an entry; lines of an unknown kind are passed over.
    fn parse(raw: &[u8]) -> Self {
        let mut entry = Self::default();
        for line in String::from_utf8_lossy(raw).lines() {
            match line.split_once(':') {
                Some(("E", property)) => {
                    if let Some((key, value)) = property.split_once('=') {
                        entry.properties.push((key.to_owned(), value.to_owned()));
                    }
                }
                Some(("S", link)) => entry.links.push(link.to_owned()),
                Some(("I", usec)) => entry.initialized_us = usec.trim().parse().ok(),
                _ => {}
            }
        }
        entry
    }

    /// Value of a property; none when it is empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.properties.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}

/// Whether udev runs: then its word on a device is waited for, and no device is read by ourselves.
pub(super) fn is_running(roots: &Roots) -> bool {
    roots.files.exists(&roots.run.join("udev/control"))
}

/// Undoes `\x20`: udev writes so what is not allowed in a property or in the name of a link. A link keeps them:
/// they are part of its name.
pub(super) fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code =
            (first == b'\\').then_some(tail).and_then(|t| t.strip_prefix(b"x")).and_then(|t| t.get(..2));
        let code =
            code.and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| u8::from_str_radix(c, 16).ok());
        if let Some(code) = code {
            out.push(code);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            out.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_and_odd_lines_are_passed_over() {
        let entry = UdevEntry::parse(
            b"S:disk/by-id/wwn-0x5000c500a1b2c3d4\nI:1234567\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=\nE:nonsense\nG:systemd\n\xff\xfe\nV:1",
        );
        assert_eq!(entry.get("ID_FS_TYPE"), Some("ext4"));
        assert_eq!(entry.get("ID_FS_LABEL"), None);
        assert_eq!(entry.links, ["disk/by-id/wwn-0x5000c500a1b2c3d4"]);
        assert_eq!(entry.initialized_us, Some(1_234_567));
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_stay() {
        assert_eq!(unescape(r"my\x20disk\x2f1"), "my disk/1");
        assert_eq!(unescape(r"a\xzz\x2"), r"a\xzz\x2");
    }
}
