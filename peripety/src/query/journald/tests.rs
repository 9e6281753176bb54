//! The reader, with no journal and with broken files.

use std::fs;

use super::*;

#[test]
fn no_journal_is_told_apart_from_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut roots = Roots::under(directory.path());
    assert!(matches!(Reader::open(&roots), Err(ReadError::None { .. })));
    assert_eq!(access(&roots), Access::NoFiles);
    fs::create_dir_all(directory.path().join("run/log/journal/1234")).unwrap();
    assert!(!Reader::open(&roots).unwrap().has_files());
    roots.journal = Some(directory.path().join("nothing"));
    assert!(matches!(Reader::open(&roots), Err(ReadError::None { .. })));
}

#[test]
fn broken_journal_files_are_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("system.journal"), vec![0xa5; 70_000]).unwrap();
    fs::write(directory.path().join("system@x.journal"), b"LPKSHHRH").unwrap();
    let mut roots = Roots::under(directory.path());
    roots.journal = Some(directory.path().to_owned());
    assert_eq!(access(&roots), Access::Readable);
    let mut reader = Reader::open(&roots).unwrap();
    reader.seek(&Position::Head).unwrap();
    assert_eq!(reader.step(Direction::Forward).unwrap(), None);
    let unread: Vec<_> = reader.take_unread().iter().map(|unread| unread.path.clone()).collect();
    assert_eq!(unread, ["system.journal", "system@x.journal"].map(|name| directory.path().join(name)));
    assert_eq!(reader.boots().unwrap(), Vec::<String>::new());
    assert!(reader.seek(&Position::After("not a cursor".into())).is_err());
}
