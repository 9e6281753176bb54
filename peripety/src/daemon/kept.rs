//! Incidents over reboots: a copy in /var/lib/peripety, written after the events are out, on a thread, and never waited for.
//!
//! The disk that it lies on may be the one that fails. Within a boot the logbook in /run counts; this is read by the first
//! daemon of a boot, and only for so long.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use crate::{
    incident::{Case, Incidents},
    replace::replace,
    roots::Roots,
};

/// How long the disk may take when it is read.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest line, and lines, that are taken.
const LINE_MAX: usize = 1 << 20;
const LINES_MAX: usize = 12_288;
/// Bytes that are written.
const FILE_MAX: usize = 64 << 20;

/// The copy.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    wanted: bool,
    busy: Arc<AtomicBool>,
}

impl Kept {
    /// Below the daemon's lasting directory.
    pub(super) fn new(roots: &Roots) -> Self {
        Self { path: roots.state.join("incidents.jsonl"), wanted: false, busy: Arc::default() }
    }

    /// Something changed.
    pub(super) fn note(&mut self, changed: bool) {
        self.wanted |= changed;
    }

    /// What an earlier boot left; nothing if the disk does not answer in time.
    pub(super) fn read(&self) -> Vec<Case> {
        let (say, answer) = mpsc::channel();
        let path = self.path.clone();
        let read = move || {
            let _nobody_waits = say.send(read(&path));
        };
        if thread::Builder::new().name("kept".to_owned()).spawn(read).is_err() {
            return Vec::new();
        }
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            tracing::warn!(
                "{} cannot be read in time: incidents of before this boot are not known",
                self.path.display()
            );
            Vec::new()
        })
    }

    /// Writes all incidents, if something changed and no writing is under way.
    pub(super) fn write(&mut self, incidents: &Incidents) {
        let no_place = self.path.parent().is_none_or(|dir| !dir.is_dir());
        if !self.wanted || no_place || self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        self.wanted = false;
        let mut text = Vec::new();
        for case in incidents.cases() {
            if text.len() < FILE_MAX && serde_json::to_writer(&mut text, case).is_ok() {
                text.push(b'\n');
            }
        }
        let (path, busy) = (self.path.clone(), Arc::clone(&self.busy));
        let work = move || {
            if let Err(error) = replace(&path, &text, 0o600) {
                tracing::warn!("{} cannot be written: {error}", path.display());
            }
            busy.store(false, Ordering::Release);
        };
        if thread::Builder::new().name("kept".to_owned()).spawn(work).is_err() {
            self.busy.store(false, Ordering::Release);
        }
    }
}

fn read(path: &Path) -> Vec<Case> {
    let Ok(file) = fs::File::open(path) else { return Vec::new() };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok).take(LINES_MAX);
    lines
        .filter(|line| line.len() <= LINE_MAX)
        .filter_map(|line| serde_json::from_slice(&line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    #[test]
    fn what_is_written_is_read_in_the_next_boot_and_damage_costs_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::under(directory.path());
        fs::create_dir_all(&roots.state).unwrap();
        let (mut stage, mut out) = (Incidents::default(), Vec::new());
        stage.push(&mut sample(), &mut out);
        let mut kept = Kept::new(&roots);
        kept.note(true);
        kept.write(&stage);
        while kept.busy.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let mut text = fs::read(&kept.path).unwrap();
        text.extend_from_slice(b"{\"incident\":\n\xff\xfe\n");
        fs::write(&kept.path, text).unwrap();
        let back = kept.read();
        assert_eq!(back.iter().map(|c| c.incident.clone()).collect::<Vec<_>>(), out);
    }
}
