//! Lines of the block layer about a request that failed.

use super::{
    super::key::{FoldKey, Scope},
    Sought, View,
    line::errno_of,
};
use crate::{event::Op, parser::RawEvent};

/// In this order a line that names no operation is tried.
const OPS: [Op; 10] = [
    Op::Read,
    Op::Write,
    Op::Flush,
    Op::Discard,
    Op::SecureErase,
    Op::WriteSame,
    Op::WriteZeroes,
    Op::Zone,
    Op::Passthrough,
    Op::Unknown,
];

/// By operation and errno of the request.
pub(super) fn of_request(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Sought {
    let Some(errno) = errno_of(raw) else { return Sought::Next };
    let op = raw.io.as_ref().map_or(Op::Unknown, |io| io.op);
    let by_op = |op: Op| view.find(FoldKey::block(scope, op, errno, None));
    Sought::or_absent(match op {
        Op::Unknown => OPS.into_iter().find_map(by_op),
        // A classic tracepoint has no letter of its own for some operations.
        op => by_op(op).or_else(|| by_op(Op::Unknown)),
    })
}
