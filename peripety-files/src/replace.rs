//! A file that is replaced as a whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// Replaces a file: who reads it, and who finds it after a kill, has the old one or the new one, and never a part. The file,
/// open for writing at its end.
///
/// # Errors
/// The system refuses; the old file is still there.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    // With a name of its own beside every other: `queue` and `queue.new` may both be somebody's.
    let mut new = OsString::from(path);
    new.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    fs::rename(&new, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_names_that_differ_by_their_ending_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("place"), dir.path().join("place.queue"));
        replace(&one, b"1", 0o600).unwrap();
        fs::create_dir(dir.path().join("place.new")).unwrap();
        replace(&two, b"2", 0o644).unwrap();
        assert!(replace(&one, b"3", 0o600).is_err());
        assert_eq!((fs::read(&one).unwrap(), fs::read(&two).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        assert_eq!(fs::metadata(&two).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
