//! Reports as sosreport and supportconfig lay them out.

use std::{fs, path::Path};

use super::*;
use crate::block::fixture;
use crate::block::{BlkType, DeviceFacts as _};

const LSBLK: &str = "\
NAME            MAJ:MIN RM  SIZE RO TYPE  MOUNTPOINTS
sda               8:0    0   20G  0 disk  
├─sda1            8:1    0    1G  0 part  /boot
└─sda2            8:2    0   19G  0 part  
  ├─rhel-root   253:0    0   17G  0 lvm   /
  └─rhel-swap   253:1    0    2G  0 lvm   [SWAP]
sdb               8:16   0  100G  0 disk  
└─mpatha        253:2    0  100G  0 mpath 
  └─data-my--lv 253:3    0   99G  0 lvm   /data
                                          /srv/with space
sdc               8:32   0  100G  0 disk  
└─mpatha        253:2    0  100G  0 mpath 
";

const MULTIPATH: &str = "\
mpatha (36001405a1b2c3d4e5f60718293a4b5c6) dm-2 LIO-ORG,disk1
size=100G features='1 queue_if_no_path' hwhandler='1 alua' wp=rw
|-+- policy='service-time 0' prio=50 status=active
| `- 2:0:0:1 sdb 8:16 active ready running
`-+- policy='service-time 0' prio=10 status=enabled
  `- 3:0:0:1 sdc 8:32 failed faulty running
";

const UDEV: &str = "\
P: /devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda
N: sda
S: disk/by-id/wwn-0x5000c500a1b2c3d4
E: DEVNAME=/dev/sda
E: DEVTYPE=disk
E: MAJOR=8
E: MINOR=0
E: SUBSYSTEM=block
E: ID_SERIAL_SHORT=Z1X2Y3
E: ID_MODEL=ST4000
E: ID_WWN=0x5000c500a1b2c3d4

P: /devices/virtual/block/dm-3
E: DEVNAME=/dev/dm-3
E: DEVTYPE=disk
E: MAJOR=253
E: MINOR=3
E: SUBSYSTEM=block
E: DM_NAME=data-my--lv
E: DM_UUID=LVM-Gq0jyYRz1f2t3c4x5v6b7n8m9l0k1j2hGq0jyYRz1f2t3c4x5v6b7n8m9l0k1j2h
E: ID_FS_TYPE=xfs
E: ID_FS_UUID=3b1c9a0e-93a7-4d9a-9c2c-2f6b9f2f1a11
";

fn write(dir: &Path, path: &str, text: &str) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn sosreport(dir: &Path) {
    for (path, text) in [
        ("sos/sos_commands/block/lsblk", LSBLK),
        ("sos/sos_commands/multipath/multipath_-ll", MULTIPATH),
        ("sos/sos_commands/devices/udevadm_info_--export-db", UDEV),
        (
            "sos/proc/mounts",
            "/dev/mapper/data-my--lv /srv/with\\040space xfs rw 0 0\nproc /proc proc rw 0 0\n",
        ),
        ("sos/proc/stat", "cpu 1 2 3\nbtime 1795266000\n"),
        ("sos/etc/hostname", "db1\n"),
        ("sos/sos_commands/systemd/timedatectl", "      Time zone: Nowhere/Else (XYZ, +0130)\n"),
        ("sos/sos_commands/kernel/dmesg", "[ 1.0] x\n"),
        ("sos/sos_commands/logs/journalctl_--list-boots", "0 x\n"),
        ("sos/sos_commands/logs/journalctl_--no-pager", "Nov 21 13:00:00 db1 kernel: x\n"),
        ("sos/var/log/messages", ""),
        ("sos/var/log/messages-20261114.xz", ""),
        ("sos/var/log/messages-20261107.xz", ""),
    ] {
        write(dir, path, text);
    }
}

fn checked(report: &Report) {
    let known = &report.given.devices;
    let lv = known.by_name("dm-3", None).unwrap();
    assert_eq!(lv.id.preferred_blk_path, "/dev/data/my-lv");
    assert_eq!((lv.id.fs_type.as_str(), lv.id.blk_type), ("xfs", BlkType::DmLvm));
    assert!(lv.id.mount_points.contains(&"/data".to_owned()), "{lv:?}");
    assert!(lv.id.mount_points.contains(&"/srv/with space".to_owned()), "{lv:?}");
    let owners: Vec<&str> = lv.owners.iter().map(|o| o.blk_path.as_str()).collect();
    assert_eq!(owners, ["/dev/dm-2", "/dev/sdb", "/dev/sdc"]);
    let path = known.by_name("2:0:0:1", None).unwrap();
    assert_eq!(path.id.blk_path, "/dev/sdb");
    let map = known.by_name("mpatha", None).unwrap();
    assert_eq!(map.id.wwid, "mpath-36001405a1b2c3d4e5f60718293a4b5c6");
    for name in ["8:0", "ata3.00", "disk/by-id/wwn-0x5000c500a1b2c3d4"] {
        let disk = known.by_name(name, None).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            (disk.id.wwid.as_str(), disk.id.serial.as_str()),
            ("naa.5000c500a1b2c3d4", "Z1X2Y3"),
            "{name}"
        );
    }
    let root = known.by_name("253:0", None).unwrap();
    assert_eq!(
        (root.id.name().as_str(), root.id.mount_points.as_slice()),
        ("/dev/rhel/root", &["/".to_owned()][..])
    );
    assert_eq!(report.given.hostname, "db1");
    assert_eq!(report.given.started_us, Some(1_795_266_000_000_000));
    assert!(report.zone.is_some());
}

fn directory(dir: &Path) -> Report {
    let limits = Limits::default();
    Report::of_directory(open_directory(dir).unwrap(), &limits, &mut Spool::new(&limits)).unwrap()
}

fn archive(bytes: &[u8]) -> Report {
    let limits = Limits::default();
    Report::of_archive(bytes, &limits, &mut Spool::new(&limits))
}

fn text(report: &Report, name: &str) -> String {
    let mut text = String::new();
    report.open(Path::new(name)).unwrap().from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_sosreport_tells_its_devices_and_logs() {
    let dir = tempfile::tempdir().unwrap();
    sosreport(dir.path());
    let report = directory(dir.path());
    checked(&report);
    let logs: Vec<(LogKind, &str)> =
        report.logs.iter().map(|(kind, path)| (*kind, path.file_name().unwrap().to_str().unwrap())).collect();
    assert_eq!(
        logs,
        [
            (LogKind::JournalText, "journalctl_--no-pager"),
            (LogKind::Syslog, "messages-20261107.xz"),
            (LogKind::Syslog, "messages-20261114.xz"),
            (LogKind::Syslog, "messages"),
            (LogKind::Dmesg, "dmesg"),
        ]
    );
}

#[test]
fn an_archive_is_read_as_what_is_in_it_and_nothing_leaves_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    sosreport(dir.path());
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("top", dir.path()).unwrap();
    let mut evil = tar::Header::new_gnu();
    evil.set_size(3);
    evil.set_entry_type(tar::EntryType::Regular);
    evil.as_gnu_mut().unwrap().name[..22].copy_from_slice(b"../../evil/messages.gz");
    evil.set_cksum();
    builder.append(&evil, &b"bad"[..]).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_size(0);
    link.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut link, "top/sos/var/log/syslog", "/etc/passwd").unwrap();
    let bytes = builder.into_inner().unwrap();
    assert!(is_tar(&bytes));
    let report = archive(&bytes);
    assert_eq!(report.left_out.len(), 1, "{:?}", report.left_out);
    assert!(report.left_out[0].starts_with("1 members left out: their names lead upwards"));
    checked(&report);
    assert_eq!(report.logs.len(), 5);
    assert_eq!(text(&report, "top/sos/sos_commands/kernel/dmesg"), "[ 1.0] x\n");
    // One that is cut gives what it has, and says so.
    let cut = archive(&bytes[..bytes.len() / 2 + 100]);
    assert!(cut.left_out.last().unwrap().contains("ends too early"), "{:?}", cut.left_out);
}

#[test]
fn a_supportconfig_is_laid_out_and_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let section = |command: &str, text: &str| {
        format!("#==[ Command ]======================================#\n# {command}\n{text}\n")
    };
    write(dir.path(), "scc/basic-environment.txt", &section("/bin/hostname", "db1"));
    write(
        dir.path(),
        "scc/fs-diskio.txt",
        &[
            section("/bin/lsblk", LSBLK),
            section("/proc/mounts", "/dev/mapper/data-my--lv /srv/with\\040space xfs rw 0 0"),
        ]
        .concat(),
    );
    write(dir.path(), "scc/mpio.txt", &section("/sbin/multipath -ll", MULTIPATH));
    write(dir.path(), "scc/udev.txt", &section("/usr/bin/udevadm info -e", UDEV));
    write(dir.path(), "scc/proc.txt", &section("/proc/stat", "btime 1795266000"));
    write(
        dir.path(),
        "scc/systemd.txt",
        &section("/usr/bin/timedatectl", "Time zone: Nowhere/Else (XYZ, +0130)"),
    );
    write(dir.path(), "scc/boot.txt", &section("/bin/dmesg -T", "[Sat Nov 21 13:16:50 2026] x"));
    write(
        dir.path(),
        "scc/messages.txt",
        "#==[ Log File ]===================================#\n# /var/log/messages - Last 500 Lines\n2026-11-21T13:16:50+00:00 db1 kernel: x\n",
    );
    let report = directory(dir.path());
    checked(&report);
    let kinds: Vec<LogKind> = report.logs.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [LogKind::Syslog, LogKind::Dmesg]);
}

/// A tree as sysfs shows it, its archive, and its directory: what is found is the same.
#[test]
fn sysfs_of_a_report_is_read_through_its_links_and_no_link_leaves_it() {
    let tree = fixture::multipath();
    let on_disk = tree.scan();
    let root = tree.0.path();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("serial"), "SECRET").unwrap();
    fs::write(outside.path().join("dev"), "8:32").unwrap();
    let link = |target: &Path, at: &str| std::os::unix::fs::symlink(target, root.join(at)).unwrap();
    link(outside.path(), "sys/class/block/sdc");
    link(&outside.path().join("dev"), "sys/devices/dev");
    write(root, "var/log/messages", "x\n");
    link(Path::new("/dev/zero"), "var/log/messages.1");
    link(outside.path(), "var/log/out");
    write(outside.path(), "syslog", "secret\n");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("var/log/kern.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();

    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    for top in ["sys", "run", "proc"] {
        builder.append_dir_all(format!("sos/{top}"), root.join(top)).unwrap_or_default();
    }
    builder.append_path_with_name(root.join("var/log/messages"), "sos/var/log/messages").unwrap();
    let of_archive = archive(&builder.into_inner().unwrap());
    let of_directory = directory(root);
    for report in [&of_archive, &of_directory] {
        let known = &report.given.devices;
        for info in on_disk.all() {
            let name = info.id.blk_path.trim_start_matches("/dev/");
            let found = known.by_name(name, None).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(found.id, info.id, "{name}");
            assert_eq!(found.owners.len(), info.owners.len(), "{name}");
        }
        assert_eq!(known.by_name("5:0:0:1", None).unwrap().id.blk_path, "/dev/sdaa");
        assert!(!format!("{known:?}").contains("SECRET"));
        assert_eq!(report.logs.len(), 1, "{:?}", report.logs);
    }
    assert_eq!(of_directory.left_out.len(), 1, "{:?}", of_directory.left_out);
    assert!(of_directory.left_out[0].contains("FIFO"));
}
