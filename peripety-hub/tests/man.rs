//! The man page and the description of the API are made from their definitions, and checked in.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy knows that of functions marked so only")]

use std::{fs, path::Path};

use clap::CommandFactory as _;

fn is_checked_in(file: &str, made: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("PERIPETY_BLESS").is_some() {
        fs::write(&file, made).unwrap();
    }
    let checked_in = fs::read(&file).unwrap_or_default();
    assert!(checked_in == made, "{} is old: PERIPETY_BLESS=1 cargo test --test man", file.display());
}

#[test]
fn the_program_has_a_page() {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(peripety_hub::program::Args::command()).section("8").source("peripety");
    man.render(&mut page).unwrap();
    is_checked_in("doc/man/peripety-hub.8", &page);
}

#[test]
fn the_api_is_described() {
    let mut text = serde_json::to_string_pretty(&peripety_hub::web::openapi()).unwrap();
    text.push('\n');
    is_checked_in("doc/hub.openapi.json", text.as_bytes());
}
