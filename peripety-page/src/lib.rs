//! Incidents of peripety as HTML, and the storage stack as SVG.
//!
//! Pure functions from the model to text: no clock, no I/O, nothing loaded from elsewhere, no script. All that comes from the
//! kernel, from labels or from names of files is escaped, and what would hide in text is written as an escape.
//!
//! * [`page`]: one file with all that a support engineer needs: incidents, stack, time line, raw lines, machine, what was
//!   not seen. Below 2 MiB whatever goes in.
//! * [`incident_html`]: one incident as an `<article>`, for pages of others; [`STYLE`] is the style sheet that it needs.
//! * [`stack_svg`]: the storage stack of one incident as a file of its own, with its own colours.
//!
//! ```
//! use jiff::tz::TimeZone;
//! use peripety_page::{Case, Look, incident_html};
//!
//! # let json = r#"{"schema":1,"incident_id":"427ef82e-cb67-5860-ab7c-52a1b6c22ebd","revision":0,"state":"open","severity":"error",
//! #  "title":"sda: medium error <script>","hostname":"db1","boot_id":"","opened":"2026-03-01T12:00:00Z","updated":"2026-03-01T12:00:00Z",
//! #  "episodes":1,"cause":{"name":"sda","part":"device","kind":"medium","certainty":"certain"},"impact":{"kinds":["data_at_risk"]},
//! #  "events":[],"event_count":1,"failures":1}"#;
//! let incident = serde_json::from_str(json)?;
//! let look = Look { zone: TimeZone::UTC, ..Look::default() };
//! let html = incident_html(&Case::new(incident), &look);
//! assert!(html.contains("sda: medium error &lt;script&gt;"));
//! # Ok::<(), serde_json::Error>(())
//! ```

#![deny(missing_docs)]
#![warn(unreachable_pub)]

mod budget;
mod document;
mod facts;
mod incident;
mod stack;
mod style;
mod text;
mod timeline;
mod tree;

#[cfg(test)]
mod browser;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile;

pub use document::{PAGE_MAX, Report, page};
pub use facts::{Facts, Unseen};
pub use incident::{Case, Look, NamedFile, incident_html};
pub use stack::stack_svg;
pub use style::{STYLE, STYLE_SHA256};

#[cfg(test)]
mod golden;
