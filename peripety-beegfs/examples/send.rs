//! Plays a metadata server: `send 1|2 SOCKET COUNT`, to try a listener without BeeGFS.

#![allow(clippy::print_stderr, reason = "it is a program for a terminal")]

#[path = "../tests/sender/mod.rs"]
mod sender;

use std::{path::Path, process::ExitCode, thread, time::Duration};

use peripety_beegfs::event::type_names;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [version, socket, count] = args.as_slice() else {
        eprintln!("send 1|2 SOCKET COUNT");
        return ExitCode::from(2);
    };
    let (path, count) = (Path::new(socket), count.parse::<u64>().unwrap_or(10));
    let names: Vec<&'static str> = type_names().collect();
    let of = |n: u64, types: usize| names.get(n as usize % types).copied().unwrap_or_default();
    if version == "1" {
        let mut server = sender::One::new(path);
        for n in 0..count {
            server.send(of(n, 12), &format!("/dir/file {n}"), if n % 12 == 11 { "/b" } else { "" });
        }
        eprintln!("{} sent, {} dropped", server.sent, server.dropped);
        thread::sleep(Duration::from_secs(1));
    } else {
        let mut server = sender::Two::new(path, 7, 0);
        server.linger = Duration::from_secs(1);
        for n in 0..count {
            server.push(of(n, 19), &format!("/dir/file {n}"), 1_700_000_000_000_000_000 + n as i64);
        }
        server.serve();
        eprintln!("{count} sent");
    }
    ExitCode::SUCCESS
}
