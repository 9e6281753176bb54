//! `peripety-scan`: reads disks ahead of their users.

fn main() -> std::process::ExitCode {
    peripety_scan::main()
}
