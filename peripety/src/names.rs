//! The shortest names that people use of devices, and words that do not repeat them.

use crate::{block::BlkId, event::Event};

/// The shortest name that people use of a device: `vg/lv`, `mpatha`, `md0`, `sda`.
pub(crate) fn of_id(id: &BlkId) -> String {
    id.short_name()
}

/// That of an event's device, or of what the kernel named.
pub(crate) fn of_event(event: &Event) -> String {
    let of_block = event.block.as_ref().map(|block| of_id(&block.id)).filter(|name| !name.is_empty());
    of_block.unwrap_or_else(|| {
        let kdev = event.kdev.as_str();
        let by_id = kdev.strip_prefix("/dev/disk/").and_then(|path| path.rsplit('/').next());
        by_id.or_else(|| kdev.strip_prefix("/dev/")).unwrap_or(kdev).to_owned()
    })
}

/// Words without the device, which stands before them: `write failed on /dev/vg/lv (dm-3): …` is `write failed: …`.
pub(crate) fn without(msg: &str, device: &str) -> String {
    if device.is_empty() {
        return msg.to_owned();
    }
    let is_own =
        |before: &str| before.strip_suffix(device).is_some_and(|b| b.is_empty() || b.ends_with([' ', '/']));
    let said = msg.split_once(": ").filter(|(before, _)| is_own(before) && !before.contains(' '));
    let msg = said.map_or(msg, |(_, rest)| rest);
    // By a path that nobody says, with the name of the node behind it.
    if let Some((before, rest)) = msg.split_once(&format!(" ({device})"))
        && let Some(at) = before.rfind("/dev/")
        && before.get(at..).is_some_and(|path| !path.contains(' '))
    {
        return joined(before.get(..at).unwrap_or_default(), device, rest);
    }
    for path in [format!("/dev/{device}"), format!("/dev/mapper/{device}")] {
        let Some((before, rest)) = msg.split_once(&path) else { continue };
        // The kernel's own name of it.
        let rest = rest.strip_prefix(" (").and_then(|r| r.split_once(')')).map_or(rest, |(_, rest)| rest);
        if !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/')) {
            return joined(before, device, rest);
        }
    }
    msg.to_owned()
}

/// What stands around the device, which stays with its short name where a sentence needs it.
fn joined(before: &str, device: &str, rest: &str) -> String {
    if let Some(before) = [" on ", " of "].iter().find_map(|word| before.strip_suffix(word)) {
        return format!("{before}{rest}");
    }
    if !before.is_empty() {
        return format!("{before}{device}{rest}");
    }
    // Where it is mounted stands before it, too.
    let mounted = rest.strip_prefix(" on ").and_then(|rest| rest.split_once(": ")).map(|(_, said)| said);
    mounted.unwrap_or_else(|| rest.trim_start_matches([':', ' '])).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_repeat_the_device() {
        for (device, msg, left) in [
            (
                "fs",
                "write of 8 sectors at 8 failed on /dev/mapper/fs (dm-0): I/O error",
                "write of 8 sectors at 8 failed: I/O error",
            ),
            ("fs", "/dev/mapper/fs (dm-0): JBD2: I/O error", "JBD2: I/O error"),
            ("sdb1", "written data on /dev/sdb1 was lost", "written data was lost"),
            ("vg/lv", "xfs on /dev/vg/lv (dm-3) was shut down: I/O error", "xfs was shut down: I/O error"),
            (
                "vg/lv",
                "/dev/vg/lv: read of 8 sectors at 2048 failed: I/O error",
                "read of 8 sectors at 2048 failed: I/O error",
            ),
            ("sda", "written data on /dev/sda1 was lost", "written data on /dev/sda1 was lost"),
            (
                "sdb",
                "cache flush failed on /dev/disk/by-id/ata-X:0 (sdb): Aborted",
                "cache flush failed: Aborted",
            ),
            ("sdb", "/dev/disk/by-id/ata-X (sdb) appeared", "appeared"),
            ("vg/lv", "/dev/vg/lv on /srv/data: it failed", "it failed"),
            (
                "sda",
                "path /dev/disk/by-id/scsi-3 (sda) of mpatha failed, 1 left",
                "path sda of mpatha failed, 1 left",
            ),
            ("session2", "session2: connection lost", "connection lost"),
            ("", "pool suspended", "pool suspended"),
        ] {
            assert_eq!(without(msg, device), left);
        }
    }
}
