//! Loop devices over memory: good ones, and ones whose every request fails.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Bench;

/// Loop devices on a tmpfs; all gone with the scope.
pub struct Disks {
    pub paths: Vec<String>,
    below: Option<(String, PathBuf)>,
    tmpfs: PathBuf,
}

fn sh(script: &str) -> Result<String> {
    let output = Command::new("sh").args(["-ec", script]).output().context("running sh")?;
    if !output.status.success() {
        bail!("{script}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Disks {
    /// Disks of so many MiB that work.
    pub fn good(bench: &Bench, count: usize, mib: u64) -> Result<Self> {
        let tmpfs = bench.dir.join("tmpfs");
        fs::create_dir_all(&tmpfs).context("a mount point")?;
        sh(&format!("mount -t tmpfs -o size=1500m tmpfs {}", tmpfs.display()))?;
        let mut this = Self { paths: Vec::new(), below: None, tmpfs: tmpfs.clone() };
        this.attach(&tmpfs, count, mib)?;
        Ok(this)
    }

    /// Disks that fail from now on: their files lie in an xfs that is shut down.
    pub fn failing(bench: &Bench, count: usize, mib: u64) -> Result<Self> {
        let mut this = Self::good(bench, 0, 0)?;
        let (tmpfs, dir) = (this.tmpfs.display().to_string(), bench.dir.join("below"));
        fs::create_dir_all(&dir).context("a mount point")?;
        let below = sh(&format!(
            "truncate -s {}M {tmpfs}/below; disk=$(losetup -f --show {tmpfs}/below); mkfs.xfs -qf $disk; \
             mount $disk {}; echo $disk",
            512 + mib * count as u64,
            dir.display()
        ))?;
        this.below = Some((below, dir.clone()));
        this.attach(&dir, count, mib)?;
        sh(&format!("xfs_io -x -c shutdown {}", dir.display()))?;
        Ok(this)
    }

    /// Reads that the kernel completed on all of them, whoever asked: also those that failed.
    pub fn reads(&self) -> u64 {
        let stat = |path: &String| {
            let file = path.replace("/dev/", "/sys/class/block/") + "/stat";
            fs::read_to_string(file).ok()?.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.paths.iter().filter_map(stat).sum()
    }

    fn attach(&mut self, dir: &Path, count: usize, mib: u64) -> Result<()> {
        for n in 0..count {
            let file = format!("{}/disk{n}", dir.display());
            self.paths.push(sh(&format!("truncate -s {mib}M {file}; losetup -f --show {file}"))?);
            // Two reads that are merged fail as one.
            if let Some(path) = self.paths.last() {
                let queue = path.replace("/dev/", "/sys/class/block/") + "/queue/nomerges";
                let _as_it_is = fs::write(queue, "2");
            }
        }
        Ok(())
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        let mut commands: Vec<String> = self.paths.iter().map(|path| format!("losetup -d {path}")).collect();
        if let Some((disk, dir)) = &self.below {
            commands.push(format!("umount {}", dir.display()));
            commands.push(format!("losetup -d {disk}"));
        }
        // A loop device lets go of its file when its last reader does.
        commands.push(format!("umount {dir} || {{ sleep 1; umount {dir}; }}", dir = self.tmpfs.display()));
        for command in commands {
            if let Err(error) = sh(&command) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// fio's report of one run.
pub fn fio(disk: &str, args: &[&str]) -> Result<Value> {
    let mut fio = Command::new("fio");
    fio.args(["--name=bench", "--bs=4k", "--direct=1", "--allow_file_create=0", "--output-format=json"]);
    let output = fio.arg(format!("--filename={disk}")).args(args).output().context("running fio")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Lines about errors come before the JSON.
    let json = text.find('{').and_then(|start| text.get(start..)).context("fio printed no JSON")?;
    serde_json::from_str(json).context("reading fio's JSON")
}
