//! Files of journald, through libsystemd.

use std::{ops::ControlFlow, path::Path};

use systemd::journal::{Journal, OpenFilesOptions};

use super::{
    Item,
    format::{Sink, fields},
};

/// What a journal file begins with.
const MAGIC: &[u8] = b"LPKSHHRH";
/// Bytes of a field that are read.
const MAX_FIELD: usize = 64 << 10;

/// Whether a file that starts so is journald's.
pub fn is_journal(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// Reads all entries of journal files, oldest first.
///
/// # Errors
///
/// libsystemd cannot read them.
pub fn read_journal(files: &[&Path], sink: &mut Sink<'_>) -> std::io::Result<()> {
    let names: Vec<String> = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let names = names.iter().map(String::as_str);
    let mut journal = OpenFilesOptions::default().open_files(names).map_err(systemd::Error::into_io_error)?;
    journal.set_data_threshold(MAX_FIELD).map_err(systemd::Error::into_io_error)?;
    journal.seek_head().map_err(systemd::Error::into_io_error)?;
    loop {
        match journal.next() {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into_io_error()),
        }
        let Some(item) = entry(&mut journal) else { continue };
        if let ControlFlow::Break(()) = sink(item) {
            return Ok(());
        }
    }
}

/// The entry that the journal stands at; none if it cannot be read.
fn entry(journal: &mut Journal) -> Option<Item> {
    let mut found = fields::Fields::new();
    journal.restart_data();
    while let Ok(Some(field)) = journal.enumerate_data() {
        let name = String::from_utf8_lossy(field.name()).into_owned();
        if fields::WANTED.contains(&name.as_str()) {
            let value = String::from_utf8_lossy(field.value().unwrap_or_default()).into_owned();
            found.entry(name).or_insert(value);
        }
    }
    if let Ok(us) = journal.timestamp_usec() {
        found.insert("__REALTIME_TIMESTAMP".to_owned(), us.to_string());
    }
    if let Ok((us, boot)) = journal.monotonic_timestamp() {
        found.insert("__MONOTONIC_TIMESTAMP".to_owned(), us.to_string());
        found.insert("_BOOT_ID".to_owned(), boot.to_string());
    }
    fields::entry(found)
}
