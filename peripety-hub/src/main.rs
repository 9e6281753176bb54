//! `peripety-hub`: the storage failures of a fleet.

fn main() -> std::process::ExitCode {
    peripety_hub::program::main()
}
