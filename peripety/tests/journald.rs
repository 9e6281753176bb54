//! Events through a real systemd-journald and back, with forgeries among them.
//!
//! Wants root, `unshare` and systemd-journald; says so and does nothing where one is missing. journald runs in a mount
//! namespace of its own with its own /run, so the machine's journal is not touched.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy knows that of functions marked so only")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use peripety::internal::{
    Roots,
    event::{Event, EventType, Severity},
    notifier::{Notifier as _, catalog::catalog, journald::Journald},
    query::{
        Filter,
        journald::{Access, Direction, Position, Reader, Skipped, access},
        select::{Select, from_journal},
    },
};

const JOURNALD: &str = "/lib/systemd/systemd-journald";
/// Says to a copy of this program which event to write: `first id, events, revisions of each`.
const WRITE: &str = "PERIPETY_TEST_WRITE";

fn event(id: u128, revision: u32, revisions: u32) -> Event {
    serde_json::from_value(serde_json::json!({
        "schema": 1,
        "event_id": uuid::Uuid::from_u128(id),
        "timestamp": jiff::Timestamp::now(),
        "first_timestamp": jiff::Timestamp::now(),
        "last_timestamp": jiff::Timestamp::now(),
        "boot_id": peripety::internal::query::boot::current(&Roots::system()),
        "hostname": "test",
        "severity": if id.is_multiple_of(2) { Severity::Error } else { Severity::Critical },
        "sub_system": "ext4",
        "event_type": if id.is_multiple_of(2) { EventType::FS_ERROR } else { EventType::FS_SHUTDOWN },
        "msg": format!("event {id}"),
        "raw_msgs": ["x".repeat(if id == 3 { 300_000 } else { 10 })],
        "count": revision + 1,
        "revision": revision,
        "final": revision + 1 == revisions,
        "block": { "wwid": "wwid-1", "blk_path": "/dev/sda", "dev": "8:0",
                   "owners": [{ "wwid": "wwid-2" }, { "wwid": "wwid-3" }] },
        "extension": { "inode number": 12 },
    }))
    .unwrap()
}

#[test]
fn a_real_journald_keeps_events_and_forgeries_are_not_believed() {
    let missing = |what: &str| eprintln!("SKIPPED: the test with a real journald wants {what}");
    if !fs::read_to_string("/proc/self/status").unwrap().lines().any(|l| l.starts_with("Uid:\t0\t")) {
        return missing("root");
    }
    for tool in [JOURNALD, "/usr/bin/unshare", "/usr/bin/setpriv", "/usr/bin/logger", "/usr/bin/journalctl"] {
        if !Path::new(tool).exists() {
            return missing(tool);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("peripetyd");
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    fs::write(directory.path().join("peripety.catalog"), catalog()).unwrap();
    let script = format!(
        "set -e
         mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/journal /run/log/journal /run/catalog
         cp /usr/lib/systemd/catalog/systemd.catalog $1/peripety.catalog /run/catalog
         mount --bind /run/catalog /usr/lib/systemd/catalog
         mkdir /run/lib; mount --bind /run/lib /var/lib/systemd
         {JOURNALD} & journald=$!; trap 'kill $journald' EXIT
         for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
             [ -S /run/systemd/journal/socket ] && [ -d /run/log/journal/* ] && break; sleep 0.2
         done
         \"$0\" --exact inside --ignored --nocapture --test-threads 1"
    );
    let status = Command::new("/usr/bin/unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(env::current_exe().unwrap())
        .arg(directory.path())
        .env("PERIPETY_TEST_DAEMON", &copy)
        .env("PERIPETY_DAEMON", &copy)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "run by the test above, as a copy with the daemon's name"]
fn write() {
    let Ok(what) = env::var(WRITE) else { return };
    let numbers: Vec<u32> = what.split(' ').map(|n| n.parse().unwrap()).collect();
    let mut journald = Journald::new(&Roots::system());
    for revision in 0..numbers[2] {
        for id in numbers[0]..numbers[0] + numbers[1] {
            journald.notify(&event(id.into(), revision, numbers[2])).unwrap();
        }
    }
    // journald reads who sent it from /proc: a process that is gone has no name any more.
    std::thread::sleep(Duration::from_millis(300));
}

fn run(program: &Path, what: &str) {
    let status = Command::new(program)
        .args(["--exact", "write", "--ignored", "--test-threads", "1"])
        .env(WRITE, what)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

fn shell(command: &str) -> String {
    let out = Command::new("sh").args(["-c", command]).stderr(Stdio::inherit()).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn ids(reader: &mut Reader, filter: &Filter, select: Select) -> (Vec<(u128, u32)>, Skipped) {
    let mut out = Vec::new();
    let skipped = from_journal(reader, filter, select, &mut |event| {
        out.push((event.event_id.as_u128(), event.revision));
        Ok(())
    })
    .unwrap();
    (out, skipped)
}

#[test]
#[ignore = "run by the test above, in a mount namespace"]
fn inside() {
    let Some(daemon) = env::var_os("PERIPETY_TEST_DAEMON") else { return };
    let daemon = Path::new(&daemon);
    // The one that is installed, so to say.
    let mut roots = Roots::system();
    roots.daemons = vec![daemon.to_owned()];
    run(daemon, "1 4 3");

    // Forgeries: by an ordinary user through the native protocol and through syslog, by root with another program, and
    // by an ordinary user with a program of the daemon's name.
    let forged = "IS_PERIPETY=TRUE\nEVENT_ID=00000000-0000-0000-0000-000000000063\nREVISION=9\nEVENT_TYPE=FS_ERROR\n\
                  _UID=0\n_EXE=/usr/sbin/peripetyd\nMESSAGE=forged\nJSON={}\n";
    fs::write("/run/forged", forged).unwrap();
    shell("setpriv --reuid 65534 --regid 65534 --clear-groups logger --journald=/run/forged");
    shell("logger --journald=/run/forged");
    shell(
        "setpriv --reuid 65534 --regid 65534 --clear-groups logger -t kernel -p kern.err 'IS_PERIPETY=TRUE EXT4-fs error (device sda)'",
    );
    shell(&format!(
        "{WRITE}='99 1 1' setpriv --reuid 65534 --regid 65534 --clear-groups {} --exact write --ignored >/dev/null",
        daemon.display()
    ));
    run(&env::current_exe().unwrap(), "98 1 1");
    // By root, with a program of the daemon's name that is not the one that is installed.
    fs::create_dir("/run/elsewhere").unwrap();
    fs::copy(daemon, "/run/elsewhere/peripetyd").unwrap();
    run(Path::new("/run/elsewhere/peripetyd"), "97 1 1");
    shell("journalctl --sync");

    let mut reader = Reader::open(&roots).unwrap();
    assert!(reader.has_files());
    assert_eq!(access(&roots), Access::Readable);
    let all = Filter::default();
    let (found, skipped) = ids(&mut reader, &all, Select::default());
    assert_eq!(found, [(1, 2), (2, 2), (3, 2), (4, 2)], "the last revision of each, oldest first");
    assert_eq!(skipped, Skipped { forged: 5, corrupt: 0 });
    let (found, _) = ids(&mut reader, &all, Select { lines: Some(2), ..Select::default() });
    assert_eq!(found, [(3, 2), (4, 2)]);
    let (found, skipped) = ids(&mut reader, &all, Select { reverse: true, ..Select::default() });
    assert_eq!(found, [(4, 2), (3, 2), (2, 2), (1, 2)]);
    assert_eq!(skipped.forged, 5);
    let (found, _) = ids(&mut reader, &all, Select { all_revisions: true, ..Select::default() });
    assert_eq!(found.len(), 12);
    let since = Some(jiff::Timestamp::now());
    assert_eq!(ids(&mut reader, &Filter { since, ..Filter::default() }, Select::default()).0, []);
    let severity = Some(Severity::Critical);
    let (found, _) = ids(&mut reader, &Filter { severity, ..Filter::default() }, Select::default());
    assert_eq!(found, [(1, 2), (3, 2)]);
    let boots = reader.boots().unwrap();
    assert_eq!(boots, [peripety::internal::query::boot::current(&roots)]);

    // An event whose JSON is 300 kB comes back whole.
    reader.seek(&Position::Head).unwrap();
    while reader.step(Direction::Forward).unwrap().unwrap().id.as_u128() != 3 {}
    assert_eq!(reader.event().unwrap().raw_msgs[0].len(), 300_000);

    // Follow, and resume by cursor.
    let mut follower = Reader::open(&roots).unwrap();
    follower.seek_end().unwrap();
    assert_eq!(follower.step(Direction::Forward).unwrap(), None);
    run(daemon, "10 3 1");
    let mut cursors = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while cursors.len() < 3 {
        assert!(Instant::now() < deadline, "got {} of 3", cursors.len());
        match follower.step(Direction::Forward).unwrap() {
            Some(head) => cursors.push((head.id.as_u128(), follower.cursor().unwrap())),
            None => follower.wait(Duration::from_millis(500)).unwrap(),
        }
    }
    assert_eq!(cursors.iter().map(|c| c.0).collect::<Vec<_>>(), [10, 11, 12]);
    let mut resumed = Reader::open(&roots).unwrap();
    resumed.seek(&Position::After(cursors[0].1.clone())).unwrap();
    assert_eq!(resumed.step(Direction::Forward).unwrap().unwrap().id.as_u128(), 11);

    // The same through the command line.
    let prpt = env!("CARGO_BIN_EXE_prpt");
    let out =
        Command::new(prpt).args(["query", "--event-type", "FS_ERROR", "--format", "Json"]).output().unwrap();
    let errors = String::from_utf8(out.stderr).unwrap();
    assert!(errors.contains("passed over 5 journal entries"), "{errors}");
    assert_eq!(String::from_utf8(out.stdout).unwrap().lines().count(), 4, "events 2, 4, 10 and 12");
    let all = shell(&format!("{prpt} query --all-revisions --boot --blk wwid-3 2>/dev/null | wc -l"));
    assert_eq!(all.trim(), "15");
    assert_eq!(shell(&format!("{prpt} query --boot -1 2>&1; echo $?")).lines().last(), Some("2"));
    let denied =
        shell(&format!("setpriv --reuid 65534 --regid 65534 --clear-groups {prpt} query 2>&1; echo $?"));
    assert!(denied.contains("group systemd-journal") && denied.ends_with("2\n"), "{denied}");
    let mut monitor =
        Command::new(prpt).args(["monitor", "--format", "Json"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    run(daemon, "20 2 2");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(monitor.stdout.take().unwrap()));
    let live: Vec<Event> =
        (0..4).map(|_| serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()).collect();
    let live: Vec<_> = live.iter().map(|e| (e.event_id.as_u128(), e.revision)).collect();
    assert_eq!(live, [(20, 0), (21, 0), (20, 1), (21, 1)]);
    monitor.kill().unwrap();
    monitor.wait().unwrap();

    // What an admin without prpt sees.
    let json =
        shell("journalctl IS_PERIPETY=TRUE EVENT_TYPE=FS_ERROR _EXE=$PERIPETY_TEST_DAEMON -o json -n 1");
    let entry: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(entry["DEV_WWID"], "wwid-1");
    assert_eq!(entry["OWNERS_WWIDS"], serde_json::json!(["wwid-2", "wwid-3"]));
    assert_eq!(entry["EXT_INODE_NUMBER"], "12");
    assert_eq!(entry["PRIORITY"], "3");
    shell("journalctl --update-catalog");
    let explained = shell("journalctl -x IS_PERIPETY=TRUE EVENT_TYPE=FS_SHUTDOWN -n 1 --no-pager");
    for words in [
        "peripetyd[",
        "Subject: FS_SHUTDOWN:",
        "Device: /dev/sda wwid-1",
        "prpt query -v --event-id 00000000-",
    ] {
        assert!(explained.contains(words), "{words} is not in\n{explained}");
    }
    eprintln!("{explained}");
}
