//! Forms of logs as shippers, vendors, containers, consoles and other languages make them of the kernel's lines.

use peripety::internal::collector::kmsg::KmsgRecord;

use super::{Written, indented, lines, tag, uptime, wall};

fn kernels_stamp(r: &KmsgRecord) -> String {
    if r.facility == 0 { format!("[{}] ", uptime(r)) } else { String::new() }
}

/// Who a shipper says that it is.
fn sender(r: &KmsgRecord) -> &'static str {
    if r.facility == 0 { "kernel" } else { "systemd" }
}

/// One object a line, with each line of a syslog file in a field of it.
fn wrapped(r: &KmsgRecord, before: &str, wrap: fn(&KmsgRecord, &str) -> serde_json::Value) -> String {
    lines(r, before).lines().fold(String::new(), |out, line| out + &wrap(r, line).to_string() + "\n")
}

/// Months as logs of other languages write them, all of the month of the recordings.
fn in_language(r: &KmsgRecord, month: &str) -> String {
    let stamp = wall(r, "%e %H:%M:%S");
    lines(r, &format!("{month} {stamp} db1 {}: ", tag(r)))
}

pub(super) const FORMS: &[(&str, Written)] = &[
    ("talosctl dmesg", |r| {
        let facility = if r.facility == 0 { "kern" } else { "user" };
        lines(r, &format!(" {facility}: warning: [{}]: ", wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ")))
    }),
    ("Talos JSON", |r| {
        let facility = if r.facility == 0 { "kern" } else { "user" };
        let object = serde_json::json!({
            "clock": r.usec, "facility": facility, "msg": r.log.text, "priority": "warning", "seq": 1,
            "talos-level": "warn", "talos-time": wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ"),
        });
        format!("{object}\n")
    }),
    ("a vendor's kernel with the processor", |r| {
        let stamp = uptime(r);
        let said = if r.facility == 0 { "" } else { "init[1]: " };
        lines(r, &format!("[{stamp}@1]  {said}"))
    }),
    ("Docker's json-file", |r| {
        let before = format!("{} db1 {}: {}", wall(r, "%b %e %H:%M:%S"), tag(r), kernels_stamp(r));
        wrapped(
            r,
            &before,
            |r, line| serde_json::json!({"log": format!("{line}\n"), "stream": "stdout", "time": wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ")}),
        )
    }),
    ("Kubernetes' CRI", |r| {
        let stamp = wall(r, "%Y-%m-%dT%H:%M:%S.%6f");
        lines(
            r,
            &format!(
                "{stamp}000Z stdout F {} db1 {}: {}",
                wall(r, "%b %e %H:%M:%S"),
                tag(r),
                kernels_stamp(r)
            ),
        )
    }),
    ("Vector of the journal", |r| {
        let object = serde_json::json!({
            "message": r.log.text, "SYSLOG_IDENTIFIER": sender(r), "_TRANSPORT": if r.facility == 0 { "kernel" } else { "syslog" },
            "PRIORITY": "3", "host": "db1", "source_type": "journald", "timestamp": wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ"),
        });
        format!("{object}\n")
    }),
    ("Filebeat of the journal", |r| {
        let object = serde_json::json!({
            "@timestamp": wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ"), "message": r.log.text,
            "syslog": {"identifier": sender(r)}, "host": {"hostname": "db1"}, "log": {"syslog": {"priority": 3}},
        });
        format!("{object}\n")
    }),
    ("Fluent Bit of the journal", |r| {
        let object = serde_json::json!({
            "date": wall(r, "%s.%6f").parse::<f64>().unwrap(), "MESSAGE": r.log.text, "PRIORITY": "3",
            "_TRANSPORT": if r.facility == 0 { "kernel" } else { "syslog" }, "SYSLOG_FACILITY": r.facility.to_string(),
            "SYSLOG_IDENTIFIER": sender(r), "_SOURCE_MONOTONIC_TIMESTAMP": r.usec.to_string(), "_HOSTNAME": "db1",
        });
        format!("{object}\n")
    }),
    ("Loki's lines", |r| {
        let object = serde_json::json!({
            "labels": {"transport": if r.facility == 0 { "kernel" } else { "syslog" }, "hostname": "db1"},
            "line": r.log.text, "timestamp": wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ"),
        });
        format!("{object}\n")
    }),
    ("GELF", |r| {
        let object = serde_json::json!({
            "version": "1.1", "host": "db1", "short_message": r.log.text, "level": 3,
            "timestamp": wall(r, "%s.%6f").parse::<f64>().unwrap(), "_facility": if r.facility == 0 { "kern" } else { "daemon" },
        });
        format!("{object}\n")
    }),
    ("Russian", |r| in_language(r, "ноя")),
    ("French", |r| in_language(r, "nov.")),
    ("Japanese", |r| in_language(r, "11月")),
    ("Polish", |r| in_language(r, "lis")),
    ("syslog with ISO times and a zone", |r| {
        let at = wall(r, "%Y-%m-%dT%H:%M:%S.%6f+00:00");
        lines(r, &format!("{at} db1 {}: {}", tag(r), kernels_stamp(r)))
    }),
    ("journalctl -o short-full, Spanish", |r| {
        indented(r, &format!("sáb {} UTC db1 {}: ", wall(r, "%Y-%m-%d %H:%M:%S"), tag(r)))
    }),
    ("journalctl -o short-unix", |r| indented(r, &format!("{} db1 {}: ", wall(r, "%s.%6f"), tag(r)))),
    ("times with slashes", |r| lines(r, &format!("[{} CET] {}: ", wall(r, "%Y/%m/%d %H:%M:%S"), tag(r)))),
    ("a year, and the level before the tag", |r| {
        let at = wall(r, "%Y %b %e %H:%M:%S.%6f");
        lines(r, &format!("{at} db1 ERR {}: {}", tag(r), kernels_stamp(r)))
    }),
    ("facility and level as numbers", |r| {
        let at = wall(r, "%Y-%m-%d %H:%M:%S.%3f");
        lines(r, &format!("{at} {} 3 db1 {}:{}", r.facility, tag(r), kernels_stamp(r)))
    }),
    ("OpenWrt's logread", |r| {
        let facility = if r.facility == 0 { "kern" } else { "daemon" };
        let at = wall(r, "%a %b %e %H:%M:%S %Y");
        lines(r, &format!("{at} {facility}.err {}: {}", tag(r), kernels_stamp(r)))
    }),
    ("pstore", |r| lines(r, &format!("<{}>[{}] ", r.facility << 3 | 3, uptime(r)))),
    ("a serial console", |r| lines(r, &format!("\r\x1b[0m\x1b[K[{}] ", uptime(r))).replace('\n', "\r\r\n")),
    ("netconsole, received by a syslog daemon", |r| {
        lines(r, &format!("{} 10.0.0.5 [{}] ", wall(r, "%b %e %H:%M:%S"), uptime(r)))
    }),
    ("netconsole, received by netcat", |r| lines(r, &format!("[{}] ", uptime(r)))),
    ("a log that is quoted in a mail", |r| lines(r, &format!("> [{}] ", uptime(r)))),
    ("console and syslog in one file", |r| {
        let console = lines(r, &format!("[{}] ", uptime(r)));
        let syslog = lines(r, &format!("{} db1 {}: {}", wall(r, "%b %e %H:%M:%S"), tag(r), kernels_stamp(r)));
        console + &syslog
    }),
];
