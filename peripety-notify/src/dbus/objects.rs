//! The interfaces. Their descriptions on the bus are made of this file; `peripety-notify/dbus` has them, checked by a test.

use peripety_client::Content;
use peripety_model::{Filter, Incident};
use zbus::{Connection, ObjectPath, message::Header, object_server::SignalEmitter};

use super::{
    act::{change, incident_json, uuid},
    detail::{Detail, EVENTS_MAX},
    error::Refusal,
    names,
    shown::Shown,
    view::{self, Block, More, us},
    who::Caller,
};

fn path(text: &str) -> ObjectPath<'static> {
    ObjectPath::try_from(text.to_owned())
        .unwrap_or_else(|_| ObjectPath::from_static_str_unchecked(names::NONE))
}

/// What is known of the daemon.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) daemon: bool,
    pub(super) open: u32,
    pub(super) worst: &'static str,
    pub(super) dropped: u64,
    pub(super) missed: u64,
}

/// The daemon.
#[derive(Debug)]
pub(super) struct ManagerObject {
    pub(super) detail: Detail,
    pub(super) shown: Shown<Running>,
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
    pub(super) async fn event_occurred(
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
    pub(super) async fn incident_opened(
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
    pub(super) async fn incident_changed(
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
    pub(super) async fn incident_resolved(
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
    pub(super) async fn events_lost(
        emitter: &SignalEmitter<'_>,
        dropped: u64,
        missed: u64,
        why: &str,
    ) -> zbus::Result<()>;
}

/// A block device.
#[derive(Debug)]
pub(super) struct BlockObject {
    pub(super) detail: Detail,
    pub(super) shown: Shown<Block>,
}

#[zbus::interface(name = "org.peripety1.Block")]
impl BlockObject {
    /// The kernel's device node.
    #[zbus(property)]
    fn device(&self) -> String {
        self.shown.with(|it| it.id.blk_path.clone())
    }

    /// The path that people use.
    #[zbus(property)]
    fn preferred_device(&self) -> String {
        self.shown.with(|it| it.id.preferred_blk_path.clone())
    }

    /// Device number, as in st_rdev.
    #[zbus(property)]
    fn device_number(&self) -> u64 {
        self.shown.with(|it| rustix::fs::makedev(it.id.dev.major, it.id.dev.minor))
    }

    /// World wide id.
    #[zbus(property)]
    fn id(&self) -> String {
        self.shown.with(|it| it.id.wwid.clone())
    }

    /// Serial number.
    #[zbus(property)]
    fn serial(&self) -> String {
        self.shown.with(|it| it.id.serial.clone())
    }

    /// Vendor.
    #[zbus(property)]
    fn vendor(&self) -> String {
        self.shown.with(|it| it.id.vendor.clone())
    }

    /// Model.
    #[zbus(property)]
    fn model(&self) -> String {
        self.shown.with(|it| it.id.model.clone())
    }

    /// Size in bytes; 0 if it is not known.
    #[zbus(property)]
    fn size(&self) -> u64 {
        self.shown.with(|it| it.id.size_sectors).unwrap_or(0).saturating_mul(512)
    }

    /// Where its filesystem is mounted.
    #[zbus(property)]
    fn mount_points(&self) -> Vec<String> {
        self.shown.with(|it| it.id.mount_points.clone())
    }

    /// Id of its latest event.
    #[zbus(property)]
    fn last_event(&self) -> String {
        self.shown.with(|it| it.last.event_id.clone())
    }

    /// Type of its latest event.
    #[zbus(property)]
    fn last_event_type(&self) -> String {
        self.shown.with(|it| it.last.event_type.clone())
    }

    /// Severity of its latest event.
    #[zbus(property)]
    fn last_severity(&self) -> &'static str {
        self.shown.with(|it| it.last.severity.as_str())
    }

    /// How many failures its latest event stands for.
    #[zbus(property)]
    fn last_count(&self) -> u64 {
        self.shown.with(|it| it.last.count)
    }

    /// When its latest event happened, in microseconds since 1970.
    #[zbus(property)]
    fn last_timestamp(&self) -> u64 {
        us(self.shown.with(|it| it.last.at))
    }

    /// The open incidents that it is part of.
    #[zbus(property)]
    fn incidents(&self) -> Vec<ObjectPath<'static>> {
        self.shown.with(|it| it.incidents.iter().map(|incident| path(incident)).collect())
    }

    /// Its latest events, at most 256 of those that the daemon holds, the oldest first: JSON each. For who may read the journal.
    #[zbus(out_args("events"))]
    async fn get_events(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<String>, Refusal> {
        Caller::of(connection, &header).await?.reads(&self.detail.roots.etc)?;
        let filter = Filter { devices: vec![self.device()], ..Filter::default() };
        self.detail.stored(filter, EVENTS_MAX, |content| matches!(content, Content::Event(_))).await
    }
}

/// An open incident.
#[derive(Debug)]
pub(super) struct IncidentObject {
    pub(super) detail: Detail,
    /// It, and the object of the device at fault.
    pub(super) shown: Shown<(Incident, String)>,
}

#[zbus::interface(name = "org.peripety1.Incident")]
impl IncidentObject {
    /// Its id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.shown.with(|it| it.0.incident_id).to_string()
    }

    /// The number of this writing.
    #[zbus(property)]
    fn revision(&self) -> u32 {
        self.shown.with(|it| it.0.revision)
    }

    /// `open` or `recovering`.
    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.shown.with(|it| it.0.state.as_str())
    }

    /// How bad.
    #[zbus(property)]
    fn severity(&self) -> &'static str {
        self.shown.with(|it| it.0.severity.as_str())
    }

    /// The cause and what is hurt, in one line.
    #[zbus(property)]
    fn summary(&self) -> String {
        self.shown.with(|it| view::summary(&it.0))
    }

    /// The device or part at fault, by its shortest name.
    #[zbus(property)]
    fn cause(&self) -> String {
        self.shown.with(|it| it.0.cause.name.clone())
    }

    /// How sure the cause is: `possible`, `likely`, `certain`.
    #[zbus(property)]
    fn certainty(&self) -> &'static str {
        self.shown.with(|it| it.0.cause.certainty.as_str())
    }

    /// The object of the device at fault; `/` if there is none.
    #[zbus(property)]
    fn block(&self) -> ObjectPath<'static> {
        self.shown.with(|it| path(&it.1))
    }

    /// What is hurt, the worst first: `data_lost`, `unavailable`, `read_only`, `data_at_risk`, `redundancy_lost`, `path_lost`,
    /// `slow`, `none`.
    #[zbus(property)]
    fn impact(&self) -> Vec<&'static str> {
        self.shown.with(|it| it.0.impact.kinds.iter().map(|kind| kind.as_str()).collect())
    }

    /// Devices that are hit, by their shortest names.
    #[zbus(property)]
    fn devices(&self) -> Vec<String> {
        self.shown.with(|it| it.0.impact.devices.clone())
    }

    /// Mount points that are hit.
    #[zbus(property)]
    fn mount_points(&self) -> Vec<String> {
        self.shown.with(|it| it.0.impact.mount_points.clone())
    }

    /// When it opened, in microseconds since 1970.
    #[zbus(property)]
    fn opened(&self) -> u64 {
        us(self.shown.with(|it| it.0.opened))
    }

    /// When its latest failure happened, in microseconds since 1970.
    #[zbus(property)]
    fn updated(&self) -> u64 {
        us(self.shown.with(|it| it.0.updated))
    }

    /// How many events it has.
    #[zbus(property)]
    fn events(&self) -> u64 {
        self.shown.with(|it| it.0.event_count)
    }

    /// How many failures they stand for.
    #[zbus(property)]
    fn failures(&self) -> u64 {
        self.shown.with(|it| it.0.failures)
    }

    /// Whether somebody said that they know of it.
    #[zbus(property)]
    fn acknowledged(&self) -> bool {
        self.shown.with(|it| it.0.acknowledged.is_some())
    }

    /// Whether it stays open until somebody says that they know of it: written data is lost.
    #[zbus(property)]
    fn needs_acknowledgement(&self) -> bool {
        self.shown.with(|it| it.0.needs_acknowledgement)
    }

    /// All of it, with its title and what to do: JSON as in incident.schema.json. For who may read the journal.
    #[zbus(out_args("incident"))]
    async fn get_details(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        Caller::of(connection, &header).await?.reads(&self.detail.roots.etc)?;
        incident_json(&self.detail, self.shown.with(|it| it.0.incident_id)).await
    }

    /// Notes that a person knows of it. Asks polkit for org.peripety1.acknowledge. The answer is the daemon's, JSON.
    #[zbus(out_args("acknowledged"))]
    async fn acknowledge(
        &self,
        reason: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        change(&self.detail, connection, &header, "ack", &self.id(), reason).await
    }

    /// Ends it: a person knows that it is over. Asks polkit for org.peripety1.resolve. The answer is the daemon's, JSON.
    #[zbus(out_args("resolved"))]
    async fn resolve(
        &self,
        reason: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        change(&self.detail, connection, &header, "resolve", &self.id(), reason).await
    }
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
