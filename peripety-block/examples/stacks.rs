//! What all block devices are made of, down to the disks: `cargo run -p peripety-block --example stacks`

use peripety_block::{BlkCache, BlockError, Direction, Roots};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn show(devices: &BlkCache, info: &peripety_block::BlkInfo, depth: usize) {
    println!("{:indent$}{} ({:?})", "", info.id.name(), info.id.blk_type, indent = depth * 2);
    // A stack of devices is never this high.
    if depth < 16 {
        for below in devices.next(info.id.dev, Direction::Owners) {
            show(devices, &below, depth + 1);
        }
    }
}

fn main() -> Result<(), BlockError> {
    let devices = BlkCache::scan(&Roots::system())?;
    for info in devices.all().iter().filter(|info| info.holders.is_empty()) {
        show(&devices, info, 0);
    }
    Ok(())
}
