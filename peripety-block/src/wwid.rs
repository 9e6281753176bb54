//! World wide ids.
//!
//! The spelling is that of sysfs: `naa.5000c500a1b2c3d4`, `eui.0025385b71b00c1d`, `t10.ATA     QEMU HARDDISK   QM00001`,
//! `uuid.…`. scsi_id and multipath write the same id as `35000c500a1b2c3d4` (the first digit reports the kind), udev's links
//! as `wwn-0x5000c500a1b2c3d4`; [`key`] makes all of them equal.

use std::fmt::Write;

/// The best designator of a SCSI device identification page (VPD 0x83), spelled as the kernel's `wwid` attribute.
///
/// Used where a kernel has no such attribute. As scsi_id does, it takes NAA before EUI-64 before a T10 vendor id, and only
/// designators of the logical unit, for the same unit has other ones on each port.
pub(super) fn from_vpd83(page: &[u8]) -> Option<String> {
    let mut rest = designators(page, 0x83)?;
    let mut best: Option<(u8, String)> = None;
    while let [code_set, kind, _, length, tail @ ..] = rest {
        let Some((id, next)) = tail.split_at_checked(usize::from(*length)) else { break };
        rest = next;
        let association = (kind >> 4) & 0x3;
        if association != 0 || id.is_empty() {
            continue;
        }
        let found = match kind & 0xf {
            8 => trimmed(id).map(|name| (4, name)),
            3 => Some((3, format!("naa.{}", hex(id)))),
            2 => Some((2, format!("eui.{}", hex(id)))),
            1 if code_set & 0xf == 1 => Some((1, format!("t10.{}", hex(id)))),
            1 => trimmed(id).map(|name| (1, format!("t10.{name}"))),
            _ => None,
        };
        // A name string says in text what an NAA designator says in binary; the binary one is what udev takes.
        if let Some((rank, name)) = found.map(|(rank, name)| (if rank == 4 { 0 } else { rank }, name))
            && best.as_ref().is_none_or(|(b, _)| rank > *b)
        {
            best = Some((rank, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Serial number of a unit serial number page (VPD 0x80).
pub(super) fn serial_from_vpd80(page: &[u8]) -> Option<String> {
    trimmed(designators(page, 0x80)?)
}

/// What follows the four bytes at the start of a VPD page, cut to the length that they report.
fn designators(page: &[u8], code: u8) -> Option<&[u8]> {
    let [_, found, high, low, rest @ ..] = page else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (*found == code).then(|| rest.get(..length).unwrap_or(rest))
}

fn trimmed(raw: &[u8]) -> Option<String> {
    super::attr::trimmed(raw)
}

/// Lower case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A UUID in its usual form, of 16 bytes.
pub(super) fn uuid(bytes: &[u8]) -> Option<String> {
    let id = uuid::Uuid::from_slice(bytes).ok()?;
    (!id.is_nil()).then(|| id.to_string())
}

/// What is equal for every spelling of one id: lower case, without the marks that report its kind, without separators.
pub(super) fn key(wwid: &str) -> String {
    let lower = wwid.trim().to_ascii_lowercase();
    // The partition's number stays in front of what it is a partition of.
    let (part, lower) = match lower.split_once("-mpath-") {
        Some((part, rest)) if part.starts_with("part") => (part.to_owned(), rest.to_owned()),
        _ => (String::new(), lower.strip_prefix("mpath-").unwrap_or(&lower).to_owned()),
    };
    let lower = lower.strip_prefix("wwn-").unwrap_or(&lower);
    let marks = ["naa.", "eui.", "0x", "uuid.", "nguid.", "nvme.", "nvme-eui.", "nvme-uuid."];
    let bare = marks.iter().find_map(|mark| lower.strip_prefix(mark));
    // scsi_id's first digit: 3 for NAA, 2 for EUI-64. An NAA id starts with its own kind, 1 to 6, and has 8 or 16 bytes.
    let digits = |text: &str, lengths: [usize; 2]| {
        lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let bare = bare
        .or_else(|| lower.strip_prefix('3').filter(|rest| digits(rest, [16, 32])))
        .or_else(|| lower.strip_prefix('2').filter(|rest| digits(rest, [16, 32])))
        .unwrap_or(lower);
    let mut out: String = bare.chars().filter(|c| !matches!(c, '-' | ':' | ' ' | '_')).collect();
    out.push_str(&part);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page83(designators: &[(u8, u8, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (code_set, kind, id) in designators {
            body.extend([*code_set, *kind, 0, u8::try_from(id.len()).unwrap()]);
            body.extend(*id);
        }
        let mut page = vec![0, 0x83];
        page.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        page.extend(body);
        page
    }

    #[test]
    fn naa_before_eui_before_t10_and_only_of_the_logical_unit() {
        let naa: &[u8] = &[0x60, 1, 0x40, 5, 0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let port: &[u8] = &[0x50, 1, 2, 3, 4, 5, 6, 7];
        let eui: &[u8] = &[0, 0x25, 0x38, 0x5b, 0x71, 0xb0, 0x0c, 0x1d];
        let t10: &[u8] = b"LIO-ORG disk0   ";
        let name = |d: &[(u8, u8, &[u8])]| from_vpd83(&page83(d));
        assert_eq!(
            name(&[(2, 1, t10), (1, 2, eui), (1, 3, naa)]).as_deref(),
            Some("naa.60014005aa0000000000000000000001")
        );
        assert_eq!(
            name(&[(1, 0x13, port), (2, 1, t10), (1, 2, eui)]).as_deref(),
            Some("eui.0025385b71b00c1d")
        );
        assert_eq!(name(&[(1, 0x13, port), (2, 1, t10)]).as_deref(), Some("t10.LIO-ORG disk0"));
        assert_eq!(name(&[(3, 8, b"naa.5000c500\0\0")]).as_deref(), Some("naa.5000c500"));
        assert_eq!(name(&[(1, 0x13, port)]), None);
    }

    #[test]
    fn a_cut_page_ends_and_another_page_is_none() {
        let whole = page83(&[(1, 3, &[0x50, 1, 2, 3, 4, 5, 6, 7])]);
        for cut in 0..whole.len() {
            assert_eq!(from_vpd83(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(from_vpd83(&[0, 0x80, 0, 4, 1, 2, 3, 4]), None);
        assert_eq!(serial_from_vpd80(b"\0\x80\0\x08  S3Z8  ").as_deref(), Some("S3Z8"));
    }

    #[test]
    fn every_spelling_of_an_id_has_one_key() {
        let key_of = key("naa.60014005aa0000000000000000000001");
        for spelling in [
            "360014005aa0000000000000000000001",
            "0x60014005aa0000000000000000000001",
            "wwn-0x60014005AA0000000000000000000001",
            "mpath-360014005aa0000000000000000000001",
        ] {
            assert_eq!(key(spelling), key_of, "{spelling}");
        }
        assert_ne!(key("part1-mpath-360014005aa0000000000000000000001"), key_of);
        assert_eq!(
            key("uuid.0a1b2c3d-0000-4000-8000-000000000001"),
            key("0A1B2C3D-0000-4000-8000-000000000001")
        );
        assert_eq!(key("3f2a:01"), "3f2a01");
    }
}
