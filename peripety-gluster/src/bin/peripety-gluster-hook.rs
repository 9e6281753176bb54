//! Run by glusterd at each operation: says so to peripety-gluster, and ends. It never waits, and never fails: an operation of GlusterFS
//! must not.

use std::os::unix::net::UnixDatagram;

fn main() {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_ok() {
        let _nobody_listens = socket.send_to(&[], peripety_gluster::hook::SOCKET);
    }
}
