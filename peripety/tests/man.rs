//! The man pages are made from the command lines' one definition, and checked in.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy knows that of functions marked so only")]

use std::{fs, path::Path};

use clap::CommandFactory as _;

/// Writes `doc/man` when reported to; else compares.
fn check(name: &str, page: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../doc/man").join(name);
    if std::env::var_os("PERIPETY_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, page).unwrap();
    }
    let checked_in = fs::read(&file).unwrap_or_default();
    assert!(checked_in == page, "{} is old: PERIPETY_BLESS=1 cargo test --test man", file.display());
}

fn page(command: clap::Command, section: &str) -> Vec<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).section(section).source("peripety").render(&mut page).unwrap();
    page
}

#[test]
fn prpt_and_each_of_its_subcommands_have_a_page() {
    let prpt = peripety::internal::cli::command();
    for command in prpt.get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = format!("prpt-{}", command.get_name());
        let command = command.clone().name(&name).bin_name(name.replacen('-', " ", 1));
        check(&format!("{name}.1"), &page(command, "1"));
    }
    check("prpt.1", &page(prpt, "1"));
}

#[test]
fn the_daemon_has_a_page() {
    check("peripetyd.8", &page(peripety::internal::daemon::Args::command(), "8"));
}
