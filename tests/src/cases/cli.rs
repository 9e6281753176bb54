//! Wrong input: one line that says what is wrong, and exit 2.

use std::process::Command;

use anyhow::{Result, ensure};

use super::Case;
use crate::{
    cmd,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case { name: "wrong_input_is_answered_in_one_line", needs: &[], run: wrong },
    Case { name: "a_broken_configuration_is_shown_where_it_is_broken", needs: &[], run: check_config },
    Case { name: "nothing_found_is_exit_1", needs: &[Need::Journald], run: nothing },
    Case { name: "doctor_and_probes_print_a_screenful", needs: &[], run: doctor },
    Case {
        name: "a_pager_shows_what_goes_to_a_terminal_and_nothing_else",
        needs: &[Need::Program("script")],
        run: pager,
    },
];

fn wrong(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    // (arguments, what the answer has to name)
    let wrong: &[(&[&str], &str)] = &[
        (&["info", "no-such-device"], "no-such-device"),
        (&["info", "/no/such/path"], "/no/such/path"),
        (&["info", "4095:1048575"], "4095:1048575"),
        (&["query", "--severity", "dreadful"], "dreadful"),
        (&["query", "--since", "the day before"], "the day before"),
        (&["query", "--format", "Xml"], "Xml"),
        (&["check-config", "/no/such/file"], "/no/such/file"),
    ];
    for (args, named) in wrong {
        let ran = prpt::run(machine, args)?;
        ensure!(ran.code == Some(2), "prpt {args:?}: {ran:?}");
        ensure!(ran.stdout.is_empty() && ran.stderr.contains(named), "prpt {args:?}: {ran:?}");
        ensure!(
            !ran.stderr.contains("backtrace") && !ran.stderr.contains("panicked"),
            "prpt {args:?}: {ran:?}"
        );
    }
    // clap explains a usage error in a few lines; the others are ours, and one line.
    for args in [["info", "no-such-device"], ["check-config", "/no/such/file"]] {
        let ran = prpt::run(machine, &args)?;
        ensure!(ran.stderr.lines().count() == 1, "prpt {args:?}: {ran:?}");
    }
    Ok(())
}

fn pager(machine: &Machine) -> Result<()> {
    let prpt = machine.program("prpt").display().to_string();
    // script runs a command on a terminal of its own; what is degraded here is no matter.
    let on_terminal = |args: &str, pager: &str| {
        let mut script = Command::new("script");
        script.args(["-qec", &format!("stty cols 100; {prpt} {args}; true"), "/dev/null"]);
        cmd::run(script.env("PAGER", pager).env("TERM", "xterm"))
    };
    let marked = |text: &str| text.lines().filter(|line| line.starts_with("paged:")).count();
    let pager = "sed s/^/paged:/";
    let paged = on_terminal("types FS_SHUTDOWN", pager)?;
    ensure!(marked(&paged) == 1 && paged.contains("FS_SHUTDOWN"), "{paged}");
    for (args, pager) in
        [("types FS_SHUTDOWN --no-pager", pager), ("types FS_SHUTDOWN", "cat"), ("--version", pager)]
    {
        let text = on_terminal(args, pager)?;
        ensure!(marked(&text) == 0 && !text.trim().is_empty(), "prpt {args} with {pager}: {text}");
    }
    let list = on_terminal("doctor", pager)?;
    let wide = list.lines().map(|line| line.trim_end().chars().count()).max().unwrap_or(0);
    ensure!((60..=100 + "paged:".len()).contains(&wide), "the width is not that of the terminal: {list}");
    let piped = cmd::run(Command::new(&prpt).args(["types", "FS_SHUTDOWN"]).env("PAGER", pager))?;
    ensure!(marked(&piped) == 0, "{piped}");
    Ok(())
}

fn check_config(machine: &Machine) -> Result<()> {
    let file = machine.dir("config")?.join("broken.conf");
    let path = file.display().to_string();
    for (text, named) in [
        ("[main]\nnotify_stdout = 3\n", "notify_stdout"),
        ("[main]\n\nfoo = true\n", "foo"),
        ("= 1\n", "broken.conf:1:"),
        ("[[collector_regexs]]\nsub_system = 'x'\nevent_type = 'Y'\nregex = '(?P<kdev>.*)'\n", "regex"),
    ] {
        std::fs::write(&file, text)?;
        let ran = prpt::run(machine, &["check-config", &path])?;
        ensure!(
            ran.code == Some(2) && ran.stderr.contains(&path) && ran.stderr.contains(named),
            "{text}: {ran:?}"
        );
    }
    std::fs::write(&file, "[main]\nnotify_stdout = true\n")?;
    let ran = prpt::run(machine, &["check-config", &path])?;
    ensure!(ran.code == Some(0), "{ran:?}");
    Ok(())
}

fn nothing(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let ran = prpt::run(machine, &["query", "--event-type", "ATA_LINK_DOWN", "--since", "1 second ago"])?;
    ensure!(ran.code == Some(1) && ran.stdout.is_empty(), "{ran:?}");
    Ok(())
}

fn doctor(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    // (command, what it has to report)
    for (command, named) in [("doctor", "journald"), ("probes", "block_rq_error")] {
        let ran = prpt::run(machine, &[command])?;
        let screenful = 6..=60;
        ensure!(
            ran.code.is_some_and(|code| code < 2) && ran.stdout.contains(named),
            "prpt {command}: {ran:?}"
        );
        ensure!(screenful.contains(&ran.stdout.lines().count()), "prpt {command}: {ran:?}");
    }
    Ok(())
}
