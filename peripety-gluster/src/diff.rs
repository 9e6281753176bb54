//! What differs between two snapshots.

use std::collections::BTreeMap;

use crate::{
    change::{Change, Subject, What},
    snapshot::{Brick, Snapshot, Status, Volume},
};

/// Why bricks went, by `(volume or empty, path)`.
pub type Reasons = BTreeMap<(String, String), String>;

/// How long nodes take at most to see the same thing, but for those at the border of two of these spans; seconds.
const SPAN_S: u64 = 300;

/// All that changed until `time_s`, in seconds since 1970. Of a node's first snapshot only what is wrong in it is a change.
pub fn changes(before: Option<&Snapshot>, now: &Snapshot, reasons: &Reasons, time_s: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    let empty = BTreeMap::new();
    let volumes = before.map_or(&empty, |before| &before.volumes);
    for (name, volume) in volumes {
        // A name that was taken anew is another volume.
        if now.volumes.get(name).is_none_or(|now| now.id != volume.id) {
            changes.push(cluster(name, volume, What::Deleted, "deleted"));
        }
    }
    for (name, volume) in &now.volumes {
        let known = volumes.get(name).filter(|known| known.id == volume.id);
        if before.is_some() && known.is_none() {
            let what = What::Created { kind: volume.kind.clone(), bricks: volume.bricks.len() };
            changes.push(cluster(name, volume, what, "created"));
        }
        let mut about = About { name, now: volume, known, span: time_s / SPAN_S, changes: &mut changes };
        if let Some(known) = known {
            about.definition(known);
        }
        about.status(before.is_some());
        about.bricks(&now.node, reasons);
        about.sets();
        about.heal();
    }
    peers(before, now, &mut changes);
    changes
}

fn cluster(name: &str, volume: &Volume, what: What, kind: &str) -> Change {
    // A volume is made once and deleted once; a node that was away then knows another version of it.
    let version = if matches!(what, What::Created { .. } | What::Deleted) { 0 } else { volume.version };
    let occurrence = format!("{}/{kind}/{version}", volume.id);
    Change::of_cluster(Subject::Volume(name.to_owned()), what, &occurrence)
}

/// One volume before and now.
struct About<'a> {
    name: &'a str,
    now: &'a Volume,
    known: Option<&'a Volume>,
    span: u64,
    changes: &'a mut Vec<Change>,
}

impl About<'_> {
    fn cluster(&mut self, what: What, kind: &str) {
        self.changes.push(cluster(self.name, self.now, what, kind));
    }

    /// Of what comes and goes with no new version of the definition.
    fn passing(&mut self, what: What, kind: &str) {
        let kind = format!("{kind}/{}", self.span);
        self.cluster(what, &kind);
    }

    fn definition(&mut self, known: &Volume) {
        for (name, value) in &self.now.options {
            if known.options.get(name) != Some(value) {
                let what = What::Option { name: name.clone(), value: Some(value.clone()) };
                self.cluster(what, &format!("option {name}"));
            }
        }
        for name in known.options.keys().filter(|name| !self.now.options.contains_key(*name)) {
            let what = What::Option { name: name.clone(), value: None };
            self.cluster(what, &format!("option {name}"));
        }
        let has = |volume: &Volume, brick: &Brick| volume.bricks.iter().any(|b| b.name() == brick.name());
        for brick in self.now.bricks.iter().filter(|brick| !has(known, brick)) {
            self.cluster(What::BrickAdded(brick.name()), &format!("added {}", brick.name()));
        }
        for brick in known.bricks.iter().filter(|brick| !has(self.now, brick)) {
            self.cluster(What::BrickRemoved(brick.name()), &format!("removed {}", brick.name()));
        }
        if known.snapshots != self.now.snapshots {
            self.cluster(What::Snapshots(self.now.snapshots), "snapshots");
        }
    }

    fn status(&mut self, is_known_cluster: bool) {
        let before = match self.known {
            Some(known) => known.status,
            // A volume that is new was made before it was started.
            None if is_known_cluster => Status::Created,
            None => return,
        };
        match (before, self.now.status) {
            (Status::Started, Status::Stopped | Status::Created) => self.cluster(What::Stopped, "stopped"),
            (Status::Created | Status::Stopped, Status::Started) => self.cluster(What::Started, "started"),
            _ => {}
        }
    }

    fn serves(&self) -> bool {
        self.now.status == Status::Started
    }

    /// The bricks of this node: of the others their own nodes report.
    fn bricks(&mut self, node: &str, reasons: &Reasons) {
        let was = |brick: &Brick| {
            let known = self.known.filter(|known| known.status == Status::Started)?;
            known.bricks.iter().find(|b| b.node == brick.node && b.path == brick.path)?.online
        };
        if !self.serves() {
            return;
        }
        for brick in self.now.bricks.iter().filter(|brick| brick.node == node) {
            let Some(set) = self.now.set_of(node, &brick.path).map(|set| self.now.standing(set)) else {
                continue;
            };
            let (name, device) = (brick.name(), brick.device.clone());
            let what = match (was(brick), brick.online) {
                (None | Some(true), Some(false)) => {
                    let reason = |volume: &str| reasons.get(&(volume.to_owned(), brick.path.clone()));
                    let why = reason(self.name).or_else(|| reason("")).cloned();
                    What::BrickDown { brick: name, why, set, device }
                }
                (Some(false), Some(true)) => What::BrickUp { brick: name, set, device },
                _ => continue,
            };
            self.changes.push(Change::of_node(Subject::Volume(self.name.to_owned()), what));
        }
    }

    /// Sets of several bricks with too few of them. With one that did not come up yet nothing is lost that was there.
    fn sets(&mut self) {
        if self.now.set_size() < 2 || !self.serves() {
            return;
        }
        let known = self.known.filter(|known| known.status == Status::Started);
        let served = |first: &Brick| {
            let known = known?;
            let set = known.set_of(&first.node, &first.path)?;
            Some(known.standing(set).serves())
        };
        let mut found = Vec::new();
        for set in self.now.sets() {
            let Some(first) = set.first() else { continue };
            let (standing, name) = (self.now.standing(set), first.name());
            match (served(first), standing.serves()) {
                (None | Some(true), false) => found.push(What::QuorumLost { first: name, set: standing }),
                (Some(false), true) => found.push(What::QuorumMet { first: name, set: standing }),
                _ => {}
            }
        }
        for what in found {
            let kind = match &what {
                What::QuorumLost { first, .. } => format!("quorum lost {first}"),
                _ => "quorum met".to_owned(),
            };
            self.passing(what, &kind);
        }
    }

    fn heal(&mut self) {
        let Some(now) = self.now.heal else { return };
        let before = self.known.and_then(|known| known.heal).unwrap_or_default();
        match (before.pending, now.pending) {
            (0, 1..) => self.passing(What::HealPending(now.pending), "heal"),
            (1.., 0) => self.passing(What::Healed, "healed"),
            _ => {}
        }
        match (before.split_brain, now.split_brain) {
            (was, is) if is > was => self.passing(What::SplitBrain(is), "split-brain"),
            (1.., 0) => self.passing(What::SplitBrainEnded, "split-brain ended"),
            _ => {}
        }
    }
}

fn peers(before: Option<&Snapshot>, now: &Snapshot, changes: &mut Vec<Change>) {
    let mut report = |host: &str, what| {
        changes.push(Change::of_node(Subject::Peer(host.to_owned()), what));
    };
    for (id, peer) in &now.peers {
        let known = before.and_then(|before| before.peers.get(id));
        if before.is_some() && known.is_none() {
            report(&peer.host, What::PeerAdded);
        }
        match (known.map(|known| known.connected), peer.connected) {
            (None | Some(true), false) => report(&peer.host, What::PeerDisconnected),
            (Some(false), true) => report(&peer.host, What::PeerConnected),
            _ => {}
        }
    }
    let gone = before.into_iter().flat_map(|before| &before.peers);
    for (_, peer) in gone.filter(|(id, _)| !now.peers.contains_key(*id)) {
        report(&peer.host, What::PeerRemoved);
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
pub(crate) mod tests;
