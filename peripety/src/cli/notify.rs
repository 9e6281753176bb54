//! `prpt notify`: receivers of notifications, their queues, and a test.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Format, NOTHING, OK, Output};
use crate::{roots::Roots, text::printable};

/// How long a test may take: the longest timeout of a receiver that makes sense.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest answer.
const ANSWER_MAX: u64 = 16 << 20;

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
    /// Directory of peripety-notify's socket
    #[arg(long, global = true, value_name = "DIR", env = "PERIPETY_NOTIFY_DIR", hide = true)]
    notify_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show each receiver: what waits, the last success, the last error
    List {
        /// Only this receiver
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Send a message that is marked as a test, and show what the receiver answers
    Test {
        /// Only to this receiver; to all of them when absent
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

/// A receiver, as `peripety-notify` shows it.
#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
    output: String,
    waiting: u64,
    oldest_waiting: Option<Timestamp>,
    delivered: u64,
    dropped: u64,
    last_success: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    last_error: Option<String>,
    next_try: Option<Timestamp>,
    trouble: Option<String>,
}

/// What a test brought.
#[derive(Debug, Deserialize, Serialize)]
struct Tested {
    name: String,
    ok: bool,
    answer: String,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let dir = args.notify_dir.unwrap_or_else(|| roots.run.join("peripety-notify"));
    let (request, name, output) = match args.action {
        Action::List { name, output } => ("list", name, output),
        Action::Test { name, output } => ("test", name, output),
    };
    let answer = ask(&dir.join("notify.sock"), request, name)?;
    let mut out = anstream::stdout().lock();
    match output.format() {
        Format::Json => {
            for row in answer.as_array().into_iter().flatten() {
                writeln!(out, "{row}")?;
            }
        }
        Format::JsonPretty => writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?,
        Format::Plain => {}
    }
    let plain = output.format() == Format::Plain;
    let versions = "prpt and the running peripety-notify are of different versions";
    let fails = if request == "list" {
        let receivers: Vec<Receiver> = serde_json::from_value(answer).context(versions)?;
        if plain {
            list(&mut out, &receivers, &TimeZone::system())?;
        }
        receivers.iter().any(|receiver| receiver.failing_since.is_some()) || receivers.is_empty()
    } else {
        let tests: Vec<Tested> = serde_json::from_value(answer).context(versions)?;
        for test in tests.iter().filter(|_| plain) {
            let verdict = if test.ok { "ok" } else { "FAILED" };
            writeln!(out, "{}: {verdict}: {}", printable(&test.name), printable(&test.answer))?;
        }
        tests.iter().any(|test| !test.ok) || tests.is_empty()
    };
    Ok(if fails { NOTHING } else { OK })
}

/// Asks `peripety-notify`.
fn ask(path: &PathBuf, request: &str, name: Option<String>) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => anyhow::anyhow!(
            "no peripety-notify listens at {}; start it with 'systemctl start peripety-notify'",
            path.display()
        ),
        ErrorKind::PermissionDenied => anyhow::anyhow!(
            "no permission to talk to peripety-notify at {}: use sudo, or become a member of group systemd-journal",
            path.display()
        ),
        _ => anyhow::anyhow!("cannot connect to peripety-notify at {}: {error}", path.display()),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", json!({ "version": 1, "request": request, "target": name }))?;
    let mut line = String::new();
    BufReader::new(stream)
        .take(ANSWER_MAX)
        .read_line(&mut line)
        .context("cannot read the answer of peripety-notify")?;
    let mut reply: Value =
        serde_json::from_str(&line).context("peripety-notify gave no answer that is understood")?;
    if let Some(error) = reply.get("error").and_then(Value::as_str) {
        bail!("peripety-notify says: {error}");
    }
    Ok(reply.get_mut("answer").map(Value::take).unwrap_or_default())
}

fn list(out: &mut impl Write, receivers: &[Receiver], zone: &TimeZone) -> io::Result<()> {
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    if receivers.is_empty() {
        return writeln!(out, "There is no receiver; see /etc/peripety-notify.conf.");
    }
    for receiver in receivers {
        let state = match receiver.failing_since {
            Some(since) => format!("failing since {}", time(since)),
            None => "works".to_owned(),
        };
        let state = if receiver.last_success.is_none() && receiver.failing_since.is_none() {
            "nothing sent since its start".to_owned()
        } else {
            state
        };
        writeln!(out, "{} ({}): {state}", printable(&receiver.name), printable(&receiver.output))?;
        let waiting = match (receiver.waiting, receiver.oldest_waiting) {
            (0, _) => "nothing waits".to_owned(),
            (n, Some(oldest)) => format!("{n} wait, the oldest since {}", time(oldest)),
            (n, None) => format!("{n} wait"),
        };
        writeln!(out, "    {waiting}; {} delivered, {} given up", receiver.delivered, receiver.dropped)?;
        if let Some(at) = receiver.last_success {
            writeln!(out, "    last success {}", time(at))?;
        }
        if let Some(error) = &receiver.last_error {
            let next = receiver.next_try.map(|at| format!(" (next try {})", time(at))).unwrap_or_default();
            writeln!(out, "    last error: {}{next}", printable(error))?;
        }
        if let Some(trouble) = &receiver.trouble {
            writeln!(out, "    {}", printable(trouble))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_shown_with_what_waits_and_why() {
        let receivers: Vec<Receiver> = serde_json::from_value(json!([
            { "name": "admins", "output": "mail", "waiting": 0, "delivered": 7, "dropped": 0,
              "last_success": "2026-11-21T09:00:00Z" },
            { "name": "phone", "output": "webhook", "waiting": 3, "oldest_waiting": "2026-11-21T09:00:00Z",
              "delivered": 1, "dropped": 2, "failing_since": "2026-11-21T09:00:01Z",
              "last_error": "a\u{1b}[31m: HTTP 503", "next_try": "2026-11-21T09:00:09Z" },
            { "name": "new", "output": "irc", "waiting": 0, "delivered": 0, "dropped": 0 },
        ]))
        .unwrap();
        let mut out = Vec::new();
        list(&mut out, &receivers, &TimeZone::UTC).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains('\u{1b}'), "{out}");
        assert!(
            out.starts_with("admins (mail): works\n    nothing waits; 7 delivered, 0 given up\n"),
            "{out}"
        );
        assert!(out.contains("phone (webhook): failing since 2026-11-21 09:00:01\n    3 wait"), "{out}");
        assert!(out.contains("new (irc): nothing sent since its start"), "{out}");
    }
}
