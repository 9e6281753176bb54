//! `peripetyd`, the daemon.

fn main() -> std::process::ExitCode {
    peripety::internal::daemon::main()
}
