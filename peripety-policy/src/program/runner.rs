//! A command that runs, with a time limit. It may outlive the process that began it, whose successor takes it over.

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::{Pid, Signal, kill_process_group},
};

use crate::{
    case::{Begun, Group},
    plan::Plan,
};

/// How long a command that was asked to end may take to.
const GRACE: Duration = Duration::from_secs(10);

/// What is held by whatever runs for an array: a file that is locked for as long as any process has it open as this one has it.
/// Each command gets it as its standard input, which gives nothing to read. So it is known of a command that it runs, also by
/// who did not begin it, and there is no moment in which it runs and nobody could know.
pub(super) struct Hold(File);

impl Hold {
    /// The file of an array.
    pub(super) fn path(dir: &Path, array: &str) -> PathBuf {
        dir.join(format!("runs-{array}"))
    }

    /// None where something runs.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        File::options().append(true).create(true).open(path)?;
        let file = File::open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The commands of a plan, one after the other.
pub(super) struct Running {
    by: By,
    asked_to_end: bool,
}

/// Who began the command that runs.
enum By {
    /// This process.
    Us { child: Child, hold: Hold },
    /// One before it: the file that it holds.
    Another(PathBuf),
}

/// How it is.
pub(super) enum State {
    /// It goes on.
    Runs,
    /// The next command has begun.
    Next,
    /// It is over.
    Ended(Ended),
}

/// How it ended.
pub(super) enum Ended {
    /// All succeeded.
    Well,
    /// One did not: in words.
    Badly(String),
    /// Nobody was there to see it.
    Unseen,
}

impl Running {
    /// Begins the first command.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn begin(begun: &mut Begun, hold: Hold) -> Result<Self, String> {
        let child = start(begun, &hold)?;
        Ok(Self { by: By::Us { child, hold }, asked_to_end: false })
    }

    /// One that an earlier process began, which is there no more.
    pub(super) const fn taken_over(hold: PathBuf) -> Self {
        Self { by: By::Another(hold), asked_to_end: false }
    }

    /// Looks at it.
    pub(super) fn look(&mut self, begun: &mut Begun, now: Duration) -> State {
        let was_asked = self.asked_to_end;
        let badly = |why: String| State::Ended(Ended::Badly(why));
        let is_last = begun.commands >= begun.plan.commands.len();
        match &mut self.by {
            By::Us { child, hold } => match child.try_wait() {
                Ok(None) if now >= begun.until => self.end(begun, now),
                Ok(None) => State::Runs,
                Ok(Some(_)) if was_asked => badly(ENDED.to_owned()),
                Ok(Some(status)) if !status.success() => badly(format!("{} failed: {status}", words(begun))),
                Ok(Some(_)) if is_last => State::Ended(Ended::Well),
                Ok(Some(_)) => match start(begun, hold) {
                    Ok(next) => {
                        *child = next;
                        State::Next
                    }
                    Err(error) => badly(error),
                },
                Err(error) => badly(format!("cannot wait for {}: {error}", words(begun))),
            },
            By::Another(path) => match Hold::take(path) {
                Ok(None) if now >= begun.until => self.end(begun, now),
                Ok(None) => State::Runs,
                Ok(Some(_)) if was_asked => badly(ENDED.to_owned()),
                Ok(Some(_)) if is_last => State::Ended(Ended::Unseen),
                Ok(Some(hold)) => match start(begun, &hold) {
                    Ok(child) => {
                        self.by = By::Us { child, hold };
                        State::Next
                    }
                    Err(error) => badly(error),
                },
                Err(error) => badly(format!("it is not known whether it runs: {}: {error}", path.display())),
            },
        }
    }

    fn end(&mut self, begun: &mut Begun, now: Duration) -> State {
        let signal = if self.asked_to_end { Signal::KILL } else { Signal::TERM };
        let group = begun.group.filter(|group| !is_another(group)).and_then(|group| Pid::from_raw(group.pid));
        let killed = group
            .ok_or(io::ErrorKind::NotFound.into())
            .and_then(|pid| kill_process_group(pid, signal).map_err(io::Error::from));
        let was_asked = std::mem::replace(&mut self.asked_to_end, true);
        begun.until = now.saturating_add(GRACE);
        // What does not end by SIGKILL waits in the kernel for the disk that failed: it is left there.
        match killed {
            _ if was_asked => {
                State::Ended(Ended::Badly("it took longer than its time limit and does not end".to_owned()))
            }
            Ok(()) => State::Runs,
            Err(error) => State::Ended(Ended::Badly(format!(
                "it took longer than its time limit and cannot be ended: {error}"
            ))),
        }
    }
}

const ENDED: &str = "it took longer than its time limit and was ended";

fn words(begun: &Begun) -> String {
    begun.plan.commands.get(begun.commands.saturating_sub(1)).map(|words| words.join(" ")).unwrap_or_default()
}

/// Begins the next command.
fn start(begun: &mut Begun, hold: &Hold) -> Result<Child, String> {
    let Begun { plan: Plan { commands, environment }, .. } = begun;
    let Some([program, args @ ..]) = commands.get(begun.commands).map(Vec::as_slice) else {
        return Err("nothing to run".to_owned());
    };
    let mut command = Command::new(program);
    // A group of its own, so that what it starts ends with it.
    command.args(args).process_group(0);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let cannot = |error: io::Error| format!("cannot run {program}: {error}");
    let child = command.stdin(hold.0.try_clone().map_err(cannot)?).spawn().map_err(cannot)?;
    begun.commands += 1;
    begun.group = i32::try_from(child.id()).ok().map(|pid| Group { pid, started: started(pid) });
    Ok(child)
}

/// When a process began, in the kernel's ticks; none where there is none with this number.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have anything in it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Whether another process has the number of the group's leader by now. While none has it, the group is that one or is empty.
fn is_another(group: &Group) -> bool {
    started(group.pid).is_some_and(|now| group.started != Some(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn begun(commands: &[&[&str]], limit: Duration) -> Begun {
        let words = |command: &&[&str]| command.iter().map(|word| (*word).to_owned()).collect();
        let environment = vec![("PERIPETY_ARRAY".to_owned(), "md0".to_owned())];
        let plan = Plan { commands: commands.iter().map(words).collect(), environment };
        Begun { plan, commands: 0, group: None, until: limit }
    }

    fn hold(dir: &Path) -> Hold {
        Hold::take(&Hold::path(dir, "md0")).unwrap().unwrap()
    }

    /// Another test that begins a process has all open files for a moment.
    fn is_free(path: &Path) -> bool {
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            Hold::take(path).unwrap().is_some()
        })
    }

    fn wait(running: &mut Running, begun: &mut Begun) -> Ended {
        let since = std::time::Instant::now();
        loop {
            if let State::Ended(ended) = running.look(begun, since.elapsed()) {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn run(commands: &[&[&str]], limit: Duration) -> Ended {
        let dir = tempfile::tempdir().unwrap();
        let mut begun = begun(commands, limit);
        let mut running = Running::begin(&mut begun, hold(dir.path())).unwrap();
        wait(&mut running, &mut begun)
    }

    #[test]
    fn commands_run_in_order_with_their_environment_and_end_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out").display().to_string();
        let write = format!("echo $PERIPETY_ARRAY > {file}");
        let check = format!("test \"$(cat {file})\" = md0");
        assert!(matches!(run(&[&["sh", "-c", &write], &["sh", "-c", &check]], LONG), Ended::Well));
        let gone = format!("rm {file}");
        let Ended::Badly(words) = run(&[&["false"], &["sh", "-c", &gone]], LONG) else {
            panic!("it succeeded")
        };
        assert!(words.contains("false failed") && dir.path().join("out").exists(), "{words}");
        let started = std::time::Instant::now();
        let Ended::Badly(words) = run(&[&["sh", "-c", "sleep 60 & wait"]], Duration::from_millis(50)) else {
            panic!("it succeeded")
        };
        assert!(words.contains("time limit") && started.elapsed() < Duration::from_secs(5), "{words}");
        assert!(Running::begin(&mut begun(&[&["/no/such"]], LONG), hold(dir.path())).is_err());
    }

    #[test]
    fn what_a_killed_process_began_is_taken_over_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = Hold::path(dir.path(), "md0");
        let (go, out) = (dir.path().join("go"), dir.path().join("out"));
        let first = format!("until [ -e {} ]; do sleep 0.01; done; exit 1", go.display());
        let second = format!("echo done >> {}", out.display());
        let mut begun = begun(&[&["sh", "-c", &first], &["sh", "-c", &second]], LONG);
        // Nothing is waited for, and the child goes on: as after a SIGKILL.
        drop(Running::begin(&mut begun, hold(dir.path())).unwrap());
        let mut begun: Begun = serde_json::from_str(&serde_json::to_string(&begun).unwrap()).unwrap();
        assert!(Hold::take(&path).unwrap().is_none(), "it runs, and could be begun again");
        let mut running = Running::taken_over(path.clone());
        assert!(matches!(running.look(&mut begun, Duration::ZERO), State::Runs));
        fs::write(go, "").unwrap();
        // How it ended nobody knows; what comes after it is not left out.
        assert!(matches!(wait(&mut running, &mut begun), Ended::Well));
        assert_eq!(fs::read_to_string(out).unwrap(), "done\n");
        drop(running);
        assert!(matches!(wait(&mut Running::taken_over(path.clone()), &mut begun), Ended::Unseen));
        assert!(is_free(&path));
    }

    #[test]
    fn what_is_taken_over_has_its_time_limit_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = Hold::path(dir.path(), "md0");
        let mut begun = begun(&[&["sleep", "60"]], Duration::from_millis(50));
        drop(Running::begin(&mut begun, hold(dir.path())).unwrap());
        let ours = begun.group;
        // Another process has the number by now: it is left alone, and what was begun is not begun again.
        begun.group = ours.map(|group| Group { started: Some(1), ..group });
        let mut running = Running::taken_over(path.clone());
        let Ended::Badly(words) = wait(&mut running, &mut begun) else { panic!("it ended") };
        assert!(words.contains("cannot be ended") && Hold::take(&path).unwrap().is_none(), "{words}");
        begun.group = ours;
        begun.until = Duration::from_millis(50);
        let Ended::Badly(words) = wait(&mut Running::taken_over(path.clone()), &mut begun) else {
            panic!("it ended")
        };
        assert!(words.contains("was ended") && is_free(&path), "{words}");
    }
}
