//! The kernel's log with lines in it that the kernel never said: what a place of the kernel that nobody knows of may print.
//!
//! A FIFO lies over /dev/kmsg, to which a thread copies the kernel's own records; each write is one record for who reads.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{OFlags, fcntl_setfl},
    time::{ClockId, clock_gettime},
};

use crate::{cmd, machine::Machine};

const KMSG: &str = "/dev/kmsg";

/// Lets writers of /dev/kmsg write as much as they like while it lives.
pub struct Unlimited(String);

impl Unlimited {
    const FILE: &str = "/proc/sys/kernel/printk_devkmsg";

    pub fn new() -> Result<Self> {
        let before = fs::read_to_string(Self::FILE).with_context(|| format!("reading {}", Self::FILE))?;
        fs::write(Self::FILE, "on\n").with_context(|| format!("writing {}", Self::FILE))?;
        Ok(Self(before))
    }
}

impl Drop for Unlimited {
    fn drop(&mut self) {
        let _as_it_was = fs::write(Self::FILE, &self.0);
    }
}

/// The number of the last record in the kernel's log.
pub fn last() -> Result<Option<u64>> {
    let mut log = open()?;
    let (mut last, mut record) = (None, [0; 8192]);
    loop {
        match log.read(&mut record) {
            Ok(length) => {
                let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default()).into_owned();
                last = text.split(',').nth(1).and_then(|number| number.parse().ok());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(last),
            // What was to be read next was overwritten.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error).context("reading /dev/kmsg"),
        }
    }
}

fn open() -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options.open(KMSG).context("opening /dev/kmsg")
}

/// Ends with its scope.
pub struct Kmsg {
    out: Arc<Mutex<Out>>,
    over: Arc<AtomicBool>,
    copies: Option<JoinHandle<()>>,
}

struct Out {
    fifo: File,
    seq: u64,
}

impl Out {
    /// One record, with the next number.
    fn write(&mut self, level: &str, rest: &str) -> std::io::Result<()> {
        self.seq += 1;
        self.fifo.write_all(format!("{level},{},{rest}", self.seq).as_bytes())
    }
}

impl Kmsg {
    pub fn new(machine: &Machine) -> Result<Self> {
        let mut real = open()?;
        real.seek(SeekFrom::End(0)).context("going to the end of /dev/kmsg")?;
        // These records have numbers of their own: no daemon read them before.
        let _not_there = fs::remove_file("/run/peripety/logbook");
        let path = machine.dir("kmsg")?.join("fifo");
        cmd::run(Command::new("mkfifo").arg(&path))?;
        cmd::run(Command::new("mount").arg("--bind").arg(&path).arg(KMSG))?;
        // For reading, too: so the open does not wait, and the FIFO lasts while no daemon reads.
        let fifo = OpenOptions::new().read(true).write(true).open(&path).context("opening the FIFO")?;
        fcntl_setfl(&fifo, OFlags::DIRECT).context("making each write a record")?;
        let out = Arc::new(Mutex::new(Out { fifo, seq: 0 }));
        let over = Arc::new(AtomicBool::new(false));
        let (to, ends) = (Arc::clone(&out), Arc::clone(&over));
        let copies = thread::spawn(move || copy(&mut real, &to, &ends));
        Ok(Self { out, over, copies: Some(copies) })
    }

    /// A line of the kernel at level error, as it seems.
    pub fn forge(&self, line: &str) -> Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write("3", &format!("{usec},-;{}\n", line.replace('\n', "\\x0a"))).context("writing a record")
    }
}

fn copy(real: &mut File, out: &Mutex<Out>, over: &AtomicBool) {
    let mut buffer = vec![0; 8192];
    while !over.load(Ordering::Relaxed) {
        let length = match real.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            // It was overwritten before it was read.
            Err(_) => continue,
        };
        let record = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        let mut parts = record.splitn(3, ',');
        if let (Some(level), Some(_seq), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
            let _full = out.lock().unwrap_or_else(PoisonError::into_inner).write(level, rest);
        }
    }
}

impl Drop for Kmsg {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(copies) = self.copies.take() {
            let _ended = copies.join();
        }
        crate::disk::unmount(Path::new(KMSG));
    }
}
