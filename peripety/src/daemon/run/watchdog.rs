//! Signs of life for systemd.

use std::{
    future,
    time::{Duration, Instant},
};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::notify_systemd;

/// How often a busy loop says that it goes on, whatever systemd allows: a pause in it is seen at once.
const BUSY: Duration = Duration::from_millis(500);

/// Reports systemd that the event loop goes on, if systemd wants to know.
pub(super) struct Watchdog {
    ticks: Option<Interval>,
    reported: Instant,
}

impl Watchdog {
    /// Half of what systemd allows between two signs of life; nothing without systemd.
    pub(super) fn new() -> Self {
        let ticks = sd_notify::watchdog_enabled().map(|allowed| {
            let mut ticks = interval((allowed / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { ticks, reported: Instant::now() }
    }

    /// Waits until the next sign is due.
    pub(super) async fn due(&mut self) {
        match &mut self.ticks {
            Some(ticks) => {
                ticks.tick().await;
                self.notify();
            }
            None => future::pending().await,
        }
    }

    /// The loop has gone round once more.
    pub(super) fn lives(&mut self) {
        if self.ticks.is_some() && self.reported.elapsed() >= BUSY {
            self.notify();
        }
    }

    fn notify(&mut self) {
        self.reported = Instant::now();
        notify_systemd(&[sd_notify::NotifyState::Watchdog]);
    }
}
