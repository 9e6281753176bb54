//! `peripetyd`, the daemon.

fn main() -> std::process::ExitCode {
    peripety::daemon::main()
}
