//! What passes from this program to the daemon: one message of JSON in each packet.

use std::time::Duration;

use peripety_block::status::{ArrayStatus, MapStatus};
pub use peripety_block::xfs_health::What;
use peripety_model::{Dev, Errno, facts::HealthFacts};
use serde::{Deserialize, Serialize};

/// Name of the daemon's socket for it, in the daemon's directory.
pub const SOCKET: &str = "watch.sock";
/// The largest message.
pub const MESSAGE_MAX: usize = 16 * 1024;
/// A health snapshot of a disk is taken at most so often.
pub const SNAPSHOTS_APART: Duration = Duration::from_secs(600);
/// Filesystems that are named in one message.
const NAMED_MAX: usize = 64;

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// What is watched from now on. The first of a connection.
    Watching(Watching),
    /// A filesystem reports a failure.
    Failure(Failure),
    /// How a map of device-mapper is now: after it raised an event, was read, or on a new connection.
    Map(MapStatus),
    /// How an array of md is now.
    Array(ArrayStatus),
    /// The state of a disk, which was asked for.
    Health(Health),
    /// So many reports are lost.
    Lost {
        /// How many.
        count: u64,
        /// Why.
        reason: String,
    },
}

/// What the daemon asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A look at arrays and maps, also at those maps that raise no event: text speaks of one.
    Look,
    /// The same, with the status of every map: what changed is not known.
    All,
    /// The status of one map: its table was loaded or it was resumed, which raises no event (drivers/md/dm-ioctl.c, `do_resume`).
    Map(Dev),
    /// The state of a disk: something of it failed.
    Health(Dev),
}

impl Ask {
    /// As it is sent.
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Look => b"look".to_vec(),
            Self::All => b"all".to_vec(),
            Self::Map(dev) => format!("map {dev}").into_bytes(),
            Self::Health(dev) => format!("health {dev}").into_bytes(),
        }
    }

    /// What a packet asks for; one that is not understood, of a daemon of another version, asks for everything.
    pub fn decode(packet: &[u8]) -> Self {
        let text = str::from_utf8(packet).unwrap_or_default();
        match text.split_once(' ').map(|(what, dev)| (what, dev.parse())) {
            Some(("map", Ok(dev))) => Self::Map(dev),
            Some(("health", Ok(dev))) => Self::Health(dev),
            None if text == "look" => Self::Look,
            _ => Self::All,
        }
    }
}

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {
    /// Process id of the sender.
    pub pid: u32,
    /// Filesystems that report by fanotify.
    pub fanotify: u32,
    /// Filesystems with a health monitor.
    pub health: u32,
    /// Maps of device-mapper whose status is read.
    #[serde(default)]
    pub maps: u32,
    /// Arrays of md.
    #[serde(default)]
    pub arrays: u32,
    /// What could not be had, and why: the first of them.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// A filesystem, or device-mapper, that cannot be watched in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Where it is mounted, or `device-mapper`.
    pub mount_point: String,
    /// Which way, and why not.
    pub why: String,
}

impl Watching {
    /// Adds what could not be had; of many only the first are named.
    pub fn refuse(&mut self, mount_point: &str, why: String) {
        if self.refused.len() < NAMED_MAX {
            let mount_point = mount_point.chars().take(100).collect();
            self.refused.push(Refused { mount_point, why });
        }
    }
}

/// The state of a disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Its number.
    pub dev: Dev,
    /// What it says, and what is counted of it.
    pub facts: Box<HealthFacts>,
}

/// Who reports a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reporter {
    /// FAN_FS_ERROR.
    Fanotify,
    /// The health monitor of XFS.
    XfsHealth,
}

impl Reporter {
    /// As it stands in an event's `sources`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Fanotify => "fanotify",
            Self::XfsHealth => "xfs_health",
        }
    }
}

/// What a filesystem reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who.
    pub reporter: Reporter,
    /// Number of the filesystem, as stat(2) has it.
    pub dev: Dev,
    /// Type of the filesystem.
    pub fs_type: String,
    /// What failed.
    pub what: What,
    /// Its errno. A message says 0 where there is none.
    #[serde(with = "errno_or_zero")]
    pub errno: Option<Errno>,
    /// The inode, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// The inode's generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// First byte of the file, or of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// How many failures it stands for.
    pub count: u64,
    /// More, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// An errno that is 0 where there is none, as the kernel reports it.
mod errno_or_zero {
    use peripety_model::Errno;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks so")]
    pub(super) fn serialize<S: Serializer>(errno: &Option<Errno>, to: S) -> Result<S::Ok, S::Error> {
        errno.map_or(0, Errno::raw).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Errno>, D::Error> {
        let number = i32::deserialize(from)?;
        Ok((number != 0).then(|| Errno::from_raw(number)))
    }
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is too large.
    #[error("a message of peripety-watch is larger than {MESSAGE_MAX} bytes")]
    TooLarge,
    /// It is none.
    #[error("a message of peripety-watch is not understood: {0}; are it and peripetyd of the same version?")]
    Json(#[from] serde_json::Error),
}

impl Message {
    /// Reads one packet.
    ///
    /// # Errors
    /// It is too large, or no message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        if packet.len() > MESSAGE_MAX {
            return Err(MessageError::TooLarge);
        }
        Ok(serde_json::from_slice(packet)?)
    }

    /// As a packet.
    ///
    /// # Errors
    /// It is too large.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let packet = serde_json::to_vec(self)?;
        if packet.len() > MESSAGE_MAX { Err(MessageError::TooLarge) } else { Ok(packet) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_as_it_was_sent_and_the_unknown_as_everything() {
        let dev = Dev::new(254, 70_000);
        for ask in [Ask::Look, Ask::All, Ask::Map(dev), Ask::Health(dev)] {
            assert_eq!(Ask::decode(&ask.encode()), ask);
        }
        for other in [&b""[..], b"map ", b"map 1:", b"health", b"health x", b"\xff", b"look now"] {
            assert_eq!(Ask::decode(other), Ask::All);
        }
    }
}
