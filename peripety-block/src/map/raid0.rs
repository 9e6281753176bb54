//! RAID 0 of md, whose members may differ in size: the shortest ends a zone, and the next zone is striped over the others.

use std::num::NonZeroU64;

use super::{Kind, Member, Segment, Striped, kib};

/// The zones. `sizes` has how many sectors each member gives. With `original`, the layout of kernels before 3.14, chunks of a
/// later zone begin on the member that the number of the chunk in the array says.
pub(super) fn zones(members: &[(Member, u64)], chunk: NonZeroU64, original: bool) -> Vec<Segment> {
    let rounded = |size: u64| size / chunk * chunk.get();
    let mut zones = Vec::new();
    let (mut used, mut start) = (0, 0_u64);
    loop {
        let left: Vec<&(Member, u64)> = members.iter().filter(|(_, size)| rounded(*size) > used).collect();
        let Some(end) = left.iter().map(|(_, size)| rounded(*size)).min() else { break };
        let count = left.len() as u64;
        let Some(len) = (end - used).checked_mul(count) else { break };
        let first = if original { (start / chunk) % count } else { 0 };
        let on = |(member, _): &&(Member, u64)| Member {
            space: member.space,
            start: member.start.saturating_add(used),
            len: Some(end - used),
        };
        let how = format!("RAID 0 over {count}, chunk {}", kib(chunk.get()));
        let kind = Kind::Striped(Striped { chunk, first });
        zones.push(Segment::new(start, len, kind, left.iter().map(on).collect(), how));
        let Some(next) = start.checked_add(len) else { break };
        (used, start) = (end, next);
    }
    zones
}
