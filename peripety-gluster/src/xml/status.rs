//! `gluster volume status all --xml`: processes. Volumes that are not started are not in it, nor nodes that do not answer.

use std::collections::BTreeMap;

use super::{XmlError, answer, child, children, number, word};

/// The process of a brick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Whether it serves.
    pub online: bool,
    /// TCP port.
    pub port: Option<u16>,
    /// Its pid on its node.
    pub pid: Option<i32>,
}

/// Processes by volume, UUID of the node, and path. Those that are no bricks (self-heal daemons and the like) are left out.
pub type Processes = BTreeMap<(String, String, String), Process>;

/// The processes of all volumes.
///
/// # Errors
/// It is no such document, or the command failed.
pub fn status(text: &str) -> Result<Processes, XmlError> {
    answer(text, "volStatus", |status| {
        let mut processes = Processes::new();
        let list = child(status, "volumes");
        for volume in list.into_iter().flat_map(|list| children(list, "volume")) {
            let Some(name) = word(volume, "volName") else { continue };
            for node in children(volume, "node") {
                let (Some(path), Some(id)) = (word(node, "path"), word(node, "peerid")) else { continue };
                if !path.starts_with('/') {
                    continue;
                }
                let process = Process {
                    online: number(node, "status") == Some(1),
                    port: number(node, "port"),
                    pid: number(node, "pid").filter(|pid| *pid > 0),
                };
                processes.insert((name.clone(), id, path), process);
            }
        }
        processes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bricks_with_their_processes() {
        let processes = status(include_str!("../../tests/data/status.xml")).unwrap();
        assert_eq!(processes.len(), 6, "self-heal daemons are no bricks");
        let node = "d4158186-5927-4871-9853-060311097e54".to_owned();
        let brick = processes.get(&("dist".to_owned(), node, "/bricks/b/dist".to_owned())).unwrap();
        assert_eq!(*brick, Process { online: true, port: Some(55477), pid: Some(1681) });
    }

    #[test]
    fn a_refusal_says_why() {
        let text = "<cliOutput><opRet>-1</opRet><opErrno>30800</opErrno><opErrstr>Volume v is not started</opErrstr></cliOutput>";
        let error = status(text).unwrap_err();
        assert_eq!(error.to_string(), "gluster says: Volume v is not started (opRet -1, opErrno 30800)");
    }
}
