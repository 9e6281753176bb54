//! What every process of GlusterFS sends to UDP port 55555 of the loopback address: `SECONDS NUMBER KEY=VALUE;KEY=VALUE`.
//!
//! The number is a place in a list that only grows at its end (`events/eventskeygen.py`; the numbers here are those of 10.3).
//! Whoever runs on this machine can send one. So it leads to a question to glusterd, and what glusterd cannot be asked for is at
//! most a warning; nothing of it says that data cannot be reached.

use std::collections::BTreeMap;

use crate::hint::{Hint, Rebalance, Report};

/// Where they are sent to.
pub const PORT: u16 = 55555;
/// Longest datagram that is read.
pub const MAX: usize = 8192;

/// The client whose processes are `gluster volume heal`: what it reports is of our own question.
const HEAL_COMMAND: &str = "-7";

/// The keys of a message.
#[derive(Debug, Default)]
struct Message(BTreeMap<String, String>);

impl Message {
    /// Values contain `=`, keys blanks: what is before the first `=` is the key, and both are trimmed.
    fn new(text: &str) -> Self {
        let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(key, value)| (clean(key), clean(value))).collect())
    }

    /// The value of the first of some keys: they were renamed over the years.
    fn get(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.0.get(*key)).filter(|value| !value.is_empty()).cloned()
    }
}

/// What is fit for a line: without control characters, and of a length that a name can have.
fn clean(text: &str) -> String {
    text.trim().chars().filter(|char| !char.is_control()).take(4096).collect()
}

/// What a datagram reports; none for what is of no interest or makes no sense.
pub fn hint(datagram: &[u8]) -> Option<Hint> {
    let text = std::str::from_utf8(datagram).ok()?;
    let mut parts = text.splitn(3, ' ');
    let _seconds: u64 = parts.next()?.parse().ok()?;
    let number: u16 = parts.next()?.parse().ok()?;
    let message = Message::new(parts.next().unwrap_or_default());
    let read = TABLE.iter().find(|row| row.0.contains(&number))?.1;
    read(number, &message)
}

type Read = fn(u16, &Message) -> Option<Hint>;

/// Which numbers mean what.
const TABLE: &[(&[u16], Read)] = &[
    // PEER_ATTACH, PEER_DETACH, PEER_REJECT, PEER_CONNECT, PEER_DISCONNECT, PEER_NOT_FOUND, UNKNOWN_PEER
    (&[0, 1, 69, 70, 71, 72, 73], changed),
    // VOLUME_CREATE, _START, _STOP, _DELETE, _SET, _RESET, BRICK_RESET_START, _COMMIT, BRICK_REPLACE
    (&[2, 3, 4, 5, 6, 7, 8, 9, 10], changed),
    // SNAPSHOT_CREATED, _RESTORED, _DELETED, _CLONED
    (&[35, 43, 45, 47], changed),
    // SVC_CONNECTED, SVC_DISCONNECTED: self-heal daemon and others; BRICK_DISCONNECTED, BRICK_CONNECTED
    (&[65, 66, 76, 77], changed),
    (&[41, 42], |number, message| {
        let volume = message.get(&["volume_name", "volume"])?;
        Some(Hint::Report(Report::SnapshotLimit { volume, hard: number == 42 }))
    }),
    (&[74], |_, message| {
        let brick = match (message.get(&["peer"]), message.get(&["brick"])) {
            (Some(peer), Some(brick)) if brick.starts_with('/') => format!("{peer}:{brick}"),
            (_, Some(brick)) => brick,
            _ => return None,
        };
        Some(Hint::Report(Report::StartFailed { volume: message.get(&["volume"])?, brick }))
    }),
    // QUORUM_LOST, QUORUM_REGAINED: how it is, glusterd's own log says.
    (&[80, 81], changed),
    // EC_MIN_BRICKS_NOT_UP, EC_MIN_BRICKS_UP, AFR_QUORUM_MET, AFR_QUORUM_FAIL, AFR_SUBVOL_UP, AFR_SUBVOLS_DOWN
    (&[89, 90, 106, 107, 108, 109], |_, message| {
        (message.get(&["client-pid"]).as_deref() != Some(HEAL_COMMAND)).then_some(Hint::Changed)
    }),
    (&[91, 93], |number, message| {
        let volume = message.get(&["primary_volume", "master_volume"])?;
        let host = message.get(&["secondary_host", "slave_host"]).unwrap_or_default();
        let other = message.get(&["secondary_volume", "slave_volume"]).unwrap_or_default();
        let to = format!("{host}::{other}");
        Some(Hint::Report(Report::GeoReplication { volume, to, faulty: number == 91 }))
    }),
    (&[95], |_, message| {
        Some(Hint::Report(Report::Quota {
            volume: message.get(&["volume"])?,
            path: message.get(&["path"])?,
            usage: message.get(&["Usage", "usage"]).unwrap_or_default(),
        }))
    }),
    (&[96], |_, message| {
        Some(Hint::Report(Report::BadFile {
            brick: message.get(&["brick"])?,
            path: message.get(&["path"]).unwrap_or_default(),
            gfid: message.get(&["gfid"]).unwrap_or_default(),
        }))
    }),
    // POSIX_HEALTH_CHECK_FAILED: brick=HOST:PATH, and on its end sometimes " timeout is N"
    (&[105], |_, message| {
        let brick = message.get(&["brick"])?;
        let brick = brick.split(" timeout is ").next().unwrap_or(&brick);
        let path = brick.split_once(":/").map_or_else(|| brick.to_owned(), |(_, path)| format!("/{path}"));
        let operation = message.get(&["op"]).unwrap_or_else(|| "access".to_owned());
        let error = message.get(&["error"]).unwrap_or_else(|| "unknown error".to_owned());
        let why = format!("health check failed ({operation}: {error})");
        Some(Hint::Reason { volume: None, path, why })
    }),
    // AFR_SPLIT_BRAIN
    (&[110], |_, _| Some(Hint::Heal)),
    // VOLUME_ADD_BRICK, VOLUME_REMOVE_BRICK_START, _COMMIT, _STOP, _FORCE
    (&[123, 125, 127, 129, 131], changed),
    (&[134, 135, 136, 137], |number, message| {
        let state = match number {
            134 => Rebalance::Started,
            135 => Rebalance::Stopped,
            136 => Rebalance::Failed,
            _ => Rebalance::Completed,
        };
        Some(Hint::Report(Report::Rebalance { volume: message.get(&["volume"])?, state }))
    }),
    // DHT_DISK_USAGE, DHT_INODES_USAGE
    (&[140, 141], |number, message| {
        Some(Hint::Report(Report::Full {
            brick: message.get(&["subvol"])?,
            usage: message.get(&["usage"]).unwrap_or_default(),
            inodes: number == 141,
        }))
    }),
];

#[expect(clippy::unnecessary_wraps, reason = "a row of the table")]
fn changed(_number: u16, _message: &Message) -> Option<Hint> {
    Some(Hint::Changed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_cluster_sent() {
        for (datagram, expected) in [
            ("1796031847 0 host=10.77.0.2", Some(Hint::Changed)),
            ("1796031851 2 name=rep;bricks= 10.77.0.1:/bricks/b/rep ", Some(Hint::Changed)),
            ("1796031855 77 peer=10.77.0.1;volume=rep;brick=/bricks/b/rep", Some(Hint::Changed)),
            ("1796031855 109 client-pid=-6; subvol=rep-replicate-0", Some(Hint::Changed)),
            ("1796031855 109 client-pid=-7; subvol=rep-replicate-0", None),
            (
                "1 105 op=open_for_write;path=/b/.glusterfs/health_check;error=Input/output error;brick=vm:/b/data timeout is 20",
                Some(Hint::Reason {
                    volume: None,
                    path: "/b/data".to_owned(),
                    why: "health check failed (open_for_write: Input/output error)".to_owned(),
                }),
            ),
            ("1 80 volume=rep", Some(Hint::Changed)),
            ("1 97 client_uid=x", None),
            ("1 9999 x=y", None),
            ("", None),
            ("x 2 name=v", None),
        ] {
            assert_eq!(hint(datagram.as_bytes()), expected, "{datagram}");
        }
    }

    proptest! {
        #[test]
        fn any_datagram_is_read(bytes: Vec<u8>, number: u16, text: String) {
            let _any = hint(&bytes);
            let _any = hint(format!("1 {number} {text}").as_bytes());
        }
    }
}
