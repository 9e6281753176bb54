//! Reads mountinfo when it changes: in a thread beside the event loop, and no more often than it can be read.
//!
//! With ten thousand mounts each reading takes 12 ms, and there may be a hundred changes a second: those that come during
//! a reading, or soon after it, are read with the next one.

use std::{
    future, mem,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::block::BlkCache;

/// How long the event loop waits for a reading: it takes less where few filesystems are mounted, and the next event may be
/// about the new one.
const PATIENCE: Duration = Duration::from_millis(20);
/// After a reading comes a pause of so many times its length, so that it takes a small share of a processor.
const PAUSE_FACTOR: u32 = 9;
/// The longest pause.
const PAUSE_MOST: Duration = Duration::from_millis(500);

/// What is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    #[default]
    Nothing,
    /// What is mounted now.
    Mounts,
    /// That, and what lies on all devices.
    All,
}

/// The readings of mountinfo.
#[derive(Debug)]
pub(super) struct MountReadings {
    wanted: Wanted,
    running: Option<mpsc::Receiver<Duration>>,
    finished: Arc<Notify>,
    not_before: Instant,
}

impl Default for MountReadings {
    fn default() -> Self {
        let finished = Arc::default();
        Self { wanted: Wanted::Nothing, running: None, finished, not_before: Instant::now() }
    }
}

impl MountReadings {
    /// Mountinfo changed.
    pub(super) fn changed(&mut self) {
        self.wanted = self.wanted.max(Wanted::Mounts);
    }

    /// All devices were read again.
    pub(super) const fn everything(&mut self) {
        self.wanted = Wanted::All;
    }

    /// Whether a change more would change nothing.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted != Wanted::Nothing
    }

    /// Waits until there is something to do; for ever if nothing is wanted.
    pub(super) async fn due(&self) {
        if self.running.is_some() {
            return self.finished.notified().await;
        }
        if self.wanted == Wanted::Nothing {
            return future::pending().await;
        }
        tokio::time::sleep_until(self.not_before.into()).await;
    }

    /// Begins to read what is due, and takes in the end of what was read.
    pub(super) fn go_on(&mut self, cache: &BlkCache) {
        if let Some(running) = &self.running {
            match running.try_recv() {
                Err(mpsc::TryRecvError::Empty) => return,
                ended => self.ended(ended.unwrap_or_default()),
            }
        }
        if self.wanted == Wanted::Nothing || self.not_before > Instant::now() {
            return;
        }
        let (tell, running) = mpsc::sync_channel(1);
        let (cache, finished) = (cache.clone(), Arc::clone(&self.finished));
        let all = mem::take(&mut self.wanted) == Wanted::All;
        tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            if all {
                cache.refresh_all()
            } else {
                cache.refresh_mounts()
            }
            let _nobody_waits = tell.send(start.elapsed());
            finished.notify_one();
        });
        match running.recv_timeout(PATIENCE) {
            Ok(took) => self.ended(took),
            Err(_) => self.running = Some(running),
        }
    }

    fn ended(&mut self, took: Duration) {
        self.running = None;
        self.not_before = Instant::now() + (took * PAUSE_FACTOR).min(PAUSE_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::fixture::multipath;

    #[test]
    fn changes_that_come_together_are_read_together() {
        let cache = multipath().scan();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut readings = MountReadings::default();
            let mut begun = 0;
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(300) {
                readings.changed();
                readings.go_on(&cache);
                if !readings.is_wanted() {
                    begun += 1;
                    // As if it had taken 5 ms.
                    readings.not_before = Instant::now() + Duration::from_millis(45);
                }
                tokio::time::timeout(Duration::from_millis(1), readings.due()).await.ok();
            }
            assert!((2..=8).contains(&begun), "{begun} readings");
            readings.changed();
            readings.due().await;
            readings.go_on(&cache);
            assert!(!readings.is_wanted(), "the last change is forgotten");
        });
    }
}
