//! Changes onto the bus: objects, properties, signals.

use std::{borrow::Cow, collections::HashMap};

use peripety_client::Item;
use peripety_model::{Event, Incident};
use zbus::{
    Connection, ObjectPath, Variant,
    fdo::Properties,
    object_server::{Interface, SignalEmitter},
};

use super::{
    detail::Detail,
    names,
    objects::{BlockObject, IncidentObject, ManagerObject},
    shown::Shown,
    tree::{Change, Tree},
    view::{self, More},
};

/// The bus.
pub(super) struct Bus {
    connection: Connection,
    detail: Detail,
    dropped: u64,
    missed: u64,
}

impl Bus {
    pub(super) fn new(connection: &Connection, detail: Detail) -> Self {
        Self { connection: connection.clone(), detail, dropped: 0, missed: 0 }
    }

    fn manager(&self) -> zbus::Result<SignalEmitter<'static>> {
        SignalEmitter::new(&self.connection, names::MANAGER)
    }

    /// Whether the daemon runs, and what is open.
    pub(super) async fn daemon(&self, running: bool, tree: &Tree) -> zbus::Result<()> {
        let open = tree.open();
        let worst = open.first().map_or("", |incident| incident.severity.as_str());
        let count = u32::try_from(open.len()).unwrap_or(u32::MAX);
        self.put(names::MANAGER, move |manager: &ManagerObject| {
            manager.shown.with(|it| (it.daemon, it.open, it.worst) = (running, count, worst));
        })
        .await
    }

    /// What did not come, before the item that says so.
    pub(super) async fn counts(&mut self, item: &Item, says: bool) -> zbus::Result<()> {
        let (dropped, missed) = (item.dropped(), item.missed());
        if (dropped, missed) == (self.dropped, self.missed) {
            return Ok(());
        }
        let more = dropped > self.dropped;
        (self.dropped, self.missed) = (dropped, missed);
        self.put(names::MANAGER, move |manager: &ManagerObject| {
            manager.shown.with(|it| (it.dropped, it.missed) = (dropped, missed));
        })
        .await?;
        if more && says {
            self.lost("the bus takes signals more slowly than events come").await?;
        }
        Ok(())
    }

    /// Says that signals are missing.
    pub(super) async fn lost(&self, why: &str) -> zbus::Result<()> {
        ManagerObject::events_lost(&self.manager()?, self.dropped, self.missed, why).await
    }

    /// Does it all; signals only if they are wanted.
    pub(super) async fn apply(&self, changes: Vec<Change>, item: &Item, signals: bool) -> zbus::Result<()> {
        let server = self.connection.object_server();
        let detail = || self.detail.clone();
        for change in changes {
            match change {
                Change::AddBlock(view) => {
                    server
                        .at(view.path.clone(), BlockObject { detail: detail(), shown: Shown::new(view) })
                        .await?;
                }
                Change::UpdateBlock(view) => {
                    let path = view.path.clone();
                    self.put(&path, move |object: &BlockObject| object.shown.with(|it| *it = view)).await?;
                }
                Change::RemoveBlock(path) => {
                    server.remove::<BlockObject, _>(path).await?;
                }
                Change::AddIncident(incident, block) => {
                    let path = names::incident(incident.incident_id);
                    let object = IncidentObject { detail: detail(), shown: Shown::new((*incident, block)) };
                    server.at(path, object).await?;
                }
                Change::UpdateIncident(incident, block) => {
                    let path = names::incident(incident.incident_id);
                    self.put(&path, move |object: &IncidentObject| {
                        object.shown.with(|it| *it = (*incident, block));
                    })
                    .await?;
                }
                Change::RemoveIncident(path) => {
                    server.remove::<IncidentObject, _>(path).await?;
                }
                Change::Occurred(event, block) if signals => self.occurred(&event, &block, item).await?,
                Change::Opened(incident) if signals => self.incident("opened", &incident, item).await?,
                Change::Changed(incident) if signals => self.incident("changed", &incident, item).await?,
                Change::Resolved(incident) if signals => self.incident("resolved", &incident, item).await?,
                Change::Occurred(..) | Change::Opened(_) | Change::Changed(_) | Change::Resolved(_) => {}
            }
        }
        Ok(())
    }

    fn counted(&self, mut more: More, item: &Item) -> More {
        more.insert("dropped", Variant::from(self.dropped));
        more.insert("missed", Variant::from(self.missed));
        if let Some(sequence) = item.sequence() {
            more.insert("sequence", Variant::from(sequence));
        }
        more
    }

    async fn occurred(&self, event: &Event, block: &str, item: &Item) -> zbus::Result<()> {
        let more = self.counted(view::of_event(event), item);
        ManagerObject::event_occurred(
            &self.manager()?,
            &event.event_id.to_string(),
            event.revision,
            event.event_type.as_str(),
            event.severity.as_str(),
            &ObjectPath::try_from(block)?,
            &more,
        )
        .await
    }

    async fn incident(&self, what: &str, incident: &Incident, item: &Item) -> zbus::Result<()> {
        let (emitter, more) = (self.manager()?, self.counted(view::of_incident(incident), item));
        let path = ObjectPath::try_from(names::incident(incident.incident_id))?;
        let (id, severity) = (incident.incident_id.to_string(), incident.severity.as_str());
        let (revision, summary) = (incident.revision, view::summary(incident));
        match what {
            "opened" => {
                ManagerObject::incident_opened(&emitter, &path, &id, revision, severity, &summary, &more)
                    .await
            }
            "changed" => {
                ManagerObject::incident_changed(&emitter, &path, &id, revision, severity, &summary, &more)
                    .await
            }
            _ => {
                ManagerObject::incident_resolved(&emitter, &path, &id, revision, severity, &summary, &more)
                    .await
            }
        }
    }

    /// Changes an object, and says in one signal which of its properties are different.
    async fn put<I: Interface>(&self, path: &str, set: impl FnOnce(&I)) -> zbus::Result<()> {
        let server = self.connection.object_server();
        let reference = server.interface::<_, I>(path).await?;
        let emitter = reference.signal_emitter();
        let (before, after) = {
            let object = reference.get().await;
            let before = object.get_all(server, &self.connection, None, emitter).await?;
            set(&object);
            (before, object.get_all(server, &self.connection, None, emitter).await?)
        };
        let differs = |(name, value): &(&String, &zbus::OwnedVariant)| before.get(*name) != Some(*value);
        let mut changed = HashMap::new();
        for (name, value) in after.iter().filter(differs) {
            changed.insert(name.as_str(), Variant::try_from(value)?);
        }
        if changed.is_empty() {
            return Ok(());
        }
        Properties::properties_changed(emitter, I::name(), changed, Cow::Borrowed(&[])).await
    }
}
