//! `cargo xtask manual`: the manual as people read it, by mdBook, with a page for each type of event.
//!
//! Pages that people wrote are in `doc/manual/src`; those of event types and conditions are made from what
//! `prpt types --format Json` gives, which is the table that the journal's catalogue is made from.

mod links;
mod pages;
mod transcripts;
mod types;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use self::transcripts::Outputs;
use crate::{
    build::{self, Profile},
    setup::{self, Purpose},
    sh, test,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Check it too: links, names of event types, that each command that is shown is one, and what it prints
    #[arg(long)]
    check: bool,
    /// Write what the commands print into the pages, where that changed
    #[arg(long, conflicts_with = "check")]
    bless: bool,
    /// Take the programs that are in this directory, and build nothing
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// Documents of `doc/` that are part of the manual, by the name of their page.
const DOCUMENTS: [&str; 12] = [
    "dbus",
    "fleet",
    "gluster",
    "hub",
    "kernels",
    "metrics",
    "notify",
    "policy",
    "scan",
    "socket",
    "stability",
    "web",
];
/// Logs that the examples read: the name that they have there, and where they are kept.
const LOGS: [(&str, &str); 7] = [
    ("lvm-on-multipath.kmsg.gz", "peripety/tests/offline/6.1-lvm-on-multipath.kmsg.gz"),
    ("ext4-on-failing-loop.jsonl.gz", "tests/recordings/ext4-on-failing-loop.jsonl.gz"),
    ("multipath-xfs.log", "peripety/tests/offline/excerpts/multipath-xfs-5.14.log"),
    ("md-raid1.kmsg.gz", "peripety/tests/offline/5.10-md-raid1.kmsg.gz"),
    ("medium-error.kmsg.gz", "peripety/tests/offline/6.1-scsi-medium-error.kmsg.gz"),
    ("zfs-suspended.log", "peripety/tests/offline/reports/35-mpt3sas-600-disks-pool-suspended/log.txt"),
    ("guest.log", "peripety/tests/offline/reports/88-storvsc-azure-srb/log.txt"),
];

pub fn run(args: &Args) -> Result<()> {
    let bins = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            setup::ensure(Purpose::Build)?;
            build::binaries(Profile::Debug)?
        }
    };
    if args.check || args.bless {
        transcripts::check(&bins, if args.bless { Outputs::Bless } else { Outputs::Check })?;
    }
    let html = make(&bins)?;
    let pages = links::check(&html)?;
    eprintln!("manual: {pages} pages, their links are right: {}", html.join("index.html").display());
    Ok(())
}

/// Checks names of event types and arguments of commands, and the links where mdBook is there. What commands print is for `--check`: it
/// changes with each better word.
pub fn in_ci() -> Result<()> {
    let bins = test::binaries_of_tests()?;
    transcripts::check(&bins, Outputs::Leave)?;
    if sh::find("mdbook").is_some() {
        return links::check(&make(&bins)?).map(|_pages| ());
    }
    eprintln!("skipped: links of the manual: no mdbook; run: cargo xtask manual");
    pages::assemble(&types::read(&bins)?, &sh::target_dir().join("manual"))
}

/// Makes the manual, and says where it is.
pub fn make(bins: &Path) -> Result<PathBuf> {
    setup::ensure(Purpose::Manual)?;
    let dir = sh::target_dir().join("manual");
    let _it_may_not_be_there = fs::remove_dir_all(&dir);
    pages::assemble(&types::read(bins)?, &dir)?;
    // mdBook says which chapters it renders, and what it passes over, on stderr.
    let mut mdbook = Command::new("mdbook");
    let done = mdbook.arg("build").arg(&dir).output().context("cannot run mdbook; cargo install mdbook")?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() || said.contains("WARN") || said.contains("ERROR") {
        bail!("mdbook reports what is wrong: {said}");
    }
    let html = dir.join("html");
    // For the pages of one service, which publishes no names that begin with an underscore otherwise.
    let _there_may_be_none = fs::remove_file(html.join(".nojekyll"));
    Ok(html)
}

/// Lays out the logs of the examples in a directory.
pub fn logs(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (name, from) in LOGS {
        let from = sh::root().join(from);
        fs::copy(&from, dir.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
