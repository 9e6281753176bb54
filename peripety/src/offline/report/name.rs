//! Names in archives. They are compared and shown, and never given to the kernel.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::offline::bounds::DEPTH_MAX;

/// Bytes of a part of a name, and of a whole one, as Linux has them (NAME_MAX, PATH_MAX).
const PART_MAX: usize = 255;
pub(super) const NAME_MAX: usize = 4096;

/// The name as a path below the archive; none if it cannot be one: it leads upwards, is empty, too long or too deep, or has
/// a zero byte. One that is absolute is taken as tar takes it, without the slash.
pub(super) fn clean(name: &[u8]) -> Option<PathBuf> {
    if name.len() > NAME_MAX || name.contains(&0) {
        return None;
    }
    let mut path = PathBuf::new();
    let mut depth = 0;
    for part in name.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        depth += 1;
        if part == b".." || part.len() > PART_MAX || depth > DEPTH_MAX {
            return None;
        }
        path.push(OsStr::from_bytes(part));
    }
    (depth > 0).then_some(path)
}

/// What a symbolic link says; none if it cannot be one.
pub(super) fn target(name: &[u8]) -> Option<&Path> {
    let fits = !name.is_empty() && name.len() <= NAME_MAX && !name.contains(&0);
    fits.then(|| Path::new(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_below_the_archive_or_is_none() {
        for (name, path) in [("a/b", "a/b"), ("./a//b/.", "a/b"), ("/var/log/messages", "var/log/messages")] {
            assert_eq!(clean(name.as_bytes()), Some(PathBuf::from(path)), "{name}");
        }
        let long = "x".repeat(256);
        let deep = "d/".repeat(65);
        for name in [
            "",
            ".",
            "/",
            "//.//",
            "..",
            "a/..",
            "../a",
            "a/../../b",
            "a\0b",
            &long,
            &deep,
            &"a/".repeat(3000),
        ] {
            assert_eq!(clean(name.as_bytes()), None, "{name:?}");
        }
        assert!(clean("x".repeat(255).as_bytes()).is_some() && clean(b"\xff\xfe/x").is_some());
    }
}
