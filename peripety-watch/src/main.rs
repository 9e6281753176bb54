//! `peripety-watch`: what only CAP_SYS_ADMIN gets to know of failing filesystems, for peripetyd.

fn main() -> std::process::ExitCode {
    peripety_watch::main()
}
