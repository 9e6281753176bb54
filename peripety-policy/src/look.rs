//! How an array is now, by the kernel: by name.

use std::path::{Path, PathBuf};

use peripety_block::{
    files::Files,
    status::{ArrayStatus, AskError, Control, Listed, Maps as _},
};

use crate::situation::Situation;

/// Where arrays are looked at.
#[derive(Clone, Debug)]
pub struct Look {
    /// Directory of device nodes.
    dev: PathBuf,
    /// Where sysfs is mounted.
    sysfs: PathBuf,
}

impl Look {
    /// In these directories: `/dev` and `/sys`.
    pub fn new(dev: &Path, sysfs: &Path) -> Self {
        Self { dev: dev.to_owned(), sysfs: sysfs.to_owned() }
    }

    /// How the array with this name is now: a map by its name or the kernel's (`dm-3`), an array of md (`md0`). None where
    /// there is none, or it is neither array, pool nor snapshot.
    ///
    /// # Errors
    /// The kernel refuses: it takes CAP_SYS_ADMIN to ask about maps.
    pub fn situation(&self, name: &str) -> Result<Option<Situation>, AskError> {
        // A map may have such a name too.
        if name.starts_with("md") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let array = ArrayStatus::read(&Files::Disk, &self.sysfs.join("class/block"), name);
            if let Some(array) = array {
                return Ok(Some(Situation::of_array(&array)));
            }
        }
        let Some(control) = Control::open_if_loaded(&self.dev, &self.sysfs)? else { return Ok(None) };
        let maps = control.list()?;
        let is_it = |map: &&Listed| map.name == name || format!("dm-{}", map.dev.minor) == name;
        let status = maps.iter().find(is_it).map(|map| control.status(map)).transpose()?;
        Ok(status.as_ref().and_then(Situation::of_map))
    }
}
