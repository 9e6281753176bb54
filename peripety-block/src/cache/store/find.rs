//! Finds the generation of a device: by number, name, path, controller or session, at a time.

use super::{
    super::{
        super::{Dev, Transport},
        node::{Gen, Node},
    },
    FALL_NS, PROBE_NS, Store,
};

impl Store {
    /// The generation that had this number at that time.
    pub(in crate::cache) fn find_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Gen> {
        if dev.is_anonymous() {
            return self.anonymous.get(&dev)?.first().copied();
        }
        self.pick(self.by_dev.get(&dev)?, at_ns, false)
    }

    /// The generation that had this name at that time.
    pub(in crate::cache) fn find_name(&self, name: &str, at_ns: Option<u64>) -> Option<Gen> {
        self.pick(self.by_name.get(name)?, at_ns, name.contains(':'))
    }

    /// The live device to which a path below /dev leads; `path` without the `/dev/`.
    pub(in crate::cache) fn find_path(&self, path: &str) -> Option<Gen> {
        self.paths.get(path).copied()
    }

    /// The one namespace that an NVMe controller reaches or did, with the way to it. None where there are several: what is
    /// said of the controller is said of all of them.
    pub(in crate::cache) fn find_controller(
        &self,
        name: &str,
        at_ns: Option<u64>,
    ) -> Option<(Gen, Transport)> {
        let just_gone = |at: &&Gen| {
            let until = self.nodes.get(at).and_then(|node| node.valid_until);
            until.zip(at_ns).is_some_and(|(until, now)| now.saturating_sub(until) < FALL_NS)
        };
        let gone = self.gone.iter().rev().take_while(just_gone);
        let mut found = (self.live_by_dev.values().chain(gone))
            .filter(|at| self.was_there(**at, at_ns))
            .filter_map(|at| Some((*at, self.nodes.get(at)?.way(name)?.clone())));
        let first = found.next()?;
        let other = found.find(|(at, _)| self.names_differ(*at, first.0));
        other.is_none().then_some(first)
    }

    fn names_differ(&self, one: Gen, other: Gen) -> bool {
        let name = |at: &Gen| self.nodes.get(at).map(|node| node.device.name.as_str());
        name(&one) != name(&other)
    }

    /// The first live disk that an iSCSI session (`session1`) reaches.
    pub(in crate::cache) fn find_session(&self, name: &str) -> Option<Gen> {
        let reached =
            |at: &Gen| match self.nodes.get(at).map(|node| (&node.device.id.transport, node.device.hctl)) {
                Some((Some(Transport::Iscsi { session, .. }), hctl)) if session == name => Some((hctl, *at)),
                _ => None,
            };
        if !name.starts_with("session") {
            return None;
        }
        self.live().iter().filter_map(reached).min_by_key(|(hctl, at)| (*hctl, *at)).map(|(_, at)| at)
    }

    /// Whether the generation had its names at that time.
    pub(in crate::cache) fn was_there(&self, at: Gen, at_ns: Option<u64>) -> bool {
        self.pick(&[at], at_ns, false).is_some()
    }

    /// The generation of that time. Between two generations a record belongs to the nearer one: errors trail the removal of
    /// a device, and the first read of a new one comes before its announcement. An address on a bus is `exact`: no disk in
    /// another place can be meant.
    fn pick(&self, generations: &[Gen], at_ns: Option<u64>, exact: bool) -> Option<Gen> {
        // Nothing fails on a loop device without a file: what did is of the file that it is about to get, or had.
        let could_fail = |node: &&Node| at_ns.is_none() || !node.is_empty_loop();
        let spans = || {
            let nodes = generations.iter().filter_map(|at| Some((*at, self.nodes.get(at)?)));
            nodes.filter(|(_, node)| could_fail(node)).map(|(at, n)| (at, n.valid_from, n.valid_until))
        };
        let Some(at_ns) = at_ns else { return spans().next_back().map(|(at, ..)| at) };
        if let Some((at, ..)) =
            spans().rfind(|(_, from, until)| *from <= at_ns && until.is_none_or(|until| at_ns < until))
        {
            return Some(at);
        }
        let successor = |at: &Gen| {
            let known = self.nodes.get(at).and_then(|node| node.successor);
            known.filter(|next| next.from <= at_ns && (next.same_place || !exact))
        };
        if spans().any(|(at, ..)| successor(&at).is_some_and(|next| at_ns < next.came)) {
            return None;
        }
        let answers = |at: &Gen| successor(at).is_none();
        let before = spans()
            .rev()
            .filter(|(at, ..)| answers(at))
            .find_map(|(at, _, until)| until.filter(|u| *u <= at_ns).map(|u| (at, at_ns - u)));
        let after = spans().find(|(_, from, _)| *from > at_ns).map(|(at, from, _)| (at, from - at_ns));
        match (before, after.filter(|(_, ahead)| *ahead <= PROBE_NS)) {
            (Some((old, since)), Some((new, ahead))) => Some(if since <= ahead { old } else { new }),
            (Some((old, _)), None) => Some(old),
            (None, new) => new.map(|(new, _)| new),
        }
    }
}
