//! What the picture shows: nodes, edges, marks.

use std::collections::BTreeMap;

use peripety_model::{
    BlkId, BlkInfo, BlkType, Event, Identity, Incident,
    incident::{Member, Part},
};

use super::infer;

/// Nodes that are drawn.
const NODES_MAX: usize = 48;
/// Contents that are no filesystem of their own but a part of what lies above.
const MEMBERS: &[&str] =
    &["LVM2_member", "linux_raid_member", "mpath_member", "crypto_LUKS", "bcache", "swap"];

/// What became of a node, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// The others come of it.
    Cause,
    /// It failed as well.
    Hit,
    /// What failed lies below it and above it.
    Passed,
    /// Nothing is known to be wrong with it.
    Whole,
}

/// A device, a filesystem, or what a device hangs on.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub name: String,
    /// What it is, in words.
    pub kind: String,
    /// What is wrong with it, in words.
    pub note: String,
    pub mark: Mark,
    /// It was gone when it was looked at.
    pub gone: bool,
    /// Failures of it.
    pub count: u64,
}

/// Devices by place in `nodes`, and which lies on which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub nodes: Vec<Node>,
    /// What lies below, what lies above.
    pub edges: Vec<(usize, usize)>,
    /// Nodes that there was no room for.
    pub left_out: usize,
}

impl Graph {
    /// The devices of these events with what is known of the incident.
    pub(crate) fn of(incident: &Incident, events: &[Event]) -> Self {
        let mut graph = Building::default();
        for event in events {
            let known = |member: &&Member| member.event_id == event.event_id;
            let member = incident.events.iter().find(known);
            if let Some(block) = event.block.as_deref()
                && member.is_none_or(|member| member.relation.is_failure())
            {
                graph.take(block);
            }
        }
        graph.mark(incident);
        graph.cut()
    }

    /// In one sentence: for who cannot see the picture.
    pub(crate) fn in_words(&self) -> String {
        let of = |mark: Mark| -> Vec<String> {
            let names = self.nodes.iter().filter(|node| node.mark == mark);
            names.map(|node| format!("{} ({})", node.name, node.kind)).collect()
        };
        let part = |words: &str, names: Vec<String>| match names.as_slice() {
            [] => String::new(),
            names => format!("{words}: {}. ", names.join(", ")),
        };
        let all = [("Cause", Mark::Cause), ("Failed with it", Mark::Hit), ("Not known to fail", Mark::Whole)];
        all.map(|(words, mark)| part(words, of(mark))).concat().trim_end().to_owned()
    }
}

#[derive(Debug, Default)]
struct Building {
    nodes: Vec<Node>,
    edges: Vec<(usize, usize)>,
    /// Places of devices by number (a number can have had several) and name.
    places: BTreeMap<String, usize>,
}

impl Building {
    fn take(&mut self, block: &BlkInfo) {
        for (below, above) in infer::edges(block) {
            let edge = (self.device(below), self.device(above));
            self.join(edge);
        }
        for id in std::iter::once(&block.id).chain(&block.owners).chain(&block.holders) {
            let at = self.device(id);
            if let Some((name, kind)) = filesystem(id) {
                let above = self.node(format!("fs {name}"), || Node::new(name, kind));
                self.join((at, above));
            }
        }
    }

    fn device(&mut self, id: &BlkId) -> usize {
        let name = id.short_name();
        let at = self.node(name.clone(), || Node::new(name, words(id)));
        if let Some(node) = self.nodes.get_mut(at)
            && id.identity == Identity::Removed
        {
            node.gone = true;
        }
        at
    }

    fn node(&mut self, key: String, new: impl FnOnce() -> Node) -> usize {
        *self.places.entry(key).or_insert_with(|| {
            self.nodes.push(new());
            self.nodes.len() - 1
        })
    }

    fn join(&mut self, (below, above): (usize, usize)) {
        // A circle would have no bottom.
        if !self.edges.contains(&(below, above)) && !self.lies_on(below, above) {
            self.edges.push((below, above));
        }
    }

    /// Whether `above` is `below` or lies on it, at whatever distance.
    fn lies_on(&self, above: usize, below: usize) -> bool {
        let (mut open, mut seen) = (vec![below], vec![below]);
        while let Some(at) = open.pop() {
            let next = self.edges.iter().filter(|(from, _)| *from == at).map(|(_, to)| *to);
            for to in next {
                if !seen.contains(&to) {
                    seen.push(to);
                    open.push(to);
                }
            }
        }
        seen.contains(&above)
    }

    fn mark(&mut self, incident: &Incident) {
        for member in incident.events.iter().filter(|m| m.relation.is_failure()) {
            let Some(at) = self.of_member(member) else { continue };
            if let Some(node) = self.nodes.get_mut(at) {
                node.mark = node.mark.min(Mark::Hit);
                node.count = node.count.saturating_add(member.count);
            }
        }
        for point in &incident.impact.mount_points {
            if let Some(at) = self.places.get(&format!("fs {point}")) {
                let node = self.nodes.get_mut(*at);
                node.into_iter().for_each(|node| node.mark = node.mark.min(Mark::Hit));
            }
        }
        self.name_filesystems(&incident.impact.filesystems);
        self.mark_cause(incident);
        self.mark_passed();
        for node in &mut self.nodes {
            node.note = match node.mark {
                Mark::Cause => format!("cause: {}", incident.cause.kind.words()),
                Mark::Hit if node.count == 1 => "failed".to_owned(),
                Mark::Hit if node.count > 1 => format!("failed, {} times", node.count),
                Mark::Hit => "hurt".to_owned(),
                Mark::Passed => "passed it on".to_owned(),
                Mark::Whole => String::new(),
            };
            if node.gone {
                node.note.push_str(if node.note.is_empty() { "removed" } else { ", removed" });
            }
        }
    }

    /// Filesystems that are hurt, `dm-1 (ext4)`, of which it is not known where they are mounted: a word at their device.
    fn name_filesystems(&mut self, filesystems: &[String]) {
        for (name, kind) in filesystems.iter().filter_map(|text| text.strip_suffix(')')?.rsplit_once(" (")) {
            let Some(at) = self.places.get(name).copied() else { continue };
            let is_mounted = self.edges.iter().any(|(below, above)| {
                *below == at
                    && self.places.iter().any(|(key, place)| place == above && key.starts_with("fs "))
            });
            if let Some(node) = self.nodes.get_mut(at).filter(|_| !is_mounted) {
                node.kind =
                    if node.kind.is_empty() { kind.to_owned() } else { format!("{}, {kind}", node.kind) };
            }
        }
    }

    /// What an event is about, which the events themselves may not name.
    fn of_member(&mut self, member: &Member) -> Option<usize> {
        if member.device.is_empty() {
            return None;
        }
        let name = member.device.clone();
        Some(self.node(name.clone(), || Node::new(name, String::new())))
    }

    fn mark_cause(&mut self, incident: &Incident) {
        let cause = &incident.cause;
        if cause.name.is_empty() {
            return;
        }
        let is_new = !self.places.contains_key(&cause.name);
        let at = self.node(cause.name.clone(), || Node::new(cause.name.clone(), part(cause.part).to_owned()));
        if is_new {
            // What the devices hang on lies below all that failed and lies on nothing else.
            let failed: Vec<usize> = (0..self.nodes.len())
                .filter(|other| *other != at && !self.edges.iter().any(|(_, above)| above == other))
                .filter(|other| self.nodes.get(*other).is_some_and(|node| node.mark == Mark::Hit))
                .collect();
            failed.into_iter().for_each(|above| self.join((at, above)));
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.mark = Mark::Cause;
            if node.kind.is_empty() {
                node.kind = part(cause.part).to_owned();
            }
        }
    }

    /// What is between two that failed.
    fn mark_passed(&mut self) {
        let is_marked = |node: &Node| node.mark != Mark::Whole;
        let marked: Vec<usize> = self.places_where(is_marked);
        let whole = self.places_where(|node| !is_marked(node));
        let between = |at: &usize| {
            marked.iter().any(|below| self.lies_on(*at, *below))
                && marked.iter().any(|above| self.lies_on(*above, *at))
        };
        let between: Vec<usize> = whole.into_iter().filter(between).collect();
        for at in between {
            self.nodes.get_mut(at).into_iter().for_each(|node| node.mark = Mark::Passed);
        }
    }

    fn places_where(&self, is: impl Fn(&Node) -> bool) -> Vec<usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| is(node)).map(|(at, _)| at).collect()
    }

    /// No more nodes than have room: first those that failed, then those beside them.
    fn cut(self) -> Graph {
        let Self { nodes, edges, .. } = self;
        let beside = |at: usize| {
            let is_marked = |n: usize| nodes.get(n).is_some_and(|node| node.mark != Mark::Whole);
            edges.iter().any(|(a, b)| (*a == at && is_marked(*b)) || (*b == at && is_marked(*a)))
        };
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by_key(|at| (nodes.get(*at).map(|node| node.mark), !beside(*at), *at));
        order.truncate(NODES_MAX);
        order.sort_unstable();
        let place = |at: usize| order.iter().position(|kept| *kept == at);
        let edges = edges.iter().filter_map(|(a, b)| Some((place(*a)?, place(*b)?))).collect();
        let left_out = nodes.len() - order.len();
        let kept = order.iter().filter_map(|at| nodes.get(*at).cloned()).collect();
        Graph { nodes: kept, edges, left_out }
    }
}

impl Node {
    fn new(name: String, kind: String) -> Self {
        Self { name, kind, note: String::new(), mark: Mark::Whole, gone: false, count: 0 }
    }
}

/// The filesystem of a device: where it is mounted, what it is.
fn filesystem(id: &BlkId) -> Option<(String, String)> {
    if MEMBERS.contains(&id.fs_type.as_str()) {
        return None;
    }
    let more = match id.mount_points.len() {
        0 | 1 => String::new(),
        n => format!(", {} more mounts", n - 1),
    };
    let point = id.mount_points.first()?;
    let label = if id.label.is_empty() { String::new() } else { format!(" '{}'", id.label) };
    let kind = if id.fs_type.is_empty() { "filesystem" } else { &id.fs_type };
    Some((point.clone(), format!("{kind}{label}{more}")))
}

/// What a device is.
fn words(id: &BlkId) -> String {
    let kind = match id.blk_type {
        BlkType::Scsi => "SCSI disk",
        BlkType::ScsiRom => "optical drive",
        BlkType::Nvme => "NVMe",
        BlkType::Virtio => "virtio disk",
        BlkType::Partition | BlkType::DmPartition => "partition",
        BlkType::DmMultipath => "multipath",
        BlkType::DmLvm => "LVM volume",
        BlkType::DmLvmInternal => "part of an LVM volume",
        BlkType::DmThinPool => "thin pool",
        BlkType::DmCrypt => "dm-crypt",
        BlkType::DmRaid => "dm-raid",
        BlkType::Dm => "device-mapper",
        BlkType::Md => "md",
        BlkType::Loop => "loop device",
        BlkType::Nbd => "network block device",
        BlkType::Zram => "zram",
        BlkType::Ram => "RAM disk",
        BlkType::Mmc => "MMC or SD card",
        BlkType::Bcache => "bcache",
        BlkType::Drbd => "DRBD",
        BlkType::Rbd => "RADOS block device",
        BlkType::Pmem => "persistent memory",
        BlkType::Dasd => "DASD",
        BlkType::Other => "",
    };
    let more = [&id.raid_level, &id.model].into_iter().find(|text| !text.is_empty());
    match more {
        Some(more) if kind.is_empty() => more.clone(),
        Some(more) => format!("{kind}, {more}"),
        None => kind.to_owned(),
    }
}

/// What a cause is, where it is no device.
const fn part(part: Part) -> &'static str {
    match part {
        Part::Device => "",
        Part::Port => "port",
        Part::Controller => "NVMe controller",
        Part::Session => "iSCSI session",
        Part::Portal => "portal",
        Part::TargetPort => "target port",
        Part::Expander => "SAS expander",
        Part::Enclosure => "enclosure",
        Part::HostPort => "host port",
        Part::Adapter => "host adapter",
        Part::Network => "network",
        Part::Hypervisor => "hypervisor",
        Part::Pool => "pool",
        Part::Server => "server",
        Part::Software => "software",
    }
}
