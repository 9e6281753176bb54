//! The storage stack of an incident: which devices lie on which, what failed, and where the failure went.

mod draw;
mod graph;
mod infer;
mod place;

use peripety_model::{Event, Incident};

pub(crate) use draw::inline;
pub(crate) use graph::Graph;

/// The storage stack of an incident as an SVG file: filesystems at the top, disks at the bottom, what is broken marked in words
/// and colour, arrows where the failure went. It loads nothing, and follows the light or dark setting of whoever looks at it.
///
/// `events` are events of the incident; devices of others are not drawn. Where no event names a device, the names of the
/// incident's own list are all that is drawn.
pub fn stack_svg(incident: &Incident, events: &[Event]) -> String {
    draw::alone(&Graph::of(incident, events), &incident.title)
}
