//! On which disks each mounted filesystem lies, and how they are reached: `cargo run -p peripety-block --example mounts`

use peripety_block::{BlkCache, BlockError, Roots};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() -> Result<(), BlockError> {
    let devices = BlkCache::scan(&Roots::system())?;
    for info in devices.all() {
        for point in &info.id.mount_points {
            println!("{point}: {} {}", info.id.fs_type, info.id.name());
            for disk in info.owners.iter().filter(|below| below.transport.is_some()) {
                println!("    {} {} {:?}", disk.name(), disk.serial, disk.transport);
            }
        }
    }
    Ok(())
}
