//! The state of a disk: what sysfs shows of it and of its links, and what it says itself when it is asked.
//!
//! Nothing is written: each command is one of [`Query`], which only read. A disk that does not answer what it was sent is
//! not sent more: see [`readiness`].

mod ata;
mod counters;
mod links;
mod nvme;
mod ready;
mod scsi;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use peripety_model::{Dev, facts::HealthFacts};

pub use self::ready::{Readiness, readiness, takes_commands};
use crate::{
    Roots, attr,
    ioctl::{Query, query},
    map::kernel::open,
    transport,
};

/// Which commands a disk understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nvme,
    /// Behind libata, which takes ATA commands in SCSI ones.
    Ata,
    Scsi,
    /// None that are known.
    Other,
}

/// A disk by its place in sysfs.
#[derive(Clone, Debug)]
pub struct Disk {
    roots: Roots,
    /// Its directory, with all links followed: the devices that it hangs on are the ones above.
    dir: PathBuf,
}

impl Disk {
    /// The disk with this number; none when there is none.
    pub fn find(roots: &Roots, dev: Dev) -> Option<Self> {
        let dir = roots.files.canonical(&roots.sysfs.join("dev/block").join(dev.to_string()))?;
        Some(Self { roots: roots.clone(), dir })
    }

    /// The names of the devices that it hangs on.
    fn parts(&self) -> Vec<&str> {
        transport::parts(&self.dir)
    }

    fn attr(&self, name: &str) -> Option<String> {
        self.attr_at(&self.dir, name)
    }

    fn attr_at(&self, dir: &Path, name: &str) -> Option<String> {
        attr::text(&self.roots.files, &dir.join(name))
    }

    fn kind(&self) -> Kind {
        let subsystem = attr::link_name(&self.roots.files, &self.dir.join("device/subsystem"));
        match subsystem.as_deref() {
            Some("nvme" | "nvme-subsystem") => Kind::Nvme,
            Some("scsi") if self.attr("device/vendor").as_deref() == Some("ATA") => Kind::Ata,
            Some("scsi") => Kind::Scsi,
            _ => Kind::Other,
        }
    }

    /// What sysfs shows. Asks the disk nothing.
    pub fn shown(&self) -> HealthFacts {
        let mut facts = HealthFacts {
            state: self.attr("device/state"),
            firmware: self.attr("device/firmware_rev").or_else(|| self.attr("device/rev")),
            ..HealthFacts::default()
        };
        counters::add(self, &mut facts);
        links::add(self, &mut facts);
        facts
    }

    /// What sysfs shows, and what the disk says of itself. May wait for as long as the disk lets it.
    pub fn asked(&self) -> HealthFacts {
        let mut facts = self.shown();
        let kind = self.kind();
        if kind == Kind::Other {
            return facts;
        }
        let asked = self.open().and_then(|file| match kind {
            Kind::Nvme => nvme::add(&file, &mut facts),
            Kind::Ata => ata::add(&file, &mut facts),
            Kind::Scsi | Kind::Other => scsi::add(&file, &mut facts),
        });
        if let Err(why) = asked {
            facts.not_read = Some(why);
        }
        facts
    }

    fn open(&self) -> Result<File, String> {
        // sysfs writes '!' for a '/' in a name: cciss!c0d0.
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy().replace('!', "/");
        open(&self.roots.dev.join(name)).map_err(|error| error.to_string())
    }
}

/// What a disk answered; in words why it did not.
fn answer(file: &File, asked: Query, what: &str) -> Result<Vec<u8>, String> {
    query(file, asked).map_err(|error| format!("{what}: {error}"))
}
