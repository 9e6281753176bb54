//! Lines of mountinfo as kernels, containers and the unkind write them.

use super::*;

fn table(lines: &str, find: &dyn Fn(&str) -> Option<Dev>) -> MountTable {
    MountTable::new(MountsRead { mounts: parse(lines.as_bytes()), pools: Pools::default() }, find)
}

#[test]
fn broken_lines_are_passed_over_and_the_rest_is_read() {
    let lines = b"nonsense\n1 2\n36 35 8:1 / /a rw - ext4 /dev/sda1 rw\n\n36 35 8:x / /b rw - ext4 s rw\n37 35 8:2 / /\xff\xfe rw shared:1\n38 35 8:2 / /\xff rw - xfs /dev/sda2 rw\n39 35 8:3 / /\\999\\04 rw - xfs s rw";
    let mounts = parse(lines);
    assert_eq!(mounts.len(), 3);
    let by_dev = MountTable::new(MountsRead { mounts, pools: Pools::default() }, &|_| None).by_block_device();
    assert_eq!(by_dev[&Dev::new(8, 2)].points, ["/\u{fffd}"]);
    assert_eq!(by_dev[&Dev::new(8, 3)].points, ["/\\999\\04"]);
}

#[test]
fn every_mount_point_is_listed_once_for_binds_too() {
    let table = table(
        "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:1 /srv /srv/bind rw - ext4 /dev/sda1 rw\n22 20 8:1 / / rw - ext4 /dev/sda1 rw\n\
         23 20 0:50 / /overlay rw - overlay overlay rw,upperdir=/x",
        &|_| None,
    );
    let by_dev = table.by_block_device();
    let root = &by_dev[&Dev::new(8, 1)];
    assert_eq!(
        (root.fs_type.as_str(), root.points.as_slice()),
        ("ext4", ["/".to_owned(), "/srv/bind".to_owned()].as_slice())
    );
    assert_eq!(by_dev.len(), 1, "an overlay is on no block device of its own");
}

#[test]
fn btrfs_leads_to_all_its_devices_and_fuse_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots::under(dir.path());
    for (name, dev) in [("sdb", "8:16"), ("sdc", "8:32")] {
        let device = roots.sysfs.join("fs/btrfs/0a1b2c3d-1111-4222-8333-444455556666/devices").join(name);
        std::fs::create_dir_all(&device).unwrap();
        std::fs::write(device.join("dev"), format!("{dev}\n")).unwrap();
    }
    std::fs::create_dir_all(roots.sysfs.join("fs/btrfs/features")).unwrap();
    let pools = Pools::read(&roots);
    let find = |path: &str| match path {
        "/dev/sdc" => Some(Dev::new(8, 32)),
        "/dev/sda" => Some(Dev::new(8, 0)),
        _ => None,
    };
    let lines =
        "20 1 0:41 /sub /data rw - btrfs /dev/sdc rw,subvol=/sub\n21 1 0:42 / /fuse rw - fuse.x /dev/sda rw";
    let table = MountTable::new(MountsRead { mounts: parse(lines.as_bytes()), pools: pools.clone() }, &find);
    assert_eq!(table.devices_of(Dev::new(0, 41)), [Dev::new(8, 32), Dev::new(8, 16)]);
    assert_eq!(table.devices_of(Dev::new(0, 42)), []);
    let by_dev = table.by_block_device();
    assert_eq!(by_dev[&Dev::new(8, 16)].points, ["/data"]);
    // A root filesystem of the boot without initramfs.
    let root =
        MountTable::new(MountsRead { mounts: parse(b"20 1 0:41 / / rw - btrfs /dev/root rw"), pools }, &find);
    assert_eq!(root.devices_of(Dev::new(0, 41)), [Dev::new(8, 16), Dev::new(8, 32)]);
}

#[test]
fn what_a_sandbox_mounts_of_a_known_filesystem_is_no_mount_point() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots::under(dir.path());
    let init = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
    let own = "90 1 8:1 / / ro - ext4 /dev/sda1 rw\n91 90 8:1 /tmp/private /tmp rw - ext4 /dev/sda1 rw\n92 90 8:2 / /mnt rw - xfs /dev/sda2 rw\n";
    let points = |init: &str| {
        for (pid, mounts) in [("1", init), ("self", own)] {
            std::fs::create_dir_all(roots.procfs.join(pid)).unwrap();
            std::fs::write(roots.procfs.join(pid).join("mountinfo"), mounts).unwrap();
        }
        let table = MountTable::new(MountsRead::new(&roots), &|_| None);
        [1, 2].map(|minor| table.mounted(Dev::new(8, minor)).map(|m| m.points.join(" ")).unwrap_or_default())
    };
    assert_eq!(points(init), ["/", "/mnt"]);
    assert_eq!(points(""), ["/ /tmp", "/mnt"], "all that a container sees");
}

#[test]
fn a_path_is_held_by_the_nearest_and_the_latest_mount() {
    let table = table(
        "20 1 8:1 / / rw - ext4 s rw\n21 20 8:2 / /var rw - ext4 s rw\n22 21 8:3 / /var rw - xfs s rw\n23 20 8:4 / /va rw - xfs s rw",
        &|_| None,
    );
    let dev = |path: &str| table.holding(Path::new(path)).map(|m| m.dev.minor);
    assert_eq!(dev("/var/lib/img"), Some(3));
    assert_eq!(dev("/vary"), Some(1));
    assert_eq!(table.covered(Path::new("/var/lib/img")).map(|m| m.dev.minor), Some(2));
    assert_eq!(table.covered(Path::new("/vary")), None);
    assert_eq!(dev("relative"), None);
}

proptest::proptest! {
    #[test]
    fn no_line_makes_it_panic(line in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = Line::parse(&line);
        let _ = mountinfo::unescape(&line);
    }

    #[test]
    fn no_nearly_right_line_makes_it_panic(line in "[0-9]{0,3} ?[0-9]* [0-9]{1,4}:[0-9]{1,8} [\\\\0-9/]* .* - .*") {
        let _ = Line::parse(line.as_bytes());
    }
}
