//! `prpt scan`: how far scans are, and what would be scanned.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::{Timestamp, tz::TimeZone};
use peripety_scan::{
    amount,
    config::{self, Config},
    machine,
    plan::{Planned, Verdict, plan},
    report,
    status::{DIR, ScanStatus, State, Status},
};
use serde::Serialize;

use super::{
    FAILED, Format, NOTHING, OK, Output,
    render::{columns, json, note, print},
};
use crate::{block::BlkCache, roots::Roots, text::printable};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show how far each scan is, what it found, and why it waits; exit 1 where something was found
    Status {
        #[command(flatten)]
        output: Output,
        /// Directory of peripety-scan's status
        #[arg(long, value_name = "DIR", env = "PERIPETY_SCAN_DIR", hide = true)]
        scan_dir: Option<PathBuf>,
    },
    /// Check the configuration, and say what of this machine is scanned, how, and what is not, and why
    Check {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = config::PATH)]
        config: PathBuf,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    match args.what {
        What::Status { output, scan_dir } => {
            let dir = scan_dir.unwrap_or_else(|| roots.run.join(DIR.trim_start_matches("/run/")));
            status(&dir, output.format(), roots)
        }
        What::Check { config, output } => check(&config, output.format(), roots),
    }
}

fn status(dir: &Path, format: Format, roots: &Roots) -> anyhow::Result<u8> {
    let status = match Status::read(dir) {
        Ok(status) => status,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            note("peripety-scan does not run: nothing is scanned; 'prpt scan check' says what would be");
            return Ok(NOTHING);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the status in {}", dir.display()));
        }
    };
    let runs = roots.procfs.join(status.pid.to_string()).exists();
    if !runs {
        note(&format!(
            "peripety-scan does not run any more: this is how it was at {}",
            local(status.written)
        ));
    }
    match format {
        Format::Plain if status.scans.is_empty() => note("nothing is scanned: 'prpt scan check' says why"),
        Format::Plain => print(&text(&status.scans))?,
        format => status.scans.iter().try_for_each(|scan| json(scan, format))?,
    }
    let found = |scan: &ScanStatus| {
        scan.state == State::Stopped
            || scan.errors > 0
            || scan.last.as_ref().is_some_and(|last| last.errors > last.corrected)
    };
    Ok(if runs && !status.scans.iter().any(found) { OK } else { NOTHING })
}

fn text(scans: &[ScanStatus]) -> String {
    let mut rows = vec![
        ["DEVICE", "METHOD", "STATE", "DONE", "RATE", "BEGAN", "ERRORS", "LAST FULL PASS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for scan in scans {
        let dash = || "-".to_owned();
        rows.push(vec![
            printable(&scan.device).into_owned(),
            scan.method.as_str().to_owned(),
            scan.state.as_str().to_owned(),
            if scan.began.is_some() { percent(scan.place, scan.total) } else { dash() },
            if scan.rate > 0 { format!("{}/s", amount::bytes(scan.rate)) } else { dash() },
            scan.began.map_or_else(dash, local),
            scan.errors.to_string(),
            scan.last.as_ref().filter(|last| last.complete).map_or_else(dash, |last| {
                let (bytes, took) = (amount::bytes(last.bytes), amount::time(last.took()));
                format!("{}: {bytes} in {took}, {}", local(last.ended), report::errors(last))
            }),
        ]);
    }
    let mut text = columns(&rows);
    for scan in scans {
        let device = printable(&scan.device);
        if let Some(why) = &scan.why {
            text.push_str(&format!("{device} waits: {}\n", printable(why)));
        }
        if scan.began.is_none()
            && let Some(next) = scan.next
        {
            text.push_str(&format!("{device}: the next pass begins {}\n", local(next)));
        }
        for bad in &scan.bad {
            text.push_str(&format!("{device}: {} sectors at {} cannot be read\n", bad.count, bad.sector));
        }
    }
    text
}

fn percent(of: u64, total: u64) -> String {
    let tenths = u128::from(of) * 1000 / u128::from(total.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// What is done about a device.
#[derive(Debug, Serialize)]
struct Row {
    device: String,
    id: String,
    scanned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_seconds: Option<u64>,
}

fn check(config: &Path, format: Format, roots: &Roots) -> anyhow::Result<u8> {
    let config = Config::read(config)?;
    let block = roots.block();
    let (devices, problem) = machine::read(&block, &BlkCache::scan(&block)?);
    if let Some(problem) = &problem {
        note(&format!("{problem}: arrays, snapshots and checksums of device-mapper are not known as such"));
    }
    let rows: Vec<Row> = plan(&devices, &config).iter().map(row).collect();
    match format {
        Format::Plain => print(&rows.iter().map(line).collect::<Vec<_>>().concat())?,
        format => rows.iter().try_for_each(|row| json(row, format))?,
    }
    Ok(match (problem, rows.iter().any(|row| row.scanned)) {
        (Some(_), _) => FAILED,
        (None, true) => OK,
        (None, false) => NOTHING,
    })
}

fn row(planned: &Planned<'_>) -> Row {
    let (method, why_not) = match &planned.verdict {
        Verdict::Scan(method) => (Some(method.as_str()), None),
        Verdict::No(why) => (None, Some(why.clone())),
    };
    let settings = planned.settings.filter(|_| method.is_some());
    Row {
        device: planned.device.path(),
        id: planned.key.clone(),
        scanned: method.is_some(),
        method,
        why_not,
        bytes_per_second: settings.map(|scan| scan.rate),
        every_seconds: settings.map(|scan| scan.every.as_secs()),
    }
}

fn line(row: &Row) -> String {
    let text = match (row.method, &row.why_not, row.bytes_per_second, row.every_seconds) {
        (Some(method), _, Some(rate), Some(every)) => {
            let every = amount::time(std::time::Duration::from_secs(every));
            format!("{}: {method}, {}/s, every {every}", row.device, amount::bytes(rate))
        }
        (_, why, ..) => format!("{}: not scanned: {}", row.device, why.as_deref().unwrap_or_default()),
    };
    printable(&text).into_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use peripety_model::{Errno, Sector, Sectors};
    use peripety_scan::{
        config::Method,
        pass::{Bad, Done},
    };

    use super::*;

    fn scan() -> ScanStatus {
        let began: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        ScanStatus {
            device: "/dev/sda".to_owned(),
            id: "naa.5".to_owned(),
            method: Method::Read,
            state: State::Waiting,
            why: Some("others use it".to_owned()),
            place: 1 << 20,
            total: 1 << 30,
            rate: 0,
            began: Some(began),
            next: None,
            errors: 1,
            bad: vec![Bad { sector: Sector(4656), count: Sectors(8), errno: Errno::EIO }],
            last: Some(Done {
                began,
                ended: "2026-03-10T00:00:00Z".parse().unwrap(),
                method: Method::Read,
                bytes: 4_000_787_030_016,
                errors: 0,
                corrected: 0,
                complete: true,
            }),
        }
    }

    #[test]
    fn a_scan_in_one_line_with_what_it_found() {
        let text = text(&[scan()]);
        for wanted in [
            "0.0 %",
            "waiting",
            "4.0 TB in 9 days, 0 errors",
            "/dev/sda waits: others use it",
            "8 sectors at 4656 cannot be read",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        }
    }

    /// Names and values in JSON are an API.
    #[test]
    fn the_file_of_the_status_has_the_names_that_others_read() {
        let json = serde_json::to_value(scan()).unwrap();
        let wanted = serde_json::json!({
            "device": "/dev/sda", "id": "naa.5", "method": "read", "state": "waiting", "why": "others use it",
            "place": 1_048_576, "total": 1_073_741_824, "rate": 0, "began": "2026-03-01T00:00:00Z", "errors": 1,
            "bad": [{"sector": 4656, "count": 8, "errno": 5}],
            "last": {
                "began": "2026-03-01T00:00:00Z", "ended": "2026-03-10T00:00:00Z", "method": "read",
                "bytes": 4_000_787_030_016_u64, "errors": 0, "corrected": 0, "complete": true
            }
        });
        assert_eq!(json, wanted);
        assert_eq!(serde_json::from_value::<ScanStatus>(wanted).unwrap(), scan());
    }

    #[test]
    fn a_status_that_is_none_is_an_error_and_none_at_all_is_no_scan() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::under(dir.path());
        assert_eq!(status(dir.path(), Format::Json, &roots).unwrap(), NOTHING);
        fs::write(dir.path().join("status.json"), "{\"pid\":").unwrap();
        assert!(status(dir.path(), Format::Json, &roots).is_err());
    }
}
