//! What a stream is to give.

use std::ffi::c_char;

use peripety_client::{Error, Options, Source, Start};
use peripety_model::incident::ImpactKind;

use crate::{
    call::{self, call},
    error::{Problem, peripety_error},
};

/// What a stream is to give. One thread's at a time.
#[derive(Clone, Debug, Default)]
pub struct peripety_options {
    pub(crate) options: Options,
}

fn wrong(option: &'static str, value: &str, use_: &str) -> Problem {
    let shown: String = value.chars().take(60).collect();
    Error::Option { option, why: format!("'{shown}' is not possible; use {use_}") }.into()
}

fn yes(option: &'static str, value: &str) -> Result<bool, Problem> {
    match value {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(wrong(option, value, "yes or no")),
    }
}

/// Sets an option, or adds to one that is a list.
pub(crate) fn set(options: &mut Options, name: &str, value: &str) -> Result<(), Problem> {
    let filter = &mut options.filter;
    match name {
        "severity" => {
            let severity = value.parse().map_err(|error| Problem::argument(format!("severity: {error}")))?;
            filter.severity = Some(severity);
        }
        "type" => filter.types.push(value.to_owned()),
        "sub_system" => filter.sub_systems.push(value.to_owned()),
        "device" => filter.devices.push(value.to_owned()),
        "mount_point" => filter.mount_points.push(value.to_owned()),
        "host" => filter.hosts.push(value.to_owned()),
        "impact" => {
            let kind: Option<ImpactKind> = serde_json::from_value(value.into()).ok();
            filter
                .impact
                .push(kind.ok_or_else(|| wrong("impact", value, "data_lost, unavailable, read_only …"))?);
        }
        "events" => options.events = yes("events", value)?,
        "incidents" => options.incidents = yes("incidents", value)?,
        "follow" => options.follow = yes("follow", value)?,
        "source" => {
            options.source = match value {
                "auto" => Source::Auto,
                "socket" => Source::Socket,
                "journal" => Source::Journal,
                _ => return Err(wrong("source", value, "auto, socket or journal")),
            };
        }
        "start" => {
            options.start = match value {
                "now" => Start::Now,
                "stored" => Start::Stored,
                _ => return Err(wrong("start", value, "now or stored; 'after' takes a cursor")),
            };
        }
        "after" => options.start = Start::After(value.parse()?),
        "socket" => options.socket = value.into(),
        "journal" => options.journal = Some(value.into()),
        "daemon" => options.daemons.push(value.into()),
        _ => {
            let shown: String = name.chars().take(60).collect();
            return Err(Problem::argument(format!(
                "there is no option '{shown}'; libperipety(3) has a list"
            )));
        }
    }
    Ok(())
}

/// Options of a stream: every event that happens from now on, from the daemon.
#[unsafe(no_mangle)]
pub extern "C" fn peripety_options_new() -> *mut peripety_options {
    call::plain(std::ptr::null_mut(), || Some(call::give(peripety_options::default())))
}

/// Sets an option. Those that are lists take one value with each call:
///
/// | name | value |
/// |---|---|
/// | severity | as bad as this or worse: emergency, alert, critical, error, warning, notice, info, debug |
/// | type, sub_system, device, mount_point, host | a list of names; `*` stands for anything |
/// | impact | a list: data_lost, unavailable, read_only, data_at_risk, redundancy_lost, path_lost, slow, none; takes incidents only |
/// | events | yes (as it is without this option) or no |
/// | incidents | yes or no (as it is without this option) |
/// | follow | yes (as it is without this option), or no: the stream is over after what is stored |
/// | source | auto (the daemon, and from the journal what it no longer has), socket or journal |
/// | start | now, or stored: with all that the source holds |
/// | after | the cursor of an item: with what came after it |
/// | socket | path of the daemon's socket |
/// | journal | a directory of journal files in place of the system's |
/// | daemon | path of a peripetyd that is believed in the journal, beside the installed one |
///
/// 0, or -1 and `*error`.
///
/// # Safety
///
/// `options` is NULL or not freed; `name` and `value` are NULL or texts; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_options_set(
    options: *mut peripety_options,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut peripety_error,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, -1, || {
            let options = call::get_mut(options, "options")?;
            set(&mut options.options, call::text(name, "name")?, call::text(value, "value")?)?;
            Ok(0)
        })
    }
}

/// Frees options; a stream that was opened with them keeps its own. NULL is no harm.
///
/// # Safety
///
/// `options` is NULL or freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_options_free(options: *mut peripety_options) {
    // SAFETY: as the caller promises.
    unsafe { call::free(options) }
}
