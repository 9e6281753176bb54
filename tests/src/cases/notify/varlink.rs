//! Receivers listed and tested by Varlink, with systemd's varlinkctl.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    cases::Case,
    cmd,
    machine::{Machine, Need},
    notify::{
        notifier::Notifier,
        servers::{Certificates, Http},
    },
    varlinkctl,
};

pub const TEST: Case = Case {
    name: "notify_varlinkctl_lists_receivers_and_sends_each_a_test",
    needs: &[Need::Program("openssl"), Need::Program("python3"), varlinkctl::NEED],
    run: test,
};

fn test(machine: &Machine) -> Result<()> {
    let certificates = Certificates::make(&machine.dir("certificates")?)?;
    let http = Http::start(machine, Some(&certificates))?;
    let config = format!(
        "[[notify]]\nname = 'web'\n[notify.webhook]\nurl = 'https://localhost:{}/x'\nca_file = '{}'\n[[notify]]\nname = 'out'\n[notify.stdout]\n",
        http.port,
        certificates.authority.display(),
    );
    let notifier = Notifier::start(machine, &config)?;
    let socket = notifier.varlink();
    let info = cmd::run(&mut varlinkctl::command(machine, &["info", &socket]))?;
    ensure!(info.contains("peripety-notify") && info.contains("io.peripety.Notify"), "{info}");
    // varlinkctl reads the description before it shows it.
    let text = cmd::run(&mut varlinkctl::command(machine, &["introspect", &socket, "io.peripety.Notify"]))?;
    ensure!(text.contains("method Test") && text.contains("type TestResult"), "{text}");

    let call = |method: &str, parameters: &Value| {
        varlinkctl::call(machine, &socket, &format!("io.peripety.Notify.{method}"), parameters)
    };
    let listed = call("List", &json!({}))?;
    ensure!(listed.pointer("/receivers/0/name") == Some(&json!("web")), "{listed}");
    ensure!(listed.pointer("/receivers/1/output") == Some(&json!("stdout")), "{listed}");
    let tested = call("Test", &json!({}))?;
    ensure!(tested.pointer("/results/0/ok") == Some(&json!(true)), "{tested}");
    ensure!(tested.pointer("/results/0/answer") == Some(&json!("localhost: HTTP 200 ok")), "{tested}");
    ensure!(tested.pointer("/results/1/name") == Some(&json!("out")), "{tested}");
    http.mode("status 503")?;
    let refused = call("Test", &json!({ "receiver": "web" }))?;
    ensure!(refused.pointer("/results/0/ok") == Some(&json!(false)), "{refused}");
    let why = refused.pointer("/results/0/answer").and_then(Value::as_str).unwrap_or_default();
    ensure!(why.contains("HTTP 503"), "{refused}");
    ensure!(refused.pointer("/results/1").is_none(), "others were tested too: {refused}");
    let none = call("Test", &json!({ "receiver": "nobody" }));
    let none = format!("{:#}", none.err().context("nobody was tested")?);
    ensure!(none.contains("io.peripety.Notify.NoSuchReceiver"), "{none}");
    Ok(())
}
