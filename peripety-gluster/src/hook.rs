//! The hook of glusterd: it runs `/var/lib/glusterd/hooks/1/OPERATION/{pre,post}/S*` on every node and waits for it. Ours is
//! `peripety-gluster-hook`, which sends one empty datagram without waiting and ends: what changed, glusterd is asked for.

/// Where the hook sends to.
pub const SOCKET: &str = "/run/peripety-gluster/hook";
