//! The lines of a recording.

use std::fmt::Write as _;

use peripety_common::{Header, KernelRecord};
use serde::{Deserialize, Serialize};

use super::facts::Change;
use crate::{
    correlate::LiveSources,
    event::Event,
    incident::Limits,
    record::{self, ArrayStatus, Failure, Health, LogRecord, Lost, MapStatus, Missed, Record, Stamp, Uevent},
    state::Condition,
};

/// Version of the format; raised by an incompatible change only.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A daemon begins, with nothing open.
    Start(Start),
    /// The user's rules from now on, as TOML. Peripety's own are those of the version that replays.
    Rules(String),
    /// The limits of early signs from now on, where a user set some.
    Limits(Limits),
    /// The sources from now on.
    Live(LiveSources),
    /// What an earlier daemon had open: notes of its engine.
    Open(Vec<String>),
    /// A record.
    Push {
        /// Wall clock of the record, microseconds since 1970.
        us: i64,
        /// CLOCK_MONOTONIC of the record, where it is another one than the kernel record's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ns: Option<u64>,
        /// What it says.
        #[serde(flatten)]
        body: Body,
        /// What the engine learned of devices.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<Change>,
    },
    /// Time went on.
    Tick {
        /// CLOCK_MONOTONIC in nanoseconds.
        ns: u64,
        /// What the engine learned of devices.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<Change>,
    },
    /// Everything open was closed.
    Finish {
        /// What the engine learned of devices.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<Change>,
    },
    /// A look at sysfs and mountinfo showed that conditions are over.
    Looked {
        /// Wall clock, microseconds since 1970.
        us: i64,
        /// Which.
        over: Vec<Condition>,
    },
    /// Answers about devices are reported anew from now on.
    Forget,
    /// What the daemon said of itself.
    Said(Box<Event>),
    /// So many entries could not be recorded here: what follows is not exact.
    Missing(u64),
}

/// Who recorded what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// [`FORMAT`].
    pub peripety_recording: u32,
    /// Version of peripetyd.
    pub version: String,
    /// Boot that the records are of, 32 hexadecimal digits.
    pub boot_id: String,
    /// Host that the records are of.
    pub hostname: String,
    /// `little` or `big`: kernel records are in the machine's order.
    pub byte_order: String,
    /// What reports peripety's own rules from those of another version.
    pub own_rules: String,
}

/// Byte order of this machine.
pub(super) const BYTE_ORDER: &str = if cfg!(target_endian = "big") { "big" } else { "little" };

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A record of the ring: hexadecimal, without the zeros at its end.
    Kernel(String),
    /// A line of text.
    Log(LogRecord),
    /// A uevent.
    Uevent(Uevent),
    /// What a filesystem reports.
    Filesystem(Failure),
    /// How a map is.
    Map(MapStatus),
    /// How an array is.
    Array(ArrayStatus),
    /// How a disk is.
    Health(Health),
    /// Records are known to be lost.
    Lost(Lost),
    /// Failures that are only counted.
    Missed(Missed),
}

impl Entry {
    /// The entry for a record.
    pub fn push(record: &Record, facts: Vec<Change>) -> Self {
        let (own_ns, body) = match &record.body {
            record::Body::Kernel(kernel) => (Some(kernel.header.mono_ns), Body::Kernel(to_hex(kernel))),
            record::Body::Log(line) => (None, Body::Log(line.clone())),
            record::Body::Uevent(event) => (None, Body::Uevent(event.clone())),
            record::Body::Lost(lost) => (None, Body::Lost(lost.clone())),
            record::Body::Filesystem(failure) => (None, Body::Filesystem(failure.clone())),
            record::Body::Map(map) => (None, Body::Map(map.clone())),
            record::Body::Array(array) => (None, Body::Array(array.clone())),
            record::Body::Health(health) => (None, Body::Health(health.clone())),
            record::Body::Missed(missed) => (None, Body::Missed(*missed)),
        };
        let ns = record.time.monotonic_ns.filter(|ns| Some(*ns) != own_ns);
        Self::Push { us: record.time.realtime_us, ns, body, facts }
    }
}

/// What is wrong with a kernel record of a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is written in hexadecimal digits.
    #[error("a kernel record that is not hexadecimal")]
    NotHex,
    /// Its bytes are none of the ring's.
    #[error(transparent)]
    Decode(#[from] peripety_common::DecodeError),
}

impl Body {
    /// The record again.
    ///
    /// # Errors
    /// It is no kernel record.
    pub fn into_record(self, us: i64, ns: Option<u64>) -> Result<Record, RecordError> {
        let (own_ns, body) = match self {
            Self::Kernel(hex) => {
                let kernel = from_hex(&hex)?;
                (Some(kernel.header.mono_ns), record::Body::Kernel(kernel))
            }
            Self::Log(line) => (None, record::Body::Log(line)),
            Self::Uevent(event) => (None, record::Body::Uevent(event)),
            Self::Lost(lost) => (None, record::Body::Lost(lost)),
            Self::Filesystem(failure) => (None, record::Body::Filesystem(failure)),
            Self::Map(map) => (None, record::Body::Map(map)),
            Self::Array(array) => (None, record::Body::Array(array)),
            Self::Health(health) => (None, record::Body::Health(health)),
            Self::Missed(missed) => (None, record::Body::Missed(missed)),
        };
        Ok(Record { time: Stamp { monotonic_ns: ns.or(own_ns), realtime_us: us }, body })
    }
}

fn to_hex(record: &KernelRecord) -> String {
    let mut bytes = Vec::with_capacity(256);
    record.encode(&mut |piece| bytes.extend_from_slice(piece));
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.iter().take(end).fold(String::with_capacity(2 * end), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _always_ok = write!(hex, "{byte:02x}");
        hex
    })
}

fn from_hex(hex: &str) -> Result<KernelRecord, RecordError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let mut bytes: Vec<u8> =
        hex.as_bytes().chunks(2).map(pair).collect::<Option<_>>().ok_or(RecordError::NotHex)?;
    bytes.resize(bytes.len().max(Header::SIZE), 0);
    let len = Header::decode(&bytes).map_or(0, |header| usize::from(header.len));
    bytes.resize(bytes.len().max(len), 0);
    Ok(KernelRecord::decode(&bytes)?)
}
