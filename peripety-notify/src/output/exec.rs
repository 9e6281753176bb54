//! A program for each message, or those of a directory: variables in the style of smartd and ZED, JSON on standard input.
//!
//! No shell sees any text of an event. Programs run as the user of this process, in its sandbox, for a limited time, in a
//! process group of their own that is killed with them.

use std::{
    fs,
    io::Write as _,
    os::unix::{
        fs::MetadataExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use peripety_model::name_fits;
use serde::Deserialize;

use super::{Failure, Output, OutputError, timeout};
use crate::{config::Notify, message::Message, words};

/// Programs of a directory that run at the same time, and that are looked at.
const AT_ONCE: usize = 16;
const PROGRAMS_MAX: usize = 256;
/// Bytes of what a program prints that are kept.
const OUTPUT_MAX: usize = 4096;
/// EX_TEMPFAIL of sysexits.h: it wants to be asked again.
const TRY_AGAIN: i32 = 75;

/// `[notify.exec]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The program.
    program: Option<PathBuf>,
    /// Its arguments, as they are.
    #[serde(default)]
    arguments: Vec<String>,
    /// A directory of programs: `all-NAME` for each message, `TYPE-NAME` for messages whose type of event begins so;
    /// `all-sync-NAME` and `TYPE-sync-NAME` run alone.
    directory: Option<PathBuf>,
}

struct Exec {
    config: Config,
    timeout: Duration,
}

pub(super) fn make(config: &Config, notify: &Notify) -> Result<Box<dyn Output>, OutputError> {
    match (&config.program, &config.directory) {
        (Some(path), None) | (None, Some(path)) if path.is_absolute() => {}
        (Some(_), None) | (None, Some(_)) => {
            return Err(OutputError::value("exec", "write the whole path, from / on"));
        }
        _ => return Err(OutputError::value("exec", "name a program or a directory, one of them")),
    }
    Ok(Box::new(Exec { config: config.clone(), timeout: timeout(notify) }))
}

impl Output for Exec {
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure> {
        let mut answers = Vec::new();
        for message in batch {
            answers.push(match &self.config.directory {
                Some(directory) => self.run_directory(directory, message)?,
                None => self.run_program(message)?,
            });
        }
        Ok(answers.join("; "))
    }

    fn groups(&self) -> bool {
        false
    }
}

impl Exec {
    fn run_program(&self, message: &Message) -> Result<String, Failure> {
        let Some(program) = &self.config.program else { return Ok(String::new()) };
        is_safe(program).map_err(Failure::temporary)?;
        let ended = run(program, &self.config.arguments, message, self.timeout);
        ended.verdict(program)
    }

    /// All programs for this message; those with `-sync-` alone, the others together.
    fn run_directory(&self, directory: &Path, message: &Message) -> Result<String, Failure> {
        let entries = fs::read_dir(directory)
            .map_err(|error| Failure::network(&directory.display().to_string(), &error))?;
        let mut programs: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|e| e.path())
            .filter(|p| is_for(p, message))
            .take(PROGRAMS_MAX)
            .collect();
        programs.sort();
        let (sync, others): (Vec<_>, Vec<_>) =
            programs.into_iter().partition(|path| name(path).contains("-sync-"));
        let mut verdicts = Vec::new();
        let mut one = |program: &PathBuf, ended: Ended| verdicts.push((program.clone(), ended));
        for program in &sync {
            one(program, run_safe(program, message, self.timeout));
        }
        for together in others.chunks(AT_ONCE) {
            let ended: Vec<Ended> = thread::scope(|scope| {
                let running: Vec<_> = together
                    .iter()
                    .map(|program| scope.spawn(move || run_safe(program, message, self.timeout)))
                    .collect();
                running
                    .into_iter()
                    .map(|run| run.join().unwrap_or_else(|_| Ended::Not("it panicked".to_owned())))
                    .collect()
            });
            for (program, ended) in together.iter().zip(ended) {
                one(program, ended);
            }
        }
        // One that fails must not make the others run again.
        let (mut ok, mut failed) = (0, Vec::new());
        for (program, ended) in verdicts {
            match ended.verdict(&program) {
                Ok(_) => ok += 1,
                Err(failure) => failed.push(failure.to_string()),
            }
        }
        match (ok, failed.is_empty()) {
            (_, true) => Ok(format!("{ok} programs of {} ran", directory.display())),
            (0, false) => Err(Failure::Refused { what: failed.join("; ") }),
            (_, false) => {
                tracing::warn!("{}", failed.join("; "));
                Ok(format!("{ok} programs ran, and {} failed: {}", failed.len(), failed.join("; ")))
            }
        }
    }
}

/// How a program ended.
enum Ended {
    /// With a status, having printed this.
    Status(std::process::ExitStatus, String),
    /// It did not end in time.
    Late,
    /// It could not run.
    Not(String),
}

impl Ended {
    fn verdict(self, program: &Path) -> Result<String, Failure> {
        let program = program.display();
        match self {
            Self::Status(status, _) if status.success() => Ok(format!("{program} ended well")),
            Self::Status(status, said) => {
                let how = match (status.code(), status.signal()) {
                    (Some(code), _) => format!("status {code}"),
                    (None, signal) => format!("signal {}", signal.unwrap_or(0)),
                };
                let said = said.trim().lines().next_back().map(|l| format!(": {l}")).unwrap_or_default();
                let what = format!("{program} ended with {how}{said}");
                Err(if status.code() == Some(TRY_AGAIN) {
                    Failure::temporary(what)
                } else {
                    Failure::Refused { what }
                })
            }
            Self::Late => Err(Failure::Refused { what: format!("{program} took too long and was killed") }),
            Self::Not(why) => Err(Failure::temporary(format!("{program}: {why}"))),
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether the program of a directory is for this message, by its name.
fn is_for(path: &Path, message: &Message) -> bool {
    let name = name(path);
    if name.starts_with('.') || name.contains('~') || name.ends_with(".bak") {
        return false;
    }
    let Some((prefix, _)) = name.split_once('-') else { return false };
    let prefix = prefix.replace('.', "_").to_ascii_uppercase();
    let types =
        message.incident.iter().flat_map(|i| i.events.iter().map(|member| member.event_type.as_str()));
    let mut types = types.chain([message.event_type()]);
    prefix == "ALL" || types.any(|kind| name_fits(&format!("{prefix}*"), kind))
}

fn run_safe(program: &Path, message: &Message, timeout: Duration) -> Ended {
    match is_safe(program) {
        Ok(()) => run(program, &[], message, timeout),
        Err(why) => Ended::Not(why),
    }
}

/// Who may write the program says what is done: root or this user, and no group or others.
fn is_safe(program: &Path) -> Result<(), String> {
    let file = fs::metadata(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let own = rustix::process::geteuid().as_raw();
    let what = match () {
        () if !file.is_file() => "it is no file",
        () if file.uid() != 0 && file.uid() != own => "it belongs to another user; chown it to root",
        () if file.mode() & 0o022 != 0 => "others may write it; chmod go-w it",
        () if file.mode() & 0o111 == 0 => "it cannot be run; chmod +x it",
        () => return Ok(()),
    };
    Err(format!("{}: {what}", program.display()))
}

fn run(program: &Path, arguments: &[String], message: &Message, timeout: Duration) -> Ended {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(variables(message)).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::Not(error.to_string()),
    };
    let json = serde_json::to_vec(message).unwrap_or_default();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        // A program that does not read gets no more than its pipe takes, and is killed in time.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(&json)));
        let said = scope.spawn(move || stdout.map(gather).unwrap_or_default());
        let wrong = scope.spawn(move || stderr.map(gather).unwrap_or_default());
        let status = wait(&mut child, timeout);
        // With it goes what it has started, which may hold the pipes.
        if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _all_gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let said = format!("{}\n{}", said.join().unwrap_or_default(), wrong.join().unwrap_or_default());
        status.map_or(Ended::Late, |status| Ended::Status(status, said))
    })
}

fn wait(child: &mut Child, timeout: Duration) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + timeout;
    let mut pause = Duration::from_millis(2);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(pause),
            _ => {
                let _gone = child.kill();
                let _reaped = child.wait();
                return None;
            }
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// The end of what a program prints; all of it is read, so that it never blocks.
fn gather(mut from: impl std::io::Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 {
            break;
        }
        kept.extend_from_slice(buffer.get(..n).unwrap_or_default());
        let more = kept.len().saturating_sub(OUTPUT_MAX);
        kept.drain(..more);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What the program gets to know, beside the JSON.
fn variables(message: &Message) -> Vec<(&'static str, String)> {
    let incident = message.incident.as_deref();
    let device = incident.and_then(|incident| incident.cause.device.as_ref());
    let block = message.event.as_ref().and_then(|event| event.block.as_ref()).map(|block| &block.id);
    let either = |of_incident: Option<&String>, of_event: Option<&String>| {
        of_incident.or(of_event).cloned().unwrap_or_default()
    };
    let list = |items: Option<&Vec<String>>| items.map(|items| items.join(" ")).unwrap_or_default();
    let mut all = vec![
        ("PERIPETY_ID", message.id.clone()),
        ("PERIPETY_KIND", message.kind.as_str().to_owned()),
        ("PERIPETY_HOST", message.hostname().to_owned()),
        ("PERIPETY_SEVERITY", message.severity().as_str().to_owned()),
        ("PERIPETY_PRIORITY", message.severity().number().to_string()),
        ("PERIPETY_TYPE", message.event_type().to_owned()),
        ("PERIPETY_MESSAGE", words::title(message)),
        ("PERIPETY_FULLMESSAGE", words::body(message)),
        ("PERIPETY_DEVICE", message.device().to_owned()),
        ("PERIPETY_DEVICE_PATH", either(device.map(|d| &d.path), block.map(|b| &b.blk_path))),
        ("PERIPETY_DEVICE_WWID", either(device.map(|d| &d.wwid), block.map(|b| &b.wwid))),
        ("PERIPETY_DEVICE_SERIAL", either(device.map(|d| &d.serial), block.map(|b| &b.serial))),
        ("PERIPETY_DEVICE_MODEL", either(device.map(|d| &d.model), block.map(|b| &b.model))),
        ("PERIPETY_TIME", message.at.to_string()),
        ("PERIPETY_TIME_EPOCH", message.at.as_second().to_string()),
        ("PERIPETY_REMINDER", message.reminder.to_string()),
    ];
    if let Some(incident) = incident {
        let impact: Vec<&str> = incident.impact.kinds.iter().map(|kind| kind.words()).collect();
        all.extend([
            ("PERIPETY_INCIDENT_ID", incident.incident_id.to_string()),
            ("PERIPETY_REVISION", incident.revision.to_string()),
            ("PERIPETY_STATE", incident.state.as_str().to_owned()),
            ("PERIPETY_CAUSE", incident.cause.kind.words().to_owned()),
            ("PERIPETY_IMPACT", impact.join(", ")),
            ("PERIPETY_MOUNT_POINTS", list(Some(&incident.impact.mount_points))),
            ("PERIPETY_FAILURES", incident.failures.to_string()),
            ("PERIPETY_FIRST_EPOCH", incident.opened.as_second().to_string()),
        ]);
    } else if let Some(event) = &message.event {
        all.extend([
            ("PERIPETY_EVENT_ID", event.event_id.to_string()),
            ("PERIPETY_REVISION", event.revision.to_string()),
            ("PERIPETY_SUB_SYSTEM", event.sub_system.as_str().to_owned()),
            ("PERIPETY_MOUNT_POINTS", list(block.map(|b| &b.mount_points))),
            ("PERIPETY_FAILURES", event.count.to_string()),
            ("PERIPETY_FIRST_EPOCH", event.first_timestamp.as_second().to_string()),
        ]);
    }
    // A variable has no NUL and a bounded length.
    for (_, value) in &mut all {
        value.retain(|c| c != '\0');
        value.truncate(value.floor_char_boundary(8192));
    }
    all
}

#[cfg(test)]
#[path = "exec_tests.rs"]
mod tests;
