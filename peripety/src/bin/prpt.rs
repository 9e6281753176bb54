//! `prpt`, the command line.

fn main() -> std::process::ExitCode {
    peripety::internal::cli::main()
}
