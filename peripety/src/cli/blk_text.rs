//! Words for block devices.

use unicode_width::UnicodeWidthChar;

use super::render::note;
use crate::{
    block::{BlkId, BlkType, ResolveError, Transport},
    event::Sectors,
    roots::Roots,
};

/// Why a name leads to no device, and where to look the names up.
pub(super) fn unresolved(error: &ResolveError) -> String {
    match error {
        ResolveError::Empty | ResolveError::Unknown { .. } | ResolveError::NotBlock { .. } => {
            format!("{error}; 'prpt list' shows all devices")
        }
        _ => error.to_string(),
    }
}

/// What a human calls this kind of device.
pub(super) const fn kind(kind: BlkType) -> &'static str {
    match kind {
        BlkType::Scsi => "SCSI disk",
        BlkType::ScsiRom => "optical drive",
        BlkType::Nvme => "NVMe",
        BlkType::Virtio => "virtio disk",
        BlkType::Partition => "partition",
        BlkType::DmMultipath => "multipath",
        BlkType::DmLvm => "LVM volume",
        BlkType::DmLvmInternal => "LVM part",
        BlkType::DmThinPool => "thin pool",
        BlkType::DmCrypt => "dm-crypt",
        BlkType::DmRaid => "dm-raid",
        BlkType::DmPartition => "partition",
        BlkType::Dm => "device-mapper",
        BlkType::Md => "md array",
        BlkType::Loop => "loop device",
        BlkType::Nbd => "network disk",
        BlkType::Zram => "zram",
        BlkType::Ram => "RAM disk",
        BlkType::Mmc => "MMC/SD card",
        BlkType::Bcache => "bcache",
        BlkType::Drbd => "DRBD",
        BlkType::Rbd => "RADOS disk",
        BlkType::Pmem => "pmem",
        BlkType::Dasd => "DASD",
        BlkType::Other => "block device",
    }
}

/// How it is reached, in words.
pub(super) fn transport(transport: &Transport) -> String {
    let known = |parts: &[(&str, &str)]| -> String {
        let reported: Vec<String> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}{value}"))
            .collect();
        reported.join(", ")
    };
    match transport {
        Transport::Fc { host_wwpn, target_wwpn, speed, port_state, .. } => known(&[
            ("FC port ", host_wwpn),
            ("target ", target_wwpn),
            ("", speed),
            ("remote port ", port_state),
        ]),
        Transport::Iscsi { target, address, port, tpgt, iface, session } => {
            // An IPv6 address has colons of its own.
            let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
            let portal = if address.is_empty() { address } else { format!("{address}:{port},{tpgt}") };
            known(&[("iSCSI ", target), ("portal ", &portal), ("interface ", iface), ("", session)])
        }
        Transport::Sas { address, port, speed, enclosure, bay } => {
            let bay = bay.map(|bay| bay.to_string()).unwrap_or_default();
            known(&[("SAS ", address), ("", port), ("", speed), ("enclosure ", enclosure), ("bay ", &bay)])
        }
        Transport::Sata { port, speed } => known(&[("SATA ", port), ("", speed)]),
        Transport::Nvme { controller, subsystem_nqn, transport, traddr } => {
            known(&[("NVMe ", controller), ("by ", transport), ("", traddr), ("", subsystem_nqn)])
        }
        Transport::Usb { port } => known(&[("USB ", port)]),
        Transport::Virtio { device } => device.clone(),
    }
}

/// Says that what lies on devices cannot be reported: without udev's database only root may look.
pub(super) fn warn_of_rights(roots: &Roots) {
    if !rustix::process::geteuid().is_root() && !roots.run.join("udev/data").exists() {
        note("udev does not run here: only root can see filesystems that are not mounted");
    }
}

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Sectors of 512 bytes as a short text: `1.5T`.
pub(super) fn size(sectors: Sectors) -> String {
    scaled(sectors)
        .map_or_else(|| "0".to_owned(), |(number, unit)| format!("{number}{}", unit.get(..1).unwrap_or(unit)))
}

/// Sectors of 512 bytes in words: `1.5 TiB (3221225472 sectors)`.
pub(super) fn size_in_words(sectors: Sectors) -> String {
    let short =
        scaled(sectors).map_or_else(|| "nothing".to_owned(), |(number, unit)| format!("{number} {unit}"));
    format!("{short} ({sectors} sectors)")
}

/// The number, with one digit after the point where it has only one before, and its unit.
fn scaled(sectors: Sectors) -> Option<(String, &'static str)> {
    if sectors.is_zero() {
        return None;
    }
    // In tenths of the unit, rounded.
    let mut unit_sectors: u128 = 2;
    let mut units = UNITS.iter().copied().peekable();
    while let Some(unit) = units.next() {
        let tenths = (u128::from(sectors.0) * 10 + unit_sectors / 2) / unit_sectors;
        if tenths < 10_000 || units.peek().is_none() {
            let whole = tenths.is_multiple_of(10) || tenths >= 1000;
            let number = if whole {
                format!("{}", (tenths + 5) / 10)
            } else {
                format!("{}.{}", tenths / 10, tenths % 10)
            };
            return Some((number, unit));
        }
        unit_sectors *= 1024;
    }
    None
}

/// One line about a device in a stack.
pub(super) fn short(id: &BlkId) -> String {
    let kernel = id.blk_path.strip_prefix("/dev/").unwrap_or(&id.blk_path);
    let mut line = format!("{kernel}  {}", kind(id.blk_type));
    if id.preferred_blk_path != id.blk_path && !id.preferred_blk_path.starts_with("/dev/disk/") {
        line.push_str(&format!("  {}", id.preferred_blk_path));
    }
    if !id.transport_id.is_empty() {
        line.push_str(&format!("  {}", id.transport_id));
    }
    if id.identity == crate::block::Identity::Removed {
        line.push_str("  (removed)");
    }
    if !id.fs_type.is_empty() {
        line.push_str(&format!("  {}", id.fs_type));
    }
    if !id.mount_points.is_empty() {
        line.push_str(&format!("  on {}", id.mount_points.join(", ")));
    }
    line
}

/// `text` in lines of at most `width` columns, broken where a line is full: it may be copied, so nothing is added.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for c in text.chars() {
        let columns = c.width().unwrap_or_default();
        if used + columns > width.max(2) {
            // Between words when there is a blank in the second half of the line.
            let at = line.rfind(' ').filter(|at| at * 2 > line.len());
            let rest = at.map(|at| line.split_off(at + 1)).unwrap_or_default();
            lines.push(std::mem::replace(&mut line, rest).trim_end().to_owned());
            used = unicode_width::UnicodeWidthStr::width(line.as_str());
        }
        line.push(c);
        used += columns;
    }
    lines.push(line);
    lines
}

/// `text` in at most `width` columns; what is cut ends with `…`.
pub(super) fn cut(text: &str, width: usize) -> String {
    if unicode_width::UnicodeWidthStr::width(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let kept = text.chars().take_while(|c| {
        used += c.width().unwrap_or_default();
        used < width
    });
    kept.collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_right() {
        for (sectors, text) in [
            (0, "0"),
            (1, "0.5K"),
            (2, "1K"),
            (2048, "1M"),
            (2_097_152, "1G"),
            (3_145_728, "1.5G"),
            (536_870_912, "256G"),
            (7_814_037_168, "3.6T"),
            (u64::MAX, "8192E"),
        ] {
            assert_eq!(size(Sectors(sectors)), text);
        }
        assert_eq!(size_in_words(Sectors(3_145_728)), "1.5 GiB (3145728 sectors)");
    }

    #[test]
    fn lines_are_broken_and_cut_by_columns() {
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("one two three", 9), ["one two", "three"]);
        assert_eq!(wrapped("", 9), [""]);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
