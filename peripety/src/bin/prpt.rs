//! `prpt`, the command line.

fn main() -> std::process::ExitCode {
    peripety::cli::main()
}
