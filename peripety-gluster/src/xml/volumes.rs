//! `gluster volume info all --xml`.

use std::collections::BTreeMap;

use roxmltree::Node;

use super::{XmlError, answer, child, children, number, word};
use crate::snapshot::{Brick, Status, Volume};

/// The volumes by name, with nothing of what runs.
///
/// # Errors
/// It is no such document, or the command failed.
pub fn volumes(text: &str) -> Result<BTreeMap<String, Volume>, XmlError> {
    answer(text, "volInfo", |info| {
        let list = child(info, "volumes");
        let volumes = list.into_iter().flat_map(|list| children(list, "volume"));
        volumes.filter_map(|volume| Some((word(volume, "name")?, read(volume)))).collect()
    })
}

fn read(volume: Node<'_, '_>) -> Volume {
    let bricks = child(volume, "bricks").into_iter().flat_map(|list| children(list, "brick"));
    let options = child(volume, "options").into_iter().flat_map(|list| children(list, "option"));
    Volume {
        id: word(volume, "id").unwrap_or_default(),
        kind: word(volume, "typeStr").unwrap_or_default(),
        status: match number(volume, "status") {
            Some(1) => Status::Started,
            Some(2) => Status::Stopped,
            Some(_) | None => Status::Created,
        },
        version: 0,
        replicas: number(volume, "replicaCount").unwrap_or(1),
        disperse: number(volume, "disperseCount").unwrap_or(0),
        redundancy: number(volume, "redundancyCount").unwrap_or(0),
        snapshots: number(volume, "snapshotCount").unwrap_or(0),
        bricks: bricks.filter_map(brick).collect(),
        options: options
            .filter_map(|option| Some((word(option, "name")?, word(option, "value").unwrap_or_default())))
            .collect(),
        heal: None,
    }
}

fn brick(brick: Node<'_, '_>) -> Option<Brick> {
    let name = word(brick, "name")?;
    // An address of IPv6 has colons of its own.
    let (host, path) = name.split_once(":/")?;
    Some(Brick {
        host: host.to_owned(),
        path: format!("/{path}"),
        node: word(brick, "hostUuid")
            .or_else(|| brick.attribute("uuid").map(str::to_owned))
            .unwrap_or_default(),
        arbiter: number(brick, "isArbiter") == Some(1),
        ..Brick::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volumes_of_a_cluster() {
        let volumes = volumes(include_str!("../../tests/data/info.xml")).unwrap();
        assert_eq!(volumes.keys().collect::<Vec<_>>(), ["dist", "rep"]);
        let rep = volumes.get("rep").unwrap();
        assert_eq!((rep.kind.as_str(), rep.status, rep.replicas), ("Replicate", Status::Started, 3));
        assert_eq!(rep.bricks.len(), 3);
        assert_eq!(rep.bricks.first().unwrap().name(), "10.77.0.1:/bricks/b/rep");
        assert_eq!(rep.bricks.first().unwrap().node, "d4158186-5927-4871-9853-060311097e54");
        assert_eq!(rep.options.get("cluster.granular-entry-heal").map(String::as_str), Some("on"));
    }

    #[test]
    fn a_brick_by_ipv6() {
        let text = "<cliOutput><opRet>0</opRet><volInfo><volumes><volume><name>v</name><bricks><brick uuid=\"u\">\
            <name>fd00::1:/b</name></brick></bricks></volume></volumes></volInfo></cliOutput>";
        let volumes = volumes(text).unwrap();
        let brick = volumes.get("v").unwrap().bricks.first().unwrap();
        assert_eq!((brick.host.as_str(), brick.path.as_str(), brick.node.as_str()), ("fd00::1", "/b", "u"));
    }
}
