//! Parts that are measured within one process: the crate peripety-bench.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Bench, Figure};
use crate::sh;

/// A journald of its own, on a /run that nobody else sees.
const IN_A_SANDBOX: &str = r#"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\nStorage=volatile\nAudit=no\nReadKMsg=no\nRateLimitIntervalSec=0\nRateLimitBurst=0\n' \
    > /run/systemd/journald.conf.d/bench.conf
if [ -x /lib/systemd/systemd-journald ]; then /lib/systemd/systemd-journald & journald=$!; fi
n=0; while [ ! -S /run/systemd/journal/socket ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
"$@"; code=$?
[ -n "$journald" ] && kill $journald
exit $code
"#;

pub fn run(bench: &Bench, part: &'static str) -> Result<Vec<Figure>> {
    sh::run(&mut sh::cargo(["build", "--package", "peripety-bench", "--profile", bench.profile]))?;
    let program = bench.bin.join("peripety-bench");
    let mut command = if part == "journald" {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", IN_A_SANDBOX, "sh"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command.arg(part).output().context("running peripety-bench")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure = |line: &str| -> Result<Figure> {
        let json: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ratio = json.get("ratio").and_then(Value::as_f64);
        Ok(Figure {
            part,
            what: text("what"),
            value: ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            of: if ratio.is_some() { format!("times {}", text("of")) } else { text("skipped") },
            detail: text("detail"),
        })
    };
    text.lines().map(figure).collect()
}
