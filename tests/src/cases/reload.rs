//! A new configuration while the daemon runs: all of it, or nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs},
    fs::{self, Mount},
    machine::{Machine, Need},
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_users_rule_works_at_once_after_sighup",
        needs: &[Need::Loop, Need::Filesystem("ext4")],
        run: rule,
    },
    Case {
        name: "a_broken_file_changes_nothing_and_is_told",
        needs: &[Need::Loop, Need::Filesystem("ext4")],
        run: broken,
    },
];

/// A type for the kernel's line about a mount: one that no one has to fail for.
fn rule_for_mounts(event_type: &str) -> String {
    format!(
        "[[collector_regexs]]\nstarts_with = 'EXT4-fs ('\nsub_system = 'ext4'\nevent_type = '{event_type}'\n\
         regex = '''^EXT4-fs \\((?P<kdev>[^)]+)\\): mounted filesystem'''\n"
    )
}

fn mount_gives(machine: &Machine, scene: &Scene<'_>, event_type: &str) -> Result<()> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    fs::make("ext4", &disk)?;
    let _mount = Mount::new(machine, &disk, "")?;
    scene.expect(event_type, &disk.name, |event| event.event_type.as_str() == event_type)?;
    Ok(())
}

fn rule(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    mount_gives(machine, &scene, "FS_MOUNTED")?;
    scene.daemon.configure(&rule_for_mounts("MY_EXT4_IS_HERE"))?;
    scene.daemon.signal(Signal::HUP)?;
    reported(&scene, "PERIPETY_CONFIG_RELOADED")?;
    mount_gives(machine, &scene, "MY_EXT4_IS_HERE")
}

fn broken(machine: &Machine) -> Result<()> {
    let mut scene = Scene::start(machine, &rule_for_mounts("MY_OLD_RULE"))?;
    let config = scene.daemon.config();
    // (what is wrong, what the message has to name)
    let files = [
        ("[main\nnotify_stdout = true\n", "peripetyd.conf:1:"),
        ("[main]\nnotify_stdout = 'perhaps'\n", "notify_stdout"),
        ("[main]\nno_such_key = true\n", "no_such_key"),
        (
            "[[collector_regexs]]\nstarts_with = 'x'\nsub_system = 'ext4'\nevent_type = 'X'\nregex = '(?P<kdev>['\n",
            "regex",
        ),
        (
            "[[collector_regexs]]\nstarts_with = 'x'\nsub_system = 'ext4'\nevent_type = 'X'\nregex = 'x .*'\n",
            "kdev",
        ),
    ];
    for (text, named) in files {
        let before = scene.daemon.log().len();
        scene.daemon.configure(text)?;
        scene.daemon.signal(Signal::HUP)?;
        cmd::wait_for("the daemon to refuse the file", Duration::from_secs(10), || {
            let log = scene.daemon.log();
            let said = log.get(before..).unwrap_or_default();
            let names_it = said.contains(&*config.to_string_lossy()) && said.contains(named);
            ensure!(names_it, "nothing about '{named}' in {}: {said}", config.display());
            Ok(())
        })?;
    }
    reported(&scene, "PERIPETY_CONFIG_REJECTED")?;
    ensure!(scene.daemon.is_alive(), "peripetyd ended");
    mount_gives(machine, &scene, "MY_OLD_RULE")
}

fn reported(scene: &Scene<'_>, event_type: &str) -> Result<()> {
    scene.expect(event_type, "", |event| event.event_type.as_str() == event_type)?;
    Ok(())
}
