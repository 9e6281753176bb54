use std::fs;

use proptest::prelude::*;

use super::*;
use crate::{
    parser::rules::RuleSet,
    record::{LogRecord, Stamp},
};

const RULE: &str = r#"
[[collector_regexs]]
starts_with = "myarray: "
regex = '^myarray: path of (?P<kdev>sd[a-z]+) failed$'
sub_system = "MyArray"
event_type = "MY_ARRAY_PATH_FAILED"
"#;

fn errors(text: &str) -> Vec<String> {
    match Config::from_text("conf", text) {
        Ok(config) => panic!("taken: {config:#?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The one error of a rule whose lines are given, with the rest of the rule being right.
fn rule_error(lines: &str) -> String {
    let rest: String = [
        ("regex", "regex = '^x (?P<kdev>sd[a-z])$'\n"),
        ("sub_system", "sub_system = \"scsi\"\n"),
        ("event_type", "event_type = \"MINE\"\n"),
    ]
    .iter()
    .filter(|(key, _)| !lines.lines().any(|l| l.starts_with(key)))
    .map(|(_, line)| *line)
    .collect();
    let errors = errors(&format!("[[collector_regexs]]\n{lines}\n{rest}"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

fn parse(config: &Config, text: &str) -> Option<crate::parser::RawEvent> {
    let record = LogRecord { text: text.to_owned(), ..LogRecord::default() };
    RuleSet::with_user_rules(config.rules()).parse(&record, Stamp { monotonic_ns: None, realtime_us: 0 })
}

#[test]
fn missing_files_mean_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::load(&Roots::under(dir.path())).unwrap();
    assert_eq!(config.main, Main::default());
    assert!(config.files.is_empty() && config.rules().is_empty() && config.probe_enabled("console"));
}

#[test]
fn later_files_override_and_extend() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots::under(dir.path());
    let parts = dir.path().join("etc/peripetyd.conf.d");
    fs::create_dir_all(&parts).unwrap();
    let named =
        |what: &str| RULE.replace("starts_with", "name = \"mine\"\nstarts_with").replace("FAILED", what);
    fs::write(&roots.config, format!("[main]\nnotify_stdout = true\nring_size_kib = 128\n{}", named("ONE")))
        .unwrap();
    fs::write(parts.join("20-b.conf"), format!("[main]\nnotify_stdout = false\n{RULE}")).unwrap();
    fs::write(parts.join("10-a.conf"), format!("[probes]\nconsole = false\n{}", named("TWO"))).unwrap();
    for n in (0..60).map(|n| 30 + n * 37 % 60) {
        fs::write(parts.join(format!("{n}.conf")), format!("[main]\nevents_in_memory = {n}")).unwrap();
    }
    fs::write(parts.join("README"), "not = read").unwrap();
    fs::write(parts.join(".hidden.conf"), "not = read").unwrap();
    let config = Config::load(&roots).unwrap();
    assert_eq!(config.files.len(), 63);
    assert!(config.files[1..].is_sorted(), "{:?}", config.files);
    assert_eq!(config.main.events_in_memory, 89);
    assert_eq!((config.main.notify_stdout, config.main.ring_size_kib), (false, 128));
    assert!(!config.probe_enabled("console") && config.probe_enabled("block_rq_error"));
    let types: Vec<String> = config.rules().iter().map(|r| r.event_type.to_string()).collect();
    assert_eq!(types, ["MY_ARRAY_PATH_TWO", "MY_ARRAY_PATH_FAILED"]);
}

#[test]
fn both_spellings_of_the_rules_work_as_in_the_original() {
    let original = r#"
[main]
notify_stdout = true
save_to_journald = true

[[collector_regexs]]
starts_with = "device-mapper: multipath:"
regex = '''(?x)
           ^device-mapper:\s
           multipath:\ Failing\ path\s
           (?P<kdev>\d+:\d+).$
        '''
sub_system = "multipath"
event_type = "DM_MPATH_PATH_FAILED"

[[collector.regexs]]
starts_with = "EXT4-fs "
regex = '''(?x)
        ^EXT4-fs\s
        \((?P<kdev>[^\s\)]+)\):\s
        mounted\ filesystem\s
'''
sub_system = "ext4"
event_type = "FS_MOUNTED"
"#;
    let config = Config::from_text("conf", original).unwrap();
    assert_eq!(config.rules().len(), 2);
    let event = parse(&config, "device-mapper: multipath: Failing path 8:48.").unwrap();
    assert_eq!((event.kdev.to_text().as_str(), event.severity.as_str()), ("8:48", "error"));
    assert_eq!(parse(&config, "EXT4-fs (dm-1): mounted filesystem of mine").unwrap().kdev.to_text(), "dm-1");
}

#[test]
fn a_users_rule_goes_first_and_may_take_a_built_in_ones_place() {
    let line = "JBD2: Detected IO errors while flushing file data on dm-0-8";
    assert_eq!(parse(&Config::default(), line).unwrap().event_type.as_str(), "FS_IO_ERROR");
    // Its beginning is longer than the built-in one's, and it is asked first all the same.
    let before = "[[collector_regexs]]\nstarts_with = \"JBD2: Detected IO errors while\"\nregex = '^JBD2: .* on (?P<kdev>\\S+)-8$'\nsub_system = \"jbd2\"\nevent_type = \"MINE\"\nseverity = \"notice\"\nextension = { site = \"lab\" }";
    let event = parse(&Config::from_text("conf", before).unwrap(), line).unwrap();
    assert_eq!((event.event_type.as_str(), event.severity.as_str()), ("MINE", "notice"));
    assert_eq!(event.extension["site"], "lab");
    let instead = before
        .replace("JBD2: .* on", "never (?P<x>x)")
        .replace("regex =", "name = \"jbd2-data-io\"\nregex =");
    assert_eq!(parse(&Config::from_text("conf", &instead).unwrap(), line), None);
}

#[test]
fn every_error_says_file_line_key_and_what_is_right() {
    for (text, wanted) in [
        (
            "[main]\nnotify_stdout = \"yes\"",
            "conf:2: main.notify_stdout: this is a string; it takes true or false",
        ),
        (
            "[main]\nnotify_stout = true",
            "conf:2: main.notify_stout: there is no such key; did you mean 'notify_stdout'?",
        ),
        ("[mian]\n", "conf:1: mian: there is no such key; did you mean 'main'?"),
        ("main = 3", "conf:1: main: this is an integer; it takes a table: [main]"),
        ("\n\n[main\n", "conf:3: [main: this is no TOML"),
        (
            "[main]\nnotify_stdout = true\nnotify_stdout = true",
            "conf:3: notify_stdout: this is no TOML: duplicate key",
        ),
        ("[main]\nring_size_kib = 1000", "conf:2: main.ring_size_kib: 1000 is no power of two; use 1024"),
        (
            "[main]\nevents_in_memory = -1",
            "conf:2: main.events_in_memory: -1 is out of range; it takes a number from 0 to",
        ),
        ("[main]\nevents_in_memory = 99999999999999999999", "conf:2: main.events_in_memory"),
        ("[probes]\nblock_rq_eror = false", "did you mean 'block_rq_error'?"),
        (
            "[collector_regexs]\nregex = 'x'",
            "conf:1: collector_regexs: this is a table; it takes an array of tables: [[collector_regexs]]",
        ),
    ] {
        let errors = errors(text);
        assert!(errors.iter().any(|e| e.starts_with(wanted) || e.contains(wanted)), "{text}: {errors:#?}");
        assert!(errors.iter().all(|e| !e.contains('\n')), "{errors:#?}");
    }
}

#[test]
fn a_rule_that_cannot_work_is_refused_with_the_reason() {
    for (lines, wanted) in [
        (
            "regex = '^x (?P<kdev>sd[a-z$'",
            "conf:2: collector_regexs.regex: the expression does not compile, at '[a-z$': unclosed character class",
        ),
        (
            "regex = '''\n(?x)\n^x\n(?P<kdev>[a-z]+\n'''",
            "conf:5: collector_regexs.regex: the expression does not compile, at '(?P<kdev>[a-z]+",
        ),
        ("regex = '^x (sd[a-z])$'", "the expression has no group 'kdev'"),
        ("regex = '(?P<kdev>.*)'", "the expression matches the empty line"),
        ("regex = '(?P<kdev>\\S+)'", "the expression matches every line"),
        ("regex = '^(?P<kdev>.+)$'", "the expression matches every line"),
        (
            "starts_with = \"\"\nregex = 'x (?P<kdev>sd[a-z])'",
            "starts_with is empty and the expression has no ^",
        ),
        ("regex = '^(?P<kdev>\\w{1000})\\w{1000}$'", "the expression compiles to more than"),
        ("regex = '^(?P<kdev>(((a{100}){100}){100}))$'", "the expression compiles to more than"),
        ("regex = 3", "conf:2: collector_regexs.regex: this is an integer; it takes text in quotes"),
        ("regex = ''", "conf:2: collector_regexs.regex: it is empty"),
        (
            "event_type = \"fs error\"",
            "conf:2: collector_regexs.event_type: 'fs error' is no name of a type; use capitals, digits and '_', for example FS_ERROR",
        ),
        ("event_type = \"\"", "conf:2: collector_regexs.event_type: it is empty"),
        ("sub_system = \"my array\"", "conf:2: collector_regexs.sub_system: 'my array' is no name"),
        (
            "severity = \"bad\"",
            "conf:2: collector_regexs.severity: 'bad' is no severity; use one of emergency, alert",
        ),
        ("start_with = \"x\"", "did you mean 'starts_with'?"),
        ("no_kdev = true", "conf:2: collector_regexs.no_kdev: there is no such key"),
        ("starts_with = [\"x\", 3]", "conf:2: collector_regexs.starts_with: this is an integer"),
        ("extension = { a = 1.5 }", "conf:2: collector_regexs.extension.a: this is a float"),
        ("examples = [3]", "conf:2: collector_regexs.examples: this is an integer"),
        ("examples = [{ kdev = \"sda\" }]", "conf:2: collector_regexs.examples.line: the example has none"),
    ] {
        let error = rule_error(lines);
        assert!(error.contains(wanted), "{lines}\n{error}");
    }
    let errors = errors("[[collector_regexs]]\nname = \"x\"");
    assert_eq!(errors.len(), 3, "regex, sub_system and event_type are missing: {errors:#?}");
}

#[test]
fn everything_wrong_is_told_at_once_and_in_order() {
    let text = "[main]\nnotify_stdout = 1\nfoo = 2\n[probes]\nconsole = 3\n[[collector_regexs]]\nregex = '('\nsub_system = \"a b\"\nevent_type = \"x\"\n";
    let lines: Vec<String> = errors(text).iter().map(|e| e.split(':').nth(1).unwrap().to_owned()).collect();
    assert_eq!(lines, ["2", "3", "5", "7", "8", "9"]);
    let twice = format!(
        "{}{}",
        RULE.replace("starts_with", "name = \"a\"\nstarts_with"),
        RULE.replace("starts_with", "name = \"a\"\nstarts_with")
    );
    assert!(errors(&twice)[0].contains("the name 'a' is taken by the rule in line 2"));
}

#[test]
fn what_lies_there_may_be_anything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("conf");
    let error = |path: &std::path::Path| Config::load_files(&[path.to_owned()]).unwrap_err().to_string();
    assert!(error(&file).contains("cannot read it: No such file"), "{}", error(&file));
    assert!(error(dir.path()).contains("it is no regular file"));
    assert!(error(std::path::Path::new("/dev/zero")).contains("it is no regular file"));
    fs::write(&file, b"[main]\n# caf\xe9\n").unwrap();
    assert!(error(&file).contains("line 2 is no UTF-8 text; save the file as UTF-8"), "{}", error(&file));
    fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    assert!(error(&file).contains("it has 1073741824 bytes; at most 4194304 are read"), "{}", error(&file));
    let dangling = dir.path().join("etc/peripetyd.conf");
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", &dangling).unwrap();
    assert!(Config::load(&Roots::under(dir.path())).is_err(), "a dangling link is not a missing file");
}

#[test]
fn a_hostile_file_is_refused_and_not_obeyed() {
    let many = RULE.repeat(20_000);
    let start = std::time::Instant::now();
    let errors = errors(&many);
    assert!(errors[0].contains("there are 20000 rules; at most 1000 are taken"), "{}", errors[0]);
    for text in [
        "[".repeat(100_000),
        "a.".repeat(100_000),
        format!("x = {}", "[".repeat(100_000)),
        "{".repeat(100_000),
    ] {
        assert!(Config::from_text("conf", &text).is_err());
    }
    let nested = format!("[[collector_regexs]]\nregex = '{}x{}'", "(".repeat(2000), ")".repeat(2000));
    assert!(Config::from_text("conf", &nested).is_err());
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn the_sample_is_right_with_and_without_its_comments() {
    let sample = include_str!("../../../dist/peripetyd.conf");
    let config = Config::from_text("sample", sample).unwrap();
    assert_eq!(config.main, Main::default(), "every value in it is the default");
    for kind in crate::incident::signs::KINDS {
        assert!(sample.contains(&format!("\n{} = {{", kind.name)), "{}", kind.name);
        assert_eq!(config.early_signs.by_name(kind.name), Some(kind.limit), "{}", kind.name);
    }
    // A key, a table, or what stands inside the rule that is commented out; prose has a capital or no '='.
    let rules = sample.find("# [[collector_regexs]]").unwrap();
    let uncommented: String =
        sample[rules..].lines().map(|l| l.strip_prefix("# ").unwrap_or(l).to_owned() + "\n").collect();
    let config = Config::from_text("sample", &uncommented).unwrap();
    let rules = config.rules();
    assert_eq!(rules.len(), 1);
    let set = RuleSet::with_user_rules(rules.clone());
    assert_eq!(set.try_examples(&rules[0]), []);
    assert_eq!(rules[0].examples.len(), 2);
}

#[test]
fn limits_of_slow_requests_are_for_every_disk_or_for_one() {
    assert_eq!(Config::default().slow_io, SlowIo::default());
    let text = "[slow_io]\nlimit_ms = 2000\n[slow_io.disks]\nsda = 0\n\"/dev/disk/by-id/x\" = 500";
    let config = Config::from_text("conf", text).unwrap();
    let disks = [("/dev/disk/by-id/x".to_owned(), 500), ("sda".to_owned(), 0)];
    assert_eq!(config.slow_io, SlowIo { limit_ms: 2000, disks: disks.into() });
    let found = errors("[slow_io]\nlimit_ms = -1\nlimit = 5\ndisks = { sda = 'soon', sdb = 3600001 }");
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn limits_of_early_signs_are_set_key_by_key_and_checked() {
    let text = "[early_signs]\nretries = { count = 0 }\n[early_signs.link_resets]\nwithin_s = 60";
    let config = Config::from_text("conf", text).unwrap();
    let limit = |name| config.early_signs.by_name(name).map(|limit| (limit.count, limit.within_s));
    assert_eq!((limit("retries"), limit("link_resets")), (Some((0, 3600)), Some((5, 60))));
    assert_eq!(limit("no_such_kind"), None);
    let found = errors(
        "[early_signs]\nretrys = {}\nretries = { count = -1, many = 2 }\npath_flaps = { within_s = 90000 }\nlink_resets = 5",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found.iter().any(|error| error.contains("early_signs.path_flaps.within_s")), "{found:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = Config::from_text("conf", &text);
    }

    #[test]
    fn any_regex_is_taken_or_refused(regex in "[\\PC&&[^']]{0,60}", line in "\\PC{0,60}") {
        let text = format!("[[collector_regexs]]\nregex = '{regex}'\nsub_system = \"x\"\nevent_type = \"X\"");
        if let Ok(config) = Config::from_text("conf", &text) {
            let _ = parse(&config, &line);
        }
    }
}
