//! The interfaces. Their descriptions on the bus are made of these files; `peripety-notify/dbus` has them, checked by a test.

mod block;
mod incident;
mod manager;

use zbus::ObjectPath;

pub(super) use self::{block::BlockObject, incident::IncidentObject, manager::ManagerObject};
use super::names;

fn path(text: &str) -> ObjectPath<'static> {
    ObjectPath::try_from(text.to_owned())
        .unwrap_or_else(|_| ObjectPath::from_static_str_unchecked(names::NONE))
}

#[cfg(test)]
mod tests;
