//! Who asks: the user that the kernel says is at the other end of the socket, and who logged in before sudo.

use std::fs;

use crate::{notifier::socket::Peer, roots::Roots};

/// `root (logged in as alice)`.
pub(super) fn name(roots: &Roots, peer: Peer) -> String {
    let user = user(roots, peer.uid);
    // proc_pid_loginuid(5): no login is all ones.
    let login = peer
        .pid
        .and_then(|pid| fs::read_to_string(roots.procfs.join(pid.to_string()).join("loginuid")).ok())
        .and_then(|text| text.trim().parse::<u32>().ok())
        .filter(|uid| *uid != u32::MAX && *uid != peer.uid);
    match login {
        Some(uid) => format!("{user} (logged in as {})", self::user(roots, uid)),
        None => user,
    }
}

/// The name that /etc/passwd has, else the number.
fn user(roots: &Roots, uid: u32) -> String {
    let passwd = fs::read_to_string(roots.etc.join("passwd")).unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_of_passwd_and_the_one_who_logged_in_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::under(dir.path());
        for path in ["etc", "proc/42"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::write(roots.etc.join("passwd"), "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n:x\n")
            .unwrap();
        let peer = |uid, pid| Peer { uid, pid };
        assert_eq!(name(&roots, peer(0, None)), "root");
        assert_eq!(name(&roots, peer(7, Some(1))), "uid 7");
        fs::write(roots.procfs.join("42/loginuid"), "1000").unwrap();
        assert_eq!(name(&roots, peer(0, Some(42))), "root (logged in as alice)");
        fs::write(roots.procfs.join("42/loginuid"), "4294967295").unwrap();
        assert_eq!(name(&roots, peer(0, Some(42))), "root");
    }
}
