//! Targets that lie on one device, sector by sector, or on none.

use peripety_model::Dev;

use super::{Kind, Member, Role, Segment, Target, Words, data, opaque, segment};

/// `DEV START …`: linear, and flakey, dust and ebs, which begin in the same way.
pub(super) fn linear(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, words.member(0)?))
}

/// `DEV START MS [DEV START MS [DEV START MS]]`: for reads, for writes and for flushes.
pub(super) fn delay(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let reads = words.member(0)?;
    let writes = words.member(3);
    if writes.as_ref().is_none_or(|writes| *writes == reads) {
        return Some(data(target, reads));
    }
    let members = writes.into_iter().chain([reads]).collect();
    Some(segment(target, Kind::Same(Role::Data), members).uncertain())
}

/// `CIPHER KEY IV_OFFSET DEV START …`
pub(super) fn crypt(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, words.member(3)?))
}

/// `VERSION DEV HASH_DEV …`
pub(super) fn verity(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, Member::at(words.number(1)?, 0)))
}

/// `METADATA_DEV ORIGIN_DEV GRANULARITY`. The target hands on the sector of the map, not that of the target.
pub(super) fn era(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, Member::at(words.number(1)?, target.start)))
}

/// `DEV LOG_DEV`. The target hands on the sector of the map, not that of the target.
pub(super) fn log_writes(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, Member::at(words.number(0)?, target.start)))
}

/// `METADATA_DEV DATA_DEV BLOCK_SIZE LOW_WATER …`: LVM lays a thin pool's sectors one to one on its data.
pub(super) fn thin_pool(target: &Target, words: &Words<'_>) -> Option<Segment> {
    Some(data(target, Member::at(words.number(1)?, 0)))
}

/// `POOL_DEV ID [ORIGIN_DEV]`
pub(super) fn thin(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let pool: Dev = words.number(0)?;
    Some(opaque(
        target,
        "which block of the pool it is stands in the pool's metadata (thin_dump)",
        vec![pool],
    ))
}

/// `error`, `zero`: nothing is below.
pub(super) fn nothing(target: &Target, _: &Words<'_>) -> Option<Segment> {
    Some(segment(target, Kind::Nothing, Vec::new()))
}

pub(super) fn unknown(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let why = match target.name.as_str() {
        "integrity" => "it puts checksums between the sectors",
        "vdo" => "it stores data without duplicates and compressed",
        "switch" => "a table of regions decides",
        "zoned" => "zones are assigned as they are written",
        _ => "how this target lays out its sectors is not known here",
    };
    Some(opaque(target, why, words.devices()))
}
