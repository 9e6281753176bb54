//! Reads superblocks in threads of their own: a read may hang as long as its device does, and nobody may hang with it.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    super::{Dev, content, sysfs::SysDevice},
    Shared,
    node::Gen,
};
use crate::roots::Roots;

/// How many threads may read at once, those that hang among them. When all hang, nothing is read any more.
const READERS_MOST: usize = 4;

/// The threads that read now.
#[derive(Debug, Default)]
pub(super) struct Readers(AtomicUsize);

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
        let node = roots.dev.join(&device.name);
        node.symlink_metadata().is_ok().then_some(Self { at, dev: device.id.dev, node })
    }
}

/// Reads the devices, and returns when all are read or after `wait`; what is read later goes into the memory later.
pub(super) fn run(shared: &Arc<Shared>, jobs: VecDeque<Job>, wait: Duration) {
    let threads = jobs.len().min(READERS_MOST);
    let queue = Arc::new(Mutex::new(jobs));
    let (finished, all_finished) = mpsc::channel::<()>();
    for _ in 0..threads {
        if shared.readers.0.fetch_add(1, Ordering::Relaxed) >= READERS_MOST {
            shared.readers.0.fetch_sub(1, Ordering::Relaxed);
            break;
        }
        let (of_thread, queue, finished) = (Arc::clone(shared), Arc::clone(&queue), finished.clone());
        let spawned = std::thread::Builder::new().name("superblock".to_owned()).spawn(move || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(job) = next() {
                // A device that cannot be read keeps what is known of it.
                if let Ok(found) = content::read(&job.node, job.dev) {
                    of_thread.store().set_content(job.at, found);
                }
            }
            of_thread.readers.0.fetch_sub(1, Ordering::Relaxed);
            drop(finished);
        });
        if spawned.is_err() {
            shared.readers.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    drop(finished);
    // Nothing is ever sent: the channel closes when the last thread is done.
    let _ = all_finished.recv_timeout(wait);
}
