//! Run by glusterd at each operation: sends its path and arguments to peripety-gluster, and ends. It never waits, and never
//! fails: an operation of GlusterFS must not.

use std::os::unix::{ffi::OsStrExt as _, net::UnixDatagram};

fn main() {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_err() {
        return;
    }
    let mut message = Vec::new();
    for word in std::env::args_os() {
        message.extend_from_slice(word.as_bytes());
        message.push(0);
    }
    message.truncate(peripety_gluster::hook::MAX);
    let _nobody_listens = socket.send_to(&message, peripety_gluster::hook::SOCKET);
}
