//! nats-server, for the tests of the fleet: unpacked below `target/nats` and not installed, so that none starts on this machine.
//! Debian 12 has 2.9, which makes no buckets that our client understands, so it comes from the next release.

use anyhow::Result;

use crate::{sh, vm::Suite};

/// The first release of Debian that has 2.10.
const SUITE: &str = "trixie";
/// Where it is below the directory that cargo builds into.
const PROGRAM: &str = "nats/usr/sbin/nats-server";

/// Unpacks it, if it is not there yet. Without it the tests that need it are skipped.
pub fn ensure() {
    if sh::find("apt-get").is_none() || sh::target_dir().join(PROGRAM).exists() {
        return;
    }
    eprintln!("setup: unpacking nats-server (16 MB)");
    if let Err(error) = unpack() {
        eprintln!("setup: {error:#}; the tests of the fleet are skipped");
    }
}

fn unpack() -> Result<()> {
    let root = sh::target_dir().join("nats");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let suite = Suite::open(SUITE, arch, root.join("apt"))?;
    suite.unpack(&["nats-server".to_owned()], &root)
}
