//! What the kernel says when somebody asks for a device, connection or controller to go. Nothing fails then, and there is no event
//! about it; but what fails at the same time fails of that.

use crate::record::LogRecord;

/// Something that somebody asked to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Farewell<'t> {
    /// The kernel's name: `nvme0`, `nbd0`, `md0`.
    pub name: &'t str,
    /// Name of the NVMe subsystem that a controller is of.
    pub nqn: &'t str,
}

/// What each such line begins with.
pub(crate) const BEGINNINGS: [&str; 4] = ["nvme ", "md: ", "block ", "nbd"];

/// What goes by a line of the kernel; nothing if it says nothing of that kind.
pub(crate) fn farewell(record: &LogRecord) -> Option<Farewell<'_>> {
    if record.identifier.is_some() || record.fragment {
        return None;
    }
    let text = record.text.trim_end();
    // drivers/nvme/host/core.c, nvme_do_delete_ctrl
    if let Some((name, nqn)) =
        text.strip_prefix("nvme ").and_then(|rest| rest.split_once(": Removing ctrl: NQN \""))
    {
        return Some(Farewell { name: device(name, "nvme")?, nqn: nqn.strip_suffix('"')? });
    }
    // drivers/md/md.c, do_md_stop
    if let Some(name) = text.strip_prefix("md: ").and_then(|rest| rest.strip_suffix(" stopped.")) {
        return Some(Farewell { name: device(name, "md")?, nqn: "" });
    }
    // drivers/block/nbd.c, nbd_disconnect and sock_shutdown
    let rest = text.strip_prefix("block ").unwrap_or(text);
    let (name, said) = rest.split_once(": ")?;
    let is_asked = said == "NBD_DISCONNECT" || said == "Disconnected due to user request.";
    if is_asked { Some(Farewell { name: device(name, "nbd")?, nqn: "" }) } else { None }
}

fn device<'t>(name: &'t str, kind: &str) -> Option<&'t str> {
    let rest = name.strip_prefix(kind)?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (!rest.is_empty() && rest.bytes().all(is_word)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(String, String)> {
        let record = LogRecord { text: text.to_owned(), ..LogRecord::default() };
        farewell(&record).map(|f| (f.name.to_owned(), f.nqn.to_owned()))
    }

    #[test]
    fn what_is_asked_to_go_is_known_by_its_name() {
        let nqn = "nqn.2014-08.org.peripety:machine";
        let line = format!("nvme nvme0: Removing ctrl: NQN \"{nqn}\"");
        assert_eq!(of(&line), Some(("nvme0".to_owned(), nqn.to_owned())));
        for (line, name) in [
            ("md: md127 stopped.", "md127"),
            ("md: md_d0 stopped.", "md_d0"),
            ("block nbd3: NBD_DISCONNECT", "nbd3"),
            ("block nbd0: Disconnected due to user request.", "nbd0"),
        ] {
            assert_eq!(of(line), Some((name.to_owned(), String::new())), "{line}");
        }
        for line in [
            "nvme nvme0: Removing controller (16770)...",
            "nvme nvme0: Removing ctrl: NQN nothing",
            "nvme 0000:01:00.0: Removing ctrl: NQN \"x\"",
            "md: resync of md0 stopped.",
            "block nbd0: shutting down sockets",
            "usb 1-1: NBD_DISCONNECT",
            "",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        let program = LogRecord {
            text: "md: md0 stopped.".to_owned(),
            identifier: Some("mdadm".to_owned()),
            ..LogRecord::default()
        };
        assert_eq!(farewell(&program), None);
        let piece = LogRecord { text: "md: md0 stopped.".to_owned(), fragment: true, ..LogRecord::default() };
        assert_eq!(farewell(&piece), None, "a user wrote it");
    }
}
