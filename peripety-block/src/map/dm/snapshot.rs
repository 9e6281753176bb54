//! Targets where a sector lies on one of two devices: snapshots and caches. Its place on the origin is known; whether the
//! data that counts is there stands in metadata.

use super::{Kind, Member, Role, Segment, Target, Words, data, segment};

/// `DEV`
pub(super) fn origin(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, Member::at(words.number(0)?, target.start)))
}

/// `ORIGIN COW P|N CHUNK`
pub(super) fn snapshot(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words, 0, "unless the chunk has changed")
}

/// `METADATA CACHE ORIGIN BLOCK_SIZE …`
pub(super) fn cache(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words, 2, "unless the block is in the cache")
}

/// `p|s ORIGIN CACHE BLOCK_SIZE …`
pub(super) fn writecache(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words, 1, "unless the block is in the cache")
}

/// `METADATA DESTINATION SOURCE REGION_SIZE …`
pub(super) fn clone(target: &Target, words: &Words<'_>) -> Option<Segment> {
    on(target, words, 1, "once the region has been copied")
}

fn on(target: &Target, words: &Words<'_>, at: usize, when: &str) -> Option<Segment> {
    let member = Member::at(words.number(at)?, target.start);
    let mut segment = segment(target, Kind::Same(Role::Data), vec![member]).uncertain();
    segment.how = format!("{}, {when}", target.name);
    Some(segment)
}
