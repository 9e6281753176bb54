//! `cargo xtask python`: the wheel, tested in environments of its own.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

use crate::sh;

/// What builds the wheel and checks its types, from PyPI.
const TOOLS: [&str; 3] = ["maturin>=1.7,<2", "mypy", "pyright[nodejs]"];

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Test with this Python too, which may be given several times; the first one builds
    #[arg(long, default_value = "python3")]
    python: Vec<String>,
}

pub fn run(args: Args) -> Result<()> {
    let source = sh::root().join("peripety-python");
    let dir = sh::target_dir().join("python");
    fs::create_dir_all(&dir).context("making a directory for Python")?;
    let builder = args.python.first().context("no Python was given")?;
    let tools = environment(builder, &dir.join("tools"))?;
    if !sh::succeeds(Command::new(tools.join("maturin")).arg("--version"))
        || !sh::succeeds(Command::new(tools.join("mypy")).arg("--version"))
        || !tools.join("pyright").exists()
    {
        sh::run(Command::new(tools.join("pip")).args(["install", "--quiet"]).args(TOOLS))?;
    }
    let wheels = dir.join("wheels");
    let _old = fs::remove_dir_all(&wheels);
    let mut maturin = Command::new(tools.join("maturin"));
    maturin.args(["build", "--release", "--quiet", "--locked", "--auditwheel", "skip", "--out"]).arg(&wheels);
    maturin.arg("--target-dir").arg(dir.join("target")).arg("--interpreter").arg(tools.join("python"));
    sh::run(maturin.current_dir(&source)).context("building the wheel")?;
    let wheel = fs::read_dir(&wheels).context("listing wheels")?.flatten().map(|entry| entry.path()).next();
    let wheel = wheel.context("maturin made no wheel")?;
    ensure!(wheel.to_string_lossy().contains("-abi3-"), "{} is for one Python only", wheel.display());
    for (number, python) in args.python.iter().enumerate() {
        let bin = environment(python, &dir.join(format!("test-{number}")))?;
        let mut pip = Command::new(bin.join("pip"));
        // From the wheel alone: nothing else is needed, and no network.
        pip.args(["install", "--quiet", "--no-index", "--no-deps", "--force-reinstall"]).arg(&wheel);
        sh::run(&mut pip)?;
        let mut doctest = Command::new(bin.join("python"));
        doctest.arg(source.join("tests/doctests.py")).current_dir(&dir);
        sh::run(&mut doctest).with_context(|| format!("doctests with {python}"))?;
        eprintln!("{python}: doctests passed");
        if number == 0 {
            let mut mypy = Command::new(tools.join("mypy"));
            mypy.args(["--strict", "--no-error-summary", "--cache-dir"]).arg(dir.join("mypy"));
            mypy.arg("--python-executable").arg(bin.join("python"));
            mypy.args(["--package", "peripety"]).current_dir(&dir);
            sh::run(&mut mypy).context("types of the package")?;
            let mut examples = Command::new(tools.join("mypy"));
            examples.args(["--strict", "--no-error-summary", "--cache-dir"]).arg(dir.join("mypy"));
            examples.arg("--python-executable").arg(bin.join("python"));
            examples
                .arg(source.join("examples/ticket_per_incident.py"))
                .arg(source.join("tests/follow_daemon.py"));
            sh::run(&mut examples).context("types of the examples")?;
            // The other checker that people's editors have.
            let mut pyright = Command::new(tools.join("pyright"));
            pyright.arg("--pythonpath").arg(bin.join("python"));
            pyright
                .arg(source.join("examples/ticket_per_incident.py"))
                .arg(source.join("tests/follow_daemon.py"));
            sh::run(pyright.current_dir(&dir)).context("types of the examples, by pyright")?;
            // It looks for the package whose types it verifies in the environment that is active, and nowhere else.
            let mut pyright = Command::new(tools.join("pyright"));
            pyright.args(["--ignoreexternal", "--verifytypes", "peripety"]).current_dir(&dir);
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::env::join_paths(std::iter::once(bin.clone()).chain(std::env::split_paths(&path)));
            pyright.env("PATH", path.context("PATH")?).env("VIRTUAL_ENV", dir.join("test-0"));
            sh::run(&mut pyright).context("what of the package's types pyright does not know")?;
            eprintln!("{python}: types are right");
        }
    }
    eprintln!("the wheel is {}", wheel.display());
    Ok(())
}

/// A virtual environment; where its programs are.
fn environment(python: &str, dir: &std::path::Path) -> Result<PathBuf> {
    let bin = dir.join("bin");
    if !bin.join("pip").exists() {
        if sh::find(python).is_none() && !std::path::Path::new(python).is_file() {
            bail!("there is no {python}");
        }
        sh::run(Command::new(python).args(["-m", "venv"]).arg(dir))?;
    }
    Ok(bin)
}
