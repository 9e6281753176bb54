//! Who calls: who may read the journal gets details, who polkit allows changes something.

use std::{collections::HashMap, fs, path::Path};

use zbus::{Connection, Variant, fdo::ConnectionCredentials, message::Header};

use super::error::Refusal;

/// Groups whose members may read the journal (systemd-journald.service(8)).
const READERS: [&str; 3] = ["systemd-journal", "adm", "wheel"];
/// Longest list of groups that is read.
const GROUPS_MAX: u64 = 4 << 20;

/// A caller.
#[derive(Debug)]
pub(super) struct Caller {
    uid: u32,
    groups: Vec<u32>,
}

impl Caller {
    /// Who sent this call, as the bus knows.
    ///
    /// # Errors
    /// The bus does not say.
    pub(super) async fn of(connection: &Connection, header: &Header<'_>) -> Result<Self, Refusal> {
        let unknown = || Refusal::NotAuthorized("the bus does not say who calls".to_owned());
        let sender = header.sender().ok_or_else(unknown)?;
        let reply = connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "GetConnectionCredentials",
                &sender,
            )
            .await?;
        let credentials: ConnectionCredentials = reply.body().deserialize()?;
        let uid = credentials.unix_user_id().ok_or_else(unknown)?;
        Ok(Self { uid, groups: credentials.unix_group_ids().cloned().unwrap_or_default() })
    }

    /// Whether the caller may read the journal.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn reads(&self, etc: &Path) -> Result<(), Refusal> {
        let groups = fs::metadata(etc.join("group")).ok().filter(|meta| meta.len() <= GROUPS_MAX);
        let text = groups.and_then(|_fits| fs::read_to_string(etc.join("group")).ok()).unwrap_or_default();
        if self.uid == 0 || readers(&text).any(|gid| self.groups.contains(&gid)) {
            return Ok(());
        }
        Err(Refusal::NotAuthorized(format!(
            "user {} may not read the journal, which has the same details: be root, or a member of group {}",
            self.uid,
            READERS.join(", ")
        )))
    }

    /// For the daemon's event of what the caller did.
    pub(super) fn describe(&self) -> String {
        format!("user {} over D-Bus", self.uid)
    }

    /// Asks polkit; where there is none, root alone may.
    ///
    /// # Errors
    /// The caller may not.
    pub(super) async fn may(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        action: &str,
    ) -> Result<(), Refusal> {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        let subject = ("system-bus-name", HashMap::from([("name", Variant::from(sender))]));
        let asks = header.primary().flags().contains(zbus::message::Flags::ALLOW_INTERACTIVE_AUTH);
        let details: HashMap<&str, &str> = HashMap::new();
        let reply = connection
            .call_method(
                Some("org.freedesktop.PolicyKit1"),
                "/org/freedesktop/PolicyKit1/Authority",
                Some("org.freedesktop.PolicyKit1.Authority"),
                "CheckAuthorization",
                &(subject, action, details, u32::from(asks), ""),
            )
            .await;
        let refused = |why: &str| Err(Refusal::NotAuthorized(format!("{action}: {why}")));
        match reply {
            Ok(reply) => {
                let (yes, challenge, _details): (bool, bool, HashMap<String, String>) =
                    reply.body().deserialize()?;
                match (yes, challenge) {
                    (true, _) => Ok(()),
                    (false, true) => refused("polkit wants a password, and the caller does not wait for one"),
                    (false, false) => refused("polkit does not allow it"),
                }
            }
            Err(_no_polkit) if self.uid == 0 => Ok(()),
            Err(error) => refused(&format!("polkit cannot be asked ({error}), and the caller is not root")),
        }
    }
}

/// Numbers of those groups, from a file like /etc/group.
fn readers(text: &str) -> impl Iterator<Item = u32> {
    text.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        READERS.contains(&name).then(|| parts.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_the_journal_is_root_or_in_one_of_its_groups() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("group"), "root:x:0:\nadm:x:4:a,b\nusers:x:100:\nsystemd-journal:x:999:\n")
            .unwrap();
        let reads = |uid, groups: &[u32]| Caller { uid, groups: groups.to_vec() }.reads(dir.path()).is_ok();
        assert!(reads(0, &[]) && reads(1000, &[100, 4]) && reads(1000, &[999]));
        assert!(!reads(1000, &[100, 0]) && !reads(1000, &[]));
        let nobody = Caller { uid: 1000, groups: vec![4, 999] };
        assert!(nobody.reads(Path::new("/nonexistent")).is_err(), "without a list of groups root alone may");
    }
}
