use super::*;
use crate::{
    block::Dev,
    event::{EventType, Severity},
    notifier::fixture::sample,
};

fn condition(name: &str, kernel: &str, dev: &str) -> Condition {
    let device = Subject { name: kernel.into(), dev: dev.parse().ok(), ..Subject::default() };
    Condition::found(name, Severity::Error, device, String::new())
}

fn lines(conditions: Vec<Condition>) -> Vec<String> {
    let words = |p: &Problem| p.conditions().map(|c| c.condition.clone()).collect::<Vec<_>>().join(" ");
    problems(conditions).iter().map(|p| format!("{}: {}", p.name, words(p))).collect()
}

#[test]
fn a_device_has_one_line_and_the_worst_stands_first() {
    let all = vec![
        condition("device_failing", "dm-0", "253:0"),
        condition("journal_aborted", "dm-0", "253:0"),
        condition("medium_errors", "sdz", "65:144"),
        condition("filesystem_corrupt", "dm-0", "253:0"),
    ];
    assert_eq!(lines(all), ["dm-0: journal_aborted filesystem_corrupt device_failing", "sdz: medium_errors"]);
    let mut critical = condition("medium_errors", "sdb", "8:16");
    critical.severity = Severity::Critical;
    let all = vec![condition("filesystem_read_only", "sda1", "8:1"), critical];
    assert_eq!(lines(all), ["sdb: medium_errors", "sda1: filesystem_read_only"]);
}

#[test]
fn an_array_or_map_has_its_members_with_it() {
    let mut degraded = condition("array_degraded", "md0", "9:0");
    degraded.members = vec![Dev::new(8, 0)];
    let all =
        vec![condition("device_offline", "sda", "8:0"), condition("medium_errors", "sdb", "8:16"), degraded];
    assert_eq!(lines(all), ["sda: device_offline array_degraded", "sdb: medium_errors"]);
    let mut map = condition("no_path", "dm-0", "253:0");
    map.members = vec![Dev::new(8, 0), Dev::new(8, 16)];
    let all = vec![
        condition("path_down", "sda", "8:0"),
        condition("device_offline", "sda", "8:0"),
        condition("path_down", "sdb", "8:16"),
        map,
    ];
    assert_eq!(lines(all), ["dm-0: no_path device_offline path_down path_down"]);
}

#[test]
fn causes_and_requests_that_fail_above_belong_to_what_is_below() {
    let (one, two) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let mut below = condition("medium_errors", "sda", "8:0");
    below.events = vec![one];
    let mut above = condition("journal_aborted", "dm-0", "253:0");
    above.events = vec![two, one];
    assert_eq!(lines(vec![below.clone(), above]), ["dm-0: journal_aborted medium_errors"]);
    let mut stacked = condition("device_failing", "dm-0", "253:0");
    stacked.device.owners = vec![Dev::new(8, 0)];
    assert_eq!(lines(vec![stacked.clone(), below.clone()]), ["sda: medium_errors device_failing"]);
    // A filesystem that is corrupt on a disk that fails elsewhere need not be so for that.
    let mut corrupt = condition("filesystem_corrupt", "dm-0", "253:0");
    corrupt.device.owners = vec![Dev::new(8, 0)];
    assert_eq!(lines(vec![corrupt, below]).len(), 2);
}

#[test]
fn the_name_is_the_shortest_that_people_use() {
    for (name, path, shown) in [
        ("dm-3", "/dev/vg/lv", "vg/lv"),
        ("dm-0", "/dev/mapper/mpatha", "mpatha"),
        ("md0", "/dev/md0", "md0"),
        ("md127", "/dev/md/data", "md127"),
        ("sda", "/dev/disk/by-id/wwn-0x5000", "sda"),
        ("sda1", "", "sda1"),
        ("", "/dev/vg/lv", "vg/lv"),
        ("cciss/c0d0", "/dev/cciss/c0d0", "cciss/c0d0"),
    ] {
        let subject = Subject { name: name.into(), path: path.into(), ..Subject::default() };
        assert_eq!(subject.shown(), shown);
    }
}

#[test]
fn json_has_the_name_the_worst_condition_and_the_others() {
    let mut event = sample();
    let mut table = super::super::Table::default();
    table.apply(&event);
    event.event_type = EventType::FS_SHUTDOWN;
    table.apply(&event);
    let json = serde_json::to_value(problems(table.conditions())).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json[0]["condition"], "filesystem_shut_down");
    assert_eq!(json[0]["also"].as_array().unwrap().len(), 1);
    assert!(json[0]["name"].is_string() && json[0]["device"]["name"].is_string());
}
