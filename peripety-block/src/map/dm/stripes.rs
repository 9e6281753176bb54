//! `striped` and `unstriped`.

use std::num::NonZeroU64;

use super::{Kind, Member, Segment, Target, Words, segment};
use crate::map::{Striped, Unstriped, kib};

/// `N CHUNK (DEV START)*`
pub(super) fn striped(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let (count, chunk): (usize, NonZeroU64) = (words.number(0)?, words.number(1)?);
    let places = (0..count).map(|n| words.member(n.checked_mul(2)?.checked_add(2)?));
    let members: Vec<Member> = places.collect::<Option<_>>()?;
    let mut segment = segment(target, Kind::Striped(Striped { chunk, first: 0 }), members);
    segment.how = format!("striped over {count}, chunk {}", kib(chunk.get()));
    Some(segment)
}

/// `N CHUNK STRIPE DEV START`
pub(super) fn unstriped(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let (stripes, chunk, stripe) = (words.number(0)?, words.number(1)?, words.number(2)?);
    let kind = Kind::Unstriped(Unstriped { chunk, stripes, stripe });
    Some(segment(target, kind, vec![words.member(3)?]))
}
