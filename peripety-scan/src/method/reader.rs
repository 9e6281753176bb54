//! Plain reads of a device, past the page cache.

use std::{
    fs::File,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
};

use peripety_block::Roots;
use peripety_model::Dev;
use rustix::{fs::OFlags, io::Errno};

use super::{
    Engine, Trouble,
    narrow::{is_of_blocks, narrow},
};
use crate::{
    machine::{Device, sysfs_dir, text},
    pass::Step,
};

/// The smallest step, which all of them are multiples of.
pub(super) const STEP_MIN: u64 = 64 << 10;
/// The largest.
pub(super) const STEP_MAX: u64 = 1 << 20;
/// O_DIRECT wants memory at such an address; more than any block.
const ALIGNED: usize = 4096;

/// A device that is read.
pub(super) struct Reader {
    file: File,
    path: String,
    total: u64,
    block: u64,
    buffer: Vec<u8>,
}

impl Reader {
    /// Opens it to read.
    pub(super) fn open(device: &Device, roots: &Roots) -> Result<Self, Trouble> {
        let path = roots.dev.join(&device.name);
        // An optical drive or a floppy without a medium would wait for it.
        let flags = (OFlags::DIRECT | OFlags::NONBLOCK).bits().cast_signed();
        let file = File::options()
            .read(true)
            .custom_flags(flags)
            .open(&path)
            .map_err(|error| Trouble::Failed(format!("cannot open {}: {error}", path.display())))?;
        let stat = rustix::fs::fstat(&file)
            .map_err(|error| Trouble::Failed(format!("cannot stat {}: {error}", path.display())))?;
        if Dev::from_user(stat.st_rdev) != device.id.dev {
            return Err(Trouble::Gone);
        }
        let queue = sysfs_dir(roots, &device.name).join("queue/logical_block_size");
        let block = text(&roots.files, &queue).and_then(|text| text.parse().ok());
        // A partition has no queue of its own; 4,096 fits any disk.
        let block = block.filter(|block| (512..=ALIGNED as u64).contains(block)).unwrap_or(ALIGNED as u64);
        let buffer = vec![0; usize::try_from(STEP_MAX).unwrap_or(0) + ALIGNED];
        Ok(Self { file, path: path.display().to_string(), total: device.bytes(), block, buffer })
    }

    fn read(&mut self, from: u64, len: u64) -> Result<(), Errno> {
        let start = self.buffer.as_ptr().align_offset(ALIGNED);
        let len = usize::try_from(len).map_err(|_too_long| Errno::INVAL)?;
        let piece = self.buffer.get_mut(start..).and_then(|rest| rest.get_mut(..len)).ok_or(Errno::INVAL)?;
        let mut done = 0;
        while done < len {
            let rest = piece.get_mut(done..).unwrap_or_default();
            match rustix::io::pread(self.file.as_fd(), rest, from + done as u64) {
                Ok(0) => return Err(Errno::NXIO),
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn trouble(&self, error: Errno) -> Trouble {
        match error {
            Errno::NXIO | Errno::NODEV => Trouble::Gone,
            _ => Trouble::Failed(format!("reads of {} fail: {error}", self.path)),
        }
    }
}

impl Engine for Reader {
    fn step(&mut self, from: u64, len: u64) -> Result<Step, Trouble> {
        let from = from / STEP_MIN * STEP_MIN;
        let end = from.saturating_add(len.min(STEP_MAX)).min(self.total);
        if from >= end {
            return Ok(Step { next: self.total, finished: true, ..Step::default() });
        }
        let mut step = Step { next: end, bytes: end - from, finished: end == self.total, ..Step::default() };
        match self.read(from, end - from) {
            Ok(()) => {}
            Err(error) if is_of_blocks(error) => {
                let block = self.block;
                let found = narrow((from, end), block, error, |at, len| self.read(at, len));
                step.bad = found.map_err(|error| self.trouble(error))?;
                step.bytes -= step.bad.iter().map(|bad| bad.count.bytes()).sum::<u64>().min(step.bytes);
            }
            Err(error) => return Err(self.trouble(error)),
        }
        Ok(step)
    }
}
