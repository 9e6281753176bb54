//! JSON of journalctl (`-o json`, `json-pretty`, `json-sse`), of `dmesg --json`, and of programs that ship logs.
//!
//! Entries are the innermost objects of the text, wherever their braces are, so that all these layouts, and one that is
//! cut at either end, are read by the same few lines and in bounded memory. A shipper has one object a line, which may have
//! objects in it: such lines are in `shipped.rs`.

use serde_json::Value;

use crate::offline::Item;

use super::{
    Calendar, Input, Reported, Taker,
    fields::{self, Fields, WANTED},
    give,
    shipped::Shipped,
};

/// Bytes of one object that are kept; a larger one is passed over.
const OBJECT_MAX: usize = 1 << 20;

pub(super) fn fits(sample: &[u8]) -> u32 {
    let start = sample.trim_ascii_start();
    let start = start.strip_prefix(b"data:").unwrap_or(start).trim_ascii_start();
    let is_object = start.strip_prefix(b"{").is_some_and(|rest| {
        let rest = rest.trim_ascii_start();
        rest.starts_with(b"\"") || rest.is_empty()
    });
    if is_object { 1000 } else { 0 }
}

/// Finds the innermost objects in a stream of bytes.
#[derive(Debug, Default)]
struct Objects {
    object: Vec<u8>,
    inside: bool,
    text: bool,
    escaped: bool,
}

impl Objects {
    /// Takes a byte; true when it ends an object, which is then in `object`.
    fn push(&mut self, byte: u8) -> bool {
        if self.text {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'{' => {
                self.object.clear();
                self.inside = true;
                self.keep(byte);
            }
            b'}' if self.inside => {
                self.keep(byte);
                self.inside = false;
                return self.object.len() < OBJECT_MAX;
            }
            b'"' if self.inside => {
                self.text = true;
                self.keep(byte);
            }
            _ if self.inside => self.keep(byte),
            _ => {}
        }
        false
    }

    /// A line of the file has ended: in a text that is an error, and the text is over.
    fn end_of_line(&mut self) {
        if self.text {
            (self.text, self.escaped, self.inside) = (false, false, false);
        } else if self.inside {
            self.keep(b'\n');
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.object.len() < OBJECT_MAX {
            self.object.push(byte);
        }
    }
}

pub(super) fn read(input: &mut Input<'_>, calendar: Calendar, taker: &mut dyn Taker) -> Reported {
    let mut objects = Objects::default();
    let mut shipped = Shipped::new(calendar);
    let mut reported = Reported { name: "journalctl JSON", unknown: 0 };
    while let Some(line) = input.line() {
        if let Some(item) = shipped.line(line) {
            reported.name = "JSON of a log shipper";
            if item != Item::Nothing && give(taker, item).is_break() {
                return reported;
            }
            continue;
        }
        for byte in line {
            if !objects.push(*byte) {
                continue;
            }
            let Some(entry) = fields(&objects.object) else {
                reported.unknown += 1;
                continue;
            };
            if entry.contains_key("msg") {
                reported.name = "dmesg JSON";
            }
            if fields::entry(entry).is_some_and(|item| give(taker, item).is_break()) {
                return reported;
            }
        }
        objects.end_of_line();
    }
    reported
}

/// The wanted fields of an object, as text.
fn fields(object: &[u8]) -> Option<Fields> {
    let text = String::from_utf8_lossy(object);
    let Ok(Value::Object(object)) = serde_json::from_str(&text) else { return None };
    let wanted = object.into_iter().filter(|(name, _)| WANTED.contains(&name.as_str()));
    Some(wanted.filter_map(|(name, value)| Some((name, as_text(value)?))).collect())
}

/// A value: text, a number, bytes as an array of numbers, or several values of which the first is taken.
fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(values) if values.iter().all(Value::is_number) => {
            let bytes: Vec<u8> =
                values.iter().filter_map(|v| v.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(values) => values.into_iter().next().and_then(as_text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::offline::{Entry, entry::Each};

    fn entries(file: &[u8]) -> Vec<Entry> {
        let calendar = Calendar::new(jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        let mut found = Vec::new();
        let take = |item| {
            if let Item::Entry(entry) = item {
                found.push(*entry);
            }
            ControlFlow::Continue(())
        };
        read(&mut Input::new(file), calendar, &mut Each(take));
        found
    }

    #[test]
    fn all_layouts_give_the_same() {
        let one = r#"{"__REALTIME_TIMESTAMP":"5","_BOOT_ID":"b","_TRANSPORT":"kernel","_SOURCE_MONOTONIC_TIMESTAMP":"7","MESSAGE":"a {\"b\"} \\"}"#;
        let pretty = one.replace(",", ",\n\t");
        let sse = format!("data: {one}\n\n");
        for file in [one.to_owned(), pretty, sse, format!("[{one}"), format!("]}} x {one} {{\"")] {
            let found = entries(file.as_bytes());
            assert_eq!(found.len(), 1, "{file}");
            let entry = &found[0];
            assert_eq!(entry.log.text, "a {\"b\"} \\");
            assert_eq!((entry.uptime_us, entry.wall_us, entry.is_kernel()), (Some(7), Some(5), true));
        }
    }

    #[test]
    fn bytes_are_text_and_a_process_is_no_kernel() {
        let found = entries(
            br#"{"_TRANSPORT":"kernel","SYSLOG_FACILITY":"3","MESSAGE":[97,10,98]}{"MESSAGE":["x","y"],"_TRANSPORT":"syslog"}{"MESSAGE":null}"#,
        );
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].log.text.as_str(), found[0].is_kernel()), ("a\nb", false));
        assert_eq!((found[1].log.text.as_str(), found[1].is_kernel()), ("x", false));
    }

    #[test]
    fn dmesg_tells_levels_by_number_or_name() {
        let found = entries(
            br#"{ "dmesg": [ { "pri": 3, "time": 1.5, "msg": "a" },{ "fac": "user", "pri": "err", "time": 2.0, "msg": "b" },{ "fac":"kern", "pri":"warn", "time": 3.000001, "msg":"c"} ] }"#,
        );
        let reported: Vec<_> = found
            .iter()
            .map(|e| (e.log.text.as_str(), e.log.level, e.uptime_us.unwrap(), e.is_kernel()))
            .collect();
        assert_eq!(
            reported,
            [("a", 3, 1_500_000, true), ("b", 3, 2_000_000, false), ("c", 4, 3_000_001, true)]
        );
    }
}
