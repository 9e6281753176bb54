//! `multipath`: `#FEATURES … #HANDLER … #GROUPS FIRST (SELECTOR #ARGS … #PATHS #PATH_ARGS (DEV ARGS…)*)*`

use super::{Kind, Member, Role, Segment, Target, Words, segment};

pub(super) fn multipath(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let mut at = 0;
    // Features, then the hardware handler.
    for _ in 0..2 {
        at = words.number::<usize>(at)?.checked_add(at)?.checked_add(1)?;
    }
    let groups: usize = words.number(at)?;
    at = at.checked_add(2)?;
    let mut members = Vec::new();
    for _ in 0..groups {
        at = words.number::<usize>(at.checked_add(1)?)?.checked_add(at)?.checked_add(2)?;
        let (paths, of_path): (usize, usize) = (words.number(at)?, words.number(at.checked_add(1)?)?);
        at = at.checked_add(2)?;
        for _ in 0..paths {
            members.push(Member::at(words.number(at)?, 0));
            at = at.checked_add(of_path)?.checked_add(1)?;
        }
    }
    Some(segment(target, Kind::Same(Role::Path), members))
}
