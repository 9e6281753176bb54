//! Where a sector lies, held against the kernel: what is written through the top is found below where it was predicted.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use peripety::{
    block::{
        BlkCache, Roots,
        map::{self, LiveMap, MapFacts as _, Range, Role, Space, Tables as _, kernel::Kernel},
    },
    event::Dev,
};
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs, unmount},
    fs::{self as filesystems, Mount},
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_sector_of_a_partition_on_a_file_is_where_it_was_predicted",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Program("addpart")],
        run: partition,
    },
    Case {
        name: "the_blocks_of_a_file_on_btrfs_are_where_they_were_predicted",
        needs: &[Need::Loop, Need::Filesystem("btrfs")],
        run: btrfs,
    },
];

/// Bytes that are compared at a time.
const BLOCK: usize = 4096;

/// A block that is like no other.
fn block(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id());
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    next();
    (0..BLOCK / 8).flat_map(|_| next()).collect()
}

fn live() -> Result<LiveMap<Kernel>> {
    let roots = Roots::system();
    let cache = BlkCache::scan(&roots)?;
    Ok(LiveMap::new(&roots, &cache, Kernel { dev: roots.dev.clone() }))
}

/// What is on a device, or in the file it is made of, at a sector.
fn read(path: &Path, sector: u64) -> Result<Vec<u8>> {
    let mut found = vec![0; BLOCK];
    File::open(path)?
        .read_exact_at(&mut found, sector * 512)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(found)
}

fn partition(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "200m")?;
    let disk = Loop::attach(&files.file("disk", 128 << 20)?)?;
    filesystems::make("ext4", &disk)?;
    let mount = Mount::new(machine, &disk, "")?;
    // Written piece by piece with others between, so that it has several extents.
    let path = mount.dir.join("image");
    let mut image = File::create(&path)?;
    let mut other = File::create(mount.dir.join("other"))?;
    for _ in 0..16 {
        for file in [&mut image, &mut other] {
            file.write_all(&vec![0xaa; 1 << 20])?;
            file.sync_all()?;
        }
    }
    drop((image, other));
    let inner = Loop::attach_with(&path, &["--offset", "1048576"])?;
    let mut addpart = Command::new("addpart");
    cmd::run(addpart.arg(&inner.path).args(["1", "2048", "24576"]))?;
    let _part = Partition(&inner.path);
    let part = format!("{}p1", inner.path.display());
    cmd::wait_for("the partition", std::time::Duration::from_secs(5), || Ok(fs::metadata(&part).map(drop)?))?;

    let places = [0_u64, 8, 4096, 10_000, 20_000];
    for at in places {
        let top = File::options().write(true).open(&part)?;
        top.write_all_at(&block(at), at * 512)?;
        top.sync_all()?;
    }
    cmd::sh("sync")?;
    for at in places {
        let found = prpt::json(machine, &["info", &part, "--map", &format!("{at}+8"), "--format", "Json"])?;
        let answer = found.first().context("no answer")?;
        let step = |from: &Value, device: &str| -> Result<Value> {
            let next = from.get("below").or_else(|| from.get("next")).and_then(Value::as_array);
            let place =
                next.and_then(|places| places.first()).with_context(|| format!("nothing below: {answer}"))?;
            let is = place.get("device").and_then(Value::as_str) == Some(device);
            ensure!(is, "not {device}: {answer}");
            Ok(place.clone())
        };
        let whole = step(answer, &inner.path.display().to_string())?;
        let below = step(&whole, &disk.path.display().to_string())?;
        let sector = below.get("sector").and_then(Value::as_u64).context("no sector")?;
        ensure!(read(&disk.file, sector)? == block(at), "sector {at} of {part} is not at {sector}: {answer}");
        // And from there up again.
        let disk_path = disk.path.display().to_string();
        let up =
            prpt::json(machine, &["info", &disk_path, "--map", &format!("{sector}+8"), "--format", "Json"])?;
        let part_number = number(&part)?;
        let is_there = up.iter().any(|answer| names(answer, &part_number, at));
        ensure!(is_there, "sector {at} of {part_number} is not above sector {sector}: {up:?}");
    }
    // The file itself, by name.
    let found = prpt::json(machine, &["info", &path.display().to_string(), "--format", "Json"])?;
    let file = found.first().and_then(|info| info.get("file")).context("no file")?;
    let extents = file.get("extents").and_then(Value::as_u64);
    ensure!(extents > Some(1), "the file has {extents:?} extents: {file}");
    ensure!(file.get("bytes").and_then(Value::as_u64) == Some(16 << 20), "not all bytes: {file}");
    Ok(())
}

/// Whether this sector of this device is anywhere in an answer.
fn names(answer: &Value, dev: &str, sector: u64) -> bool {
    let is = answer.get("dev").and_then(Value::as_str) == Some(dev)
        && answer.get("sector").and_then(Value::as_u64) == Some(sector);
    let mut below: Vec<&Value> = answer.as_array().into_iter().flatten().collect();
    below.extend(answer.as_object().into_iter().flat_map(|object| object.values()));
    is || below.into_iter().any(|value| names(value, dev, sector))
}

/// The first partition of a loop device, which would outlive it.
struct Partition<'a>(&'a Path);

impl Drop for Partition<'_> {
    fn drop(&mut self) {
        let _not_there = cmd::run(Command::new("delpart").arg(self.0).arg("1"));
    }
}

fn number(path: &str) -> Result<String> {
    let name = path.trim_start_matches("/dev/");
    Ok(fs::read_to_string(format!("/sys/class/block/{name}/dev"))?.trim().to_owned())
}

fn btrfs(machine: &Machine) -> Result<()> {
    const PROFILES: [(&str, usize); 8] = [
        ("single", 1),
        ("dup", 2),
        ("raid0", 1),
        ("raid1", 2),
        ("raid1c3", 3),
        ("raid10", 2),
        ("raid5", 1),
        ("raid6", 1),
    ];
    for (profile, copies) in PROFILES {
        one_profile(machine, profile, copies).with_context(|| format!("btrfs with {profile}"))?;
    }
    Ok(())
}

fn one_profile(machine: &Machine, profile: &str, copies: usize) -> Result<()> {
    const BLOCKS: u64 = 1500;
    let files = Tmpfs::new(machine, "800m")?;
    let disks: Vec<Loop> =
        (0..4).map(|n| Loop::attach(&files.file(&format!("disk{n}"), 600 << 20)?)).collect::<Result<_>>()?;
    let mut mkfs = Command::new("mkfs.btrfs");
    mkfs.args(["-fq", "-d", profile, "-m", "raid1"]).args(disks.iter().map(|disk| &disk.path));
    cmd::run(&mut mkfs)?;
    let dir = machine.dir("btrfs")?;
    cmd::run(Command::new("mount").arg(&disks.first().context("no disk")?.path).arg(&dir))?;
    let checked = check(&dir, &disks, BLOCKS, profile, copies);
    unmount(&dir);
    checked
}

fn check(dir: &Path, disks: &[Loop], blocks: u64, profile: &str, copies: usize) -> Result<()> {
    let path = dir.join("pattern");
    let mut file = File::create(&path)?;
    for number in 0..blocks {
        file.write_all(&block(number))?;
    }
    file.sync_all()?;
    drop(file);
    cmd::sh("sync")?;
    let live = live()?;
    let found = live.tables().extents(&path)?;
    ensure!(found.complete, "not all extents");
    let device = |space: Space| -> Result<&Loop> {
        disks.iter().find(|d| d.number().is_ok_and(|n| n == space.to_string())).context("another device")
    };
    let (mut compared, mut parities) = (0, 0);
    for number in 0..blocks {
        let at = number * BLOCK as u64;
        let extent =
            found.extents.iter().find(|e| e.logical <= at && at < e.logical + e.len).context("no extent")?;
        let sector = (extent.physical + at - extent.logical) / 512;
        let range = Range { space: found.space, sector, len: 8 };
        let walked = map::down(&live, range);
        let data: Vec<_> =
            walked.steps.iter().filter(|s| matches!(s.role, Role::Data | Role::Copy)).collect();
        ensure!(data.len() == copies, "block {number} is at {} places: {walked:?}", data.len());
        for place in data {
            let disk = device(place.range.space)?;
            ensure!(
                read(&disk.file, place.range.sector)? == block(number),
                "block {number} is not there: {place:?}"
            );
            let up = map::up(&live, place.range);
            let back = |step: &map::Step| step.range == range;
            ensure!(up.steps.iter().any(back), "block {number}: {place:?} is part of {up:?}");
            compared += 1;
        }
        // What the parity is made of, where all of it is written.
        for place in walked.steps.iter().filter(|step| step.role == Role::Parity) {
            let mut sum = read(&device(place.range.space)?.file, place.range.sector)?;
            let parts =
                map::up(&live, place.range).steps.into_iter().filter(|part| part.range.space == found.space);
            for part in parts {
                let data = map::down(&live, part.range)
                    .steps
                    .into_iter()
                    .find(|s| s.role == Role::Data)
                    .context("no data")?;
                let bytes = read(&device(data.range.space)?.file, data.range.sector)?;
                sum.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte);
            }
            ensure!(sum.iter().all(|byte| *byte == 0), "block {number}: {place:?} is not the parity");
            parities += 1;
        }
    }
    // Device numbers are looked up by the kernel, not by the order of the disks.
    let members = live.layout(found.space).map_err(anyhow::Error::msg)?.context("no layout")?;
    let known = members
        .segments
        .iter()
        .flat_map(|s| &s.members)
        .all(|m| matches!(m.space, Some(Space::Device(dev)) if dev != Dev::default()));
    ensure!(known, "a device of the filesystem is not known: {members:?}");
    println_count(profile, compared, parities);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a test program says what it measured")]
fn println_count(profile: &str, compared: u32, parities: u32) {
    eprintln!("btrfs {profile}: {compared} places compared, {parities} parities");
}
