//! Which events are wanted.

use crate::event::{EventType, FileEvent};

/// Nothing in a field means everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Files and directories with everything in them, as paths from the mount point.
    pub paths: Vec<Vec<u8>>,
    /// Names of types, see [`crate::event::type_names`].
    pub types: Vec<String>,
}

impl Filter {
    /// Whether the event is wanted. A file that is moved or linked is where it was and where it goes.
    pub fn wants(&self, event: &FileEvent<'_>) -> bool {
        let of_type = self.types.is_empty()
            || matches!(event.kind, EventType::Known(name) if self.types.iter().any(|wanted| wanted == name));
        let below = |path: &[u8]| self.paths.iter().any(|top| is_in(path, top));
        of_type && (self.paths.is_empty() || below(event.path) || below(event.target_path))
    }
}

fn is_in(path: &[u8], top: &[u8]) -> bool {
    let top = top.strip_suffix(b"/").unwrap_or(top);
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Version;

    #[test]
    fn a_directory_is_wanted_with_what_is_in_it_and_what_goes_there() {
        let event = |path: &'static [u8], target_path: &'static [u8]| FileEvent {
            kind: EventType::Known("Rename"),
            entry_id: b"",
            parent_entry_id: b"",
            path,
            target_path,
            target_parent_id: b"",
            version: Version::One { minor: 0, size: 0, dropped: 0, missed: 0 },
        };
        let filter = Filter { paths: vec![b"/a/b/".to_vec()], types: vec![] };
        for (path, target, wanted) in [
            (&b"/a/b"[..], &b""[..], true),
            (b"/a/b/c", b"", true),
            (b"/a/bc", b"", false),
            (b"/x", b"/a/b/x", true),
            (b"/a", b"", false),
        ] {
            assert_eq!(filter.wants(&event(path, target)), wanted, "{path:?}");
        }
        let root = Filter { paths: vec![b"/".to_vec()], types: vec!["Create".to_owned()] };
        assert!(!root.wants(&event(b"/a", b"")));
        assert!(Filter { types: vec![], ..root }.wants(&event(b"/a", b"")));
    }
}
