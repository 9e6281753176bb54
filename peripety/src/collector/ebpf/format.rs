//! tracefs' `format` files: where the fields of a classic tracepoint's record are.
//!
//! Offsets are never hard-coded: RHEL 9 has a common field more than others, which moves all that follow.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use crate::roots::Roots;

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Type as the kernel prints it: `dev_t`, `__data_loc char[]`.
    pub kind: String,
    /// Bytes from the start of the record.
    pub offset: u16,
    /// Bytes.
    pub size: u16,
}

/// The layout of a tracepoint's record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// The event's own name.
    pub name: String,
    /// All fields by name, the common ones among them.
    pub fields: BTreeMap<String, Field>,
}

/// Why there is no layout.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The `format` file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is empty: lockdown in mode confidentiality does that.
    #[error("the format of tracepoint {0} is empty, as kernel lockdown makes it")]
    Empty(String),
    /// A line is not what the kernel writes.
    #[error("the format of a tracepoint has a line that cannot be read: '{0}'")]
    Line(String),
    /// A field that is needed is missing, or is of another size.
    #[error("tracepoint {event} has no field '{field}' of {size} bytes")]
    Field {
        /// The event.
        event: String,
        /// The field.
        field: String,
        /// Bytes it should have.
        size: u16,
    },
}

impl Format {
    /// Reads the layout of `category:event`.
    ///
    /// # Errors
    /// [`FormatError`] when the file cannot be read or is not what the kernel writes.
    pub fn read(roots: &Roots, category: &str, event: &str) -> Result<Self, FormatError> {
        let path = roots.tracefs().join("events").join(category).join(event).join("format");
        let text = fs::read_to_string(&path).map_err(|error| FormatError::Read { path, error })?;
        let format = Self::parse(&text)?;
        if format.fields.is_empty() { Err(FormatError::Empty(event.to_owned())) } else { Ok(format) }
    }

    /// Reads the text of a `format` file (kernel/trace/trace_events.c, f_show).
    ///
    /// # Errors
    /// [`FormatError::Line`] for a field line without name, offset and size.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut format = Self::default();
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("name:") {
                format.name = name.trim().to_owned();
            } else if line.starts_with("print fmt:") {
                break;
            } else if line.starts_with("field:") {
                let (name, field) = parse_field(line).ok_or_else(|| FormatError::Line(line.to_owned()))?;
                format.fields.insert(name, field);
            }
        }
        Ok(format)
    }

    /// Offset of a field of at least `size` bytes.
    ///
    /// # Errors
    /// [`FormatError::Field`] when there is none.
    pub fn offset(&self, field: &str, size: u16) -> Result<u16, FormatError> {
        self.fields
            .get(field)
            .filter(|f| f.size >= size)
            .map(|f| f.offset)
            .ok_or_else(|| FormatError::Field { event: self.name.clone(), field: field.to_owned(), size })
    }
}

/// `field:unsigned int nr_sector; offset:24; size:4; signed:0;`
fn parse_field(line: &str) -> Option<(String, Field)> {
    let mut parts = line.split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?.trim();
    let (mut offset, mut size) = (None, None);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", number)) => offset = number.trim().parse().ok(),
            Some(("size", number)) => size = number.trim().parse().ok(),
            _ => {}
        }
    }
    // `char rwbs[8]`, `__data_loc char[] cmd`, `const char * function`
    let start = declaration.rfind([' ', '\t', '*'])? + 1;
    let (kind, name) = declaration.split_at_checked(start)?;
    let name = name.split('[').next()?;
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    valid.then_some(())?;
    Some((name.to_owned(), Field { kind: kind.trim().to_owned(), offset: offset?, size: size? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RQ: &str = "name: block_rq_error
ID: 1097
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;
\tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;
\tfield:char rwbs[10];\toffset:34;\tsize:10;\tsigned:0;
\tfield:__data_loc char[] cmd;\toffset:44;\tsize:4;\tsigned:0;
\tfield:const char * function;\toffset:48;\tsize:8;\tsigned:0;

print fmt: \"%d,%d\", ((unsigned int) ((REC->dev) >> 20))
\tfield:not a field;
";

    #[test]
    fn every_form_of_declaration_is_read() {
        let format = Format::parse(RQ).unwrap();
        assert_eq!(format.name, "block_rq_error");
        assert_eq!(format.offset("dev", 4).unwrap(), 8);
        assert_eq!(format.offset("rwbs", 8).unwrap(), 34);
        assert_eq!(format.offset("cmd", 4).unwrap(), 44);
        assert_eq!(format.offset("function", 8).unwrap(), 48);
        assert_eq!(format.fields.len(), 6);
    }

    #[test]
    fn a_field_that_is_missing_or_too_small_is_named() {
        let format = Format::parse(RQ).unwrap();
        assert_eq!(
            format.offset("dev", 8).unwrap_err().to_string(),
            "tracepoint block_rq_error has no field 'dev' of 8 bytes"
        );
        assert!(format.offset("nr_sector", 4).is_err());
    }

    #[test]
    fn broken_lines_are_refused_and_nothing_panics() {
        for text in
            ["field:", "field:;", "field: x", "field:int x; offset:99999999; size:4;", "field:int x; size:4;"]
        {
            assert!(Format::parse(text).is_err(), "{text}");
        }
        assert!(Format::parse("").unwrap().fields.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Format::parse(&text);
        }
    }
}
