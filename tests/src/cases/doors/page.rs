//! The live page of peripety-notify in a browser.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use peripety::event::Incident;

use crate::{
    browser::{self, Browser, key},
    cases::Case,
    machine::Machine,
    notify::{
        fake::{FakeDaemon, incident, over, worse},
        notifier::Notifier,
        servers::free_port,
    },
};

pub const LIVE: Case =
    Case { name: "the_page_shows_incidents_live_in_a_browser", needs: browser::NEEDS, run: live };

pub const TOKEN: Case =
    Case { name: "the_page_asks_for_a_token_and_takes_it_by_keyboard", needs: browser::NEEDS, run: token };

const INJECTED: &str = "</title><img src=x onerror='window.hit=1'><script>window.hit=1</script>";

/// Text that would run, and words without a gap, wherever text of the machine comes to the page.
fn hostile(number: u128) -> Result<Incident> {
    let mut incident = incident(number, 0)?;
    incident.title = format!("{INJECTED}{}", "a-name-without-a-gap".repeat(18));
    incident.cause.name = INJECTED.to_owned();
    if let Some(device) = &mut incident.cause.device {
        device.model = INJECTED.to_owned();
        device.serial = "S".repeat(200);
    }
    incident.impact.mount_points = vec![format!("/srv/{INJECTED}"), format!("/{}", "deep".repeat(90))];
    incident.actions = vec![INJECTED.to_owned(), "look at cables".to_owned()];
    incident.hostname = INJECTED.to_owned();
    Ok(incident)
}

fn live(machine: &Machine) -> Result<()> {
    let daemon = FakeDaemon::start(1_000)?;
    let port = free_port()?;
    let mut notifier = Notifier::start(machine, &format!("[web]\nlisten = '127.0.0.1:{port}'\n"))?;
    let browser = Browser::start(machine)?;
    let url = format!("http://127.0.0.1:{port}");
    browser.visit(&url)?;
    browser.wait_for("document.getElementById('state').textContent === 'Live'")?;
    ensure!(browser.text()?.contains("No incident is open."), "{}", browser.text()?);

    daemon.say(&hostile(1)?)?;
    browser.wait_for("document.querySelectorAll('#open article').length === 1")?;
    daemon.say(&worse(2, 0)?)?;
    browser.wait_for("document.title === '(2) Storage incidents'")?;
    let first = browser.run("return document.querySelector('#open h2').textContent")?;
    ensure!(first == "criticalsd2: unreadable sectors", "the worst is not first: {first}");
    daemon.say(&incident(3, 0)?)?;
    browser.wait_for("document.querySelectorAll('#open article').length === 3")?;
    daemon.say(&over(3, 1)?)?;
    browser.wait_for("document.querySelectorAll('#ended article').length === 1")?;
    ensure!(browser.text()?.contains(INJECTED), "text is not shown as it is: {}", browser.text()?);
    ensure!(browser.run("return window.hit === undefined")? == true, "what was injected ran");
    browser.loads_only_from(&url)?;
    ensure!(browser.run("return !document.getElementById('over').open")? == true, "it is unfolded");
    browser.press(key::TAB)?;
    browser.press(key::ENTER)?;
    browser.wait_for("document.getElementById('over').open")?;
    for (wide, dark) in [(360, false), (360, true), (1600, false), (1600, true)] {
        let focus = browser.look(wide, dark)?;
        ensure!(focus == ["summary"], "{focus:?}");
    }
    drop(daemon);
    browser.wait_for("document.getElementById('state').textContent.startsWith('peripetyd does not run')")?;
    ensure!(!browser.text()?.contains("No incident"), "who sees nothing says that there is nothing");
    let daemon = FakeDaemon::start(2_000)?;
    browser.wait_for("document.getElementById('state').textContent === 'Live'")?;
    daemon.say(&incident(4, 0)?)?;
    browser.wait_for("document.querySelectorAll('#open article').length === 3")?;
    notifier.kill()?;
    browser.wait_for("document.getElementById('state').textContent.startsWith('The connection is lost')")?;
    notifier.start_again()?;
    browser.wait_for("document.getElementById('state').textContent === 'Live'")?;
    daemon.say(&over(4, 1)?)?;
    browser.wait_for("document.querySelectorAll('#ended article').length === 2")
}

fn token(machine: &Machine) -> Result<()> {
    let daemon = FakeDaemon::start(1_000)?;
    let port = free_port()?;
    fs::write("/run/web.token", "secret-of-the-page\n").context("a token")?;
    let config = format!("[web]\nlisten = '127.0.0.1:{port}'\ntokens = ['/run/web.token']\n");
    let _notifier = Notifier::start(machine, &config)?;
    daemon.say(&incident(1, 0)?)?;
    let browser = Browser::start(machine)?;
    browser.visit(&format!("http://127.0.0.1:{port}"))?;
    browser.wait_for("!document.getElementById('ask').hidden")?;
    ensure!(browser.run("return document.querySelectorAll('article').length")? == 0, "shown without a token");
    ensure!(!browser.text()?.contains("No incident"), "who sees nothing says that there is nothing");
    let focus = browser.look(360, true)?;
    ensure!(focus.iter().any(|one| one == "input") && focus.iter().any(|one| one == "button"), "{focus:?}");
    browser.run("document.activeElement.blur()")?;
    browser.press(&format!("{}wrong{}", key::TAB, key::ENTER))?;
    browser.wait_for("document.getElementById('state').classList.contains('bad')")?;
    browser.wait_for("!document.getElementById('ask').hidden")?;
    browser.run("const t = document.getElementById('token'); t.value = ''; t.focus()")?;
    browser.press(&format!("secret-of-the-page{}", key::ENTER))?;
    browser.wait_for("document.querySelectorAll('#open article').length === 1")?;
    browser.wait_for("document.getElementById('ask').hidden")?;
    browser.wait_for("document.getElementById('state').textContent === 'Live'")
}
