//! What the reader sends to the daemon: one line of JSON each.

use serde::{Deserialize, Serialize};

use crate::{
    journal::{Touch, Unread},
    record::{Lost, Stamp},
};

/// Bytes of one item; a line of a program takes less.
const ITEM_MAX: usize = 64 << 10;

/// What the reader reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    /// A program said something.
    Line {
        /// Which one.
        program: String,
        /// Syslog's priority, 0 to 7.
        priority: u8,
        /// What it said.
        text: String,
        /// Number of the entry in the journal.
        seq: u64,
        /// CLOCK_MONOTONIC in microseconds when journald took it.
        monotonic_us: u64,
        /// Wall clock, microseconds since 1970.
        realtime_us: i64,
        /// What names the entry, to go on after it.
        cursor: String,
    },
    /// Entries of the journal went before they were read, or cannot be read.
    Lost {
        /// How many, of all programs.
        count: u64,
        /// Why.
        reason: String,
        /// What names this loss.
        sequence: String,
    },
    /// There is no journal to read. Reported once; the reader waits for one.
    NoJournal,
    /// There is one now, after there was none.
    Journal,
    /// It is about to touch this for the first time: if it ends now, that is why.
    Touch(Touch),
    /// It cannot read a file and goes on without it.
    Unread(Unread),
    /// This does not answer.
    Silent(Touch),
    /// All that is there was read. Reported once.
    Read,
}

/// What came from the reader is no item.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadItem {
    /// It is too long.
    #[error("an item of the journal's reader has more than {ITEM_MAX} bytes")]
    TooLong,
    /// It is not what a reader writes.
    #[error("an item of the journal's reader cannot be understood: {0}")]
    Json(#[from] serde_json::Error),
}

impl Item {
    /// As it goes through the pipe.
    pub(crate) fn to_line(&self) -> String {
        // Strings and numbers cannot fail to become JSON.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Takes all whole items out of what came so far.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Vec<Result<Self, BadItem>> {
        let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
            if buffer.len() > ITEM_MAX {
                buffer.clear();
                return vec![Err(BadItem::TooLong)];
            }
            return Vec::new();
        };
        let rest = buffer.split_off(end + 1);
        let whole = std::mem::replace(buffer, rest);
        whole
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).map_err(BadItem::from))
            .collect()
    }
}

impl Item {
    /// When it was, `now` where it does not say.
    pub(crate) fn time(&self, now: Stamp) -> Stamp {
        match self {
            Self::Line { monotonic_us, realtime_us, .. } => {
                Stamp { monotonic_ns: Some(monotonic_us.saturating_mul(1000)), realtime_us: *realtime_us }
            }
            _ => now,
        }
    }

    /// A loss as the daemon counts it.
    pub(crate) fn lost(count: u64, reason: &str, sequence: String) -> Lost {
        Lost { source: "journal".to_owned(), reason: reason.to_owned(), count, sequence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_as_they_went_in_however_the_pipe_cuts_them() {
        let items = [
            Item::NoJournal,
            Item::Line {
                program: "multipathd".into(),
                priority: 4,
                text: "two\nlines, \u{1b}[1m and é".into(),
                seq: 7,
                monotonic_us: 8,
                realtime_us: -9,
                cursor: "s=1;i=7".into(),
            },
            Item::Lost { count: 3, reason: "rotated".into(), sequence: "7".into() },
        ];
        let bytes: Vec<u8> = items.iter().flat_map(|item| item.to_line().into_bytes()).collect();
        for size in 1..bytes.len() {
            let (mut buffer, mut taken) = (Vec::new(), Vec::new());
            for part in bytes.chunks(size) {
                buffer.extend_from_slice(part);
                taken.extend(Item::take(&mut buffer).into_iter().map(Result::unwrap));
            }
            assert_eq!(taken, items, "{size}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn nonsense_is_told_and_takes_no_memory() {
        let mut buffer = b"nonsense\n{}\n\xff\n\"no_journal\"\n".to_vec();
        let taken: Vec<bool> = Item::take(&mut buffer).iter().map(Result::is_ok).collect();
        assert_eq!(taken, [false, false, false, true]);
        let mut buffer = vec![b'x'; ITEM_MAX + 1];
        assert!(matches!(Item::take(&mut buffer).as_slice(), [Err(BadItem::TooLong)]));
        assert!(buffer.is_empty());
    }
}
