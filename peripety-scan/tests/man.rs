//! The man page is made from the command line's definition, and checked in.

use std::{fs, path::Path};

use clap::CommandFactory as _;

#[test]
fn the_program_has_a_page() {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(peripety_scan::Args::command()).section("8").source("peripety");
    man.render(&mut page).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../doc/man/peripety-scan.8");
    if std::env::var_os("PERIPETY_BLESS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let checked_in = fs::read(&file).unwrap_or_default();
    assert!(checked_in == page, "{} is old: PERIPETY_BLESS=1 cargo test --test man", file.display());
}
