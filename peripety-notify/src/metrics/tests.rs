use serde_json::json;

use super::{text::Format, *};

fn answer() -> serde_json::Value {
    json!({
        "version": "1.2.3",
        "devices": [
            { "device": "sda", "wwid": "naa.1", "serial": "Z\"1\\", "model": "A\nB", "map": "", "mount_point": "/srv" },
            { "device": "sdb", "wwid": "naa.2" },
        ],
        "failures": [
            { "device": "sda", "wwid": "naa.1", "type": "BLK_IO_ERROR", "op": "read", "errno": "EIO", "io": true, "count": 7 },
            { "device": "sda", "wwid": "naa.1", "type": "SCSI_MEDIUM_ERROR", "op": "read", "errno": "ENODATA", "io": true, "count": 5 },
            { "device": "sda", "wwid": "naa.1", "type": "FS_ERROR", "io": false, "count": 100 },
        ],
        "losses": [{ "source": "printk", "reason": "rate limit", "count": 3 }],
        "open_incidents": [{ "severity": "critical", "impact": "data_lost", "count": 2 }],
        "probes": [{ "name": "block:block_rq_error", "state": "attached" }],
        "what a later version says": [{}],
    })
}

#[test]
fn each_disk_has_a_count_from_the_start_and_requests_are_counted_once() {
    let text = render::all(Some(&answer()), &[], Format::OpenMetrics);
    for line in [
        "peripety_up 1",
        "peripety_disk_failures_total{device=\"sda\",wwid=\"naa.1\"} 12",
        "peripety_disk_failures_total{device=\"sdb\",wwid=\"naa.2\"} 0",
        "peripety_disk_info{device=\"sda\",wwid=\"naa.1\",serial=\"Z\\\"1\\\\\",model=\"A\\nB\",mount_point=\"/srv\"} 1",
        "peripety_failures_total{device=\"sda\",wwid=\"naa.1\",type=\"BLK_IO_ERROR\",op=\"read\",errno=\"EIO\"} 7",
        "peripety_open_incidents{severity=\"critical\",impact=\"data_lost\"} 2",
        "peripety_open_incidents{severity=\"warning\",impact=\"path_lost\"} 0",
        "peripety_lost_records_total{source=\"printk\",reason=\"rate limit\"} 3",
        "peripety_probe_state{probe=\"block:block_rq_error\",state=\"attached\"} 1",
        "peripety_probe_state{probe=\"block:block_rq_error\",state=\"refused\"} 0",
        "# TYPE peripety_disk_failures counter",
        "# TYPE peripety_disk info",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let classic = render::all(Some(&answer()), &[], Format::Classic);
    assert!(classic.contains("# TYPE peripety_disk_failures_total counter\n") && !classic.contains("# EOF"));
    assert!(classic.contains("# TYPE peripety_disk_info gauge\n"));
}

#[test]
fn without_the_daemon_that_is_what_is_said() {
    let text = render::all(None, &[], Format::Classic);
    assert!(text.contains("peripety_up 0\n") && !text.contains("peripety_disk"), "{text}");
    assert!(render::all(Some(&json!([1])), &[], Format::Classic).contains("peripety_up 0\n"));
}

#[test]
fn other_machines_do_not_reach_it() {
    let listen =
        |text: &str| serde_json::from_value::<Listen>(json!(text)).map_err(|error| error.to_string());
    assert!(matches!(listen("127.0.0.1:9799"), Ok(Listen::Port(_))));
    assert!(matches!(listen("[::1]:9799"), Ok(Listen::Port(_))));
    assert!(matches!(listen("/run/x/metrics.sock"), Ok(Listen::Unix(_))));
    assert!(listen("0.0.0.0:9799").unwrap_err().contains("other machines"));
    assert!(listen("metrics").unwrap_err().contains("neither"));
}
