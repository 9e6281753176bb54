//! Filesystems whose disk fails under them.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use anyhow::{Context as _, Result, ensure};
use peripety::event::{Errno, Event, Severity};
use serde_json::Value;

use super::Case;
use crate::{
    cmd, events,
    fault::FailingDisk,
    fs::{self, Mount},
    journald,
    machine::{Machine, Need},
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_failing_ext4_is_told",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: |machine| reported(machine, "ext4", &["FS_JOURNAL_ABORTED", "FS_REMOUNT_READ_ONLY"]),
    },
    Case {
        name: "a_failing_xfs_is_told",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("xfs")],
        run: |machine| reported(machine, "xfs", &["FS_SHUTDOWN"]),
    },
    Case {
        name: "a_failing_btrfs_is_told",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("btrfs")],
        run: |machine| reported(machine, "btrfs", &["FS_REMOUNT_READ_ONLY", "FS_IO_ERROR", "FS_ERROR"]),
    },
    Case {
        name: "a_file_that_loses_one_page_is_named",
        needs: &[Need::Loop, Need::Filesystem("xfs")],
        run: one_page,
    },
];

fn reported(machine: &Machine, kind: &str, types: &[&str]) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let failing = FailingDisk::new(machine, 512)?;
    let device = failing.disk.name.as_str();
    let uuid = fs::make(kind, &failing.disk)?;
    let mount = Mount::new(machine, &failing.disk, "")?;
    // No udev runs here: the daemon reads the superblock itself, which takes a disk that still works.
    std::thread::sleep(std::time::Duration::from_secs(1));
    // With metadata in memory and a transaction open: a filesystem that cannot even read its root fails without a word.
    let mut file = File::create(mount.dir.join("file"))?;
    file.sync_all()?;
    std::fs::write(mount.dir.join("other"), b"not yet on disk")?;
    failing.fail()?;
    ensure!(
        file.write_all(&vec![7; 1 << 20]).and_then(|()| file.sync_all()).is_err(),
        "a failing disk synced a write"
    );
    let _fails_too = cmd::sh(&format!("sync --file-system {}", mount.dir.display()));

    // Live. ext4's journal speaks for itself.
    let speakers = [kind, "jbd2"];
    let is_it = |event: &Event| {
        speakers.contains(&event.sub_system.as_str()) && types.contains(&event.event_type.as_str())
    };
    let event = scene.expect(&format!("one of {types:?}"), device, is_it)?;
    ensure!(event.severity.at_least(Severity::Error), "severity {:?}", event.severity);
    let block = event.block.as_ref().context("the event names no device")?;
    let mount_point = mount.dir.to_string_lossy();
    ensure!(block.id.blk_path == failing.disk.path.to_string_lossy(), "device {}", block.id.blk_path);
    ensure!(block.id.uuid == uuid, "UUID {} instead of {uuid}", block.id.uuid);
    ensure!(block.id.fs_type == kind, "filesystem {}", block.id.fs_type);
    ensure!(
        block.id.mount_points.iter().any(|dir| *dir == mount_point),
        "mounted on {:?}",
        block.id.mount_points
    );
    scene.expect("the failed request", device, |event| {
        event.sub_system.as_str() == "block"
            && event.io.as_ref().is_some_and(|io| io.errno == Some(Errno::EIO) && io.sector.is_some())
    })?;

    // Read back.
    let same = |other: &Event| other.event_id == event.event_id;
    let found = events::expect("prpt query to find it", || scene.found(device), same)?;
    ensure!(found.block.as_ref().is_some_and(|b| b.id.uuid == uuid), "read back: {:?}", found.block);

    // Without any tool of ours.
    let id = event.event_id.to_string();
    let matches = ["IS_PERIPETY=TRUE".to_owned(), format!("EVENT_TYPE={}", event.event_type.as_str())];
    let entries = journald::entries(&matches.each_ref().map(String::as_str))?;
    let field =
        |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let entry =
        entries.iter().find(|entry| field(entry, "EVENT_ID") == id).context("journalctl does not find it")?;
    for (name, value) in [
        ("SUB_SYSTEM", event.sub_system.as_str()),
        ("DEV_PATH", &block.id.blk_path),
        ("DEV_WWID", &block.id.wwid),
    ] {
        ensure!(field(entry, name) == value, "{name}={} in the journal, not {value}", field(entry, name));
    }
    let json: Event = serde_json::from_str(&field(entry, "JSON")).context("field JSON in the journal")?;
    ensure!(
        same(&json) && !field(entry, "MESSAGE").is_empty() && field(entry, "MESSAGE_ID").len() == 32,
        "{entry}"
    );
    Ok(())
}

/// The kernel's hook shows the first error of a file as none. The file is named, from the dentry cache.
fn one_page(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let failing = FailingDisk::new(machine, 512)?;
    fs::make("xfs", &failing.disk)?;
    let mount = Mount::new(machine, &failing.disk, "")?;
    let names = ["one", "a directory/with a name of more than 39 characters in all/two"];
    std::fs::create_dir_all(mount.dir.join(names[1]).parent().context("a directory")?)?;
    let files: Vec<File> =
        names.iter().map(|name| File::create(mount.dir.join(name))).collect::<Result<_, _>>()?;
    let write = |file: &File| file.write_all_at(&[7; 4096], 0).and_then(|()| file.sync_data());
    for file in &files {
        write(file)?;
    }
    failing.fail()?;
    for file in &files {
        ensure!(write(file).is_err(), "a failing disk synced a write");
    }
    for (file, path) in
        files.iter().zip(["/one", "/a directory/with a name of more than 39 characters …/two"])
    {
        let inode = file.metadata()?.ino();
        let wanted = (Some(inode), Some(path));
        scene.expect(&format!("inode {inode}, {path}"), &failing.disk.name, |event| {
            event.event_type.as_str() == "BLK_LOST_WRITE"
                && event.facts.fs.as_ref().map(|fs| (fs.inode, fs.path.as_deref())) == Some(wanted)
                && event.sources.iter().any(|source| source == "ebpf:filemap_set_wb_err")
                && event.count == 1
        })?;
    }
    Ok(())
}
