//! The built-in rules compared with the words of four kernels.
//!
//! `strings.tsv` has the format strings of the storage families in Linux 5.10, 6.1, 6.12 and 7.2. Two things must hold:
//! no rule waits for words that no kernel says (`excused-rules.txt` has the exceptions, with reasons), and each string at
//! level error or worse is taken by a rule, is excused by a pattern with a reason (`excused-strings.txt`), or stands in
//! `open.txt`, the list of what is to be done. That list only shrinks: `PERIPETY_BLESS=1 cargo test --test kernel_strings`
//! writes it anew. The coverage is printed with `--nocapture`. `strings-old.tsv` has what only older kernels say.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this is a test; clippy knows that of functions marked so only"
)]

mod format;
mod place;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use format::Format;
use peripety::internal::{parser::rules::RuleSet, record::LogRecord};
use regex::Regex;

struct Entry {
    file: String,
    name: String,
    text: String,
    format: Format,
}

impl Entry {
    /// As it stands in the lists.
    fn id(&self) -> String {
        format!("{}: {}", self.file, self.text)
    }

    fn is_error(&self) -> bool {
        const STARTS: &[&str] = &[
            "pr_err",
            "pr_crit",
            "pr_alert",
            "pr_emerg",
            "dev_err",
            "dev_crit",
            "dev_alert",
            "dev_emerg",
            "DMERR",
            "DMCRIT",
            "ata_dev_err",
            "ata_link_err",
            "ata_port_err",
            "ext4_error",
            "ext4_abort",
            "ext4_grp_locked_error",
            "xfs_err",
            "xfs_alert",
            "xfs_crit",
            "xfs_emerg",
            "XFS_CORRUPTION_ERROR",
            "XFS_ERROR_REPORT",
            "btrfs_err",
            "btrfs_crit",
            "btrfs_emerg",
            "btrfs_handle_fs_error",
            "f2fs_err",
            "drbd_err",
            "drbd_alert",
            "drbd_emerg",
            "cache_set_err_on",
            "rbd_warn",
            "ioc_err",
            // By qla_dbg.c, which prints what it calls a warning as an error.
            "ql_log[fatal]",
            "ql_log[warn]",
        ];
        let level = ["[ERR]", "[CRIT]", "[ALERT]", "[EMERG]"].iter().any(|level| self.name.ends_with(level));
        level || STARTS.iter().any(|start| self.name.starts_with(start))
    }

    fn family(&self) -> &'static str {
        const FAMILIES: &[(&str, &str)] = &[
            ("drivers/nvme/", "nvme"),
            ("drivers/ata/", "ata"),
            ("drivers/scsi/lpfc/", "fc: lpfc"),
            ("drivers/scsi/qla2xxx/", "fc: qla2xxx"),
            ("drivers/scsi/scsi_transport_fc", "fc: class"),
            ("drivers/scsi/libfc/", "fc: libfc"),
            ("drivers/scsi/scsi_transport_iscsi", "iscsi"),
            ("drivers/scsi/libiscsi", "iscsi"),
            ("drivers/scsi/iscsi_tcp", "iscsi"),
            ("drivers/infiniband/", "srp, iser"),
            ("drivers/scsi/mpt3sas", "sas: mpt3sas"),
            ("drivers/scsi/megaraid", "sas: megaraid"),
            ("drivers/scsi/smartpqi", "sas: smartpqi"),
            ("drivers/scsi/hpsa", "sas: hpsa"),
            ("drivers/scsi/aacraid", "sas: aacraid"),
            ("drivers/scsi/libsas", "sas: libsas"),
            ("drivers/scsi/", "scsi"),
            ("drivers/md/bcache/", "bcache"),
            ("drivers/md/dm", "dm"),
            ("drivers/md/persistent-data/", "dm"),
            ("drivers/md/", "md"),
            ("drivers/block/nbd", "nbd"),
            ("drivers/block/rbd", "rbd"),
            ("drivers/block/drbd/", "drbd"),
            ("drivers/block/", "loop, zram, virtio"),
            ("drivers/mmc/", "mmc"),
            ("drivers/ufs/", "ufs"),
            ("drivers/usb/", "usb"),
            ("fs/ext4/", "ext4"),
            ("fs/xfs/", "xfs"),
            ("fs/btrfs/", "btrfs"),
            ("fs/f2fs/", "f2fs"),
            ("fs/jbd2/", "jbd2"),
        ];
        FAMILIES
            .iter()
            .find(|(start, _)| self.file.starts_with(start))
            .map_or("block, mm, iomap", |(_, name)| name)
    }

    /// The rule that takes a line of this format.
    fn taken_by<'s>(&self, set: &'s RuleSet) -> Option<&'s str> {
        self.line_taken_by(set).or_else(|| self.has_example(set))
    }

    /// The rule that has an example of this format.
    fn has_example<'s>(&self, set: &'s RuleSet) -> Option<&'s str> {
        let part = self.format.longest();
        if part.len() < 6 {
            return None;
        }
        let mut regex = None;
        let mut says = |line: &str| {
            line.contains(part) && regex.get_or_insert_with(|| self.format.regex()).is_match(line)
        };
        let rule = set.rules().iter().find(|rule| rule.examples.iter().any(|e| says(&e.line)))?;
        Some(&rule.name)
    }

    /// The rule that takes a line made of this format.
    fn line_taken_by<'s>(&self, set: &'s RuleSet) -> Option<&'s str> {
        let (first, rest) = place::words(&self.file);
        let (first, rest) = if self.format.has_words() { (first, rest) } else { (&first[..1], &rest[..1]) };
        first
            .iter()
            .flat_map(|first| rest.iter().map(|rest| self.format.line(first, rest)))
            .flat_map(|text| place::lines(&self.file, &self.name, &text))
            .find_map(|text| {
                let record = LogRecord { text, ..LogRecord::default() };
                set.rule_for(&record).map(|rule| rule.name.as_str())
            })
    }
}

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kernel_strings")
}

fn read(name: &str) -> String {
    let path = dir().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn entries() -> Vec<Entry> {
    entries_of(&read("strings.tsv"))
}

fn entries_of(table: &str) -> Vec<Entry> {
    let mut file = String::new();
    let mut found = Vec::new();
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        if let Some(name) = line.strip_prefix("@ ") {
            file = name.to_owned();
            continue;
        }
        let mut fields = line.splitn(3, '\t');
        let (Some(name), Some(_), Some(text)) = (fields.next(), fields.next(), fields.next()) else {
            panic!("{line}")
        };
        found.push(Entry {
            file: file.clone(),
            name: name.to_owned(),
            text: text.to_owned(),
            format: Format::new(text),
        });
    }
    found
}

/// Lines `KEY<TAB>REASON`.
fn reasons(name: &str) -> Vec<(String, String)> {
    let text = read(name);
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|line| {
            let (key, reason) =
                line.split_once('\t').unwrap_or_else(|| panic!("{name}: no reason in '{line}'"));
            (key.to_owned(), reason.to_owned())
        })
        .collect()
}

#[test]
fn no_rule_waits_for_words_that_no_kernel_says() {
    let set = RuleSet::built_in();
    let entries = entries();
    let mut alive: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.taken_by(&set)).collect();
    for entry in &entries {
        let part = entry.format.longest();
        if part.len() < 6 {
            continue;
        }
        let mut regex = None;
        for rule in set
            .rules()
            .iter()
            .filter(|rule| rule.hears(None) && !alive.contains(rule.name.as_str()))
            .collect::<Vec<_>>()
        {
            let says = |line: &str| {
                line.contains(part) && regex.get_or_insert_with(|| entry.format.regex()).is_match(line)
            };
            let mut lines = rule.examples.iter().map(|example| example.line.as_str());
            if lines.any(says) {
                alive.insert(&rule.name);
            }
        }
    }
    let excused: BTreeMap<String, String> = reasons("excused-rules.txt").into_iter().collect();
    let of_kernel = set.rules().iter().filter(|rule| rule.identifiers.is_empty());
    let names: BTreeSet<&str> = of_kernel.map(|rule| rule.name.as_str()).collect();
    let dead: Vec<&&str> = names.difference(&alive).filter(|name| !excused.contains_key(**name)).collect();
    println!(
        "{} rules, {} found in the kernels' strings, {} excused",
        names.len(),
        alive.len(),
        excused.len()
    );
    assert!(dead.is_empty(), "no kernel has the words of these rules: {dead:#?}");
    let stale: Vec<&String> = excused.keys().filter(|name| !names.contains(name.as_str())).collect();
    assert!(stale.is_empty(), "excused-rules.txt names rules that do not exist: {stale:?}");
    let needless: Vec<&String> = excused.keys().filter(|name| alive.contains(name.as_str())).collect();
    assert!(
        needless.is_empty(),
        "the kernels have the words of these rules, they need no excuse: {needless:?}"
    );
}

#[test]
fn errors_of_the_kernels_are_taken_or_excused() {
    let set = RuleSet::built_in();
    let excuses: Vec<(Regex, String)> = reasons("excused-strings.txt")
        .into_iter()
        .map(|(pattern, reason)| (Regex::new(&pattern).unwrap_or_else(|e| panic!("{e}")), reason))
        .collect();
    let mut used = vec![0_usize; excuses.len()];
    let mut table: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for entry in entries().iter().filter(|entry| entry.is_error()) {
        let counts = table.entry(entry.family()).or_default();
        if entry.taken_by(&set).is_some() {
            counts[0] += 1;
        } else if let Some(place) = excuses.iter().position(|(pattern, _)| pattern.is_match(&entry.id())) {
            counts[1] += 1;
            used[place] += 1;
        } else {
            counts[2] += 1;
            open.insert(entry.id());
        }
    }
    println!("{:<20} {:>7} {:>7} {:>7} {:>9}", "family", "taken", "excused", "open", "coverage");
    let mut sum = [0; 3];
    for (family, counts) in table.iter().map(|(f, c)| (*f, *c)).collect::<Vec<_>>() {
        row(family, counts);
        (0..3).for_each(|i| sum[i] += counts[i]);
    }
    row("all", sum);
    for ((pattern, _), count) in excuses.iter().zip(&used) {
        assert!(*count > 0, "excused-strings.txt: nothing needs the excuse {pattern}");
    }
    let path = dir().join("open.txt");
    if std::env::var_os("PERIPETY_BLESS").is_some() {
        let head = "# Strings at level error or worse that no rule takes yet. Written by the test; see tests/kernel_strings.\n";
        let lines: String = open.iter().map(|id| format!("{id}\n")).collect();
        std::fs::write(&path, format!("{head}{lines}")).unwrap();
    }
    let known = read("open.txt");
    let known: BTreeSet<String> = known.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
    let new: Vec<&String> = open.difference(&known).collect();
    assert!(new.is_empty(), "no rule takes these, nor does anything excuse them: {new:#?}");
    let done: Vec<&String> = known.difference(&open).collect();
    assert!(done.is_empty(), "these are taken or excused by now, take them out of open.txt: {done:#?}");
}

fn row(family: &str, [taken, excused, open]: [usize; 3]) {
    // Of those that no reason excuses.
    let share = 100.0 * taken as f64 / (taken + open).max(1) as f64;
    println!("{family:<20} {taken:>7} {excused:>7} {open:>7} {share:>8.1}%");
}

/// Old kernels said much that newer ones do not. What of it no rule takes stands in `open-old.txt`, which only shrinks; most
/// of it is set-up, debugging and checks of the code itself.
#[test]
fn errors_of_old_kernels_that_no_rule_takes_are_known() {
    let set = RuleSet::built_in();
    let entries = entries_of(&read("strings-old.tsv"));
    let open: BTreeSet<String> =
        entries.iter().filter(|entry| entry.taken_by(&set).is_none()).map(Entry::id).collect();
    println!("{} of {} strings of old kernels are taken", entries.len() - open.len(), entries.len());
    if std::env::var_os("PERIPETY_BLESS").is_some() {
        let lines: String = open.iter().map(|id| format!("{id}\n")).collect();
        std::fs::write(dir().join("open-old.txt"), lines).unwrap();
    }
    let known = read("open-old.txt");
    let known: BTreeSet<String> = known.lines().map(str::to_owned).collect();
    let new: Vec<&String> = open.difference(&known).collect();
    assert!(new.is_empty(), "these were taken by a rule: {new:#?}");
    let done: Vec<&String> = known.difference(&open).collect();
    assert!(done.is_empty(), "these are taken by now, take them out of open-old.txt: {done:#?}");
}
