//! What the hook of glusterd hands over: the path by which it was run, and its arguments, each ended by a zero byte.
//!
//! glusterd runs `/var/lib/glusterd/hooks/1/OPERATION/{pre,post}/S*` on every node and waits for it. Ours is
//! `peripety-gluster-hook`, which sends one datagram without waiting and ends.

use std::path::Path;

use crate::hint::Hint;

/// Where the hook sends to.
pub const SOCKET: &str = "/run/peripety-gluster/hook";
/// Longest message.
pub const MAX: usize = 16 << 10;

/// Operations after which peers are asked for, too; the others are about a volume.
const OF_PEERS: &[&str] = &["probe", "detach"];

/// What a message of the hook reports; none where it makes no sense.
pub fn hint(message: &[u8]) -> Option<Hint> {
    let text = std::str::from_utf8(message).ok()?;
    let mut words = text.split('\0').filter(|word| !word.is_empty());
    let operation = Path::new(words.next()?).parent()?.parent()?.file_name()?.to_str()?;
    if OF_PEERS.contains(&operation) {
        return Some(Hint::Peers);
    }
    Some(Hint::Volume(words.find_map(|word| word.strip_prefix("--volname=")).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_volume_is_named_by_the_argument() {
        let message = b"/var/lib/glusterd/hooks/1/set/post/S95peripety\0--volname=rep\0-o\0nfs.disable=on\0--gd-workdir=/x\0";
        assert_eq!(hint(message), Some(Hint::Volume(Some("rep".to_owned()))));
        assert_eq!(hint(b"/hooks/1/start/post/S95peripety\0"), Some(Hint::Volume(None)));
        assert_eq!(hint(b"S95peripety\0--volname=rep\0"), None);
    }

    proptest! {
        #[test]
        fn any_message_is_read(bytes: Vec<u8>, text: String) {
            let _any = hint(&bytes);
            let _any = hint(text.as_bytes());
        }
    }
}
