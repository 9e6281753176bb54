//! What a stream gives.

use std::ffi::{CString, c_char};

use peripety_client::{Content, Item};
use serde_json::Value;

use crate::{
    call,
    text::{Given, c_string},
};

/// What came: a revision of an event or of an incident, or what became of the stream. It does not change: threads may share it.
#[derive(Debug)]
pub struct peripety_item {
    kind: peripety_item_kind,
    severity: i32,
    text: CString,
    json: CString,
    value: Value,
    cursor: CString,
    sequence: u64,
    dropped: u64,
    missed: u64,
    given: Given,
}

/// What an item is. Later versions may add some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum peripety_item_kind {
    /// NULL was given.
    PERIPETY_ITEM_NONE = 0,
    /// A revision of an event.
    PERIPETY_ITEM_EVENT = 1,
    /// A revision of an incident.
    PERIPETY_ITEM_INCIDENT = 2,
    /// What was stored is through: what comes now happens now.
    PERIPETY_ITEM_LIVE = 3,
    /// Something may be missing here; the text says why.
    PERIPETY_ITEM_GAP = 4,
    /// The daemon ended. The stream goes on when there is another one.
    PERIPETY_ITEM_DISCONNECTED = 5,
}

impl peripety_item {
    pub(crate) fn of(item: &Item) -> Self {
        use peripety_item_kind as kind;
        let (kind, severity, text) = match item.content() {
            Content::Event(event) => {
                (kind::PERIPETY_ITEM_EVENT, event.severity.number().into(), event.msg.as_str())
            }
            Content::Incident(incident) => {
                (kind::PERIPETY_ITEM_INCIDENT, incident.severity.number().into(), incident.title.as_str())
            }
            Content::Live => (kind::PERIPETY_ITEM_LIVE, -1, ""),
            Content::Gap(why) => (kind::PERIPETY_ITEM_GAP, -1, why.as_str()),
            Content::Disconnected => (kind::PERIPETY_ITEM_DISCONNECTED, -1, "peripetyd ended"),
        };
        Self {
            kind,
            severity,
            text: c_string(text),
            json: c_string(item.json()),
            value: serde_json::from_str(item.json()).unwrap_or_default(),
            cursor: c_string(&item.cursor().map(ToString::to_string).unwrap_or_default()),
            sequence: item.sequence().unwrap_or(0),
            dropped: item.dropped(),
            missed: item.missed(),
            given: Given::default(),
        }
    }
}

/// What the item is.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_kind(item: *const peripety_item) -> peripety_item_kind {
    // SAFETY: as the caller promises.
    call::plain(peripety_item_kind::PERIPETY_ITEM_NONE, || unsafe { item.as_ref() }.map(|item| item.kind))
}

/// Severity as syslog numbers it, 0 (emergency) to 7 (debug); -1 for what is neither an event nor an incident.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_severity(item: *const peripety_item) -> i32 {
    // SAFETY: as the caller promises.
    call::plain(-1, || unsafe { item.as_ref() }.map(|item| item.severity))
}

/// One line for people: the message of an event, the title of an incident, why there is a gap.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_text(item: *const peripety_item) -> *const c_char {
    // SAFETY: as the caller promises.
    call::plain(c"".as_ptr(), || unsafe { item.as_ref() }.map(|item| item.text.as_ptr()))
}

/// The event or incident as JSON (event.schema.json, incident.schema.json); an empty text for anything else.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_json(item: *const peripety_item) -> *const c_char {
    // SAFETY: as the caller promises.
    call::plain(c"".as_ptr(), || unsafe { item.as_ref() }.map(|item| item.json.as_ptr()))
}

/// A value of the JSON by its path (RFC 6901): `/event_type`, `/block/wwid`, `/facts/scsi/sense_key/name`. Numbers, lists and
/// objects are given as JSON. NULL where there is none. The text lives as long as the item.
///
/// # Safety
///
/// `item` is NULL or not freed; `path` is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get(item: *const peripety_item, path: *const c_char) -> *const c_char {
    call::plain(std::ptr::null(), || {
        // SAFETY: as the caller promises.
        let (item, path) = unsafe { (item.as_ref()?, call::text(path, "path").ok()?) };
        item.given.get(path, || match item.value.pointer(path)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    })
}

/// A whole number of the JSON by its path: `/count`, `/io/sector`. False, and `*value` as it was, where there is none or it
/// does not fit.
///
/// # Safety
///
/// `item` is NULL or not freed; `path` is NULL or a text; `value` is NULL or a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_number(
    item: *const peripety_item,
    path: *const c_char,
    value: *mut i64,
) -> bool {
    call::plain(false, || {
        // SAFETY: as the caller promises.
        let (item, path) = unsafe { (item.as_ref()?, call::text(path, "path").ok()?) };
        let number = item.value.pointer(path)?.as_i64()?;
        if !value.is_null() {
            // SAFETY: it is not NULL, and a place for a number, as the caller promises.
            unsafe { value.write(number) };
        }
        Some(true)
    })
}

/// The place after this item, for the option `after` of a later stream; an empty text where there is none.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_cursor(item: *const peripety_item) -> *const c_char {
    // SAFETY: as the caller promises.
    call::plain(c"".as_ptr(), || unsafe { item.as_ref() }.map(|item| item.cursor.as_ptr()))
}

/// The number that the daemon gave it, which grows over all daemons of a boot, with gaps; 0 where it has none.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_sequence(item: *const peripety_item) -> u64 {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { item.as_ref() }.map(|item| item.sequence))
}

/// Revisions that the daemon left out so far, because this reader was too slow. Of each event its last revision comes all the
/// same.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_dropped(item: *const peripety_item) -> u64 {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { item.as_ref() }.map(|item| item.dropped))
}

/// Revisions so far that were due and are no longer to be had, neither from the daemon nor from the journal.
///
/// # Safety
///
/// `item` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_get_missed(item: *const peripety_item) -> u64 {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { item.as_ref() }.map(|item| item.missed))
}

/// Frees an item. NULL is no harm.
///
/// # Safety
///
/// `item` is NULL or freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_item_free(item: *mut peripety_item) {
    // SAFETY: as the caller promises.
    unsafe { call::free(item) }
}
