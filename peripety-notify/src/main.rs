//! `peripety-notify`: notifies people of storage failures where they look, and gives metrics.
//!
//! A process of its own, without rights, with the network: it follows the daemon's socket and fills gaps from the journal. Each
//! receiver has a queue on disk and a thread; one that is down costs nobody else. Idle, every thread waits for something to
//! happen.

fn main() -> std::process::ExitCode {
    peripety_notify::main()
}
