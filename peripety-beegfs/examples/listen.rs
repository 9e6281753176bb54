//! Prints what a metadata server sends: `listen SOCKET`.

use std::{io, path::PathBuf};

use peripety_beegfs::listen::{ListenError, Options, run};

fn main() -> Result<(), ListenError> {
    let sockets = std::env::args().skip(1).map(PathBuf::from).collect();
    let mut output = io::BufWriter::with_capacity(256 << 10, io::stdout().lock());
    run(Options { sockets, ..Options::default() }, &mut output, |_notice| {})
}
