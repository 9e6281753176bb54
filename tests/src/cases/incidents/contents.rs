//! Filesystems whose contents were overwritten below them.

use std::{fs::File, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{Expected, Watch};
use crate::{
    cases::Case,
    cmd,
    disk::{Loop, Tmpfs},
    fs::{self, Mount},
    machine::{Machine, Need},
};

pub const CASES: &[Case] = &[
    Case {
        name: "one_incident_of_a_corrupt_ext4_until_it_is_checked",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("ext4")],
        run: ext4,
    },
    Case {
        name: "one_incident_of_a_corrupt_xfs_until_it_is_repaired",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs")],
        run: xfs,
    },
    Case {
        name: "one_incident_of_a_btrfs_whose_data_do_not_match",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("btrfs")],
        run: btrfs,
    },
];

fn drop_caches() -> Result<()> {
    std::fs::write("/proc/sys/vm/drop_caches", "3").context("dropping caches")
}

/// What is expected of a disk whose contents were damaged.
fn damaged<'e>(disk: &'e Loop, mounts: &'e [&'e str]) -> Expected<'e> {
    Expected { cause: &disk.name, kind: "medium", impact: &["data at risk"], mounts, state: "open" }
}

fn ext4(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    fs::make("ext4", &disk)?;
    fs::damage_directory(&disk)?;

    let mount = Mount::new(machine, &disk, "")?;
    let point = mount.dir.to_string_lossy().into_owned();
    let _fails = std::fs::read_dir(mount.dir.join("x")).map(Iterator::count);
    let points = [point.as_str()];
    let damaged = damaged(&disk, &points);
    watch.expect("a directory is damaged", &[damaged])?;
    // Not by an unmount, nor by a mount that finds the errors noted.
    drop(mount);
    let mount = Mount::new(machine, &disk, "")?;
    drop(mount);
    watch.expect("it was mounted again", &[Expected { mounts: &points, ..damaged }])?;
    let _mended = cmd::output(Command::new("e2fsck").args(["-f", "-y"]).arg(&disk.path))?;
    let _mount = Mount::new(machine, &disk, "")?;
    watch.expect("it was checked and mounted", &[Expected { state: "resolved", ..damaged }]).map(drop)
}

fn xfs(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let files = Tmpfs::new(machine, "512m")?;
    let disk = Loop::attach(&files.file("disk", 400 << 20)?)?;
    fs::make("xfs", &disk)?;
    let mount = Mount::new(machine, &disk, "")?;
    for n in 0..200 {
        File::create(mount.dir.join(format!("a-file-with-a-long-name-{n}")))?;
    }
    drop(mount);
    let device = disk.path.display().to_string();
    // The first block of the root directory.
    let print = |what: &str| {
        let mut db = Command::new("xfs_db");
        db.args(["-r", "-c", "sb 0", "-c", "addr rootino", "-c", what]).arg(&device);
        cmd::run(&mut db)
    };
    let map = print("bmap")?;
    let fsblock = map.split("startblock ").nth(1).and_then(|rest| rest.split([' ', '(']).next());
    let fsblock: u64 = fsblock.with_context(|| map.clone())?.parse()?;
    let daddr = cmd::run(
        Command::new("xfs_db").args(["-r", "-c", &format!("convert fsblock {fsblock} daddr")]).arg(&device),
    )?;
    let daddr = daddr.split(['(', ')']).nth(1).with_context(|| daddr.clone())?;
    fs::overwrite(&disk, daddr.parse::<u64>()? * 512, 4096)?;

    let mount = Mount::new(machine, &disk, "")?;
    let point = mount.dir.to_string_lossy().into_owned();
    ensure!(
        std::fs::read_dir(&mount.dir).and_then(|mut all| all.try_for_each(|entry| entry.map(drop))).is_err(),
        "a damaged directory was read"
    );
    let points = [point.as_str()];
    let damaged = damaged(&disk, &points);
    watch.expect("a directory is damaged", &[damaged])?;
    drop(mount);
    watch.expect("it was unmounted", &[damaged])?;
    let _mended = cmd::output(Command::new("xfs_repair").arg("-L").arg(&device))?;
    let _mount = Mount::new(machine, &disk, "")?;
    watch.expect("it was repaired and mounted", &[Expected { state: "resolved", ..damaged }]).map(drop)
}

fn btrfs(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let files = Tmpfs::new(machine, "256m")?;
    let disk = Loop::attach(&files.file("disk", 200 << 20)?)?;
    fs::make("btrfs", &disk)?;
    let mount = Mount::new(machine, &disk, "nodatacow")?;
    drop(mount);
    let mount = Mount::new(machine, &disk, "")?;
    let file = mount.dir.join("file");
    let pattern: Vec<u8> = std::iter::repeat_n(*b"peripety", 8192).flatten().collect();
    std::fs::write(&file, &pattern)?;
    File::open(&file)?.sync_all()?;
    drop(mount);
    let image = std::fs::read(&disk.file)?;
    let at = image.chunks(4096).position(|block| pattern.starts_with(block)).context("the file's data")?;
    fs::overwrite(&disk, u64::try_from(at)? * 4096, 4096)?;
    drop_caches()?;

    let mount = Mount::new(machine, &disk, "")?;
    let file = mount.dir.join("file");
    let point = mount.dir.to_string_lossy().into_owned();
    ensure!(std::fs::read(&file).is_err(), "data that do not match were read");
    let points = [point.as_str()];
    let damaged = damaged(&disk, &points);
    watch.expect("data do not match", &[damaged]).map(drop)
}
