//! Targets where a sector lies on one of two devices: snapshots and caches. Its place on the origin is known; whether the
//! data that counts is there stands in metadata.

use peripety_model::Dev;

use super::{Member, Segment, Target, Words, data};

/// `DEV`
pub(super) fn origin(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, Member::at(words.number(0)?, target.start)))
}

/// `ORIGIN COW P|N CHUNK`
pub(super) fn snapshot(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words.number(0)?, target.start, "unless the chunk has changed")
}

/// `METADATA CACHE ORIGIN BLOCK_SIZE …`
pub(super) fn cache(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words.number(2)?, target.start, "unless the block is in the cache")
}

/// `p|s ORIGIN CACHE BLOCK_SIZE …`
pub(super) fn writecache(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words.number(1)?, 0, "unless the block is in the cache")
}

/// `METADATA DESTINATION SOURCE REGION_SIZE …`
pub(super) fn clone(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words.number(1)?, 0, "once the region has been copied")
}

/// `start` is that of the target where it hands on the sector of the map, 0 where it counts from its own first.
fn on(target: &Target, dev: Dev, start: u64, when: &str) -> Option<Segment> {
    let mut segment = data(target, Member::at(dev, start)).uncertain();
    segment.how = format!("{}, {when}", target.name);
    Some(segment)
}
