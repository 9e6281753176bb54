use std::fs;

use jiff::Timestamp;

use super::*;

struct Machine {
    dir: tempfile::TempDir,
    roots: Roots,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::under(dir.path());
        fs::create_dir_all(roots.sysfs.join("class/block")).unwrap();
        fs::create_dir_all(roots.procfs.join("self")).unwrap();
        let this = Self { dir, roots };
        this.mounts("");
        this
    }

    fn attr(&self, name: &str, dev: &str, attr: &str, value: &str) {
        for dir in [format!("class/block/{name}"), format!("dev/block/{dev}")] {
            let file = self.roots.sysfs.join(dir).join(attr);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{value}\n")).unwrap();
        }
    }

    fn mounts(&self, text: &str) {
        fs::write(self.dir.path().join("proc/self/mountinfo"), text).unwrap();
    }
}

fn condition(name: &str, kernel: &str, dev: &str, diskseq: Option<u64>) -> Condition {
    let dev = dev.parse().ok();
    Condition {
        condition: name.into(),
        since: Some(Timestamp::UNIX_EPOCH),
        last: None,
        event_id: None,
        last_event_id: None,
        event_type: None,
        severity: Severity::Error,
        count: 1,
        device: Subject { name: kernel.into(), dev, diskseq, ..Subject::default() },
        msg: String::new(),
    }
}

/// What is left of the conditions, and what was found.
fn after(machine: &Machine, conditions: &[Condition]) -> Vec<String> {
    let mut table = Table::default();
    for condition in conditions {
        table.found(condition.clone());
    }
    Look::new(&machine.roots).at(&mut table, Timestamp::UNIX_EPOCH);
    table.conditions().into_iter().map(|c| format!("{} {}", c.condition, c.device.name)).collect()
}

#[test]
fn a_read_only_filesystem_is_right_again_when_it_is_writable_or_unmounted() {
    let machine = Machine::new();
    let (ro, aborted) = (
        condition("filesystem_read_only", "sda1", "8:1", None),
        condition("journal_aborted", "sda1", "8:1", None),
    );
    machine.attr("sda1", "8:1", "dev", "8:1");
    let both = [ro, aborted];
    let line = |options| format!("36 35 8:1 / /mnt\\040x rw shared:1 - ext4 /dev/sda1 {options}\n");
    machine.mounts(&line("ro"));
    assert_eq!(after(&machine, &both), ["filesystem_read_only sda1", "journal_aborted sda1"]);
    machine.mounts(&line("rw,emergency_ro"));
    assert_eq!(after(&machine, &both), ["filesystem_read_only sda1", "journal_aborted sda1"]);
    assert_eq!(after(&machine, &[]), ["filesystem_read_only sda1"], "found without an event");
    machine.mounts(&line("rw"));
    assert_eq!(after(&machine, &both), ["journal_aborted sda1"]);
    machine.mounts("");
    assert_eq!(after(&machine, &both), [""; 0]);
}

#[test]
fn devices_run_again_or_are_gone() {
    let machine = Machine::new();
    let offline = [condition("device_offline", "sda", "8:0", Some(7))];
    machine.attr("sda", "8:0", "dev", "8:0");
    machine.attr("sda", "8:0", "diskseq", "7");
    machine.attr("sda", "8:0", "device/state", "offline");
    assert_eq!(after(&machine, &offline), ["device_offline sda"]);
    assert_eq!(after(&machine, &[]), ["device_offline sda"]);
    machine.attr("sda", "8:0", "device/state", "running");
    assert_eq!(after(&machine, &offline), [""; 0]);
    let failing = condition("device_failing", "sda", "8:0", Some(7));
    assert_eq!(after(&machine, std::slice::from_ref(&failing)), ["device_failing sda"]);
    machine.attr("sda", "8:0", "diskseq", "8");
    assert_eq!(after(&machine, &[failing]), [""; 0], "another disk has the name");
    assert_eq!(after(&machine, &[condition("device_failing", "sdb", "8:16", None)]), [""; 0]);
    assert_eq!(after(&machine, &[condition("link_down", "ata3", "", None)]), ["link_down ata3"]);
}

#[test]
fn a_degraded_array_is_told_without_an_event() {
    let machine = Machine::new();
    machine.attr("md0", "9:0", "dev", "9:0");
    machine.attr("md0", "9:0", "md/degraded", "1");
    machine.attr("md0", "9:0", "md/sync_action", "recover");
    assert_eq!(after(&machine, &[condition("array_degraded", "md0", "9:0", None)]), ["array_degraded md0"]);
    assert_eq!(after(&machine, &[]), ["array_degraded md0"]);
    machine.attr("md0", "9:0", "md/degraded", "0");
    assert_eq!(after(&machine, &[condition("array_degraded", "md0", "9:0", None)]), [""; 0]);
}

#[test]
fn a_removed_device_is_wrong_as_long_as_it_is_used() {
    let machine = Machine::new();
    let mut removed = condition("removed_in_use", "sda", "8:0", None);
    removed.device.mount_points = vec!["/mnt".into()];
    removed.device.holders = vec![Dev::new(253, 0)];
    machine.mounts("36 35 8:1 / /mnt rw - ext4 /dev/sda1 ro\n");
    assert_eq!(after(&machine, std::slice::from_ref(&removed)), ["removed_in_use sda"]);
    machine.mounts("36 35 8:17 / /mnt rw - ext4 /dev/sdb1 rw\n");
    machine.attr("dm-0", "253:0", "dev", "253:0");
    assert_eq!(after(&machine, std::slice::from_ref(&removed)), ["removed_in_use sda"]);
    fs::remove_dir_all(machine.roots.sysfs.join("dev/block/253:0")).unwrap();
    assert_eq!(after(&machine, &[removed]), [""; 0]);
}

#[test]
fn nothing_is_over_where_nothing_can_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots::under(dir.path());
    let mut table = Table::default();
    for name in ["filesystem_read_only", "device_offline", "array_degraded", "removed_in_use"] {
        table.found(condition(name, "sda", "8:0", None));
    }
    Look::new(&roots).at(&mut table, Timestamp::UNIX_EPOCH);
    assert_eq!(table.conditions().len(), 4);
}

#[test]
fn a_loop_device_is_gone_with_its_file_and_its_partition_with_itself() {
    let machine = Machine::new();
    machine.attr("loop5", "7:5", "diskseq", "9");
    machine.attr("loop5p1", "259:0", "diskseq", "9");
    let failing = [
        condition("device_failing", "loop5", "7:5", Some(9)),
        condition("device_failing", "loop5p1", "259:0", Some(9)),
    ];
    assert_eq!(after(&machine, &failing), ["device_failing loop5p1"]);
    machine.attr("loop5", "7:5", "loop/backing_file", "/disk");
    assert_eq!(after(&machine, &failing), ["device_failing loop5", "device_failing loop5p1"]);
}
