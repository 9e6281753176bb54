//! An archive of a report, or a part of one: what is taken out of it stays within its bounds, and nothing is written outside.
//!
//! The first byte says what the rest is: a whole archive, compressed or not, or a list of members, of which headers with right
//! checksums are made. So the names and links of members are what is searched, and not the sum in a header.

#![no_main]

use std::{fs, io::Read as _, path::PathBuf, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use peripety::internal::offline::{
    bounds::Limits,
    report::{Report, Spool},
    unpack,
};

/// Bytes on disk.
const ROOM: u64 = 1 << 20;

/// The process stands in one directory, makes temporary files in another, and a third is where links lead to.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory").keep();
    for name in ["outside", "tmp"] {
        fs::create_dir(place.join(name)).expect("a directory");
    }
    fs::write(place.join("outside/canary"), "alive").expect("a file");
    let at = rustix::fs::open(place.join("tmp"), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
    rustix::process::fchdir(at.expect("the directory")).expect("a place to stand");
    place
});

fn names(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(PLACE.join(dir)).expect("the directory").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let place = &*PLACE;
    let Some((kind, rest)) = bytes.split_first() else { return };
    let limits = Limits { disk: ROOM, time: Duration::from_secs(5) };
    let mut spool = Spool::new(&limits);
    let made;
    let archive = if kind & 1 == 0 {
        rest
    } else {
        made = members(rest, place.join("outside").to_str().unwrap_or_default());
        made.as_slice()
    };
    let Ok(from) = unpack(archive) else { return };
    let report = Report::of_archive(from, &limits, &mut spool);
    assert!(spool.used() <= ROOM);
    for (_, log) in &report.logs {
        if let Ok(opened) = report.open(log) {
            let mut text = Vec::new();
            let _unreadable = opened.from.take(4096).read_to_end(&mut text);
        }
        let _none = report.open_journal(log);
    }
    assert_eq!(names("outside"), ["canary"]);
    assert_eq!(fs::read(place.join("outside/canary")).ok().as_deref(), Some(b"alive".as_slice()));
    assert!(names("tmp").is_empty());
    assert_eq!(names(".").len(), 2);
});

/// Members from records of kind, name, link and data, each name in parts of a small alphabet or as it is.
fn members(mut rest: &[u8], outside: &str) -> Vec<u8> {
    const PARTS: [&str; 24] = [
        "..", "sys", "devices", "block", "class", "a", "b", "dev", "device", "slaves", "holders", "var", "log",
        "messages", "x.journal", "run", "udev", "data", "proc", "mounts", "etc", "hostname", "basic-environment.txt", ".",
    ];
    let mut archive = Vec::new();
    let mut take = |most: usize| {
        let length = rest.first().map_or(0, |n| usize::from(*n) % (most + 1)).min(rest.len().saturating_sub(1));
        let (taken, after) = rest.get(1..).unwrap_or_default().split_at(length);
        rest = after;
        taken
    };
    let path = |bytes: &[u8]| -> Vec<u8> {
        let Some((first, parts)) = bytes.split_first() else { return Vec::new() };
        let names = parts.iter().map(|part| PARTS[usize::from(*part) % PARTS.len()]);
        match first % 4 {
            0 => parts.to_vec(),
            1 => format!("/{}", names.collect::<Vec<_>>().join("/")).into_bytes(),
            2 => format!("{outside}/{}", names.collect::<Vec<_>>().join("/")).into_bytes(),
            _ => names.collect::<Vec<_>>().join("/").into_bytes(),
        }
    };
    for _ in 0..64 {
        let head = take(3);
        let Some(kind) = head.first() else { break };
        let kind = b"01257LKxgSD"[usize::from(*kind) % 11];
        let (name, link, data) = (path(take(24)), path(take(24)), take(255));
        let mut header = tar_header(kind, &name, &link, data.len());
        if head.len() > 1 {
            let at = usize::from(head[1]) * 2;
            header[at.min(511)] ^= head.get(2).copied().unwrap_or_default();
        }
        seal(&mut header);
        archive.extend(header);
        archive.extend(data);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive
}

fn tar_header(kind: u8, name: &[u8], link: &[u8], size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, most: usize, bytes: &[u8]| {
        let length = bytes.len().min(most);
        header[at..at + length].copy_from_slice(&bytes[..length]);
    };
    put(0, 100, name);
    put(124, 12, format!("{size:011o}").as_bytes());
    put(156, 1, &[kind]);
    put(157, 100, link);
    put(257, 8, if kind == b'S' { b"ustar  \0" } else { b"ustar\x0000" });
    header
}

fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
