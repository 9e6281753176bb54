//! An HTTPS server that fails, hangs, or says when it wants to be asked again; and one that is not whom it says.

#![expect(clippy::indexing_slicing, reason = "a value that is not in JSON is null, and fails the check")]

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    cases::Case,
    cmd,
    machine::{Machine, Need},
    notify::{
        fake::{FakeDaemon, incident},
        notifier::Notifier,
        servers::{Certificates, Http},
    },
};

pub const HTTPS: Case = Case {
    name: "notify_a_server_that_fails_hangs_or_wants_less_gets_each_message_and_costs_no_other_receiver",
    needs: &[Need::Program("openssl"), Need::Program("python3")],
    run: https,
};

pub const VERIFIED: Case = Case {
    name: "notify_no_message_goes_to_a_server_that_is_not_whom_it_says",
    needs: &[Need::Program("openssl"), Need::Program("python3")],
    run: verified,
};

fn times(http: &Http, status: u64) -> Result<Vec<f64>> {
    let of_status = |note: &Value| note.get("status").and_then(Value::as_u64) == Some(status);
    Ok(http
        .requests()?
        .iter()
        .filter(|note| of_status(note))
        .filter_map(|note| note.get("at")?.as_f64())
        .collect())
}

fn https(machine: &Machine) -> Result<()> {
    let dir = machine.dir("certificates")?;
    let certificates = Certificates::make(&dir)?;
    std::fs::write(dir.join("key"), "a secret of a test\n").context("writing a key")?;
    let http = Http::start(machine, Some(&certificates))?;
    let daemon = FakeDaemon::start(1)?;
    let config = format!(
        "[[notify]]\nname = 'web'\ntimeout = '1s'\nretry_max = '1s'\nfailed_after = '500ms'\n[notify.webhook]\nurl = 'https://localhost:{}/x'\nca_file = '{}'\nhmac_key = '{key}'\njwt_key = '{key}'\n[[notify]]\nname = 'out'\n[notify.stdout]\n",
        http.port,
        certificates.authority.display(),
        key = dir.join("key").display(),
    );
    let notifier = Notifier::start(machine, &config)?;

    http.mode("status 429 2")?;
    daemon.say(&incident(1, 0)?)?;
    cmd::wait_for("a request", Duration::from_secs(10), || {
        times(&http, 429)?.first().copied().context("none")
    })?;
    http.mode("ok")?;
    notifier.wait_until_sent(machine, "web", 1, Duration::from_secs(10))?;
    let (asked, taken) = (times(&http, 429)?, times(&http, 200)?);
    let waited = taken.first().copied().unwrap_or(0.0) - asked.first().copied().unwrap_or(0.0);
    ensure!(
        asked.len() == 1 && (1.9..4.0).contains(&waited),
        "asked {} times, and after {waited} s",
        asked.len()
    );

    http.mode("hang 3")?;
    daemon.say(&incident(2, 0)?)?;
    // The other one does not wait for it.
    notifier.wait_until_sent(machine, "out", 2, Duration::from_millis(900))?;
    cmd::wait_for("a second try", Duration::from_secs(10), || {
        ensure!(times(&http, 0)?.len() >= 2, "not yet");
        Ok(())
    })?;
    http.mode("status 503")?;
    cmd::wait_for("tries", Duration::from_secs(10), || {
        ensure!(times(&http, 503)?.len() >= 2, "not yet");
        Ok(())
    })?;
    let failing = notifier.health(machine, "web")?;
    ensure!(failing.get("failing_since").is_some_and(Value::is_string), "{failing}");
    let error = failing.get("last_error").and_then(Value::as_str).unwrap_or_default();
    ensure!(error.contains("HTTP 503"), "{error}");
    let (code, list) = notifier.prpt(machine, &["list"])?;
    ensure!(code == 1 && list.contains("web (webhook): failing since") && list.contains("1 wait"), "{list}");
    http.mode("ok")?;
    notifier.wait_until_sent(machine, "web", 2, Duration::from_secs(10))?;
    let asked: Vec<String> =
        daemon.requests().iter().map(|r| format!("{} {}", r["request"], r["target"])).collect();
    ensure!(asked == ["\"notification_failed\" \"web\"", "\"notification_restored\" \"web\""], "{asked:?}");

    // What is wrong with one message itself is given up, and the next one goes out.
    http.mode("status 422")?;
    daemon.say(&incident(3, 0)?)?;
    cmd::wait_for("a refusal", Duration::from_secs(10), || {
        let health = notifier.health(machine, "web")?;
        ensure!(health["dropped"] == 1 && health["waiting"] == 0, "{health}");
        Ok(())
    })?;
    http.mode("ok")?;
    daemon.say(&incident(4, 0)?)?;
    notifier.wait_until_sent(machine, "web", 3, Duration::from_secs(10))?;

    let (code, said) = notifier.prpt(machine, &["test", "web"])?;
    ensure!(code == 0 && said.contains("web: ok: localhost: HTTP 200 ok"), "{said}");
    let requests = http.requests()?;
    let last = requests.last().context("no request")?;
    let header = |name: &str| last["headers"][name].as_str().unwrap_or_default().to_owned();
    ensure!(
        header("x-peripety-signature").starts_with("sha256=")
            && header("authorization").starts_with("Bearer ey"),
        "{last}"
    );
    let all = format!("{}{}", notifier.log(), serde_json::to_string(&requests)?);
    ensure!(!all.contains("a secret of a test"), "the key is said");
    Ok(())
}

fn verified(machine: &Machine) -> Result<()> {
    let right = Certificates::make(&machine.dir("certificates")?)?;
    let other = Certificates::make(&machine.dir("certificates")?)?;
    let http = Http::start(machine, Some(&right))?;
    let daemon = FakeDaemon::start(1)?;
    let receiver = |name: &str, host: &str, ca: &str| {
        format!(
            "[[notify]]\nname = '{name}'\n[notify.webhook]\nurl = 'https://{host}:{}/x'\n{ca}\n",
            http.port
        )
    };
    let of_other = format!("ca_file = '{}'", other.authority.display());
    let of_right = format!("ca_file = '{}'", right.authority.display());
    // An authority that did not sign it, none but those of the system, and a name that it does not have.
    let config = receiver("other", "localhost", &of_other)
        + &receiver("system", "localhost", "")
        + &receiver("name", "127.0.0.2", &of_right);
    let notifier = Notifier::start(machine, &config)?;
    daemon.say(&incident(1, 0)?)?;
    for name in ["other", "system", "name"] {
        cmd::wait_for("a failure", Duration::from_secs(10), || {
            let health = notifier.health(machine, name)?;
            let error = health["last_error"].as_str().unwrap_or_default().to_lowercase();
            ensure!(health["waiting"] == 1, "{health}");
            // 127.0.0.2 is nobody here, on some machines.
            let refused =
                error.contains("certificate") || error.contains("refused") || error.contains("authorities");
            ensure!(refused, "{health}");
            Ok(())
        })?;
    }
    thread::sleep(Duration::from_millis(300));
    ensure!(http.requests()?.is_empty(), "something was sent");
    Ok(())
}
