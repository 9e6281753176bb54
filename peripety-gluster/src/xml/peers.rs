//! `gluster peer status --xml`.

use std::collections::BTreeMap;

use super::{XmlError, answer, children, number, word};
use crate::snapshot::Peer;

/// The other nodes by UUID.
///
/// # Errors
/// It is no such document, or the command failed.
pub fn peers(text: &str) -> Result<BTreeMap<String, Peer>, XmlError> {
    answer(text, "peerStatus", |status| {
        let peers = children(status, "peer");
        let read = |peer| {
            let connected = number(peer, "connected") == Some(1);
            Some((word(peer, "uuid")?, Peer { host: word(peer, "hostname")?, connected }))
        };
        peers.filter_map(read).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_nodes() {
        let peers = peers(include_str!("../../tests/data/peers.xml")).unwrap();
        assert_eq!(peers.len(), 2);
        let peer = peers.get("ee8ccff5-29c2-4571-b648-28235a9e67a3").unwrap();
        assert_eq!((peer.host.as_str(), peer.connected), ("10.77.0.2", true));
    }
}
