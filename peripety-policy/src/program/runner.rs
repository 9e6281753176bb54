//! A command that runs, with a time limit.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::plan::Plan;

/// How long a command that was asked to end may take to.
const GRACE: Duration = Duration::from_secs(10);

/// The commands of a plan, one after the other.
pub(super) struct Running {
    plan: Plan,
    next: usize,
    child: Child,
    until: Duration,
    asked_to_end: bool,
}

/// How it ended.
pub(super) enum Ended {
    /// All succeeded.
    Well,
    /// One did not: in words.
    Badly(String),
}

impl Running {
    /// Begins the first command.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn begin(plan: Plan, until: Duration) -> Result<Self, String> {
        let child = start(&plan, 0)?;
        Ok(Self { plan, next: 1, child, until, asked_to_end: false })
    }

    /// Looks at it; none while it runs.
    pub(super) fn look(&mut self, now: Duration) -> Option<Ended> {
        match self.child.try_wait() {
            Ok(None) if now >= self.until => self.end(now),
            Ok(None) => None,
            Ok(Some(_)) if self.asked_to_end => {
                Some(Ended::Badly("it took longer than its time limit and was ended".to_owned()))
            }
            Ok(Some(status)) if !status.success() => {
                Some(Ended::Badly(format!("{} failed: {status}", self.words())))
            }
            Ok(Some(_)) if self.next >= self.plan.commands.len() => Some(Ended::Well),
            Ok(Some(_)) => {
                match start(&self.plan, self.next) {
                    Ok(child) => self.child = child,
                    Err(error) => return Some(Ended::Badly(error)),
                }
                self.next += 1;
                None
            }
            Err(error) => Some(Ended::Badly(format!("cannot wait for {}: {error}", self.words()))),
        }
    }

    fn end(&mut self, now: Duration) -> Option<Ended> {
        let signal = if self.asked_to_end { Signal::KILL } else { Signal::TERM };
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let killed = pid
            .ok_or(io::ErrorKind::NotFound.into())
            .and_then(|pid| kill_process_group(pid, signal).map_err(io::Error::from));
        let was_asked = std::mem::replace(&mut self.asked_to_end, true);
        self.until = now.saturating_add(GRACE);
        // What does not end by SIGKILL waits in the kernel for the disk that failed: it is left there.
        match killed {
            _ if was_asked => {
                Some(Ended::Badly("it took longer than its time limit and does not end".to_owned()))
            }
            Ok(()) => None,
            Err(error) => {
                Some(Ended::Badly(format!("it took longer than its time limit and cannot be ended: {error}")))
            }
        }
    }

    fn words(&self) -> String {
        self.plan.commands.get(self.next.saturating_sub(1)).map(|words| words.join(" ")).unwrap_or_default()
    }
}

fn start(plan: &Plan, which: usize) -> Result<Child, String> {
    let Some([program, args @ ..]) = plan.commands.get(which).map(Vec::as_slice) else {
        return Err("nothing to run".to_owned());
    };
    let mut command = Command::new(program);
    // A group of its own, so that what it starts ends with it.
    command.args(args).stdin(Stdio::null()).process_group(0);
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    command.spawn().map_err(|error| format!("cannot run {program}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(commands: &[&[&str]], limit: Duration) -> Ended {
        let words = |command: &&[&str]| command.iter().map(|word| (*word).to_owned()).collect();
        let environment = vec![("PERIPETY_ARRAY".to_owned(), "md0".to_owned())];
        let plan = Plan { commands: commands.iter().map(words).collect(), environment };
        let started = std::time::Instant::now();
        let mut running = Running::begin(plan, limit).unwrap_or_else(|error| panic!("{error}"));
        loop {
            if let Some(ended) = running.look(started.elapsed()) {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn commands_run_in_order_with_their_environment_and_end_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out").display().to_string();
        let write = format!("echo $PERIPETY_ARRAY > {file}");
        let check = format!("test \"$(cat {file})\" = md0");
        let long = Duration::from_secs(20);
        assert!(matches!(run(&[&["sh", "-c", &write], &["sh", "-c", &check]], long), Ended::Well));
        let gone = format!("rm {file}");
        let Ended::Badly(words) = run(&[&["false"], &["sh", "-c", &gone]], long) else {
            panic!("it succeeded")
        };
        assert!(words.contains("false failed") && dir.path().join("out").exists(), "{words}");
        let started = std::time::Instant::now();
        let Ended::Badly(words) = run(&[&["sh", "-c", "sleep 60 & wait"]], Duration::from_millis(50)) else {
            panic!("it succeeded")
        };
        assert!(words.contains("time limit") && started.elapsed() < Duration::from_secs(5), "{words}");
        assert!(
            Running::begin(Plan { commands: vec![vec!["/no/such".to_owned()]], environment: vec![] }, long)
                .is_err()
        );
    }
}
