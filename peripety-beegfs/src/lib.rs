//! The file events of BeeGFS metadata servers.
//!
//! A metadata server with `sysFileEventLogTarget = unix:///PATH` connects to the Unix socket (`SOCK_SEQPACKET`) at PATH and sends
//! a packet for each change of a file that it manages. There are two formats: version 1 (BeeGFS 7), one-way and with counters of
//! what was dropped and missed, and version 2 (BeeGFS 8), where the server keeps numbered events until the listener asks for them.
//!
//! * [`wire`]: numbers and strings of a packet
//! * [`event`]: a file event, of either version
//! * [`message`]: the messages of version 2
//! * [`session`]: one connection: what to answer, which events came, what was lost; no I/O
//! * [`places`]: from where to go on with each server of version 2
//! * [`filter`]: which events are wanted
//! * [`mod@line`]: the JSON form
//! * [`queue`], [`merge`]: from several servers to one output, in order of time
//! * [`listen`]: the sockets
//!
//! The layout is that of BeeGFS 7.4.7 and 8.3.1 (`meta/source/components/FileEventLogger.cpp`, `event_listener/`). It was tested
//! with a sender made from that layout and against the reference listeners, not with a running BeeGFS.

pub mod event;
pub mod filter;
pub mod line;
pub mod listen;
pub mod merge;
pub mod message;
pub mod places;
pub mod queue;
pub mod session;
pub mod wire;
