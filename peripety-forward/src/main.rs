//! `peripety-forward`: what peripetyd reports on this host, to the fleet's stream.

fn main() -> std::process::ExitCode {
    peripety_forward::program::main()
}
