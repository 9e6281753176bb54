//! The daemon's object, with all signals.

use peripety_client::Content;
use peripety_model::Filter;
use zbus::{Connection, ObjectPath, message::Header, object_server::SignalEmitter};

use crate::dbus::{
    act::{change, incident_json, uuid},
    detail::Detail,
    error::Refusal,
    shown::Shown,
    view::More,
    who::Caller,
};

/// What is known of the daemon.
#[derive(Debug, Default)]
pub(in crate::dbus) struct Running {
    pub(in crate::dbus) daemon: bool,
    pub(in crate::dbus) open: u32,
    pub(in crate::dbus) worst: &'static str,
    pub(in crate::dbus) dropped: u64,
    pub(in crate::dbus) missed: u64,
}

/// The daemon.
#[derive(Debug)]
pub(in crate::dbus) struct ManagerObject {
    pub(in crate::dbus) detail: Detail,
    pub(in crate::dbus) shown: Shown<Running>,
}

#[zbus::interface(name = "org.peripety1.Manager")]
impl ManagerObject {
    /// Version of peripety-notify.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Whether peripetyd runs. Without it nothing is known of what happens now.
    #[zbus(property)]
    fn daemon_running(&self) -> bool {
        self.shown.with(|it| it.daemon)
    }

    /// How many incidents are open.
    #[zbus(property)]
    fn open_incidents(&self) -> u32 {
        self.shown.with(|it| it.open)
    }

    /// The severity of the worst open incident; empty if none is.
    #[zbus(property)]
    fn worst_severity(&self) -> &'static str {
        self.shown.with(|it| it.worst)
    }

    /// Revisions for which there was no signal because the bus took them too slowly, since the start.
    #[zbus(property)]
    fn dropped(&self) -> u64 {
        self.shown.with(|it| it.dropped)
    }

    /// Revisions that came while the connection to peripetyd was lost and are no longer to be had, since the start.
    #[zbus(property)]
    fn missed(&self) -> u64 {
        self.shown.with(|it| it.missed)
    }

    /// What is wrong now, as `prpt status -J` shows it: JSON. For who may read the journal.
    #[zbus(out_args("status"))]
    async fn get_status(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        Caller::of(connection, &header).await?.reads(&self.detail.roots.etc)?;
        self.detail.answer("status").await
    }

    /// An event that the daemon holds, in its latest revision: JSON as in event.schema.json. For who may read the journal.
    #[zbus(out_args("event"))]
    async fn get_event(
        &self,
        event_id: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        Caller::of(connection, &header).await?.reads(&self.detail.roots.etc)?;
        let id = uuid(event_id)?;
        let is_it = move |content: &Content| match content {
            Content::Event(event) => event.event_id == id,
            _ => false,
        };
        let found = self.detail.stored(Filter::default(), 1, is_it).await?;
        let none =
            || Refusal::NotFound(format!("peripetyd holds no event {event_id}; the journal may: prpt query"));
        found.into_iter().next_back().ok_or_else(none)
    }

    /// An incident that the daemon holds, in its latest revision: JSON as in incident.schema.json. For who may read the journal.
    #[zbus(out_args("incident"))]
    async fn get_incident(
        &self,
        incident_id: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        Caller::of(connection, &header).await?.reads(&self.detail.roots.etc)?;
        incident_json(&self.detail, uuid(incident_id)?).await
    }

    /// Ends the conditions of a device, a condition by its name, or an incident by its id. Asks polkit for
    /// org.peripety1.resolve. The answer is the daemon's, JSON.
    #[zbus(out_args("resolved"))]
    async fn resolve(
        &self,
        target: &str,
        reason: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        change(&self.detail, connection, &header, "resolve", target, reason).await
    }

    /// A revision of an event: its type (`prpt types` explains each), severity, and the device's object (`/` if there is
    /// none). `more` has `device` (the kernel's name), `count`, `timestamp` (microseconds since 1970), `final`, `sub-system`,
    /// `sequence`, `dropped` and `missed` (both since the start), and `operation` and `errno` where they are known.
    #[zbus(signal)]
    pub(in crate::dbus) async fn event_occurred(
        emitter: &SignalEmitter<'_>,
        event_id: &str,
        revision: u32,
        event_type: &str,
        severity: &str,
        block: &ObjectPath<'_>,
        more: &More,
    ) -> zbus::Result<()>;

    /// An incident opened. `summary` names the cause and what is hurt; `more` has `state`, `cause`, `failures`, `events`,
    /// `updated`, `sequence`, `dropped` and `missed`.
    #[zbus(signal)]
    pub(in crate::dbus) async fn incident_opened(
        emitter: &SignalEmitter<'_>,
        incident: &ObjectPath<'_>,
        incident_id: &str,
        revision: u32,
        severity: &str,
        summary: &str,
        more: &More,
    ) -> zbus::Result<()>;

    /// An incident that is open has a new revision.
    #[zbus(signal)]
    pub(in crate::dbus) async fn incident_changed(
        emitter: &SignalEmitter<'_>,
        incident: &ObjectPath<'_>,
        incident_id: &str,
        revision: u32,
        severity: &str,
        summary: &str,
        more: &More,
    ) -> zbus::Result<()>;

    /// An incident is over, or turned out to be part of the one at `superseded-by`. Its object goes.
    #[zbus(signal)]
    pub(in crate::dbus) async fn incident_resolved(
        emitter: &SignalEmitter<'_>,
        incident: &ObjectPath<'_>,
        incident_id: &str,
        revision: u32,
        severity: &str,
        summary: &str,
        more: &More,
    ) -> zbus::Result<()>;

    /// Signals of some events or incidents did not come and will not: how many so far, and why.
    #[zbus(signal)]
    pub(in crate::dbus) async fn events_lost(
        emitter: &SignalEmitter<'_>,
        dropped: u64,
        missed: u64,
        why: &str,
    ) -> zbus::Result<()>;
}
