//! The object of an open incident.

use peripety_model::Incident;
use zbus::{Connection, ObjectPath, message::Header};

use super::path;
use crate::dbus::{
    act::{change, json},
    detail::Detail,
    error::Refusal,
    shown::Shown,
    view::{self, us},
    who::Caller,
};

/// An open incident.
#[derive(Debug)]
pub(in crate::dbus) struct IncidentObject {
    pub(in crate::dbus) detail: Detail,
    /// It, and the object of the device at fault.
    pub(in crate::dbus) shown: Shown<(Incident, String)>,
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
        self.shown.with(|it| json(&it.0))
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
