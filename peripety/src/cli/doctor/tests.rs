//! Machines as they are found, as trees of files.

use std::{fs, os::unix::net::UnixListener, path::Path};

use insta::assert_snapshot;

use super::*;

const ROOT: &str = "000001ffffffffff";
const NOBODY: &str = "0000000000000000";

struct Tree {
    directory: tempfile::TempDir,
    roots: Roots,
}

impl Tree {
    /// A machine where all is well but for the daemon, which does not run.
    fn sound() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::under(directory.path());
        let tree = Self { directory, roots };
        tree.write("proc/sys/kernel/osrelease", "6.12.95+deb12-amd64\n");
        tree.write("proc/sys/kernel/perf_event_paranoid", "3\n");
        tree.write("proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
        tree.write("proc/sys/kernel/dmesg_restrict", "1\n");
        tree.capabilities(ROOT);
        tree.write("sys/kernel/btf/vmlinux", "");
        tree.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
        for probe in crate::collector::ebpf::probes::PROBES {
            tree.write(&format!("sys/kernel/tracing/events/{}/{}/id", probe.category, probe.event()), "1\n");
        }
        tree.write("dev/kmsg", "");
        fs::create_dir_all(tree.path("run/systemd/journal")).unwrap();
        drop(UnixListener::bind(tree.path("run/systemd/journal/socket")).unwrap());
        tree.write("var/log/journal/0123/system.journal", "LPKSHHRH");
        tree
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    fn capabilities(&self, mask: &str) {
        self.write("proc/self/status", &format!("Name:\tprpt\nCapPrm:\t{ROOT}\nCapEff:\t{mask}\n"));
    }

    /// The same in one line.
    fn said(&self) -> String {
        self.shown().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What is shown, with the tree's own place taken out.
    fn shown(&self) -> String {
        let mut rows = examine(&Machine::look(&self.roots));
        let place = self.directory.path().display().to_string();
        for row in &mut rows {
            row.found = row.found.replace(&place, "");
            row.todo = row.todo.replace(&place, "");
        }
        let text = anstream::adapter::strip_str(&plain(&rows, 80)).to_string();
        assert!(text.lines().count() <= 24, "more than a screenful:\n{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "too wide:\n{text}");
        text
    }

    fn verdict(&self, check: &str) -> Verdict {
        examine(&Machine::look(&self.roots)).iter().find(|row| row.check == check).unwrap().verdict
    }
}

#[test]
fn a_machine_with_all_but_the_daemon() {
    assert_snapshot!(Tree::sound().shown());
}

#[test]
fn lockdown_leaves_text_only() {
    let tree = Tree::sound();
    tree.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
    assert_eq!(tree.verdict("lockdown"), Verdict::Missing);
    tree.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    assert_eq!(tree.verdict("lockdown"), Verdict::Ok);
}

#[test]
fn no_tracefs_tells_how_to_mount_it() {
    let tree = Tree::sound();
    tree.remove("sys/kernel/tracing");
    let shown = tree.shown();
    assert!(shown.contains("do: mount -t tracefs nodev"), "{shown}");
    assert_eq!(tree.verdict("probes"), Verdict::Degraded);
}

#[test]
fn tracepoints_of_drivers_may_be_absent_others_not() {
    let tree = Tree::sound();
    tree.remove("sys/kernel/tracing/events/scsi");
    assert_eq!(tree.verdict("probes"), Verdict::Ok);
    assert!(tree.shown().contains("not loaded: scsi"));
    tree.remove("sys/kernel/tracing/events/block/block_bio_complete");
    assert_eq!(tree.verdict("probes"), Verdict::Degraded);
    assert!(tree.shown().contains("no block_bio_complete"));
}

#[test]
fn before_5_18_another_tracepoint_stands_in() {
    let tree = Tree::sound();
    tree.write("proc/sys/kernel/osrelease", "5.10.0-32-amd64\n");
    tree.remove("sys/kernel/tracing/events/block/block_rq_error");
    assert_eq!(tree.verdict("probes"), Verdict::Ok, "{}", tree.shown());
}

#[test]
fn no_btf_is_a_lesser_way() {
    let tree = Tree::sound();
    tree.remove("sys/kernel/btf");
    assert_eq!(tree.verdict("btf"), Verdict::Degraded);
}

#[test]
fn an_unprivileged_user() {
    let tree = Tree::sound();
    tree.capabilities(NOBODY);
    assert_snapshot!(tree.shown());
}

#[test]
fn a_machine_with_nothing() {
    let tree = Tree::sound();
    for path in ["proc", "sys", "dev", "run", "var"] {
        tree.remove(path);
    }
    assert_snapshot!(tree.shown());
}

#[test]
fn a_journal_that_forgets_or_drops() {
    let tree = Tree::sound();
    tree.remove("var/log/journal");
    assert_eq!(tree.verdict("journald"), Verdict::Degraded);
    tree.write("etc/systemd/journald.conf", "[Journal]\nStorage=none\nRateLimitBurst=100\n");
    assert_eq!(tree.verdict("journald"), Verdict::Missing);
    assert_eq!(tree.verdict("rate limit"), Verdict::Degraded);
    fs::create_dir_all(tree.path("run/systemd/units")).unwrap();
    let link = tree.path("run/systemd/units/log-rate-limit-interval:peripetyd.service");
    std::os::unix::fs::symlink(Path::new("0"), link).unwrap();
    assert_eq!(tree.verdict("rate limit"), Verdict::Ok);
}

#[test]
fn the_limit_of_the_journal_is_the_units_where_it_has_one() {
    let unit = include_str!("../../../../dist/peripetyd.service");
    assert!(unit.contains("\nLogRateLimitIntervalSec=0\n"), "doctor says that the unit sets no limit");
    let tree = Tree::sound();
    assert!(
        tree.said()
            .contains("exceeds 10000 messages in 30 s; of peripetyd.service, as it is shipped, nothing")
    );
    let set = |what: &str, value: &str| {
        fs::create_dir_all(tree.path("run/systemd/units")).unwrap();
        let link = tree.path(&format!("run/systemd/units/log-rate-limit-{what}:peripetyd.service"));
        let _first = fs::remove_file(&link);
        std::os::unix::fs::symlink(Path::new(value), link).unwrap();
    };
    set("interval", "0");
    assert!(tree.said().contains("journald drops nothing of peripetyd.service for its number"));
    set("interval", "10000000");
    set("burst", "100");
    assert_eq!(tree.verdict("rate limit"), Verdict::Degraded);
    assert!(tree.said().contains("exceeds 100 messages in 10 s: events of a storm are dropped"));
    set("burst", "5000");
    assert!(tree.said().contains("exceeds 5000 messages in 10 s of peripetyd.service"));
    tree.write("etc/systemd/journald.conf", "[Journal]\nRateLimitIntervalSec=0\n");
    tree.remove("run/systemd/units");
    assert!(tree.said().contains("journald drops nothing of anybody for its number"));
}

#[test]
fn everything_wrong_at_once_is_still_a_screenful() {
    let tree = Tree::sound();
    tree.capabilities(NOBODY);
    tree.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
    tree.write("proc/sys/kernel/osrelease", "4.19.0-27-amd64\n");
    tree.remove("sys/kernel/btf");
    tree.remove("sys/kernel/tracing/events");
    tree.write("etc/systemd/journald.conf", "[Journal]\nStorage=none\nRateLimitBurst=100\n");
    assert_snapshot!(tree.shown());
}

#[test]
fn odd_files_are_no_panic() {
    let tree = Tree::sound();
    for (path, text) in [
        ("proc/self/status", "CapEff:\tzz\n"),
        ("proc/sys/kernel/osrelease", "\u{1b}[2J"),
        ("sys/kernel/security/lockdown", "\0\0"),
        ("etc/systemd/journald.conf", "[Journal\n=\nRateLimitBurst=-1\nRateLimitIntervalSec=1e999\n"),
    ] {
        tree.write(path, text);
    }
    assert!(!tree.shown().contains('\u{1b}'));
}

#[test]
fn an_old_kernel_says_what_it_cannot_give() {
    let tree = Tree::sound();
    let found = |release: &str| {
        tree.write("proc/sys/kernel/osrelease", release);
        let rows = examine(&Machine::look(&tree.roots));
        let row = rows.iter().find(|row| row.check == "kernel").unwrap();
        assert_eq!(row.verdict, Verdict::Ok, "it is no fault of the machine");
        tree.shown();
        row.found.clone()
    };
    assert!(found("5.10.0-32-amd64").contains("no types of modules, no disk sequence numbers"));
    assert!(!found("5.10.0-32-amd64").contains("block_rq_error"), "this tree has it");
    assert_eq!(found("6.12.95+deb12-amd64"), "6.12.95+deb12-amd64");
    tree.remove("sys/kernel/tracing/events/block/block_rq_error");
    assert!(found("5.10.0-32-amd64").contains("no block_rq_error"));
}
