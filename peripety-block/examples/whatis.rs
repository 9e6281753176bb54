//! What a name of a block device means: `cargo run -p peripety-block --example whatis -- /home UUID=… 8:1`

use std::process::ExitCode;

use peripety_block::{BlkCache, Roots};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what the example is for")]
fn main() -> ExitCode {
    let devices = match BlkCache::scan(&Roots::system()) {
        Ok(devices) => devices,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for name in std::env::args().skip(1) {
        match devices.resolve(&name) {
            Ok(info) => {
                println!("{name}: {} ({}, {:?})", info.id.name(), info.id.dev, info.id.blk_type);
                println!(
                    "  id {:?} serial {:?} mounted {:?}",
                    info.id.wwid, info.id.serial, info.id.mount_points
                );
                for below in &info.owners {
                    println!("  on {} by {:?}", below.name(), below.transport);
                }
            }
            Err(error) => {
                eprintln!("{error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
