//! `cargo xtask capi`: libperipety for C, as it is installed, and its tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    setup::{self, Purpose},
    sh,
};

/// Most that the stripped library may have, bytes.
const SIZE_MAX: u64 = 2 << 20;
/// Libraries that it may need, and no others.
const NEEDED: [&str; 5] = ["libsystemd.so.0", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux"];
const SONAME: &str = "libperipety.so.1";

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Run its tests too
    #[arg(long)]
    test: bool,
    /// Without optimization: quicker to build; its size is not checked
    #[arg(long)]
    debug: bool,
    /// Where it will be installed, for peripety.pc
    #[arg(long, default_value = "/usr")]
    prefix: String,
    /// Make the record of the ABI anew
    #[arg(long)]
    bless: bool,
}

pub fn run(args: Args) -> Result<()> {
    let root = build(args.debug, &args.prefix)?;
    eprintln!("libperipety is in {}", root.display());
    if args.bless {
        let record = record();
        sh::run(abidw(&without_debug(&root)?).arg("--out-file").arg(&record))?;
        eprintln!("{} is made anew", record.display());
    }
    if args.test {
        setup::ensure(Purpose::Test)?;
        test(&root, !args.debug)?;
    }
    Ok(())
}

/// Builds and tests it without optimization, for `cargo xtask test`.
pub fn check(skipped: &mut Vec<String>) -> Result<()> {
    let root = build(true, "/usr")?;
    skipped.extend(test(&root, false)?);
    Ok(())
}

fn library(root: &Path) -> PathBuf {
    root.join("lib").join(SONAME)
}

fn source() -> PathBuf {
    sh::root().join("peripety-capi")
}

/// What the ABI was when it was recorded.
fn record() -> PathBuf {
    source().join("libperipety.abi")
}

/// Builds it and puts it where it would be below `prefix`.
fn build(debug: bool, prefix: &str) -> Result<PathBuf> {
    let profile = if debug { "dev" } else { "capi" };
    sh::run(&mut sh::cargo(["build", "--quiet", "--package", "peripety-capi", "--profile", profile]))?;
    let from = sh::target_dir().join(if debug { "debug" } else { "capi" });
    let root = from.join("libperipety");
    for dir in ["include", "lib/pkgconfig"] {
        fs::create_dir_all(root.join(dir)).with_context(|| format!("making {dir}"))?;
    }
    let copy = |from: &Path, to: &str| {
        fs::copy(from, root.join(to)).map(drop).with_context(|| format!("copying {}", from.display()))
    };
    copy(&from.join("libperipety_capi.a"), "lib/libperipety.a")?;
    copy(&source().join("include/peripety.h"), "include/peripety.h")?;
    link(&root)?;
    let template = fs::read_to_string(source().join("peripety.pc.in")).context("reading peripety.pc.in")?;
    let pc = template
        .replace("@prefix@", prefix)
        .replace("@libdir@", "${prefix}/lib")
        .replace("@version@", env!("CARGO_PKG_VERSION"));
    fs::write(root.join("lib/pkgconfig/peripety.pc"), pc).context("writing peripety.pc")?;
    Ok(root)
}

/// rustc gives a shared library a version script of its own, which allows no versions: so it is linked here.
fn link(root: &Path) -> Result<()> {
    let lib = root.join("lib");
    let script = source().join("libperipety.map");
    let mut cc = Command::new("cc");
    cc.arg("-shared").arg("-o").arg(lib.join(SONAME));
    cc.arg(format!("-Wl,-soname,{SONAME}")).arg(format!("-Wl,--version-script={}", script.display()));
    cc.args(["-Wl,--gc-sections", "-Wl,-z,relro,-z,now,-z,defs", "-Wl,--whole-archive"]);
    cc.arg(lib.join("libperipety.a"));
    cc.args([
        "-Wl,--no-whole-archive",
        "-Wl,--as-needed",
        "-lsystemd",
        "-lgcc_s",
        "-lm",
        "-lpthread",
        "-ldl",
    ]);
    sh::run(&mut cc).context("linking libperipety")?;
    let short = lib.join("libperipety.so");
    let _old = fs::remove_file(&short);
    std::os::unix::fs::symlink(SONAME, &short).context("linking libperipety.so")
}

/// What was left out, and why.
fn test(root: &Path, optimized: bool) -> Result<Vec<String>> {
    let mut skipped = Vec::new();
    if optimized {
        size(root)?;
    }
    needs(root)?;
    let programs = root.join("tests");
    fs::create_dir_all(&programs).context("making a directory for tests")?;
    let tests = source().join("tests/c/library.c");
    let plain = compile(root, &tests, &programs.join("library"), &[])?;
    run_with(root, &mut Command::new(&plain))?;
    let fixed = compile_static(root, &tests, &programs.join("library-static"))?;
    sh::run(&mut Command::new(&fixed))?;
    for name in ["whatis", "watch"] {
        let program = source().join("examples").join(name).with_extension("c");
        compile(root, &program, &programs.join(name), &[])?;
    }
    page(root, &programs)?;
    run_with(root, Command::new(programs.join("whatis")).arg("/"))
        .or_else(|error| overlay("/").then_some(()).ok_or(error))?;
    if sh::find("valgrind").is_some() {
        let mut valgrind = Command::new("valgrind");
        valgrind.args([
            "--quiet",
            "--error-exitcode=9",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
        ]);
        run_with(root, valgrind.arg(&plain)).context("valgrind")?;
    } else {
        skipped.push("libperipety under valgrind: there is no valgrind".to_owned());
    }
    let sanitized = compile(root, &tests, &programs.join("library-asan"), &["-fsanitize=address,undefined"]);
    match sanitized {
        Ok(program) => run_with(root, &mut Command::new(program)).context("AddressSanitizer")?,
        Err(error) => skipped.push(format!("libperipety with AddressSanitizer: {error:#}")),
    }
    if sh::find("abidiff").is_some() {
        abi(root)?;
    } else {
        skipped.push("the ABI of libperipety: there is no abidiff".to_owned());
    }
    Ok(skipped)
}

/// Whether a mount point is on no block device, as in a container.
fn overlay(point: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut words = line.split(' ');
        let source = words.next().unwrap_or_default();
        words.next() == Some(point) && !source.starts_with("/dev/")
    })
}

fn size(root: &Path) -> Result<()> {
    let stripped = root.join("lib/stripped.so");
    sh::run(Command::new("strip").arg("--strip-unneeded").arg("-o").arg(&stripped).arg(library(root)))?;
    let size = fs::metadata(&stripped).context("looking at the stripped library")?.len();
    fs::remove_file(&stripped).context("removing the stripped library")?;
    eprintln!("{SONAME}: {} KiB stripped", size >> 10);
    ensure!(size < SIZE_MAX, "{SONAME} has {size} bytes stripped; at most {SIZE_MAX} are allowed");
    Ok(())
}

fn needs(root: &Path) -> Result<()> {
    let dynamic = sh::output(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library(root)))
        .context("readelf failed")?;
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    for line in needed {
        ensure!(NEEDED.iter().any(|name| line.contains(name)), "{SONAME} needs more than it may: {line}");
    }
    ensure!(dynamic.contains(&format!("[{SONAME}]")), "its soname is not {SONAME}");
    let symbols = sh::output(Command::new("readelf").args(["--dyn-syms", "--wide"]).arg(library(root)))
        .context("readelf failed")?;
    let wrong = symbols.lines().find(|line| {
        let defined = line.contains(" GLOBAL ") && !line.contains(" UND ") && !line.contains(" ABS ");
        defined && !line.contains("@@PERIPETY_1")
    });
    if let Some(wrong) = wrong {
        bail!("{SONAME} has a symbol without a version: {wrong}");
    }
    Ok(())
}

/// The compiler, as strict as a user may have it, with what pkg-config says.
fn compile(root: &Path, source: &Path, program: &Path, flags: &[&str]) -> Result<PathBuf> {
    let config = |what: &str| {
        let mut config = Command::new("pkg-config");
        config.args([&format!("--define-variable=prefix={}", root.display()), what, "peripety"]);
        config.env("PKG_CONFIG_PATH", root.join("lib/pkgconfig"));
        config.env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1");
        sh::output(&mut config).context("pkg-config knows no peripety")
    };
    let mut cc = cc(source);
    cc.args(flags).args(config("--cflags")?.split_whitespace());
    cc.arg("-o").arg(program).arg(source).args(config("--libs")?.split_whitespace()).arg("-lpthread");
    sh::run(&mut cc).with_context(|| format!("compiling {}", source.display()))?;
    Ok(program.to_owned())
}

fn cc(source: &Path) -> Command {
    let is_cpp = source.extension().is_some_and(|extension| extension == "cc");
    let mut cc = Command::new(if is_cpp { "c++" } else { "cc" });
    cc.args(["-Wall", "-Wextra", "-Werror", "-g"]).arg(if is_cpp { "-std=c++11" } else { "-std=gnu99" });
    cc
}

fn compile_static(root: &Path, source: &Path, program: &Path) -> Result<PathBuf> {
    let mut cc = cc(source);
    cc.arg("-I").arg(root.join("include")).arg("-o").arg(program).arg(source);
    cc.arg(root.join("lib/libperipety.a")).args(["-lsystemd", "-lm", "-lpthread", "-ldl"]);
    sh::run(&mut cc).context("compiling with libperipety.a")?;
    Ok(program.to_owned())
}

fn run_with(root: &Path, command: &mut Command) -> Result<()> {
    sh::run(command.env("LD_LIBRARY_PATH", root.join("lib")))
}

/// The example of the manual page compiles as it stands there, also as C++.
fn page(root: &Path, programs: &Path) -> Result<()> {
    let page =
        fs::read_to_string(sh::root().join("doc/man/libperipety.3")).context("reading libperipety.3")?;
    let example = page.split(".EX\n").nth(1).and_then(|rest| rest.split(".EE").next());
    let example = example.context("libperipety.3 has no example")?.replace("\\-", "-").replace("\\e", "\\");
    for extension in ["c", "cc"] {
        if extension == "cc" && sh::find("c++").is_none() {
            continue;
        }
        let source = programs.join("page").with_extension(extension);
        fs::write(&source, &example).context("writing the example")?;
        compile(root, &source, &programs.join("page"), &[]).context("the example of libperipety.3")?;
    }
    Ok(())
}

fn abidw(library: &Path) -> Command {
    let mut abidw = Command::new("abidw");
    abidw.args(["--no-corpus-path", "--no-comp-dir-path"]).arg(library);
    abidw
}

/// Its symbols, versions and needs alone: what debug information there is comes from Rust's own library. The types are those of
/// the header, which is checked in.
fn without_debug(root: &Path) -> Result<PathBuf> {
    let bare = root.join("tests").join(SONAME);
    fs::create_dir_all(root.join("tests")).context("making a directory for tests")?;
    sh::run(Command::new("strip").arg("--strip-debug").arg("-o").arg(&bare).arg(library(root)))?;
    Ok(bare)
}

/// No function and no version went, and none is new without having been recorded.
fn abi(root: &Path) -> Result<()> {
    let mut abidiff = Command::new("abidiff");
    abidiff.arg(record()).arg(without_debug(root)?);
    sh::run(&mut abidiff).context(
        "the ABI is another one. What is new gets a new version in libperipety.map and is recorded by 'cargo xtask capi --bless'; \
         what is gone or different breaks programs",
    )
}
