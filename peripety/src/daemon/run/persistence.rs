//! What outlives the daemon: the logbook, in a directory that may be another daemon's, full or gone.

use std::{os::unix::net::UnixListener, time::Duration};

use tokio::sync::mpsc::UnboundedSender;

use super::super::{
    checkpoint_log::{CheckpointLog, Left},
    clock,
    outputs::Outputs,
    runtime::Runtime,
};
use crate::{notifier::socket::Listening, roots::Roots};

/// Said of files in a directory that another daemon holds.
const NOT_OURS: &str = "the directory is not this daemon's";

/// The directory in /run, and the checkpoint in it.
pub(super) struct Persistence {
    pub(super) checkpoint_log: CheckpointLog,
    pub(super) runtime: Runtime,
}

impl Persistence {
    /// Opens both, and gives what an earlier daemon of this boot left.
    ///
    /// # Errors
    ///
    /// Another daemon runs.
    pub(super) fn open(
        roots: &Roots,
        boot_id: &str,
        listen_on: &UnboundedSender<Listening>,
        varlink: Option<UnixListener>,
    ) -> anyhow::Result<(Self, Option<Left>)> {
        let mut runtime = Runtime::open(roots)?;
        if let Some(given) = varlink {
            runtime.take_varlink(given, listen_on);
        }
        let (mut checkpoint_log, left) = CheckpointLog::open(&roots.runtime, boot_id);
        if runtime.is_held() {
            runtime.listen(listen_on);
        } else {
            checkpoint_log.leave_alone(NOT_OURS);
        }
        // What lies in a directory that is not this daemon's is another one's.
        let left = left.filter(|_| runtime.is_held());
        Ok((Self { checkpoint_log, runtime }, left))
    }

    /// Takes note of files that cannot be written.
    pub(super) fn note_files(&mut self, outputs: &Outputs) {
        if self.runtime.is_held() {
            self.runtime.note("spool", outputs.files_trouble());
            self.runtime.note("logbook", self.checkpoint_log.trouble().map(str::to_owned));
        }
        self.runtime.settle(clock::monotonic_ns(), false);
    }

    /// Tries to use the directory and its files again. Whether what waits in memory can be written down now.
    pub(super) fn repair(&mut self, outputs: &mut Outputs, listen_on: &UnboundedSender<Listening>) -> bool {
        match self.runtime.hold(Duration::ZERO) {
            Ok(true) => {
                self.runtime.listen(listen_on);
                outputs.repair();
                self.checkpoint_log.try_again();
                true
            }
            // Not to be touched.
            Ok(false) | Err(_) => {
                self.checkpoint_log.leave_alone(NOT_OURS);
                false
            }
        }
    }
}
