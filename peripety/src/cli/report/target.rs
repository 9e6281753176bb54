//! Where a page goes.

use std::{
    fs::File,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// Standard output, or a file that is open already: whoever reads logs of others gives up the right to open one.
#[derive(Debug)]
pub(in super::super) enum Target {
    Standard,
    File(File, PathBuf),
}

impl Target {
    /// Opens it; what is in a file stays until the page is written.
    pub(in super::super) fn of(path: Option<&Path>) -> anyhow::Result<Self> {
        match path {
            None if std::io::stdout().is_terminal() => {
                bail!(
                    "a page of HTML is nothing for a terminal: write it to a file with --output FILE, or into a pipe"
                )
            }
            None => Ok(Self::Standard),
            Some(path) if path == Path::new("-") => Ok(Self::Standard),
            Some(path) => {
                let file = File::options().write(true).create(true).truncate(false).open(path);
                let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                Ok(Self::File(file, path.to_owned()))
            }
        }
    }

    /// Writes the page in place of what was there.
    pub(in super::super) fn write(self, text: &str) -> anyhow::Result<()> {
        match self {
            Self::Standard => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes())?;
                Ok(out.flush()?)
            }
            Self::File(mut file, path) => {
                let cannot = || format!("cannot write {}", path.display());
                let is_plain = file.metadata().with_context(cannot)?.is_file();
                if is_plain {
                    file.set_len(0).with_context(cannot)?;
                }
                file.write_all(text.as_bytes()).with_context(cannot)
            }
        }
    }
}
