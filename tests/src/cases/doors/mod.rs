//! The same events through each door: D-Bus and the websocket.

mod bus;
mod dbus;
mod page;
mod web;

use super::Case;

pub const CASES: &[Case] = &[dbus::SEEN, dbus::POLKIT, web::BACK, web::SLOW, page::LIVE, page::TOKEN];
