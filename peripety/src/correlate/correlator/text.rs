//! Lines of text: to the failure that they are about.

use super::{
    super::{
        doubt,
        fault::{Fault, refines},
        fold::{Fold, Origin},
        fold_table::FoldId,
        key::{FoldKey, Scope},
        matching::{
            self, Match, View,
            ata::{is_ata_command, is_exception},
            command::is_command,
            daemon_log,
            filesystem::{ext4_key, names_member},
            line::{
                MEMBER_FAILED, errno_of, fault_of, is_bare_command, is_chain, is_nameless, is_of_chain,
                opens_chain, probes_for, senses,
            },
            report,
            scsi::CARRIERS,
            suppressed,
        },
        waiting_lines::Line,
    },
    Context, Correlator, detail, event_builder, scope,
};
use crate::{
    block::Identity,
    event::{EventType, Op, Severity},
    parser::{Farewell, RawEvent, report::is_report, scsi::ScsiFault, source_name},
    record::Stamp,
};

impl Correlator {
    /// What a line of text says.
    pub(crate) fn text(&mut self, raw: RawEvent, cx: &mut Context<'_>) {
        self.left.note(&raw, cx.facts);
        if raw.event_type == EventType::PERIPETY_EVENTS_LOST {
            return self.suppressed(raw, cx);
        }
        if raw.program {
            return self.program(raw, cx);
        }
        let mut raw = raw;
        if raw.event_type == EventType::NVME_CONTROLLER_RECOVERED {
            let Some(outage) = self.nvme_outages.end(&raw.kdev.to_text()) else { return };
            if outage.is_path {
                raw.event_type = EventType::NVME_PATH_RECOVERED;
            }
        }
        // Each session that is opened says so, also the first.
        if raw.event_type == EventType::CEPH_CONNECTION_RESTORED
            && !self.is_open(&EventType::CEPH_CONNECTION_LOST)
        {
            return;
        }
        let scope = scope(&raw, event_builder::device(&raw, cx.facts).as_deref());
        self.end(&raw, scope, cx);
        self.note_mended(&raw, scope);
        if names_member(&raw).is_some() {
            return self.bad_copy(raw, scope, cx);
        }
        let mut found = matching::decide(&self.view(), &raw, scope);
        if let Match::Join(place) = found {
            found = match self.if_not_over(place, &raw, cx) {
                Some(place) => Match::Join(place),
                None => matching::decide(&self.view(), &raw, scope),
            };
        }
        match found {
            Match::Join(place) => self.attach(place, &raw, scope),
            Match::Wait => {
                if let Some(line) = self.waiting_lines.push(raw, scope, self.now_ns) {
                    self.unmatched(line, cx);
                }
            }
            Match::Open => self.open_text(raw, scope, cx),
            Match::Ignore => {}
        }
    }

    /// What matchers see.
    pub(super) fn view(&self) -> View<'_> {
        View { table: &self.table, held: &self.waiting_lines, live: self.live }
    }

    /// Whether any event of a type is open.
    fn is_open(&self, event_type: &EventType) -> bool {
        let is = |place| self.table.get(place).is_some_and(|fold| fold.event().event_type == *event_type);
        self.table.oldest_first().into_iter().any(is)
    }

    /// Somebody asked for something to go. The driver says the same of a controller that it gave up.
    pub(crate) fn farewell(&mut self, said: &Farewell<'_>, time: Stamp, cx: &Context<'_>) {
        let at_ns = time.monotonic_ns.unwrap_or(self.now_ns);
        if self.nvme_outages.was_down(said.name, at_ns.saturating_sub(super::GOING_NS)) {
            return;
        }
        let block = cx.facts.by_name(said.name, time.monotonic_ns);
        self.asked.note(said, block.as_deref(), at_ns);
    }

    /// A line that waited in vain: the record was lost, or the failure was before the probe.
    pub(super) fn unmatched(&mut self, line: Line, cx: &mut Context<'_>) {
        if line.raw.program {
            return self.program_alone(line, cx);
        }
        if is_report(&line.raw) {
            return self.report_alone(line, cx);
        }
        match self.open_target(&line.raw, line.scope, cx) {
            Some(place) => self.attach(place, &line.raw, line.scope),
            // A command of which nobody says that it failed.
            None if is_bare_command(&line.raw) => {}
            None => self.open_text(line.raw, line.scope, cx),
        }
    }

    /// Whether a line claims of a device that is there what its probe would have seen, and did not.
    pub(super) fn is_contradicted(&self, line: &Line, cx: &Context<'_>) -> bool {
        let is_there = || {
            event_builder::device(&line.raw, cx.facts)
                .is_some_and(|block| !block.id.dev.is_none() && block.id.identity != Identity::Removed)
        };
        doubt::may_be(line, self.live) && self.silence.contradicts(line, self.now_ns) && is_there()
    }

    /// From now on for a while no line is doubted, and none that was and may still have its record.
    pub(super) fn silence_says_nothing(&mut self, now_ns: u64) {
        self.silence.is_unsure(now_ns);
        for place in self.table.oldest_first() {
            if let Some(fold) = self.table.get_mut(place).filter(|fold| !fold.event().confirmed) {
                fold.confirm();
                self.table.write_again(place, self.now_ns);
            }
        }
    }

    /// Whether a fold is about a request of which only a line reports, and that another one than this.
    pub(super) fn is_of_other_request(&self, place: FoldId, rq: &matching::probe_request::Request) -> bool {
        self.table.get(place).is_some_and(|fold| {
            !fold.event().confirmed
                && rq.op != Op::Flush
                && rq.sector.is_none_or(|sector| !fold.has_sector(sector))
        })
    }

    /// Gives a new event the lines that wait for it.
    pub(super) fn attach_held(&mut self, place: FoldId) {
        if self.waiting_lines.is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut self.waiting_lines);
        // The first lines of a chain name the command that the others are about.
        loop {
            let lines = held.take(|line| {
                let target = if line.raw.program {
                    daemon_log::seek(&self.view(), &line.raw, line.scope)
                } else if is_report(&line.raw) {
                    report::seek(&self.view(), &line.raw, line.scope)
                } else {
                    matching::seek(&self.view(), &line.raw, line.scope)
                };
                target == Some(place)
            });
            if lines.is_empty() {
                break;
            }
            for line in lines {
                if line.raw.program {
                    self.add_words(place, &line.raw);
                    continue;
                }
                if is_report(&line.raw) {
                    self.add_report(place, &line.raw);
                    continue;
                }
                self.attach(place, &line.raw, line.scope);
            }
        }
        self.waiting_lines = held;
    }

    fn open_text(&mut self, mut raw: RawEvent, mut scope: Scope, cx: &mut Context<'_>) {
        if is_nameless(&raw) {
            self.name_array(&mut raw, cx);
            scope = super::scope(&raw, event_builder::device(&raw, cx.facts).as_deref());
        }
        if self.join_command(&raw, scope, cx) {
            return;
        }
        let key = FoldKey::typed(scope, raw.event_type.as_str(), detail(&raw));
        let mut keys = vec![key];
        let fault = fault_of(&raw);
        let request = errno_of(&raw);
        if let Some(errno) = request {
            let op = raw.io.as_ref().map_or(Op::Unknown, |io| io.op);
            keys.extend([FoldKey::block(scope, op, errno, None), FoldKey::latest_request(scope)]);
        } else if is_chain(&raw) {
            keys.push(FoldKey::latest_request(scope));
            keys.extend(fault.map(|fault| FoldKey::driver(scope, Fault::Scsi(fault))));
        }
        keys.extend(ext4_key(&raw, scope));
        if MEMBER_FAILED.contains(&raw.event_type) {
            keys.push(FoldKey::typed(Scope::name(""), EventType::MD_DISK_FAILED.as_str(), 0));
        }
        let block = event_builder::device(&raw, cx.facts);
        // The lines that came before this one stand before it.
        let own =
            if super::opening::happens_once(&raw.event_type, &keys) { None } else { raw.raw_msg.take() };
        let covered = self.live.covers(probes_for(&raw), raw.time.monotonic_ns);
        let origin = if covered { Origin::Text } else { Origin::TextAlone };
        if request.is_none() && self.goes_with_the_rest(&raw, scope, block.as_ref(), origin, None, cx) {
            return;
        }
        let senses = self.senses(&raw, scope);
        let Some(place) = self.open(&raw, block, &keys, origin, None, cx) else { return };
        if let Some(fold) = self.table.get_mut(place) {
            if let Some(is_path_state) = senses {
                fold.sensed(is_path_state);
            }
            fold.has_requests = request.is_some();
            fold.fault = fault.filter(|_| request.is_none()).map(Fault::Scsi);
        }
        self.attach_held(place);
        if let (Some(own), Some(fold)) = (own, self.table.get_mut(place)) {
            fold.line(&own);
        }
    }

    fn open_target(&mut self, raw: &RawEvent, scope: Scope, cx: &mut Context<'_>) -> Option<FoldId> {
        let place = matching::seek(&self.view(), raw, scope)?;
        self.if_not_over(place, raw, cx).or_else(|| matching::seek(&self.view(), raw, scope))
    }

    /// An event that a line is about, unless it was quiet for so long that it is over: then it is closed.
    fn if_not_over(&mut self, place: FoldId, raw: &RawEvent, cx: &mut Context<'_>) -> Option<FoldId> {
        let key = *self.table.get(place)?.keys.first()?;
        self.open_at(&key, raw.time, cx)
    }

    /// Adds a line to the event it is about.
    fn attach(&mut self, place: FoldId, raw: &RawEvent, scope: Scope) {
        let covered = self.live.covers(probes_for(raw), raw.time.monotonic_ns);
        let senses = self.senses(raw, scope);
        let Some(fold) = self.table.get_mut(place) else { return };
        let first_line = fold.event().raw_msgs.is_empty() && fold.is_out();
        fold.learn(raw);
        if let Some(is_path_state) = senses {
            fold.sensed(is_path_state);
        }
        fold.kernel_knows_better(raw);
        if first_line {
            self.table.write_again(place, self.now_ns);
        }
        let Some(fold) = self.table.get_mut(place) else { return };
        // A sense line makes the failed request more precise.
        let was = fold.fault;
        let is_sharper = |fault: &ScsiFault| {
            was.is_none_or(|was| fault.is_change() && was.scsi().is_some_and(|was| CARRIERS.contains(&was)))
        };
        if let Some(fault) = fault_of(raw).filter(|fault| is_chain(raw) && is_sharper(fault)) {
            if fold.errno().is_none_or(|errno| refines(fault, errno)) {
                fold.refine(fault.event_type(), Some(Fault::Scsi(fault)));
                let keys = [
                    FoldKey::driver(scope, Fault::Scsi(fault)),
                    FoldKey::typed(scope, fault.event_type().as_str(), 0),
                ];
                for key in keys {
                    self.table.add_key(place, key);
                }
            }
        } else if knows_better(fold, raw, scope) {
            fold.refine_type(raw);
        }
        self.refine_by_command(place, raw, scope);
        let Some(fold) = self.table.get_mut(place) else { return };
        let counted_elsewhere = raw.uncounted
            || is_nameless(raw)
            || (fold.has_requests && is_command(raw))
            || (is_exception(fold) && is_ata_command(raw))
            || (fold.has_probe() && covered)
            || (is_chain(raw) && !opens_chain(raw, fold.has_requests));
        let origin = if covered { Origin::Text } else { Origin::TextAlone };
        if !counted_elsewhere {
            let sectors = raw.io.as_ref().and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))));
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.add(origin, raw.count, raw.time, sectors);
            }
            self.state_ends(&raw.event_type, &[FoldKey::typed(scope, raw.event_type.as_str(), 0)]);
        }
    }

    /// Whether a line says that a path is not the active one: by its sense, or, of a page that could not be read, because the
    /// request that was to read it was answered so.
    fn senses(&self, raw: &RawEvent, scope: Scope) -> Option<bool> {
        if raw.event_type != EventType::BLK_BUFFER_IO_ERROR {
            return senses(raw);
        }
        let request =
            self.table.find(&FoldKey::latest_request(scope)).and_then(|place| self.table.get(place));
        Some(request.is_some_and(|request| request.is_path_state() && is_of_chain(raw.time, request)))
    }

    /// The kernel says how many lines it left out. Where a probe counts the same failures, no failure is lost by it.
    fn suppressed(&mut self, mut raw: RawEvent, cx: &mut Context<'_>) {
        match suppressed::counted_by(self.live, &raw) {
            Some(kind) => {
                raw.severity = Severity::Info;
                raw.facts.loss.get_or_insert_default().counted_by = Some(source_name(kind).to_owned());
            }
            None => self.lost_before = self.lost_before.saturating_add(raw.count),
        }
        self.plain(&raw, Scope::name(""), None, Origin::TextAlone, cx);
    }
}

/// Whether a line gives a more precise type than the probe that opened the event could.
fn knows_better(fold: &Fold, raw: &RawEvent, scope: Scope) -> bool {
    let event_type = &fold.event().event_type;
    (is_ata_command(raw) && *event_type == EventType::ATA_COMMAND_ERROR)
        || (is_ata_command(raw) && is_exception(fold) && raw.severity.at_least(Severity::Error))
        || (ext4_key(raw, scope).is_some() && *event_type == EventType::FS_ERROR)
}
