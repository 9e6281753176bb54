//! The text formats: OpenMetrics 1.0, and the classic one of Prometheus, which differ in names and the end.

use std::fmt::Write as _;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Classic,
}

impl Format {
    /// By what a client accepts.
    pub(super) fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Classic }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `NAME_total`.
    Counter,
    Gauge,
    /// `NAME_info`, 1.
    Info,
    /// `NAME_bucket`, `NAME_sum`, `NAME_count`.
    Histogram,
}

/// A text that grows.
pub(super) struct Text {
    out: String,
    format: Format,
}

impl Text {
    pub(super) const fn new(format: Format) -> Self {
        Self { out: String::new(), format }
    }

    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (name, kind) = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => (name.to_owned(), "counter"),
            (Format::Classic, Kind::Counter) => (format!("{name}_total"), "counter"),
            (Format::OpenMetrics, Kind::Info) => (name.to_owned(), "info"),
            (Format::Classic, Kind::Info) => (format!("{name}_info"), "gauge"),
            (_, Kind::Gauge) => (name.to_owned(), "gauge"),
            (_, Kind::Histogram) => (name.to_owned(), "histogram"),
        };
        let _fits = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A sample, by its whole name.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.out.push_str(name);
        let mut labels = labels.iter().filter(|(_, value)| !value.is_empty());
        if let Some((key, first)) = labels.next() {
            let _fits = write!(self.out, "{{{key}=\"{}\"", escaped(first));
            for (key, value) in labels {
                let _fits = write!(self.out, ",{key}=\"{}\"", escaped(value));
            }
            self.out.push('}');
        }
        let _fits = writeln!(self.out, " {value}");
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').take(500).collect();
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
