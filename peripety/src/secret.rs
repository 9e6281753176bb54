//! Secrets: from files and systemd credentials, never from the command line, the configuration or the environment, and never in
//! a log.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::config::{Bounded, read_bounded};

/// Longest secret, bytes.
const MAX: u64 = 64 << 10;

/// Where a secret is: a file by its path, or a credential of the unit (`LoadCredential=`) by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Source(String);

/// A secret. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// It cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret {}: {source}; it is a file, or the name of a credential of the unit (LoadCredential=)", path.display())]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

impl Source {
    /// Where that is.
    pub fn path(&self) -> PathBuf {
        let name = Path::new(&self.0);
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) if !name.is_absolute() => Path::new(&dir).join(name),
            _ => name.to_owned(),
        }
    }

    /// Reads it, each time it is used: it may have been changed.
    ///
    /// # Errors
    /// The file cannot be read, is empty or no text.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let path = self.path();
        let fail = |source| SecretError { path: path.clone(), source };
        let text = text_of(&path, MAX).map_err(fail)?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(fail(io::Error::other("it is empty")));
        }
        Ok(Secret(text.to_owned()))
    }
}

/// The text of a regular file of at most `most` bytes.
///
/// # Errors
/// It is something else, or the system refuses.
pub fn text_of(path: &Path, most: u64) -> io::Result<String> {
    match read_bounded(path, most)? {
        Bounded::Whole(bytes) => {
            String::from_utf8(bytes).map_err(|_| io::Error::other("it is no UTF-8 text"))
        }
        Bounded::TooLarge(length) => {
            Err(io::Error::other(format!("it has {length} bytes; at most {most} are read")))
        }
        Bounded::NoFile => Err(io::Error::other("it is no regular file")),
    }
}

impl Secret {
    /// For whoever sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_the_text_of_a_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "hunter2\n").unwrap();
        let source = Source(path.display().to_string());
        let secret = source.read().unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        fs::write(&path, "\n").unwrap();
        assert!(source.read().unwrap_err().to_string().contains("it is empty"));
        let none = Source("/nonexistent/token".into()).read().unwrap_err().to_string();
        assert!(none.contains("/nonexistent/token") && none.contains("LoadCredential="), "{none}");
    }
}
