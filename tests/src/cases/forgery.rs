//! Only the kernel speaks for the kernel, and only the daemon for peripety.

use std::{
    fs::OpenOptions, io::Write as _, os::unix::net::UnixDatagram, path::PathBuf, process::Command, thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::Case;
use crate::{
    cmd, journald,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

/// A device that is not there.
const DEVICE: &str = "sdzz";
const LINE: &str =
    "EXT4-fs error (device sdzz): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0";

pub const CASES: &[Case] = &[
    Case { name: "text_in_kmsg_from_user_space_is_no_event", needs: &[], run: kmsg },
    Case {
        name: "text_in_the_journal_that_says_kernel_is_no_event",
        needs: &[Need::Journald, Need::Program("logger")],
        run: logger,
    },
    Case { name: "a_forged_entry_in_the_journal_is_not_believed", needs: &[Need::Journald], run: entry },
    Case {
        name: "root_s_program_of_the_daemon_s_name_is_not_the_daemon",
        needs: &[Need::Journald],
        run: namesake,
    },
];

fn kmsg(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    // Facility user (1) as the kernel sets it, with a priority of the kernel's facility, and a facility of its own.
    for prefix in ["", "<3>", "<11>", "<27>"] {
        let mut kmsg = OpenOptions::new().write(true).open("/dev/kmsg").context("opening /dev/kmsg")?;
        kmsg.write_all(format!("{prefix}{LINE}\n").as_bytes()).context("writing to /dev/kmsg")?;
    }
    nothing_told(&scene)
}

fn logger(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let fields = format!(
        "PRIORITY=3\nSYSLOG_IDENTIFIER=kernel\nSYSLOG_FACILITY=0\n_TRANSPORT=kernel\nMESSAGE={LINE}\n"
    );
    for runner in [&as_nobody[..], &["env"]] {
        let [program, args @ ..] = runner else { continue };
        let command = || {
            let mut command = Command::new(program);
            command.args(args);
            command
        };
        let socket =
            ["logger", "--socket", "/run/systemd/journal/dev-log", "-t", "kernel", "-p", "kern.err", LINE];
        cmd::run(command().args(socket))?;
        let shell = format!("printf '{}' | logger --journald", fields.replace('\n', "\\n"));
        cmd::run(command().args(["sh", "-c", &shell]))?;
    }
    cmd::wait_for("the forged text in the journal", Duration::from_secs(5), || {
        let entries = journald::entries(&["SYSLOG_IDENTIFIER=kernel"])?;
        ensure!(
            entries.iter().filter(|e| e.to_string().contains(LINE)).count() >= 4,
            "{} entries",
            entries.len()
        );
        Ok(())
    })?;
    nothing_told(&scene)
}

fn nothing_told(scene: &Scene<'_>) -> Result<()> {
    thread::sleep(Duration::from_secs(3));
    for events in [scene.seen(DEVICE)?, scene.found(DEVICE)?] {
        ensure!(events.is_empty(), "{}", crate::events::told(&events));
    }
    Ok(())
}

/// Everything that an ordinary user can write into the journal, in the shape of an event that the daemon wrote.
fn entry(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let id = "11111111-2222-5333-8444-555555555555";
    let file = forged(machine, id)?;
    let sender = "setpriv --reuid=65534 --regid=65534 --clear-groups logger --journald=";
    cmd::sh(&format!("{sender}{}", file.display()))?;
    // And as root, but not the daemon.
    let socket = UnixDatagram::unbound()?;
    socket.send_to(&std::fs::read(&file)?, "/run/systemd/journal/socket")?;
    cmd::wait_for("the forged entries in the journal", Duration::from_secs(5), || {
        let entries = journald::entries(&[&format!("EVENT_ID={id}")])?;
        ensure!(entries.len() == 2, "{} entries", entries.len());
        Ok(())
    })?;
    let found = prpt::json(machine, &["query", "-J"])?;
    ensure!(!found.is_empty(), "prpt query finds nothing at all");
    ensure!(found.iter().all(|event| !event.to_string().contains(id)), "prpt query believes a forged entry");
    Ok(())
}

/// A file with an entry as the daemon would write it, with this id.
fn forged(machine: &Machine, id: &str) -> Result<PathBuf> {
    let genuine = journald::entries(&["IS_PERIPETY=TRUE"])?;
    let mut event: serde_json::Value = serde_json::from_str(
        genuine
            .first()
            .and_then(|e| e.get("JSON"))
            .and_then(|j| j.as_str())
            .context("the daemon wrote no event")?,
    )?;
    for (key, value) in [("event_id", id), ("kdev", DEVICE), ("msg", LINE)] {
        event.as_object_mut().context("an event that is no object")?.insert(key.to_owned(), value.into());
    }
    let fields = format!(
        "IS_PERIPETY=TRUE\nEVENT_ID={id}\nREVISION=0\nEVENT_TYPE=FS_ERROR\nSUB_SYSTEM=ext4\nPRIORITY=3\n\
         SYSLOG_IDENTIFIER=peripetyd\n_UID=0\n_COMM=peripetyd\n_EXE=/usr/bin/peripetyd\n\
         _SYSTEMD_UNIT=peripetyd.service\nDEV_PATH=/dev/{DEVICE}\nMESSAGE={LINE}\nJSON={event}\n"
    );
    let file = machine.dir("forged")?.join("entry");
    std::fs::write(&file, fields)?;
    Ok(file)
}

/// What journald says of it is right in all but the place of the executable.
fn namesake(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let id = "22222222-2222-5333-8444-555555555555";
    let file = forged(machine, id)?;
    let program = machine.dir("namesake")?.join("peripetyd");
    std::fs::copy(std::env::current_exe()?, &program)?;
    cmd::run(Command::new(&program).env(crate::SEND, &file))?;
    cmd::wait_for("the forged entries in the journal", Duration::from_secs(5), || {
        let entries = journald::entries(&[&format!("EVENT_ID={id}")])?;
        let named = entries.iter().filter(|e| {
            e.get("_EXE").and_then(|exe| exe.as_str()) == Some(&*program.to_string_lossy())
                && e.get("_UID").and_then(|uid| uid.as_str()) == Some("0")
        });
        ensure!(named.count() > 0, "{} entries: {entries:?}", entries.len());
        Ok(())
    })?;
    let found = prpt::json(machine, &["query", "-J"])?;
    ensure!(!found.is_empty(), "prpt query finds nothing at all");
    ensure!(found.iter().all(|event| !event.to_string().contains(id)), "prpt query believes a namesake");
    Ok(())
}
