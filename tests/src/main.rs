//! End-to-end tests: the real daemon, real probes, real block errors, a real journald, on the running kernel.
//!
//! `cargo xtask test` builds what they need and runs them as root. See [`sandbox`] for what keeps them away from the rest of
//! the machine. A test that the machine cannot run is skipped with a reason; set PERIPETY_KEEP_LOGS to a directory to keep
//! the daemon's logs.

#![expect(clippy::print_stderr, reason = "a test program says how it went")]

mod browser;
mod cases;
mod cmd;
mod daemon;
mod disk;
mod events;
mod fault;
mod fio;
mod fs;
mod hits;
mod journald;
mod kmsg;
mod machine;
mod mutate;
mod notify;
mod prpt;
mod sandbox;
mod scene;
mod slow;
mod varlinkctl;
mod watch;
mod watcher;

use std::{
    env,
    os::unix::net::UnixDatagram,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use peripety::internal::daemon::checkpoint_log::{CheckpointLog, Commit};

use crate::machine::Machine;

/// What takes longer is listed with its time: the whole is to stay short.
const LONG: Duration = Duration::from_secs(10);
/// Names a file whose contents this program, under whatever name, sends to journald.
const SEND: &str = "PERIPETY_E2E_SEND";
/// The unit tests are run, of all packages: cargo builds for them what these tests need too.
const UNIT: &str = "PERIPETY_UNIT_TESTS";

fn main() -> ExitCode {
    if env::var_os(UNIT).is_some() {
        return ExitCode::SUCCESS;
    }
    match env::var_os(SEND).map_or_else(run, |file| send(Path::new(&file))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("end-to-end tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // They share the kernel's log and the journal.
    arguments.test_threads = Some(1);
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)?).exit_code());
    }
    if !sandbox::is_inside() {
        return match sandbox::why_not() {
            Some(reason) => {
                skipped(&format!("all end-to-end tests: {reason}"))?;
                Ok(ExitCode::SUCCESS)
            }
            None => sandbox::enter(),
        };
    }
    sandbox::furnish().context("preparing the private /run, tracefs and journald")?;
    let machine = Arc::new(Machine::look()?);
    Ok(libtest_mimic::run(&arguments, trials(Some(&machine))?).exit_code())
}

fn send(file: &Path) -> Result<ExitCode> {
    let socket = UnixDatagram::unbound()?;
    socket.send_to(&std::fs::read(file)?, "/run/systemd/journal/socket").context("sending to journald")?;
    // journald reads who sent it from /proc: a process that is gone has no name any more.
    std::thread::sleep(Duration::from_millis(500));
    Ok(ExitCode::SUCCESS)
}

/// All tests; those that this machine cannot run are ignored, and reported.
fn trials(machine: Option<&Arc<Machine>>) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for case in cases::all() {
        let unmet = machine.and_then(|machine| case.needs.iter().find_map(|need| machine.lacks(*need)));
        if let Some(reason) = &unmet {
            skipped(&format!("{}: {reason}", case.name))?;
        }
        let machine = machine.cloned();
        let body = move || {
            let machine = machine.as_deref().ok_or("only listed")?;
            // Loop devices, the load and the kernel's rate limits are shared with the rest of the machine: what fails by that
            // passes when it is run again. The first failure is printed, so that a case that does so often is seen.
            forget_incidents().map_err(|error| format!("{error:#}"))?;
            let start = Instant::now();
            let first = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (case.run)(machine)));
            match first {
                Ok(Ok(())) => {
                    if start.elapsed() >= LONG {
                        eprintln!("{}: {:.0} s", case.name, start.elapsed().as_secs_f64());
                    }
                    return Ok(());
                }
                Ok(Err(error)) => eprintln!("{} failed and is run again: {error:#}", case.name),
                Err(_) => eprintln!("{} panicked and is run again", case.name),
            }
            forget_incidents().map_err(|error| format!("{error:#}"))?;
            (case.run)(machine).map_err(|error| Failed::from(format!("{error:#}")))
        };
        trials.push(Trial::test(case.name, body).with_ignored_flag(unmet.is_some()));
    }
    Ok(trials)
}

/// Incidents and open events last over restarts, and a daemon that knows of none before it reads what the kernel said before:
/// those of one case are none of the next one's, whose disks have the same names.
fn forget_incidents() -> Result<()> {
    let runtime = Path::new("/run/peripety");
    for dir in [Path::new("/var/lib/peripety"), runtime] {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let _not_there = std::fs::remove_file(entry.path());
        }
    }
    std::fs::create_dir_all(runtime).context("creating /run/peripety")?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("reading the boot's id")?;
    let (mut checkpoints, _none) = CheckpointLog::open(runtime, &boot.trim().replace('-', ""));
    checkpoints.commit(&Commit { kmsg_seq: kmsg::last()?, ..Commit::default() });
    Ok(())
}

/// Says that something is skipped: here, and to `cargo xtask test` for its closing lines.
fn skipped(what: &str) -> Result<()> {
    use std::io::Write as _;
    eprintln!("skipped: {what}");
    let Some(report) = env::var_os("PERIPETY_SKIPPED") else { return Ok(()) };
    let mut file =
        std::fs::OpenOptions::new().create(true).append(true).open(report).context("opening the report")?;
    writeln!(file, "{what}").context("writing the report")
}
