//! fio, which makes requests and counts those that fail.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{cmd, disk::Loop};

/// Makes `requests` requests of 4 KiB; gives how many failed.
pub fn failed_requests(disk: &Loop, pattern: &str, requests: u64) -> Result<u64> {
    // Not --number_ios, which counts only those that succeed.
    run(disk, pattern, &[format!("--size={}", requests * 4096)])
}

/// Makes requests of 4 KiB for some seconds, no more than `rate` in each; gives how many failed.
pub fn failed_requests_for(disk: &Loop, pattern: &str, seconds: u64, rate: u64) -> Result<u64> {
    let of = ["--time_based".to_owned(), format!("--runtime={seconds}"), format!("--rate_iops={rate}")];
    run(disk, pattern, &of)
}

fn run(disk: &Loop, pattern: &str, how_many: &[String]) -> Result<u64> {
    let mut fio = Command::new("fio");
    fio.args([
        "--name=e2e",
        "--bs=4k",
        "--direct=1",
        "--ioengine=psync",
        "--continue_on_error=all",
        "--norandommap",
    ]);
    fio.args(["--allow_file_create=0", "--output-format=json"]);
    fio.arg(format!("--rw={pattern}")).arg(format!("--filename={}", disk.path.display()));
    fio.args(how_many);
    // Its exit status reports the very errors that are wanted.
    let output = cmd::output(&mut fio)?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Lines about the errors come before the JSON.
    let json = text.find('{').and_then(|start| text.get(start..)).context("fio printed no JSON")?;
    let report: Value = serde_json::from_str(json).context("reading fio's JSON")?;
    report
        .pointer("/jobs/0/total_err")
        .and_then(Value::as_u64)
        .with_context(|| format!("fio reports no total_err: {text}"))
}
