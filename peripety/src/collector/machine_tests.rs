//! Real loop devices with real filesystems, real uevents and mounts. Root only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    block::{BlkCache, BlkType, Dev, DeviceFacts, Identity, Roots, fixture::stack},
    collector::{
        mount_watch::MountWatch,
        uevent::{Sockets, UeventMonitor, Waiting},
    },
};

/// Runs a program; none, with a word, when it is not here.
fn run(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => panic!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            println!("skipped what needs {program}: {error}");
            None
        }
    }
}

fn is_root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        println!("skipped: loop devices and mounts need root");
    }
    root
}

/// Undoes everything, the latest first.
struct Bench {
    dir: TempDir,
    undo: Vec<(&'static str, String)>,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), undo: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// A loop device on a new file.
    fn attach(&mut self, file: &Path, megabytes: u64) -> String {
        if !file.exists() {
            fs::File::create(file).unwrap().set_len(megabytes << 20).unwrap();
        }
        // Others take loop devices too: the free one may be gone when it is asked for.
        let mut tries = 0;
        let device = loop {
            let output = Command::new("losetup").args(["-P", "-f", "--show"]).arg(file).output().unwrap();
            if output.status.success() {
                break String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
            tries += 1;
            assert!(tries < 20, "{}", String::from_utf8_lossy(&output.stderr));
        };
        self.undo.push(("losetup -d", device.clone()));
        device
    }

    fn mount(&mut self, device: &str, name: &str) -> String {
        let point = self.path(name);
        fs::create_dir_all(&point).unwrap();
        let point = point.to_str().unwrap().to_owned();
        run("mount", &[device, &point]).unwrap();
        self.undo.push(("umount", point.clone()));
        point
    }

    fn undo(&mut self) {
        while let Some((command, what)) = self.undo.pop() {
            let mut words = command.split(' ');
            // Mount points have blanks, the arguments of delpart are two.
            let what = if command == "delpart" { what.split(' ').collect() } else { vec![what.as_str()] };
            let _ = Command::new(words.next().unwrap()).args(words).args(what).output();
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.undo();
    }
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// The cache as the daemon keeps it: changes come by the sockets and nothing else.
struct Daemon {
    cache: BlkCache,
    uevents: UeventMonitor,
    mounts: MountWatch,
}

impl Daemon {
    fn start() -> Self {
        let roots = crate::roots::Roots::system();
        let uevents = UeventMonitor::new(Sockets::open(&roots).unwrap(), &roots).unwrap();
        let mounts = MountWatch::open(&roots).unwrap();
        Self { cache: BlkCache::scan(&roots.block()).unwrap(), uevents, mounts }
    }

    /// Takes changes until none came for a while.
    async fn settle(&mut self) {
        let quiet = Duration::from_millis(200);
        for _ in 0..100 {
            tokio::select! {
                ready = self.uevents.ready() => {
                    ready.unwrap();
                    let backlog = self.uevents.read().unwrap();
                    while let Some(waiting) = backlog.take() {
                        match waiting {
                            Waiting::Event { uevent, udev } => {
                                self.cache.apply(&uevent, udev, now_ns(), Duration::from_millis(100));
                            }
                            Waiting::Lost(_) => self.cache.rescan(now_ns()).unwrap(),
                        }
                    }
                },
                changed = self.mounts.changed() => {
                    changed.unwrap();
                    self.cache.refresh_mounts();
                }
                () = tokio::time::sleep(quiet) => return,
            }
        }
    }
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn filesystems_on_loop_devices_come_and_go() {
    if !is_root() {
        return;
    }
    on_a_runtime(async {
        for (fs_type, megabytes) in [("ext4", 16), ("xfs", 320), ("btrfs", 128)] {
            const UUID: &str = "0a1b2c3d-1111-4222-8333-44445555";
            let uuid = format!("{UUID}{:04}", megabytes);
            let mut bench = Bench::new();
            let mut daemon = Daemon::start();
            let before = now_ns();
            let image = bench.path("disk image");
            let device = bench.attach(&image, megabytes);
            let option = if fs_type == "xfs" { format!("uuid={uuid}") } else { uuid.clone() };
            let flag = if fs_type == "xfs" { "-m" } else { "-U" };
            let force = if fs_type == "ext4" { "-F" } else { "-f" };
            if run(&format!("mkfs.{fs_type}"), &["-q", force, flag, &option, &device]).is_none() {
                continue;
            }
            daemon.settle().await;
            let point = bench.mount(&device, "mount point \\ é");
            daemon.settle().await;

            let cache = &daemon.cache;
            let info = cache.by_name(&device, None).unwrap();
            let id = &info.id;
            assert_eq!((id.blk_type, id.identity), (BlkType::Loop, Identity::Live));
            assert_eq!((id.fs_type.as_str(), id.uuid.as_str()), (fs_type, uuid.as_str()));
            assert_eq!(
                (id.mount_points.as_slice(), id.wwid.as_str()),
                ([point.clone()].as_slice(), image.to_str().unwrap())
            );
            assert_eq!(id.size_sectors, Some(peripety_model::Sectors(megabytes * 2048)));
            let under = rustix::fs::stat(bench.dir.path()).unwrap().st_dev;
            assert_eq!(
                info.owners.first().map(|o| o.dev),
                Some(Dev::from_user(under)),
                "the disk with the file"
            );
            let file = format!("{point}/file");
            fs::write(&file, "x").unwrap();
            for name in [device.as_str(), &point, &file, image.to_str().unwrap(), &uuid, &id.dev.to_string()]
            {
                assert_eq!(cache.resolve(name).unwrap(), info, "{name}");
            }
            let superblock = Dev::from_user(rustix::fs::stat(&*file).unwrap().st_dev);
            if fs_type != "btrfs" {
                assert_eq!(superblock, id.dev);
            }

            let during = now_ns();
            bench.undo();
            daemon.settle().await;
            let gone = daemon.cache.by_dev(id.dev, Some(during)).unwrap();
            assert_eq!((gone.id.identity, gone.id.uuid.as_str()), (Identity::Removed, uuid.as_str()));
            let other = bench.path("other");
            let again = bench.attach(&other, 8);
            daemon.settle().await;
            if again == device {
                let now = daemon.cache.by_name(&device, None).unwrap();
                assert_eq!((now.id.wwid.as_str(), now.id.uuid.as_str()), (other.to_str().unwrap(), ""));
                assert!(now.id.diskseq > gone.id.diskseq);
                assert_eq!(daemon.cache.by_name(&device, Some(during)).unwrap(), gone);
                assert_ne!(daemon.cache.by_name(&device, Some(before)).unwrap(), now);
            }
        }
    });
}

#[test]
fn btrfs_on_two_devices_is_one_filesystem() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new();
    let (one, two) = (bench.path("one"), bench.path("two"));
    let devices = [bench.attach(&one, 128), bench.attach(&two, 128)];
    if run("mkfs.btrfs", &["-q", "-f", &devices[0], &devices[1]]).is_none() {
        return;
    }
    let _ = run("btrfs", &["device", "scan"]);
    let point = bench.mount(&devices[1], "mnt");
    let cache = BlkCache::scan(&Roots::system()).unwrap();
    for device in &devices {
        assert_eq!(
            cache.by_name(device, None).unwrap().id.mount_points,
            std::slice::from_ref(&point),
            "{device}"
        );
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(&point)).unwrap();
    let anonymous: Dev = line.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(anonymous.is_anonymous());
    let found = cache.by_dev(anonymous, None).unwrap();
    assert!(devices.contains(&found.id.blk_path), "{}", found.id.blk_path);
    assert_eq!(cache.resolve(&point).unwrap(), found);
    // A loop device on a file there lies on both.
    let inner = bench.attach(&PathBuf::from(&point).join("inner"), 8);
    let cache = BlkCache::scan(&Roots::system()).unwrap();
    let info = cache.by_name(&inner, None).unwrap();
    for device in &devices {
        assert!(info.owners.iter().any(|owner| owner.blk_path == *device), "{device} in {:?}", info.owners);
    }
}

#[test]
fn partitions_and_loops_upon_loops_are_what_lsblk_says() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new();
    let image = bench.path("disk");
    let disk = bench.attach(&image, 64);
    // Asked to the kernel, for not every kernel reads partition tables.
    if run("addpart", &[&disk, "1", "2048", "122880"]).is_none() {
        return;
    }
    bench.undo.push(("delpart", format!("{disk} 1")));
    let partition = format!("{disk}p1");
    if run("mkfs.ext4", &["-q", "-F", &partition]).is_none() {
        return;
    }
    let point = bench.mount(&partition, "mnt");
    let inner = bench.attach(&PathBuf::from(&point).join("inner"), 16);
    run("mkfs.ext4", &["-q", "-F", "-L", "inner", &inner]).unwrap();
    let inner_point = bench.mount(&inner, "inner mnt");

    let cache = BlkCache::scan(&Roots::system()).unwrap();
    let info = cache.by_name(&inner, None).unwrap();
    let (owners, _) = stack(&info);
    assert_eq!(owners[..2], [partition.trim_start_matches("/dev/"), disk.trim_start_matches("/dev/")]);
    let whole = cache.by_name(&disk, None).unwrap();
    let (_, holders) = stack(&whole);
    assert_eq!(holders, [partition.trim_start_matches("/dev/"), inner.trim_start_matches("/dev/")]);
    assert_eq!(cache.resolve(&partition).unwrap().id.wwid, format!("{}-part1", image.display()));

    for device in [&disk, &partition, &inner] {
        let info = cache.by_name(device, None).unwrap();
        let columns = "NAME,MAJ:MIN,UUID,FSTYPE,LABEL,MOUNTPOINTS,SIZE";
        let Some(json) = run("lsblk", &["--json", "--bytes", "--nodeps", "-o", columns, device]) else {
            return;
        };
        let lsblk: serde_json::Value = serde_json::from_str(&json).unwrap();
        let lsblk = &lsblk["blockdevices"][0];
        assert_eq!(lsblk["maj:min"].as_str().map(str::trim), Some(info.id.dev.to_string().as_str()));
        assert_eq!(lsblk["size"].as_u64(), info.id.size_sectors.map(|size| size.bytes()), "{device}");
        let points: Vec<&str> =
            lsblk["mountpoints"].as_array().unwrap().iter().filter_map(|p| p.as_str()).collect();
        assert_eq!(points, info.id.mount_points, "{device}");
        // lsblk leaves these to udev or blkid; without udev it looks itself only as root.
        for (key, ours) in [("uuid", &info.id.uuid), ("fstype", &info.id.fs_type), ("label", &info.id.label)]
        {
            if let Some(theirs) = lsblk[key].as_str() {
                assert_eq!(theirs, ours, "{key} of {device}");
            }
        }
    }
    let parents = run("lsblk", &["--json", "-s", "-o", "NAME", &partition]).unwrap();
    assert!(parents.contains(disk.trim_start_matches("/dev/")), "{parents}");
    assert_eq!(cache.resolve(&inner_point).unwrap(), info);
    assert_eq!(cache.resolve("inner").unwrap(), info);

    // The filesystem with the file is covered by another mount: the path leads nowhere, the stack stays.
    let none = rustix::mount::MountFlags::empty();
    rustix::mount::mount(&*inner, &*point, "ext4", none, None).unwrap();
    bench.undo.push(("umount", point));
    let cache = BlkCache::scan(&Roots::system()).unwrap();
    assert_eq!(cache.by_name(&inner, None).unwrap().owners.first(), info.owners.first());
}
