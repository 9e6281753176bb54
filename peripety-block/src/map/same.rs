//! Members on which a sector has the same number.

use super::{Above, Below, Role, Run};

pub(super) fn down(members: usize, role: Role, at: u64) -> Run<Below> {
    let spots = (0..members).map(|member| Below { member, sector: at, role }).collect();
    Run { len: u64::MAX, spots }
}

pub(super) fn up(role: Role, at: u64) -> Run<Above> {
    Run { len: u64::MAX, spots: vec![Above { sector: at, role }] }
}
