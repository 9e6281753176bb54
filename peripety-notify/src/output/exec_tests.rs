use std::os::unix::fs::PermissionsExt as _;

use jiff::Timestamp;

use super::*;
use crate::message::{Kind, sample};

fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let (path, draft) = (dir.join(name), dir.join(format!(".{name}")));
    fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
    // Written by a process of its own: what another test starts at this moment would have it open for writing, and it could not
    // be started.
    assert!(Command::new("cp").args([&draft, &path]).status().unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn exec(program: Option<PathBuf>, directory: Option<PathBuf>, timeout: Duration) -> Exec {
    Exec { config: Config { program, arguments: vec!["a b".into()], directory }, timeout }
}

fn opened() -> Message {
    Message::of_incident(Kind::Opened, &sample(), Timestamp::from_second(0).unwrap())
}

#[test]
fn a_program_gets_variables_and_json_and_no_shell_sees_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let program = script(
        dir.path(),
        "p",
        &format!(
            "{{ echo \"$1|$PERIPETY_KIND|$PERIPETY_DEVICE|$PERIPETY_MESSAGE\"; cat; env; }} > {}",
            out.display()
        ),
    );
    let mut incident = sample();
    incident.title = "$(touch /tmp/notify-pwned); `x`".into();
    let message = Message::of_incident(Kind::Opened, &incident, Timestamp::from_second(0).unwrap());
    exec(Some(program), None, Duration::from_secs(20)).deliver(&[&message]).unwrap();
    let got = fs::read_to_string(out).unwrap();
    assert!(got.starts_with("a b|opened|sdf|db1: $(touch /tmp/notify-pwned); `x` [error]\n{"), "{got}");
    assert!(!Path::new("/tmp/notify-pwned").exists());
    assert!(got.contains("PERIPETY_INCIDENT_ID=") && !got.contains("CARGO"), "{got}");
}

#[test]
fn how_a_program_ends_decides_what_becomes_of_the_message() {
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        let program = script(dir.path(), "p", text);
        exec(Some(program), None, Duration::from_millis(700)).deliver(&[&opened()])
    };
    assert!(run("exit 0").is_ok());
    assert!(
        matches!(run("echo no way >&2; exit 3"), Err(Failure::Refused { what }) if what.ends_with("status 3: no way"))
    );
    assert!(matches!(run("exit 75"), Err(Failure::Temporary { .. })));
    let start = Instant::now();
    // What it starts holds the pipes, and is ended with it.
    assert!(
        matches!(run("sleep 30 & sleep 30"), Err(Failure::Refused { what }) if what.contains("too long"))
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    let program = script(dir.path(), "p", "exit 0");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let failure = exec(Some(program), None, Duration::from_secs(9)).deliver(&[&opened()]).unwrap_err();
    assert!(failure.to_string().contains("others may write it"), "{failure}");
}

#[test]
fn a_directory_is_asked_by_the_type_of_event_as_zed_does() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    for name in
        ["all-log", "scsi_medium-page", "SCSI-sync-first", "nvme-other", "all-off~", ".all-hidden", "README"]
    {
        script(dir.path(), name, &format!("echo {name} >> {}", out.display()));
    }
    let mut event = peripety_model::Event::new(
        peripety_model::EventId::from_u128(1),
        peripety_model::EventType::new("SCSI_MEDIUM_ERROR"),
        Timestamp::from_second(0).unwrap(),
    );
    event.msg = "x".into();
    let message = Message::of_event(event, Timestamp::from_second(0).unwrap());
    let mut exec = exec(None, Some(dir.path().to_owned()), Duration::from_secs(20));
    assert!(exec.deliver(&[&message]).unwrap().starts_with("3 programs"));
    let got = fs::read_to_string(&out).unwrap();
    let mut lines: Vec<&str> = got.lines().collect();
    assert_eq!(lines[0], "SCSI-sync-first", "it ran alone, and first");
    lines.sort_unstable();
    assert_eq!(lines, ["SCSI-sync-first", "all-log", "scsi_medium-page"]);
}
