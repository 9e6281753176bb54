//! Reads mountinfo when it changes: in a thread beside the event loop, and no more often than it can be read.
//!
//! With ten thousand mounts each reading takes 12 ms, and there may be a hundred changes a second: when many were read, those
//! that come soon after are read with the next one.

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
/// What is spent on readings beyond this waits until so many times as much has passed: a few are made at once, for the next
/// failure may be of the filesystem that was mounted now, and many take a small share of a processor.
const AT_ONCE: Duration = Duration::from_millis(50);
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
    spent: Spent,
}

/// Time that was spent on readings, less what has passed since.
#[derive(Debug)]
struct Spent {
    at: Instant,
    time: Duration,
}

impl Spent {
    fn add(&mut self, now: Instant, took: Duration) {
        let passed = now.saturating_duration_since(self.at);
        self.time = self.time.saturating_sub(passed / PAUSE_FACTOR) + took;
        self.at = now;
    }

    /// Until when nothing is to be read.
    fn pause_until(&self) -> Instant {
        self.at + (self.time.saturating_sub(AT_ONCE) * PAUSE_FACTOR).min(PAUSE_MOST)
    }
}

impl Default for MountReadings {
    fn default() -> Self {
        let finished = Arc::default();
        Self {
            wanted: Wanted::Nothing,
            running: None,
            finished,
            spent: Spent { at: Instant::now(), time: Duration::ZERO },
        }
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
        tokio::time::sleep_until(self.spent.pause_until().into()).await;
    }

    /// Begins to read what is due, and takes in the end of what was read.
    pub(super) fn go_on(&mut self, cache: &BlkCache) {
        if let Some(running) = &self.running {
            match running.try_recv() {
                Err(mpsc::TryRecvError::Empty) => return,
                ended => self.ended(ended.unwrap_or_default()),
            }
        }
        if self.wanted == Wanted::Nothing || self.spent.pause_until() > Instant::now() {
            return;
        }
        let (tell, running) = mpsc::sync_channel(1);
        let (cache, finished) = (cache.clone(), Arc::clone(&self.finished));
        let all = mem::take(&mut self.wanted) == Wanted::All;
        tokio::task::spawn_blocking(move || {
            let took = if all {
                let start = Instant::now();
                cache.refresh_all();
                start.elapsed()
            } else {
                // What lies on a new mount is wanted too, but to wait for its device costs no processor.
                cache.refresh_mounts()
            };
            let _nobody_waits = tell.send(took);
            finished.notify_one();
        });
        match running.recv_timeout(PATIENCE) {
            Ok(took) => self.ended(took),
            Err(_) => self.running = Some(running),
        }
    }

    fn ended(&mut self, took: Duration) {
        self.running = None;
        self.spent.add(Instant::now(), took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::fixture::multipath;

    #[test]
    fn a_few_readings_are_made_at_once_and_many_take_a_tenth_of_the_time() {
        let start = Instant::now();
        let mut spent = Spent { at: start, time: Duration::ZERO };
        let took = Duration::from_millis(5);
        for _ in 0..10 {
            assert_eq!(spent.pause_until(), start);
            spent.add(start, took);
        }
        let mut now = start;
        let mut all = took * 10;
        while now < start + Duration::from_secs(10) {
            spent.add(now, took);
            all += took;
            assert!(spent.pause_until() >= now);
            now = spent.pause_until().max(now + Duration::from_millis(1));
        }
        assert!((1000..1300).contains(&all.as_millis()), "{all:?} of ten seconds");
        // A long one is not waited for any longer than it takes to forget it.
        spent.add(now, Duration::from_secs(60));
        assert_eq!(spent.pause_until(), now + PAUSE_MOST);
    }

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
                    // As if it had taken 25 ms.
                    readings.spent.add(Instant::now(), Duration::from_millis(25));
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
