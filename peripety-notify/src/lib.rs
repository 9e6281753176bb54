//! Notifies people of storage failures: mail, webhooks, chat, syslog, programs; and gives metrics.
//!
//! The way of a message: `follow` hands each revision of an incident to every `receiver`; its
//! `queue` decides whether that is a message, writes it down (`store`), and its thread gives it
//! to the `output` until the other side has taken it.

mod args;
mod config;
mod control;
mod dbus;
mod filter;
mod follow;
mod http;
mod message;
mod metrics;
mod output;
mod queue;
mod receiver;
mod reload;
mod schedule;
mod serve;
mod store;
mod tls;
mod varlink;
mod web;
mod words;

pub use args::{Args, main};
use peripety::internal::secret;

/// What the hub of a fleet uses of this program. No API: it changes at any time.
pub mod internal {
    pub use crate::{
        config::{ConfigError, Notify, check_receivers},
        http::{Request, Response},
        receiver::{Places, Receiver, StartError},
        serve::serve_most,
        web::{Config as Web, Conn, Tls},
    };
}
