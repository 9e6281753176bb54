//! Maps and arrays: when they are looked at, and what is said where that cannot be done.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use peripety_block::status::{AskError, Control, MapWatch};

use super::{arrays::ArrayWatch, say};
use crate::message::{Ask, Message, Watching};

/// Looks are at least so far apart: a storm of events is one look.
const APART: Duration = Duration::from_millis(100);

/// All of them.
pub(super) struct Stacked {
    dev: PathBuf,
    sysfs: PathBuf,
    started: Instant,
    control: Option<Control>,
    maps: MapWatch,
    arrays: ArrayWatch,
    refused: Option<String>,
    last_look: Option<Instant>,
    /// Something happened since.
    woken: bool,
}

impl Stacked {
    pub(super) fn new(dev: &Path, sysfs: &Path, proc: &Path) -> Self {
        Self {
            dev: dev.to_owned(),
            sysfs: sysfs.to_owned(),
            started: Instant::now(),
            control: None,
            maps: MapWatch::default(),
            arrays: ArrayWatch::new(proc, sysfs),
            refused: None,
            last_look: None,
            woken: true,
        }
    }

    /// Adds what is watched of them.
    pub(super) fn add_to(&self, watching: &mut Watching) {
        watching.maps = u32::try_from(self.maps.count()).unwrap_or(u32::MAX);
        watching.arrays = u32::try_from(self.arrays.count()).unwrap_or(u32::MAX);
        if let Some(why) = &self.refused {
            watching.refuse("device-mapper", why.clone());
        }
    }

    /// The daemon asks for a look.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.woken = true;
        match ask {
            Ask::Look => self.maps.read_silent_again(),
            Ask::All => self.maps.read_again(None),
            Ask::Map(dev) => self.maps.read_again(Some(dev)),
            // Of a disk, which is neither map nor array.
            Ask::Health(_) => {}
        }
    }

    /// A descriptor fired.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// What wakes; nothing while the last look was just now.
    pub(super) fn descriptors(&self) -> (Option<BorrowedFd<'_>>, Option<&File>) {
        if self.is_early() {
            return (None, None);
        }
        (self.control.as_ref().map(|control| control.as_fd()), self.arrays.changes())
    }

    fn is_early(&self) -> bool {
        self.last_look.is_some_and(|last| last.elapsed() < APART)
    }

    /// After how long it is time to look; none while nothing happens.
    pub(super) fn due_in(&self) -> Option<Duration> {
        // Descriptors are not waited for that long.
        let apart =
            self.last_look.map(|last| APART.saturating_sub(last.elapsed())).filter(|left| !left.is_zero());
        let due = self.maps.due().map(|due| due.saturating_sub(self.started.elapsed()));
        apart.into_iter().chain(due).min()
    }

    /// The state of all, for whoever has just begun to listen.
    pub(super) fn send_all(&self) -> Vec<Message> {
        let mut all: Vec<Message> = self.maps.all().cloned().map(Message::Map).collect();
        all.extend(self.arrays.send_all());
        all
    }

    /// Looks, where it is time to. Gives what changed.
    pub(super) fn go_on(&mut self) -> Vec<Message> {
        let now = self.started.elapsed();
        let is_due = self.woken || self.maps.due().is_some_and(|due| due <= now);
        if !is_due || self.is_early() {
            return Vec::new();
        }
        self.woken = false;
        let mut messages = self.look_at_maps(now);
        match self.arrays.look() {
            Ok(changed) => messages.extend(changed),
            Err(error) => say(&format!("cannot open mdstat: {error}; changes of md arrays are not seen")),
        }
        self.last_look = Some(Instant::now());
        messages
    }

    fn look_at_maps(&mut self, now: Duration) -> Vec<Message> {
        if self.control.is_none() {
            match Control::open_if_loaded(&self.dev, &self.sysfs) {
                Ok(control) => self.control = control,
                Err(error) => self.refuse(&error),
            }
        }
        let Some(control) = &self.control else { return Vec::new() };
        match self.maps.look(control, now) {
            Ok(changed) => {
                self.refused = None;
                changed.into_iter().map(Message::Map).collect()
            }
            Err(error) => {
                (self.control, self.maps) = (None, MapWatch::default());
                self.refuse(&error);
                Vec::new()
            }
        }
    }

    fn refuse(&mut self, error: &AskError) {
        let why = error.to_string();
        if self.refused.as_ref() != Some(&why) {
            say(&format!("{why}; events of device-mapper are not seen"));
        }
        self.refused = Some(why);
    }
}
