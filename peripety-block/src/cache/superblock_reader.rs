//! Reads superblocks in threads of their own: a read may hang as long as its device does, and nobody may hang with it.

use std::{
    collections::{HashSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use super::{
    super::{Dev, content, sysfs::SysDevice},
    Shared,
    node::Gen,
};
use crate::Roots;

/// How many threads may read at once, those that hang among them. When all hang, nothing is read any more.
const READERS_MOST: usize = 4;
/// How many devices wait to be read. One that finds no room keeps what is known of it, until it changes again.
const WAITING_MOST: usize = 16_384;

/// The threads that read now, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    threads: usize,
    waiting: VecDeque<(Job, mpsc::Sender<()>)>,
    /// Who waits.
    wanted: HashSet<Gen>,
}

impl Readers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread reads next; a thread that gets nothing has ended.
    fn next(&self) -> Option<(Job, mpsc::Sender<()>)> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        match &next {
            Some((job, _)) => {
                state.wanted.remove(&job.at);
            }
            None => state.threads -= 1,
        }
        next
    }
}

/// A device to read.
#[derive(Debug)]
pub(super) struct Job {
    at: Gen,
    dev: Dev,
    node: PathBuf,
}

impl Job {
    /// None when the device has no node.
    pub(super) fn new(roots: &Roots, at: Gen, device: &SysDevice) -> Option<Self> {
        // What lies on the disks of another machine is not on this one's, whatever their names.
        if !roots.files.on_disk() {
            return None;
        }
        let node = roots.dev.join(&device.name);
        node.symlink_metadata().is_ok().then_some(Self { at, dev: device.id.dev, node })
    }
}

/// Reads the devices, and returns when all are read or after `wait`; what is read later goes into the memory later.
pub(super) fn run(shared: &Arc<Shared>, jobs: VecDeque<Job>, wait: Duration) {
    let (finished, all_finished) = mpsc::channel::<()>();
    {
        let mut state = shared.readers.state();
        for job in jobs {
            // What waits already is read as it is then.
            if state.waiting.len() >= WAITING_MOST || !state.wanted.insert(job.at) {
                continue;
            }
            state.waiting.push_back((job, finished.clone()));
            if state.threads < READERS_MOST && start(shared).is_ok() {
                state.threads += 1;
            }
        }
    }
    drop(finished);
    if !wait.is_zero() {
        // Nothing is ever sent: the channel closes when the last of them is read.
        let _ = all_finished.recv_timeout(wait);
    }
}

fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    let reading = move || {
        while let Some((job, finished)) = shared.readers.next() {
            // A device that cannot be read keeps what is known of it.
            if let Ok(found) = content::read(&job.node, job.dev) {
                shared.store().set_content(job.at, found);
            }
            drop(finished);
        }
    };
    std::thread::Builder::new().name("superblock".to_owned()).spawn(reading).map(drop)
}
