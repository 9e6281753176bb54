//! `peripety-policy`: acts on failed mirrors, arrays and full pools as policies say.

fn main() -> std::process::ExitCode {
    peripety_policy::main()
}
