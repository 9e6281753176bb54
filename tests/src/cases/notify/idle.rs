//! A notifier that has nothing to do costs nothing.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cases::Case,
    machine::Machine,
    notify::{
        fake::{FakeDaemon, incident, over},
        notifier::Notifier,
    },
};

pub const IDLE: Case =
    Case { name: "notify_an_idle_notifier_never_wakes_up_and_takes_less_than_12_mib", needs: &[], run: idle };

const CONFIG: &str = "[[notify]]\nname = 'out'\n[notify.stdout]\n\
    [[notify]]\nname = 'web'\n[notify.webhook]\nurl = 'https://192.0.2.1/x'\n\
    [[notify]]\nname = 'irc'\n[notify.irc]\nserver = '192.0.2.1'\nchannel = '#x'\n\
    [[notify]]\nname = 'mail'\n[notify.mail]\nfrom = 'a@example.com'\nto = ['b@example.com']\nserver = '192.0.2.1'\n\
    [[notify]]\nname = 'syslog'\n[notify.syslog]\nserver = '192.0.2.1'\n";

/// How often its threads were scheduled.
fn switches(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("its threads")? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        sum += counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(sum)
}

fn idle(machine: &Machine) -> Result<()> {
    let daemon = FakeDaemon::start(1)?;
    // Those with the network get nothing here.
    let config = CONFIG.replace("[[notify]]\nname = 'web'", "[[notify]]\nhosts = ['none']\nname = 'web'");
    let config = config.replace("name = 'irc'", "hosts = ['none']\nname = 'irc'");
    let config = config.replace("name = 'mail'", "hosts = ['none']\nname = 'mail'");
    let config = config.replace("name = 'syslog'", "hosts = ['none']\nname = 'syslog'");
    let notifier = Notifier::start(machine, &config)?;
    daemon.say(&incident(1, 0)?)?;
    daemon.say(&over(1, 1)?)?;
    notifier.wait_until_sent(machine, "out", 2, Duration::from_secs(10))?;
    thread::sleep(Duration::from_secs(1));
    let before = switches(notifier.pid())?;
    thread::sleep(Duration::from_secs(4));
    let after = switches(notifier.pid())?;
    let status = fs::read_to_string(format!("/proc/{}/status", notifier.pid()))?;
    let kib = |name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
    };
    let (all, of_files) = (kib("VmRSS:").context("VmRSS")?, kib("RssFile:").context("RssFile")?);
    eprintln!("{} wakeups in 4 s; {all} KiB resident, {of_files} KiB of them of files", after - before);
    ensure!(after == before, "{} wakeups in 4 s", after - before);
    // A debug build's program is large, and in memory only as far as it ran.
    ensure!(all - of_files < 12 * 1024, "{all} KiB, {of_files} KiB of files");
    Ok(())
}
