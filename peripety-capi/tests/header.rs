//! The header that is checked in is the one that the code gives, and the version script has what the header has.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_header_is_what_the_code_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new().with_crate(root).with_config(config).generate().unwrap().write(&mut made);
    let mut made = String::from_utf8(made).unwrap();
    // What a caller of Rust has to promise is what every caller of C promises.
    while let Some(at) = made.find(" *\n * # Safety\n") {
        let end = at + made[at..].find(" */").unwrap();
        made.replace_range(at..end, "");
    }
    let file = root.join("include/peripety.h");
    if std::env::var_os("PERIPETY_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &made).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == made,
        "include/peripety.h is stale: PERIPETY_BLESS=1 cargo test -p peripety-capi --test header"
    );
}

#[test]
fn the_version_script_has_every_function_of_the_header() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = fs::read_to_string(root.join("include/peripety.h")).unwrap();
    let functions: BTreeSet<String> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/']))
        .flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '(')))
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("peripety_"))
        .map(str::to_owned)
        .collect();
    let script = fs::read_to_string(root.join("libperipety.map")).unwrap();
    let listed: BTreeSet<String> = script
        .split([';', '{', ' ', '\n'])
        .filter(|word| word.starts_with("peripety_"))
        .map(str::to_owned)
        .collect();
    assert!(functions.len() > 30, "{functions:?}");
    assert_eq!(functions, listed, "libperipety.map: a new function gets a new version, or it is forgotten");
}
