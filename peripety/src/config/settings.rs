//! The keys of the configuration.

use std::collections::BTreeMap;

use peripety_common::Kind;

use super::Config;
use crate::incident::signs::{COUNT_MAX, KINDS, LONGEST_S, Limits, QUIET_MAX_S};
use crate::notifier::memory;
use crate::parser::rules::{
    Author, Problem, RULES_MAX, rules_of,
    toml_doc::{Doc, Table},
};

/// `[main]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Main {
    /// Print events on standard output.
    pub notify_stdout: bool,
    /// Save events to journald.
    pub save_to_journald: bool,
    /// Report about every block device at start, as PERIPETY_BLK_INFO events.
    pub dump_blk_info_at_start: bool,
    /// Notifiers that report humans speak only when something goes wrong or is right again, not of each repetition.
    pub notify_only_changes: bool,
    /// Events that the daemon keeps in memory for `prpt`, the oldest going first.
    pub events_in_memory: usize,
    /// KiB of the ring buffer between the kernel and the daemon; the kernel wants a power of two.
    pub ring_size_kib: u32,
    /// Let the probes see on while no daemon runs.
    pub keep_probes: bool,
    /// MiB of events that may wait for journald, in the runtime directory.
    pub spool_mib: u32,
}

impl Default for Main {
    fn default() -> Self {
        Self {
            notify_stdout: false,
            save_to_journald: true,
            dump_blk_info_at_start: false,
            notify_only_changes: false,
            events_in_memory: memory::Limits::default().events,
            ring_size_kib: 4096,
            keep_probes: true,
            spool_mib: 64,
        }
    }
}

const MAIN_KEYS: &[&str] = &[
    "notify_stdout",
    "save_to_journald",
    "dump_blk_info_at_start",
    "notify_only_changes",
    "events_in_memory",
    "ring_size_kib",
    "keep_probes",
    "spool_mib",
];

/// Takes over what a text says; gives what is wrong with it.
pub(super) fn apply(config: &mut Config, file: &str, text: &str) -> Vec<Problem> {
    let (mut doc, top) = Doc::parse(text);
    doc.unknown_keys(
        "",
        &top,
        &["main", "probes", "early_signs", "slow_io", "collector_regexs", "collector"],
    );
    apply_main(&mut config.main, &mut doc, &top);
    if let Some(probes) = doc.table("", &top, "probes") {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        doc.unknown_keys("probes", probes, &names);
        for name in names {
            if let Some(on) = doc.boolean("probes", probes, name) {
                config.probes.insert(name.to_owned(), on);
            }
        }
    }
    apply_signs(&mut config.early_signs, &mut doc, &top);
    apply_slow(&mut config.slow_io, &mut doc, &top);
    for rule in rules_of(&mut doc, &top, file, Author::User) {
        match config.rules.iter_mut().find(|r| r.name == rule.name) {
            Some(earlier) => *earlier = rule,
            None => config.rules.push(rule),
        }
    }
    if config.rules.len() > RULES_MAX {
        let what = format!("with the files before it there are {} rules", config.rules.len());
        doc.problem(0, "collector_regexs", what, format!("at most {RULES_MAX} are taken in all"));
        config.rules.truncate(RULES_MAX);
    }
    doc.into_problems()
}

/// From when on a request is slow, as the configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowIo {
    /// Milliseconds, for every disk that has no limit of its own; 0: none.
    pub limit_ms: u64,
    /// Milliseconds of single disks, by their names in the kernel or links below /dev.
    pub disks: BTreeMap<String, u64>,
}

/// An hour: what takes longer is no request any more.
const SLOW_MAX_MS: u64 = 3_600_000;
/// Disks with a limit of their own.
const SLOW_DISKS_MAX: usize = 1024;

/// `[slow_io]`
fn apply_slow(slow: &mut SlowIo, doc: &mut Doc<'_>, top: &Table<'_>) {
    let Some(table) = doc.table("", top, "slow_io") else { return };
    doc.unknown_keys("slow_io", table, &["limit_ms", "disks"]);
    if let Some(ms) = doc.integer("slow_io", table, "limit_ms", 0..SLOW_MAX_MS + 1) {
        slow.limit_ms = ms;
    }
    let Some(disks) = doc.table("slow_io", table, "disks") else { return };
    for name in disks.keys().map(|key| key.get_ref().to_string()) {
        if slow.disks.len() >= SLOW_DISKS_MAX && !slow.disks.contains_key(&name) {
            let what = format!("there are more than {SLOW_DISKS_MAX} disks");
            doc.problem(0, "slow_io.disks", what, "use limit_ms for most of them".to_owned());
            return;
        }
        if let Some(ms) = doc.integer("slow_io.disks", disks, &name, 0..SLOW_MAX_MS + 1) {
            slow.disks.insert(name, ms);
        }
    }
}

/// `[early_signs.KIND]`: what a file leaves out stays as it is.
fn apply_signs(limits: &mut Limits, doc: &mut Doc<'_>, top: &Table<'_>) {
    let Some(signs) = doc.table("", top, "early_signs") else { return };
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    doc.unknown_keys("early_signs", signs, &names);
    for name in names {
        let (Some(table), Some(mut limit)) = (doc.table("early_signs", signs, name), limits.by_name(name))
        else {
            continue;
        };
        let path = format!("early_signs.{name}");
        doc.unknown_keys(&path, table, &["count", "within_s", "quiet_s"]);
        for (key, value, range) in [
            ("count", &mut limit.count, 0..u64::from(COUNT_MAX) + 1),
            ("within_s", &mut limit.within_s, 1..u64::from(LONGEST_S) + 1),
            ("quiet_s", &mut limit.quiet_s, 1..u64::from(QUIET_MAX_S) + 1),
        ] {
            if let Some(n) = doc.integer(&path, table, key, range) {
                *value = u32::try_from(n).unwrap_or(u32::MAX);
            }
        }
        limits.set(name, limit);
    }
}

fn apply_main(main: &mut Main, doc: &mut Doc<'_>, top: &Table<'_>) {
    let Some(table) = doc.table("", top, "main") else { return };
    doc.unknown_keys("main", table, MAIN_KEYS);
    for (key, value) in [
        ("notify_stdout", &mut main.notify_stdout),
        ("save_to_journald", &mut main.save_to_journald),
        ("dump_blk_info_at_start", &mut main.dump_blk_info_at_start),
        ("keep_probes", &mut main.keep_probes),
        ("notify_only_changes", &mut main.notify_only_changes),
    ] {
        if let Some(is) = doc.boolean("main", table, key) {
            *value = is;
        }
    }
    if let Some(n) = doc.integer("main", table, "events_in_memory", 0..1_000_001) {
        main.events_in_memory = usize::try_from(n).unwrap_or(usize::MAX);
    }
    if let Some(n) = doc.integer("main", table, "spool_mib", 1..4097) {
        main.spool_mib = u32::try_from(n).unwrap_or(u32::MAX);
    }
    if let Some(n) = doc.integer("main", table, "ring_size_kib", 64..1_048_577) {
        if n.is_power_of_two() {
            main.ring_size_kib = u32::try_from(n).unwrap_or(u32::MAX);
        } else if let Some(value) = table.get("ring_size_kib") {
            let fix = format!("use {}", n.next_power_of_two());
            doc.problem(value.span().start, "main.ring_size_kib", format!("{n} is no power of two"), fix);
        }
    }
}
