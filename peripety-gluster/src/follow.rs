//! Log files, followed by their inode over rotation.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Longest line; of a longer one the rest is left out.
const LINE_MAX: usize = 16 << 10;
/// What is read of one file in a row, bytes.
const READ_MAX: u64 = 4 << 20;

/// One file.
#[derive(Debug)]
struct Followed {
    file: File,
    inode: u64,
    line: Vec<u8>,
}

/// All `*.log` files of some directories.
#[derive(Debug)]
pub struct Follower {
    directories: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Followed>,
}

impl Follower {
    /// Begins at the end of the files that there are.
    pub fn new(directories: &[PathBuf]) -> Self {
        let mut follower = Self { directories: directories.to_vec(), files: BTreeMap::new() };
        for path in follower.paths() {
            if let Ok(mut followed) = open(&path)
                && followed.file.seek(SeekFrom::End(0)).is_ok()
            {
                follower.files.insert(path, followed);
            }
        }
        follower
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries = self.directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
    }

    /// The lines that came since. A file that was rotated away is read to its end first, one that was cut from its start.
    pub fn lines(&mut self, mut line: impl FnMut(&str)) {
        for path in self.paths() {
            let inode = fs::metadata(&path).map(|metadata| metadata.ino()).ok();
            if let Some(followed) = self.files.get_mut(&path) {
                followed.read(&mut line);
                if inode.is_none_or(|inode| inode == followed.inode) {
                    continue;
                }
            }
            if let Ok(mut followed) = open(&path) {
                followed.read(&mut line);
                self.files.insert(path, followed);
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Followed> {
    let file = File::open(path)?;
    let inode = file.metadata()?.ino();
    Ok(Followed { file, inode, line: Vec::new() })
}

impl Followed {
    fn read(&mut self, line: &mut impl FnMut(&str)) {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        if self.file.stream_position().is_ok_and(|at| at > length) && self.file.rewind().is_err() {
            return;
        }
        let mut bytes = Vec::new();
        // What cannot be read now is read next time.
        let _failed = (&self.file).take(READ_MAX).read_to_end(&mut bytes);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_MAX.saturating_sub(self.line.len());
            self.line.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                line(String::from_utf8_lossy(&self.line).trim_end());
                self.line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn lines(follower: &mut Follower) -> Vec<String> {
        let mut lines = Vec::new();
        follower.lines(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn each_line_comes_once_over_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("glusterd.log");
        append(&path, "old\n");
        let mut follower = Follower::new(&[directory.path().to_owned()]);
        assert!(lines(&mut follower).is_empty());
        append(&path, "one\ntw");
        assert_eq!(lines(&mut follower), ["one"]);
        append(&path, "o\nlast of this file\n");
        fs::rename(&path, directory.path().join("glusterd.log.1")).unwrap();
        append(&path, "first of the next\n");
        assert_eq!(lines(&mut follower), ["two", "last of this file", "first of the next"]);
        File::create(&path).unwrap();
        append(&path, "cut\n");
        assert_eq!(lines(&mut follower), ["cut"], "copytruncate");
        append(&directory.path().join("brick.log"), "new file\n");
        assert_eq!(lines(&mut follower), ["new file"]);
        assert!(lines(&mut follower).is_empty());
    }
}
