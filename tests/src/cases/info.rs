//! `prpt info`, by every name a device has.

use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Case;
use crate::{
    disk::{Loop, Tmpfs},
    fs::{self, Mount},
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[
    Case {
        name: "info_knows_a_device_by_all_its_names",
        needs: &[Need::Loop, Need::Filesystem("ext4")],
        run: names,
    },
    Case { name: "list_has_every_loop_device_that_is_in_use", needs: &[Need::Loop], run: list },
];

fn names(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    let uuid = fs::make("ext4", &disk)?;
    let mount = Mount::new(machine, &disk, "")?;
    let link = machine.dir("links")?.join("by-name");
    symlink(&disk.path, &link)?;

    let number = disk.number()?;
    let (major, minor) = number.split_once(':').context("a device number")?;
    let kernel = (major.parse::<u32>()? << 20) | minor.parse::<u32>()?;
    let path = disk.path.display().to_string();
    let file = disk.file.display().to_string();
    let names = [
        number.clone(),
        kernel.to_string(),
        disk.name.clone(),
        path.clone(),
        link.display().to_string(),
        uuid.clone(),
        file,
    ];
    for name in names.iter().map(String::as_str).chain(mount.dir.to_str()) {
        let found = prpt::json(machine, &["info", name, "-J"])?;
        let block = found.first().with_context(|| format!("prpt info {name} prints nothing"))?;
        let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
        ensure!(text("blk_path") == path, "prpt info {name}: blk_path {}", text("blk_path"));
        ensure!(text("uuid") == uuid && text("fs_type") == "ext4", "prpt info {name}: {block}");
        let mounted = block
            .get("mount_points")
            .is_some_and(|dirs| dirs.to_string().contains(&*mount.dir.to_string_lossy()));
        ensure!(mounted, "prpt info {name}: {block}");
    }
    Ok(())
}

fn list(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    let plain = prpt::run(machine, &["list"])?;
    ensure!(plain.code == Some(0) && plain.stdout.contains(&disk.name), "prpt list: {plain:?}");
    let json = prpt::json(machine, &["list", "--format", "Json"])?;
    let path = disk.path.display().to_string();
    ensure!(
        json.iter().any(|block| block.get("blk_path").is_some_and(|p| *p == *path)),
        "{path} is not listed: {json:?}"
    );
    Ok(())
}
