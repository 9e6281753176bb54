//! `cargo xtask kernel-strings`: the table of the kernel's format strings, made anew from Debian's kernel sources, so that
//! a new kernel shows which of its words have changed.
//!
//! Which files and which macros the table has is taken from the table itself: the macros that stand in it, and every C
//! file of a directory that has one in it.

mod extract;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    sh,
    vm::{Suite, sources},
};

const TABLE: &str = "peripety/tests/kernel_strings/strings.tsv";

/// Where 5.10 has what later kernels have elsewhere.
const MOVED: &[(&str, &str)] = &[("drivers/scsi/ufs/", "drivers/ufs/core/")];

/// Macros that a table which does not have them yet gets as well: directory, macro with its level.
const MORE: &[(&str, &str)] = &[
    ("drivers/scsi/mpt3sas", "ioc_err"),
    ("drivers/scsi/mpt3sas", "ioc_warn"),
    ("drivers/scsi/qla2xxx", "ql_log[fatal]"),
    ("drivers/scsi/qla2xxx", "ql_log[warn]"),
    ("drivers/scsi/qla2xxx", "ql_log[info]"),
];

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Only this kernel: the others are taken from the table
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// Write the table anew
    #[arg(long)]
    write: bool,
    /// Print what share of the strings the rules take, by subsystem, and nothing else
    #[arg(long, conflicts_with_all = ["kernel", "write"])]
    coverage: bool,
}

/// File, macro and format of a string, and in which of the kernels it is.
type Table = BTreeMap<(String, String, String), Vec<bool>>;

pub fn run(args: Args) -> Result<()> {
    if args.coverage {
        let test = [
            "test",
            "--quiet",
            "-p",
            "peripety",
            "--test",
            "kernel_strings",
            "errors_of",
            "--",
            "--nocapture",
        ];
        return sh::run(&mut sh::cargo(test));
    }
    let path = sh::root().join(TABLE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let head = text.lines().next().unwrap_or_default().to_owned();
    let old = parse(&text)?;
    let kernels = sources();
    let chosen: Vec<usize> = match &args.kernel {
        None => (0..kernels.len()).collect(),
        Some(name) => {
            let place = kernels.iter().position(|(kernel, _)| kernel == name);
            let names = || kernels.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            vec![place.with_context(|| format!("kernel {name} is not known; there are {}", names()))?]
        }
    };
    let mut new = old.clone();
    for place in &chosen {
        for flags in new.values_mut() {
            if let Some(flag) = flags.get_mut(*place) {
                *flag = false;
            }
        }
    }
    let scope = Scope::of(&old);
    for place in chosen {
        let Some((kernel, suite)) = kernels.get(place) else { continue };
        let dir = sh::root().join("target/kernel-strings").join(kernel);
        let tree = fetch(kernel, suite, &dir, &scope)?;
        for (file, found) in read(&tree, &scope)? {
            let flags =
                new.entry((file, found.name, found.text)).or_insert_with(|| vec![false; kernels.len()]);
            if let Some(flag) = flags.get_mut(place) {
                *flag = true;
            }
        }
    }
    new.retain(|_, flags| flags.contains(&true));
    let changes = diff(&old, &new);
    print(&changes);
    if args.write {
        fs::write(&path, render(&head, &new)).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!(
            "{TABLE} is written; `cargo test -p peripety --test kernel_strings` says what that means for the rules"
        );
    }
    Ok(())
}

/// Which directories and macros the table is about.
struct Scope {
    dirs: BTreeSet<String>,
    files: BTreeSet<String>,
    macros: BTreeSet<String>,
    /// Directory, and macro with its level: some drivers are of interest for their errors only.
    names: BTreeSet<(String, String)>,
}

impl Scope {
    fn of(table: &Table) -> Self {
        let dir = |file: &str| file.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        let plain = |name: &str| name.split('[').next().unwrap_or(name).to_owned();
        let more = || MORE.iter().map(|(dir, name)| ((*dir).to_owned(), (*name).to_owned()));
        Self {
            dirs: table.keys().map(|(file, _, _)| dir(file)).collect(),
            files: table.keys().map(|(file, _, _)| file.clone()).collect(),
            macros: table
                .keys()
                .map(|(_, name, _)| plain(name))
                .chain(more().map(|(_, name)| plain(&name)))
                .collect(),
            names: table.keys().map(|(file, name, _)| (dir(file), name.clone())).chain(more()).collect(),
        }
    }

    /// Whether a file counts: one of the table, or a new one in a directory that belongs to storage as a whole.
    fn has(&self, file: &str) -> bool {
        const SHARED: &[&str] = &[
            "fs",
            "mm",
            "drivers/ata",
            "drivers/block",
            "drivers/infiniband/ulp/srp",
            "drivers/mmc/core",
            "drivers/scsi",
            "drivers/ufs/core",
            "drivers/usb/storage",
        ];
        let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.files.contains(file) || (self.dirs.contains(dir) && !SHARED.contains(&dir))
    }
}

/// The sources of a kernel, as far as they are needed.
fn fetch(kernel: &str, suite: &str, dir: &Path, scope: &Scope) -> Result<PathBuf> {
    let tree = dir.join("tree");
    if tree.join("complete").is_file() {
        return Ok(tree);
    }
    eprintln!(
        "kernel-strings: bringing the source of {kernel} from Debian {suite} to {} (once)",
        dir.display()
    );
    let _it_may_not_be_there = fs::remove_dir_all(dir);
    fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
    let packages = dir.join("package");
    fs::create_dir_all(&packages).context("making a directory for the package")?;
    let suite = Suite::open(suite, "amd64", dir.join("apt"))?;
    let package = suite.source_package()?;
    suite.unpack(&[package], &packages)?;
    let archives = packages.join("usr/src");
    let list = fs::read_dir(&archives).with_context(|| format!("cannot read {}", archives.display()))?;
    let is_archive = |path: &PathBuf| path.to_string_lossy().contains(".tar.");
    let archive =
        list.flatten().map(|e| e.path()).find(is_archive).context("the package holds no sources")?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(&archive).arg("-C").arg(&tree).args(["--strip-components=1", "--wildcards"]);
    let moved = MOVED.iter().map(|(from, _)| from.trim_end_matches('/').to_owned());
    // What a kernel does not have is no error.
    for dir in scope.dirs.iter().cloned().chain(moved) {
        tar.arg(format!("*/{dir}/*.c"));
    }
    let _missing_directories_are_told =
        tar.stderr(std::process::Stdio::null()).status().context("running tar")?;
    fs::remove_dir_all(&packages).context("removing the package")?;
    fs::write(tree.join("complete"), "").context("marking the sources")?;
    Ok(tree)
}

fn read(tree: &Path, scope: &Scope) -> Result<Vec<(String, extract::Found)>> {
    let mut files = Vec::new();
    let mut open = vec![tree.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry.context("a file of the sources")?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "c") {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    let wanted = |name: &str| scope.macros.contains(name);
    let mut all = Vec::new();
    for path in files {
        let Some(name) = path.strip_prefix(tree).ok().and_then(Path::to_str) else { continue };
        let moved = MOVED.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
        let name = moved.unwrap_or_else(|| name.to_owned());
        if !scope.has(&name) {
            continue;
        }
        let source = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let calls = extract::calls(&String::from_utf8_lossy(&source), &wanted);
        let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        let kept = calls.into_iter().filter(|found| {
            says_something(&found.text) && scope.names.contains(&(dir.clone(), found.name.clone()))
        });
        all.extend(kept.map(|found| (name.clone(), found)));
    }
    Ok(all)
}

/// Whether there is a word in it: of `%s: %s\\n` alone nothing can be known.
fn says_something(text: &str) -> bool {
    let text = text.replace("\\n", " ");
    let words = text.split(|c: char| !(c.is_ascii_alphabetic() || c == '%'));
    words.filter(|word| !word.contains('%')).any(|word| word.len() > 2)
}

fn parse(text: &str) -> Result<Table> {
    let mut table = Table::new();
    let mut file = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("@ ") {
            file = name.to_owned();
            continue;
        }
        let mut fields = line.splitn(3, '\t');
        let (Some(name), Some(flags), Some(text)) = (fields.next(), fields.next(), fields.next()) else {
            bail!("{TABLE}: '{line}' has no three fields");
        };
        let flags = flags.bytes().map(|b| b == b'x').collect();
        table.insert((file.clone(), name.to_owned(), text.to_owned()), flags);
    }
    Ok(table)
}

fn render(head: &str, table: &Table) -> String {
    let mut out = format!("{head}\n");
    let mut last = "";
    for ((file, name, text), flags) in table {
        if file != last {
            out.push_str(&format!("@ {file}\n"));
            last = file;
        }
        let flags: String = flags.iter().map(|is| if *is { 'x' } else { '-' }).collect();
        out.push_str(&format!("{name}\t{flags}\t{}\n", text.replace(['\t', '\n'], " ")));
    }
    out
}

/// What is new, what is gone, and what is said in other words.
#[derive(Debug, Default, PartialEq)]
struct Changes {
    changed: Vec<(String, String)>,
    new: Vec<String>,
    gone: Vec<String>,
    /// The same words in other kernels than before.
    moved: usize,
}

fn diff(old: &Table, new: &Table) -> Changes {
    let mut changes = Changes::default();
    let id = |(file, name, text): &(String, String, String)| format!("{file}: {name}: {text}");
    let mut gone: Vec<&(String, String, String)> = old.keys().filter(|key| !new.contains_key(*key)).collect();
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        // Of the same file and macro, and mostly the same words.
        let alike =
            gone.iter().position(|was| was.0 == key.0 && was.1 == key.1 && likeness(&was.2, &key.2) > 600);
        match alike {
            Some(place) => changes.changed.push((id(gone.remove(place)), key.2.clone())),
            None => changes.new.push(id(key)),
        }
    }
    changes.gone = gone.into_iter().map(id).collect();
    changes.moved = old.iter().filter(|(key, flags)| new.get(*key).is_some_and(|now| now != *flags)).count();
    changes
}

/// How many words two texts have in common, in thousandths of those that both have.
fn likeness(one: &str, other: &str) -> usize {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<String>>();
    let (one, other) = (words(one), words(other));
    (one.intersection(&other).count() * 1000).checked_div(one.union(&other).count()).unwrap_or(0)
}

#[expect(clippy::print_stdout, reason = "the changes are the data of this command")]
fn print(changes: &Changes) {
    for (was, is) in &changes.changed {
        println!("~ {was}\n  {is}");
    }
    for new in &changes.new {
        println!("+ {new}");
    }
    for gone in &changes.gone {
        println!("- {gone}");
    }
    println!(
        "{} in other words, {} new, {} gone, {} in other kernels than before",
        changes.changed.len(),
        changes.new.len(),
        changes.gone.len(),
        changes.moved
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# head\n@ a.c\npr_err\tx-\tone two three\npr_err\txx\tstays\n@ b/c.c\nprintk[ERR]\t-x\tgoes\n";

    #[test]
    fn a_table_comes_back_as_it_was() {
        assert_eq!(render("# head", &parse(TEXT).unwrap()), TEXT);
        assert!(parse("no fields").is_err());
    }

    #[test]
    fn changed_words_are_told_from_new_ones() {
        let old = parse(TEXT).unwrap();
        let new =
            parse("@ a.c\npr_err\tx-\tone two three four\npr_err\tx-\tstays\n@ b/c.c\npr_err\t-x\tcomes\n")
                .unwrap();
        let changes = diff(&old, &new);
        assert_eq!(
            changes.changed,
            [("a.c: pr_err: one two three".to_owned(), "one two three four".to_owned())]
        );
        assert_eq!(changes.new, ["b/c.c: pr_err: comes"]);
        assert_eq!(changes.gone, ["b/c.c: printk[ERR]: goes"]);
        assert_eq!(changes.moved, 1);
    }
}
