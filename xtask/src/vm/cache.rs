//! Where machines are kept between runs: outside the tree, because they take minutes and a gigabyte.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The directory of kernels and root file systems.
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/peripety/vm`, or the same in `~/.cache`.
    pub fn open() -> Result<Self> {
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        let dir = base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("peripety/vm");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { dir })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Whether what stands in `dir` was made from `recipe`; a finished thing says so in a file.
pub fn is_fresh(dir: &Path, recipe: &str) -> bool {
    fs::read_to_string(dir.join("recipe")).is_ok_and(|made_from| made_from == recipe)
}

/// Says that `dir` is finished.
pub fn seal(dir: &Path, recipe: &str) -> Result<()> {
    let file = dir.join("recipe");
    fs::write(&file, recipe).with_context(|| format!("cannot write {}", file.display()))
}
