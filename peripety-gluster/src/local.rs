//! The block device below a brick of this node. The brick itself is not touched: its filesystem may hang.

use std::{fs, path::Path};

use peripety_block::{BlkCache, Roots, mountinfo};

use crate::snapshot::{Device, Snapshot};

/// Fills in the devices of this node's bricks, from the mounts and sysfs.
pub fn devices(snapshot: &mut Snapshot, roots: &Roots) {
    let node = snapshot.node.clone();
    let bricks = snapshot.volumes.values_mut().flat_map(|volume| &mut volume.bricks);
    let mut mine = bricks.filter(|brick| brick.node == node).peekable();
    if mine.peek().is_none() {
        return;
    }
    let mounts = fs::read(roots.procfs.join("self/mountinfo")).unwrap_or_default();
    let Ok(devices) = BlkCache::scan(roots) else { return };
    let all = devices.all();
    for brick in mine {
        let Some(line) = mount_of(&mounts, Path::new(&brick.path)) else { continue };
        // btrfs and others have a number of their own, which is no device's; then the source names it.
        let source = line.source();
        let found = all.iter().find(|info| info.id.dev == line.dev).or_else(|| {
            all.iter().find(|info| info.id.blk_path == source || info.id.preferred_blk_path == source)
        });
        brick.device = found.map(|info| Device {
            kdev: info.id.dev.to_string(),
            path: info.id.preferred_blk_path.clone(),
            filesystem: line.fs_type(),
            below: info.owners.iter().map(|owner| owner.blk_path.clone()).collect(),
        });
    }
}

/// The mount on which a path lies: the longest one, and of those at one place the last.
fn mount_of<'a>(mounts: &'a [u8], path: &Path) -> Option<mountinfo::Line<'a>> {
    mountinfo::lines(mounts)
        .filter(|line| path.starts_with(line.point()))
        .max_by_key(|line| line.point().components().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_that_came_last_is_the_one() {
        let mounts = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 8:16 / /bricks/b rw - xfs /dev/sdb rw\n\
            31 22 8:32 / /bricks/b rw - xfs /dev/sdc rw\n\
            32 22 8:48 / /bricks/bb rw - xfs /dev/sdd rw\n";
        let of = |path: &str| mount_of(mounts, Path::new(path)).map(|line| line.source());
        assert_eq!(of("/bricks/b/rep").as_deref(), Some("/dev/sdc"));
        assert_eq!(of("/bricks/other").as_deref(), Some("/dev/sda1"));
    }
}
