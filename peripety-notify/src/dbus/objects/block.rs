//! The object of a block device.

use peripety_client::Content;
use peripety_model::Filter;
use zbus::{Connection, ObjectPath, message::Header};

use super::path;
use crate::dbus::{
    detail::{Detail, EVENTS_MAX},
    error::Refusal,
    shown::Shown,
    view::{Block, us},
    who::Caller,
};

/// A block device.
#[derive(Debug)]
pub(in crate::dbus) struct BlockObject {
    pub(in crate::dbus) detail: Detail,
    pub(in crate::dbus) shown: Shown<Block>,
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
        self.shown.with(|it| it.id.size_sectors).unwrap_or_default().bytes()
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
