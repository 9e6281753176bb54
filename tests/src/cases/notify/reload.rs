//! SIGHUP: another configuration, and one that is wrong.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    cases::Case,
    cmd,
    machine::Machine,
    notify::{
        fake::{FakeDaemon, incident},
        notifier::Notifier,
    },
};

pub const RELOAD: Case =
    Case { name: "notify_sighup_reads_the_configuration_again_and_loses_nothing", needs: &[], run: reload };

const ONE: &str = "[[notify]]\nname = 'one'\n[notify.stdout]\n";
const TWO: &str = "[[notify]]\nname = 'two'\n[notify.stdout]\n";

fn reload(machine: &Machine) -> Result<()> {
    let daemon = FakeDaemon::start(1)?;
    let notifier = Notifier::start(machine, ONE)?;
    let pid = notifier.pid();
    daemon.say(&incident(1, 0)?)?;
    notifier.wait_until_sent(machine, "one", 1, Duration::from_secs(10))?;

    notifier.reload(&format!("{ONE}{TWO}"))?;
    cmd::wait_for("the second receiver", Duration::from_secs(10), || notifier.health(machine, "two"))?;
    daemon.say(&incident(2, 0)?)?;
    notifier.wait_until_sent(machine, "two", 1, Duration::from_secs(10))?;
    let one = notifier.wait_until_sent(machine, "one", 2, Duration::from_secs(10))?;
    ensure!(one.get("delivered") == Some(&2.into()), "what was sent is sent once: {one}");

    notifier.reload("[[notify]]\nname = 'three'\n[notify.nothing]\n")?;
    cmd::wait_for("the error", Duration::from_secs(10), || {
        let log = notifier.log();
        ensure!(log.contains("conf:") && log.contains("stays in force"), "{log}");
        Ok(())
    })?;
    daemon.say(&incident(3, 0)?)?;
    notifier.wait_until_sent(machine, "two", 2, Duration::from_secs(10))?;
    ensure!(
        notifier.pid() == pid && std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "it is another process"
    );
    Ok(())
}
