//! Notifications: that they arrive, at servers of others.

mod daemon;
mod delivery;
mod failing;
mod idle;
mod metrics;
mod receivers;
mod reload;
mod varlink;

use super::Case;

pub const CASES: &[Case] = &[
    delivery::THROUGH_KILLS,
    delivery::LATE,
    failing::HTTPS,
    failing::VERIFIED,
    receivers::MAIL,
    receivers::IRC,
    receivers::SYSLOG,
    receivers::ALERTMANAGER,
    idle::IDLE,
    reload::RELOAD,
    daemon::FAILED,
    daemon::GAP,
    metrics::STORM,
    varlink::TEST,
];
