//! SIGHUP: the configuration is read again. A wrong one is named, and the one that is in force stays.
//!
//! What waits is on disk, and who is killed goes on from there: so the program begins anew in the same process, once no message is
//! on its way.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{config::Config, receiver::Receiver};

/// How long messages on their way are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for SIGHUP on a thread.
///
/// # Errors
/// There is no thread.
pub(crate) fn start(config: &Path, receivers: &[Arc<Receiver>]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut hangups = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup())?
    };
    let (config, receivers) = (config.to_owned(), receivers.to_vec());
    let work = move || {
        while runtime.block_on(hangups.recv()).is_some() {
            match Config::load(&config) {
                Ok(_) => again(&receivers),
                Err(error) => tracing::error!("{error}; the configuration of before stays in force"),
            }
        }
    };
    thread::Builder::new().name("reload".to_owned()).stack_size(256 << 10).spawn(work).map(drop)
}

/// Begins anew; returns only where that fails.
fn again(receivers: &[Arc<Receiver>]) {
    tracing::info!("the configuration is read again");
    let until = Instant::now() + PATIENCE;
    // Held until this program is no more: no message sets out meanwhile.
    let _held: Vec<_> = receivers.iter().filter_map(|receiver| receiver.pause(until)).collect();
    let mut args = std::env::args_os();
    let program = program(args.next());
    let error = Command::new(&program).args(args).exec();
    tracing::error!(
        "cannot start {} again: {error}; the configuration of before stays in force",
        program.display()
    );
}

/// This program: by the path that it was started with, where an upgrade has put another file. What is named otherwise is found
/// by what runs.
fn program(first: Option<OsString>) -> PathBuf {
    let named = first.map(PathBuf::from).filter(|path| path.is_absolute() && path.exists());
    named.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| "/proc/self/exe".into())
}
