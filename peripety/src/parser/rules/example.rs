//! Lines that a rule must take: its tests, which stand beside it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Rule, RuleSet};
use crate::{
    parser::RawEvent,
    record::{LogRecord, Stamp},
};

/// A line that a rule must take, with what it must make of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    /// The line.
    pub line: String,
    /// `DEVICE=` that the kernel gives with it.
    pub device: Option<String>,
    /// What must come out: `kdev`, `sector`, `errno` …, a fact by its path, or a key of the extension.
    pub expect: BTreeMap<String, Value>,
    /// Line of the file that it stands in.
    pub at: usize,
}

/// An example that fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExampleError {
    /// The rule does not match its own example.
    #[error("the rule does not match its example '{line}'")]
    NoMatch {
        /// The example.
        line: String,
        /// Line of the file.
        at: usize,
    },
    /// Another rule takes the line first.
    #[error("the example '{line}' is taken by the rule '{by}', which comes first")]
    Taken {
        /// The example.
        line: String,
        /// The rule that takes it.
        by: String,
        /// Line of the file.
        at: usize,
    },
    /// The event is not the expected one.
    #[error("the example '{line}' gives {key} = {got}, not {wanted}")]
    Differs {
        /// The example.
        line: String,
        /// Key of the expectation.
        key: String,
        /// What came out.
        got: String,
        /// What was expected.
        wanted: String,
        /// Line of the file.
        at: usize,
    },
}

impl ExampleError {
    /// Line of the file that the example stands in.
    pub fn at(&self) -> usize {
        match self {
            Self::NoMatch { at, .. } | Self::Taken { at, .. } | Self::Differs { at, .. } => *at,
        }
    }
}

pub(super) fn check(set: &RuleSet, rule: &Rule, example: &Example) -> Result<(), ExampleError> {
    let Example { line, device, expect, at } = example;
    let (line, at) = (line.clone(), *at);
    let record = LogRecord {
        text: line.clone(),
        device: device.clone(),
        identifier: rule.identifiers.first().cloned(),
        ..LogRecord::default()
    };
    let Some(taken_by) = set.rule_for(&record) else { return Err(ExampleError::NoMatch { line, at }) };
    if taken_by.name != rule.name {
        let by = taken_by.name.clone();
        return Err(if rule.takes(&record) {
            ExampleError::Taken { line, by, at }
        } else {
            ExampleError::NoMatch { line, at }
        });
    }
    let time = Stamp { monotonic_ns: None, realtime_us: 0 };
    let Some(event) = set.parse(&record, time) else { return Err(ExampleError::NoMatch { line, at }) };
    for (key, wanted) in expect {
        let got = get(&event, key);
        if !got.as_ref().is_some_and(|got| is(got, wanted)) {
            let got = got.map_or_else(|| "nothing".to_owned(), |v| v.to_string());
            return Err(ExampleError::Differs {
                line,
                key: key.clone(),
                got,
                wanted: wanted.to_string(),
                at,
            });
        }
    }
    Ok(())
}

/// A value of the event by the name that an example has for it.
fn get(event: &RawEvent, key: &str) -> Option<Value> {
    let io = event.io.as_ref();
    match key {
        "kdev" => Some(Value::from(event.kdev.to_text())),
        "sub_system" => Some(Value::from(event.sub_system.as_str())),
        "event_type" => Some(Value::from(event.event_type.as_str())),
        "severity" => Some(Value::from(event.severity.as_str())),
        "sector" => io?.sector.map(|sector| sector.0.into()),
        "nr_sectors" => io?.nr_sectors.map(Value::from),
        "bad_lba" => io?.bad_lba.map(|sector| sector.0.into()),
        "errno" => io?.errno.map(|errno| errno.raw().into()),
        "op" => io.map(|io| Value::from(io.op.as_str())),
        "count" => Some(event.count.into()),
        path if path.contains('.') => event.facts.get(path),
        _ => event.extension.get(key).cloned(),
    }
}

/// Whether a value is what is wanted; of a number that has a name, either will do. A broken number is wanted as text.
fn is(got: &Value, wanted: &Value) -> bool {
    if got.is_f64() {
        return wanted.as_str() == Some(got.to_string().as_str());
    }
    let part = |key: &str| got.get(key).is_some_and(|part| part == wanted);
    got == wanted || part("code") || part("name")
}
