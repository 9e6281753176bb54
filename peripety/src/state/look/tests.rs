use std::fs;

use jiff::Timestamp;

use super::*;
use crate::event::Severity;

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
    let device = Subject { name: kernel.into(), dev: dev.parse().ok(), diskseq, ..Subject::default() };
    Condition {
        since: Some(Timestamp::UNIX_EPOCH),
        event_id: Some(uuid::Uuid::nil()),
        ..Condition::found(name, Severity::Error, device, String::new())
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

impl Machine {
    /// A member of md0: its flags, and whether its device is there.
    fn member(&self, name: &str, state: &str, there: bool) {
        let dir = self.roots.sysfs.join("class/block/md0/md").join(format!("dev-{name}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("state"), format!("{state}\n")).unwrap();
        let device = self.roots.sysfs.join("devices").join(name);
        if there {
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("dev"), "8:0\n").unwrap();
        } else if device.exists() {
            fs::remove_dir_all(&device).unwrap();
        }
        if fs::read_link(dir.join("block")).is_err() {
            std::os::unix::fs::symlink(&device, dir.join("block")).unwrap();
        }
    }
}

#[test]
fn a_member_that_was_not_taken_in_is_when_it_is_in_an_array_that_has_all() {
    let machine = Machine::new();
    machine.attr("sda", "8:0", "dev", "8:0");
    let rejected = || [condition("array_degraded", "sda", "8:0", None)];
    assert_eq!(after(&machine, &rejected()), ["array_degraded sda"]);
    machine.attr("sda", "8:0", "holders/md0/md/degraded", "1");
    assert_eq!(after(&machine, &rejected()), ["array_degraded sda"]);
    machine.attr("sda", "8:0", "holders/md0/md/degraded", "0");
    assert_eq!(after(&machine, &rejected()), [""; 0]);
}

#[test]
fn an_array_whose_last_member_is_gone_has_failed_though_nothing_says_so() {
    let machine = Machine::new();
    machine.attr("md0", "9:0", "dev", "9:0");
    for (attr, value) in
        [("array_state", "clean"), ("level", "raid1"), ("raid_disks", "2"), ("degraded", "0")]
    {
        machine.attr("md0", "9:0", &format!("md/{attr}"), value);
    }
    machine.member("sda", "in_sync", true);
    machine.member("sdb", "in_sync,write_error", true);
    assert_eq!(after(&machine, &[]), [""; 0]);
    machine.member("sda", "in_sync", false);
    assert_eq!(after(&machine, &[]), ["array_degraded md0"]);
    machine.member("sdb", "in_sync", false);
    assert_eq!(after(&machine, &[]), ["array_failed md0"]);
    machine.member("sdb", "in_sync", true);
    machine.member("sda", "faulty", true);
    machine.attr("md0", "9:0", "md/degraded", "1");
    assert_eq!(after(&machine, &[]), ["array_degraded md0"]);
    machine.attr("md0", "9:0", "md/array_state", "broken");
    assert_eq!(after(&machine, &[]), ["array_failed md0"]);
    // A parity array may lack one, a striped one none.
    machine.attr("md0", "9:0", "md/array_state", "clean");
    machine.attr("md0", "9:0", "md/level", "raid0");
    assert_eq!(after(&machine, &[]), ["array_failed md0"]);
    machine.attr("md0", "9:0", "md/array_state", "inactive");
    assert_eq!(after(&machine, &[]), [""; 0]);
}

#[test]
fn mount_points_are_those_of_now() {
    let machine = Machine::new();
    machine.attr("sda", "8:0", "dev", "8:0");
    machine.attr("dm-0", "253:0", "dev", "253:0");
    let mut failing = condition("device_failing", "sda", "8:0", None);
    failing.device.mount_points = vec!["/was".into()];
    let points = |machine: &Machine| {
        let mut table = Table::default();
        table.found(failing.clone());
        Look::new(&machine.roots).at(&mut table, Timestamp::UNIX_EPOCH);
        table.conditions()[0].device.mount_points.clone()
    };
    assert_eq!(points(&machine), [""; 0], "it was unmounted");
    machine
        .mounts("36 35 253:0 / /data rw - ext4 /dev/mapper/x rw\n36 35 8:1 / /part rw - ext4 /dev/sda1 rw\n");
    assert_eq!(points(&machine), [""; 0], "nothing of it");
    let dm = machine.roots.sysfs.join("class/block/dm-0");
    let holders = machine.roots.sysfs.join("dev/block/8:0/holders");
    fs::create_dir_all(&holders).unwrap();
    std::os::unix::fs::symlink(dm, holders.join("dm-0")).unwrap();
    machine.attr("sda", "8:0", "sda1/dev", "8:1");
    machine.attr("sda", "8:0", "sda1/partition", "1");
    assert_eq!(points(&machine), ["/data", "/part"]);
}

#[test]
fn ext4_is_clean_when_its_superblock_has_no_errors() {
    let machine = Machine::new();
    machine.attr("sda1", "8:1", "dev", "8:1");
    let ext4 = machine.roots.sysfs.join("fs/ext4/sda1");
    fs::create_dir_all(&ext4).unwrap();
    let errors = |n: &str| fs::write(ext4.join("errors_count"), n).unwrap();
    errors("2\n");
    fs::write(ext4.join("first_error_time"), "1000\n").unwrap();
    fs::write(ext4.join("last_error_func"), "ext4_find_entry\n").unwrap();
    assert_eq!(after(&machine, &[]), ["filesystem_corrupt sda1"]);
    let mut corrupt = condition("filesystem_corrupt", "sda1", "8:1", None);
    corrupt.sub_system = "ext4".into();
    corrupt.mounted_again = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(
        after(&machine, std::slice::from_ref(&corrupt)),
        ["filesystem_corrupt sda1"],
        "mounted with errors"
    );
    errors("0\n");
    assert_eq!(after(&machine, std::slice::from_ref(&corrupt)), [""; 0]);
    fs::remove_dir_all(&ext4).unwrap();
    assert_eq!(after(&machine, std::slice::from_ref(&corrupt)), ["filesystem_corrupt sda1"], "nobody knows");
    corrupt.sub_system = "xfs".into();
    assert_eq!(after(&machine, std::slice::from_ref(&corrupt)), [""; 0], "mounted anew");
    corrupt.mounted_again = None;
    assert_eq!(after(&machine, &[corrupt]), ["filesystem_corrupt sda1"]);
}

#[test]
fn a_mount_that_the_kernel_did_not_print_is_one_all_the_same() {
    let machine = Machine::new();
    machine.attr("sda1", "8:1", "dev", "8:1");
    let ext4 = machine.roots.sysfs.join("fs/ext4/sda1");
    let mounted = "27 1 8:1 / /mnt rw - ext4 /dev/sda1 rw\n";
    let mut table = Table::default();
    let mut corrupt = condition("filesystem_corrupt", "sda1", "8:1", None);
    (corrupt.sub_system, corrupt.last) = ("ext4".into(), Some(Timestamp::from_second(100).unwrap()));
    corrupt.event_id = Some(uuid::Uuid::from_u128(1));
    table.found(corrupt);
    let mut open_at = |second| {
        Look::new(&machine.roots).at(&mut table, Timestamp::from_second(second).unwrap());
        table.conditions().len()
    };
    // It is still the mount of the fault, which may not be counted yet.
    fs::create_dir_all(&ext4).unwrap();
    fs::write(ext4.join("errors_count"), "0\n").unwrap();
    machine.mounts(mounted);
    assert_eq!(open_at(101), 1);
    fs::remove_dir_all(&ext4).unwrap();
    machine.mounts("");
    assert_eq!(open_at(102), 1);
    fs::create_dir_all(&ext4).unwrap();
    fs::write(ext4.join("errors_count"), "0\n").unwrap();
    machine.mounts(mounted);
    assert_eq!(open_at(103), 0);
}

#[test]
fn a_device_answers_when_requests_succeed_after_the_failure() {
    let machine = Machine::new();
    machine.attr("sda", "8:0", "dev", "8:0");
    machine.attr("sda", "8:0", "device/state", "running");
    let counters = |done: &str, failed: &str| {
        machine.attr("sda", "8:0", "device/iodone_cnt", done);
        machine.attr("sda", "8:0", "device/ioerr_cnt", failed);
    };
    counters("0x20", "0x10");
    let mut table = Table::default();
    table.found(condition("not_answering", "sda", "8:0", None));
    let mut open = || {
        Look::new(&machine.roots).at(&mut table, Timestamp::UNIX_EPOCH);
        table.conditions().len()
    };
    assert_eq!(open(), 1);
    counters("0x24", "0x14");
    assert_eq!(open(), 1, "what ended has failed");
    machine.attr("sda", "8:0", "device/state", "offline");
    counters("0x25", "0x14");
    assert_eq!(open(), 2, "it takes no requests");
    machine.attr("sda", "8:0", "device/state", "running");
    assert_eq!(open(), 0);
}

#[test]
fn links_are_up_again_or_are_there_no_more() {
    let machine = Machine::new();
    let class = machine.roots.sysfs.join("class");
    let set = |path: &str, text: &str| {
        let file = class.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    set("ata_port/ata3/idle_irq", "0");
    set("ata_link/link3/sata_spd", "<unknown>\n");
    set("fc_host/host1/port_state", "Linkdown\n");
    set("scsi_host/host1/unique_id", "1");
    set("iscsi_session/session1/state", "FAILED\n");
    set("nvme/nvme0/state", "resetting\n");
    let all = ["ata3", "host1", "session1", "nvme0"];
    let open = |names: &[&str]| {
        let down: Vec<_> = names.iter().map(|name| condition("link_down", name, "", None)).collect();
        after(&machine, &down)
            .into_iter()
            .map(|line| line.split_once(' ').unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(open(&all), all);
    set("ata_link/link3/sata_spd", "6.0 Gbps\n");
    set("fc_host/host1/port_state", "Online\n");
    set("iscsi_session/session1/state", "LOGGED_IN\n");
    set("nvme/nvme0/state", "live\n");
    assert_eq!(open(&all), [""; 0]);
    assert_eq!(open(&["ata4", "session2", "nvme1"]), [""; 0], "they are gone");
    assert_eq!(open(&["ata", "hostess", "x"]), ["ata", "hostess", "x"], "nobody knows");
}

#[test]
fn after_a_reboot_a_device_is_found_by_its_id_or_is_gone() {
    let machine = Machine::new();
    let boot = machine.roots.procfs.join("sys/kernel/random/boot_id");
    fs::create_dir_all(boot.parent().unwrap()).unwrap();
    fs::write(boot, "00000000-0000-0000-0000-000000000002\n").unwrap();
    machine.attr("dm-1", "253:1", "dev", "253:1");
    machine.attr("dm-1", "253:1", "dm/uuid", "CRYPT-5000");
    let mut failing = condition("medium_errors", "dm-0", "253:0", Some(3));
    failing.device.boot_id = "00000000000000000000000000000001".into();
    failing.device.wwid = "CRYPT-5000".into();
    assert_eq!(after(&machine, std::slice::from_ref(&failing)), ["medium_errors dm-1"]);
    failing.device.wwid = "CRYPT-6000".into();
    assert_eq!(after(&machine, std::slice::from_ref(&failing)), [""; 0], "it was replaced");
    let mut table = Table::default();
    table.found(failing);
    Look::new(&machine.roots).keeping_absent().at(&mut table, Timestamp::UNIX_EPOCH);
    assert_eq!(table.conditions().len(), 1, "it may only not be there yet");
}

#[test]
fn what_was_wrong_with_a_disk_is_over_when_another_one_is_in_its_place_after_a_reboot() {
    let machine = Machine::new();
    let boot = machine.roots.procfs.join("sys/kernel/random/boot_id");
    fs::create_dir_all(boot.parent().unwrap()).unwrap();
    fs::write(boot, "00000000-0000-0000-0000-000000000002\n").unwrap();
    let disk = |name: &str, dev: &str, wwid: &str, port: &str| BlkId {
        blk_path: format!("/dev/{name}"),
        dev: dev.parse().unwrap(),
        wwid: wwid.to_owned(),
        transport: Some(block::Transport::Sata { port: port.to_owned(), speed: String::new() }),
        ..BlkId::default()
    };
    let failing = Condition {
        device: Subject {
            boot_id: "00000000000000000000000000000001".into(),
            ..Subject::of_id(&disk("sdb", "8:16", "naa.1", "ata2"))
        },
        ..condition("medium_errors", "sdb", "8:16", None)
    };
    let is_over = |disks: &[BlkId]| {
        let mut look = Look::new(&machine.roots).keeping_absent();
        look.ids = disks.to_vec();
        !look.over(vec![failing.clone()], Timestamp::UNIX_EPOCH).is_empty()
    };
    machine.attr("sdc", "8:32", "dev", "8:32");
    assert!(is_over(&[disk("sdb", "8:16", "naa.2", "ata2")]), "replaced");
    assert!(!is_over(&[]), "it may not be there yet, or not come up");
    assert!(!is_over(&[disk("sdb", "8:16", "naa.2", "ata3")]), "the next disk has its name");
    assert!(!is_over(&[disk("sdb", "8:16", "", "ata2")]), "what is there has no id");
    assert!(
        !is_over(&[disk("sdb", "8:16", "naa.2", "ata2"), disk("sdc", "8:32", "naa.1", "ata3")]),
        "it is in another place now"
    );
}

#[test]
fn what_only_an_incident_remembers_ends_with_its_device() {
    let machine = Machine::new();
    machine.attr("sda", "8:0", "dev", "8:0");
    machine.attr("sda", "8:0", "diskseq", "7");
    let over = |diskseq| {
        let kept = vec![condition("medium_errors", "sda", "8:0", Some(diskseq))];
        Look::new(&machine.roots).keeping_absent().over(kept, Timestamp::UNIX_EPOCH).len()
    };
    assert_eq!((over(7), over(6)), (0, 1));
}

#[test]
fn what_was_made_of_memory_ends_with_its_boot() {
    let machine = Machine::new();
    let boot = machine.roots.procfs.join("sys/kernel/random/boot_id");
    fs::create_dir_all(boot.parent().unwrap()).unwrap();
    fs::write(boot, "00000000-0000-0000-0000-000000000002\n").unwrap();
    let is_over = |name: &str| {
        let mut corrupt = condition("filesystem_corrupt", name, "252:0", None);
        corrupt.device.boot_id = "00000000000000000000000000000001".into();
        !Look::new(&machine.roots).keeping_absent().over(vec![corrupt], Timestamp::UNIX_EPOCH).is_empty()
    };
    assert!(is_over("zram0"));
    assert!(!is_over("sda"));
}
