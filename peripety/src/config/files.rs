//! The files of the configuration, read with care: what lies there may be anything.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{ConfigError, ConfigErrors};

/// Bytes of one file: a thousand rules fit ten times.
const FILE_MAX: u64 = 4 << 20;

/// Files of the directory.
const FILES_MAX: usize = 100;

/// The files that exist: the main one, then those of the directory beside it by name.
pub(super) fn of_system(main: &Path, errors: &mut ConfigErrors) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // A dangling link is not a missing file: reading it says what is wrong.
    if main.symlink_metadata().is_ok() {
        files.push(main.to_owned());
    }
    let mut directory = main.as_os_str().to_owned();
    directory.push(".d");
    let directory = PathBuf::from(directory);
    let name = directory.display().to_string();
    let mut more = match fs::read_dir(&directory) {
        Ok(entries) => conf_files(entries),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound) => return files,
        Err(e) => {
            errors.add(ConfigError::of_file(
                &name,
                &format!("cannot list it: {e}"),
                "make it readable, or remove it",
            ));
            return files;
        }
    };
    if more.len() > FILES_MAX {
        let what = format!("it has {} files", more.len());
        errors.add(ConfigError::of_file(&name, &what, &format!("at most {FILES_MAX} are read; join some")));
        more.clear();
    }
    more.sort_unstable();
    files.append(&mut more);
    files
}

fn conf_files(entries: fs::ReadDir) -> Vec<PathBuf> {
    let is_conf = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        path.extension().is_some_and(|e| e == "conf") && !hidden
    };
    entries.filter_map(Result::ok).map(|e| e.path()).filter(is_conf).collect()
}

/// The text of a file, or what is wrong with it and what to do.
pub(super) fn read(path: &Path) -> Result<String, (String, String)> {
    let failed = |e: std::io::Error| {
        let fix = match e.kind() {
            ErrorKind::NotFound => "create it, or name another file".to_owned(),
            ErrorKind::PermissionDenied => format!("run as root, or chmod a+r {}", path.display()),
            _ => "mend the file or remove it; without it defaults hold".to_owned(),
        };
        (format!("cannot read it: {e}"), fix)
    };
    let bytes = match read_bounded(path, FILE_MAX).map_err(failed)? {
        Bounded::Whole(bytes) => bytes,
        Bounded::TooLarge(bytes) => return Err(too_large(bytes)),
        Bounded::NoFile => {
            return Err((
                "it is no regular file".to_owned(),
                "put a text file there, or remove it".to_owned(),
            ));
        }
    };
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes().iter().take(valid).filter(|b| **b == b'\n').count();
        (format!("line {line} is no UTF-8 text"), "save the file as UTF-8".to_owned())
    })
}

/// What a file that somebody named has.
#[derive(Debug)]
pub enum Bounded {
    /// All of it.
    Whole(Vec<u8>),
    /// More bytes than are read.
    TooLarge(u64),
    /// It is a directory, a named pipe or a device.
    NoFile,
}

/// Reads a regular file of at most `most` bytes. A named pipe or a device makes nobody wait.
///
/// # Errors
/// The system refuses.
pub fn read_bounded(path: &Path, most: u64) -> std::io::Result<Bounded> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Bounded::NoFile);
    }
    if metadata.len() > most {
        return Ok(Bounded::TooLarge(metadata.len()));
    }
    // It may grow while it is read.
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    Ok(if length > most { Bounded::TooLarge(length) } else { Bounded::Whole(bytes) })
}

fn too_large(bytes: u64) -> (String, String) {
    (format!("it has {bytes} bytes"), format!("at most {FILE_MAX} are read; is it the right file?"))
}
