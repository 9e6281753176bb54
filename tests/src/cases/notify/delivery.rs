//! Each incident arrives, in order, and once, whoever is killed meanwhile.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    cases::Case,
    machine::{Machine, Need},
    notify::{
        fake::{FakeDaemon, incident, over},
        notifier::Notifier,
        servers::{Certificates, Http},
    },
};

/// Incidents of the run, and how long it takes to say them; `PERIPETY_NOTIFY_INCIDENTS=1000` makes more of them.
const INCIDENTS: u32 = 250;
const SAYING: Duration = Duration::from_secs(8);

pub const THROUGH_KILLS: Case = Case {
    name: "notify_incidents_arrive_once_and_in_order_through_kills_of_both_sides",
    needs: &[Need::Program("openssl"), Need::Program("python3")],
    run: through_kills,
};

pub const LATE: Case =
    Case { name: "notify_what_happens_while_nobody_notifies_is_told_later_and_once", needs: &[], run: late };

fn messages(taken: &[Value]) -> Vec<(String, String, String)> {
    let all = taken.iter().filter_map(|body| body.get("messages")?.as_array()).flatten();
    let text =
        |message: &Value, key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    all.map(|m| (text(m, "subject"), text(m, "kind"), text(m, "id"))).collect()
}

fn through_kills(machine: &Machine) -> Result<()> {
    let certificates = Certificates::make(&machine.dir("certificates")?)?;
    let mut http = Http::start(machine, Some(&certificates))?;
    let daemon = FakeDaemon::start(1)?;
    let config = format!(
        "[[notify]]\nname = 'web'\nqueue = 10000\nretry_max = '1s'\ntimeout = '5s'\n[notify.webhook]\nurl = 'https://localhost:{}/x'\nca_file = '{}'\n",
        http.port,
        certificates.authority.display()
    );
    let mut notifier = Notifier::start(machine, &config)?;
    let start = Instant::now();
    let incidents = match std::env::var("PERIPETY_NOTIFY_INCIDENTS") {
        Ok(number) => number.parse().with_context(|| format!("PERIPETY_NOTIFY_INCIDENTS={number}"))?,
        Err(_unset) => INCIDENTS,
    };
    let (last, pause) = (u128::from(incidents), SAYING / incidents.max(1));
    // Each opens, and is over later.
    let say = thread::spawn(move || -> Result<FakeDaemon> {
        for number in 1..=last {
            daemon.say(&incident(number, 0)?)?;
            if number > 20 {
                daemon.say(&over(number - 20, 1)?)?;
            }
            thread::sleep(pause);
        }
        for number in last.saturating_sub(19).max(1)..=last {
            daemon.say(&over(number, 1)?)?;
        }
        Ok(daemon)
    });
    let (mut kills, mut receiver_kills) = (0, 0);
    while !say.is_finished() {
        thread::sleep(Duration::from_millis(700));
        notifier.kill()?;
        kills += 1;
        if kills % 2 == 0 {
            http.kill()?;
            receiver_kills += 1;
            thread::sleep(Duration::from_millis(200));
            http.start_again()?;
        }
        notifier.start_again()?;
    }
    let _daemon = say.join().map_err(|_| anyhow::anyhow!("the daemon panicked"))??;
    notifier.wait_until_sent(machine, "web", 1, Duration::from_secs(200))?;
    let all = messages(&http.taken()?);
    let mut by_incident: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut twice = 0;
    for (subject, kind, id) in &all {
        let told = by_incident.entry(subject).or_default();
        // What was taken and not answered comes again with the same id: who takes it can see that.
        if told.iter().any(|(_, known)| known == id) {
            twice += 1;
        } else {
            told.push((kind, id));
        }
    }
    eprintln!(
        "{} messages about {} incidents in {:.1} s; sender killed {kills} times, receiver {receiver_kills}; {twice} came again with a known id",
        all.len(),
        by_incident.len(),
        start.elapsed().as_secs_f32()
    );
    ensure!(by_incident.len() as u128 == last, "{} incidents arrived", by_incident.len());
    for (subject, told) in &by_incident {
        let kinds: Vec<&str> = told.iter().map(|(kind, _)| *kind).collect();
        ensure!(kinds == ["opened", "resolved"], "{subject}: {kinds:?}");
    }
    ensure!(kills >= 5 && receiver_kills >= 2, "there were too few kills for a test: {kills}");
    ensure!(twice <= kills + receiver_kills, "{twice} came twice for {kills} kills");
    Ok(())
}

fn late(machine: &Machine) -> Result<()> {
    let daemon = FakeDaemon::start(1)?;
    let config = "[[notify]]\nname = 'out'\n[notify.stdout]\njson = true\n";
    let mut notifier = Notifier::start(machine, config)?;
    daemon.say(&incident(1, 0)?)?;
    notifier.wait_until_sent(machine, "out", 1, Duration::from_secs(10))?;
    notifier.kill()?;
    daemon.say(&incident(2, 0)?)?;
    daemon.say(&over(1, 1)?)?;
    notifier.start_again()?;
    notifier.wait_until_sent(machine, "out", 3, Duration::from_secs(10))?;
    // Nothing new: nothing is sent again.
    notifier.kill_and_start()?;
    thread::sleep(Duration::from_millis(500));
    let lines = notifier.stdout();
    let told: Vec<(String, String)> = lines
        .lines()
        .map(|line| {
            let message: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok((text("subject").chars().last().map(String::from).unwrap_or_default(), text("kind")))
        })
        .collect::<Result<_>>()?;
    let told: Vec<(&str, &str)> =
        told.iter().map(|(subject, kind)| (subject.as_str(), kind.as_str())).collect();
    ensure!(told == [("1", "opened"), ("2", "opened"), ("1", "resolved")], "{told:?}");
    Ok(())
}
