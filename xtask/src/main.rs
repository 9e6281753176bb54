//! `cargo xtask`: sets up, builds, runs and tests peripety.

#![expect(clippy::print_stderr, reason = "the words of these commands go to stderr")]

mod bench;
mod build;
mod capi;
mod ci;
mod deny;
mod dist;
mod fold;
mod fuzz;
mod kernel_strings;
mod manual;
mod python;
mod run;
mod semver;
mod setup;
mod sh;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, builds, runs and tests peripety
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing to build peripety (with --test also to test it)
    Setup(setup::Args),
    /// Set up and build the daemon and prpt
    Build(build::Args),
    /// Set up, build, and run the daemon as root: it prints storage events as they happen
    Run(run::Args),
    /// Set up and run all tests: unit tests, end to end on the running kernel, some faults in virtual machines
    Test(test::Args),
    /// Make faults in virtual machines with other kernels, and check what peripety reports them
    Vm(vm::Args),
    /// Measure what peripety costs and reaches, as ratios of the same run
    Bench(bench::Args),
    /// Build the C library, libperipety (with --test also its tests)
    Capi(capi::Args),
    /// Build the wheel for Python and test it
    Python(python::Args),
    /// Run the fuzz targets
    Fuzz(fuzz::Args),
    /// Make the table of the kernel's format strings anew, and say what changed
    KernelStrings(kernel_strings::Args),
    /// Make the manual, with a page for each type of event (with --check also its links and examples)
    Manual(manual::Args),
    /// Make packages: .deb and .rpm
    Dist(dist::Args),
    /// Check formatting, lints and documentation, warnings denied
    Ci,
    /// Check licences, sources and versions of all dependencies
    Deny(deny::Args),
    /// Check that the crates that others build on changed only as their version allows
    Semver(semver::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup(args) => setup::run(args),
        Command::Build(args) => build::run(args),
        Command::Run(args) => run::run(args),
        Command::Test(args) => test::run(args),
        Command::Vm(args) => vm::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Capi(args) => capi::run(args),
        Command::Python(args) => python::run(args),
        Command::Fuzz(args) => fuzz::run(args),
        Command::KernelStrings(args) => kernel_strings::run(args),
        Command::Manual(args) => manual::run(&args),
        Command::Dist(args) => dist::run(args),
        Command::Ci => ci::run(),
        Command::Deny(args) => deny::run(&args),
        Command::Semver(args) => semver::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
