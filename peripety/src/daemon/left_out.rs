//! Files of the journal that its reader leaves out, until it is tried again whether they can be read.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::time::Instant;

use crate::journal::{FileId, Unread};

/// How long until it is tried again: ever longer.
const RETRY_FIRST: Duration = Duration::from_secs(15);
const RETRY_MAX: Duration = Duration::from_secs(1800);

/// A file that is left out.
#[derive(Clone, Debug)]
struct Out {
    unread: Unread,
    /// The entry after which it is to be read.
    after: Option<String>,
    /// It is being tried.
    tried: bool,
}

/// A file, by its inode; a directory, by its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    File(FileId),
    Directory(PathBuf),
}

/// The files.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    files: BTreeMap<What, Out>,
    retry: Option<Instant>,
    wait: Option<Duration>,
}

impl LeftOut {
    /// A file cannot be read from the entry after `after` on.
    pub(super) fn add(&mut self, unread: Unread, after: Option<String>) {
        if unread.may_pass() && self.retry.is_none() {
            let wait = self.wait.map_or(RETRY_FIRST, |wait| (wait * 2).min(RETRY_MAX));
            (self.wait, self.retry) = (Some(wait), Some(Instant::now() + wait));
        }
        // What it was left out for first is where it is to go on.
        let what = unread.id.map_or_else(|| What::Directory(unread.path.clone()), What::File);
        match self.files.get_mut(&what) {
            Some(known) => *known = Out { unread, after: known.after.take(), tried: false },
            None => {
                tracing::warn!("{unread}; what daemons such as multipathd say there is not read");
                self.files.insert(what, Out { unread, after, tried: false });
            }
        }
    }

    /// When to try again.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry
    }

    /// The next reader shall try what may be readable by now.
    pub(super) fn try_again(&mut self) {
        self.retry = None;
        for out in self.files.values_mut() {
            out.tried = out.unread.may_pass();
        }
    }

    /// What the next reader is to avoid, and what it is to read from further behind.
    pub(super) fn orders(&self) -> (Vec<FileId>, Vec<(FileId, Option<String>)>) {
        let (mut avoid, mut behind) = (Vec::new(), Vec::new());
        for (what, out) in &self.files {
            match what {
                What::File(id) if out.tried => behind.push((*id, out.after.clone())),
                What::File(id) => avoid.push(*id),
                // Its files are not known.
                What::Directory(_) => {}
            }
        }
        (avoid, behind)
    }

    /// The reader has read all that is there, without those that it avoids. Whether that is more than before.
    pub(super) fn read(&mut self) -> bool {
        let before = self.files.len();
        self.files.retain(|_, out| !out.tried);
        if self.files.len() < before {
            tracing::info!("what could not be read of the journal is read now");
        }
        if self.files.values().all(|out| !out.unread.may_pass()) {
            (self.retry, self.wait) = (None, None);
        }
        self.files.len() < before
    }

    /// For `prpt stats`.
    pub(super) fn words(&self) -> Vec<String> {
        self.files.values().map(|out| out.unread.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Why;

    fn unread(ino: u64, why: Why) -> Unread {
        let id = Some(FileId { dev: 1, ino });
        Unread { path: format!("/{ino}").into(), id, why, read_until_us: None, entries: 0, last_us: 0 }
    }

    #[test]
    fn what_may_be_readable_again_is_tried_from_where_it_was_left_out() {
        let id = |ino| FileId { dev: 1, ino };
        let disk = || Why::Disk("gone".into());
        let mut left_out = LeftOut::default();
        left_out.add(unread(1, Why::Damage("broken".into())), None);
        assert_eq!(left_out.retry_at(), None, "damage stays");
        left_out.add(unread(2, disk()), Some("a".into()));
        assert_eq!(left_out.orders(), (vec![id(1), id(2)], vec![]));
        let first = left_out.retry_at().unwrap();
        left_out.try_again();
        assert_eq!(left_out.orders(), (vec![id(1)], vec![(id(2), Some("a".into()))]));
        // It fails again: later, and from the same entry.
        left_out.add(unread(2, disk()), Some("b".into()));
        assert!(left_out.retry_at().unwrap() > first);
        left_out.read();
        assert_eq!(left_out.words().len(), 2);
        left_out.try_again();
        assert_eq!(left_out.orders().1, [(id(2), Some("a".into()))]);
        left_out.read();
        assert_eq!((left_out.orders(), left_out.retry_at()), ((vec![id(1)], vec![]), None));
    }
}
