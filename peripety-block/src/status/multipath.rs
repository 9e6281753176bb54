//! `multipath` (dm-mpath.c `multipath_status`): `2 QUEUES PG_INITS #HANDLER … #GROUPS CURRENT` and for each group
//! `D|A|E #ARGS … #PATHS #PATH_ARGS (DEVICE A|F FAILURES ARG…)…`

use peripety_model::Dev;
use serde::Serialize;

use super::words::Words;

/// A multipath map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Multipath {
    /// Requests wait: for the set-up of a group, or for a path.
    pub queueing: bool,
    /// Its groups of paths, the first is preferred.
    pub groups: Vec<Group>,
}

/// A group of paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// `A` active, `E` enabled, `D` disabled.
    pub state: char,
    /// Its paths.
    pub paths: Vec<Path>,
}

/// A path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// The device.
    pub dev: Dev,
    /// Whether it is used.
    pub works: bool,
    /// How often it failed.
    pub failures: u64,
}

impl Multipath {
    /// How many paths work.
    pub fn working(&self) -> usize {
        self.groups.iter().flat_map(|group| &group.paths).filter(|path| path.works).count()
    }
}

pub(super) fn decode(mut words: Words<'_>) -> Option<Multipath> {
    let features = words.counted()?;
    let queueing = features.first().is_some_and(|queues| *queues != "0");
    words.counted()?;
    let count: usize = words.value()?;
    let _current = words.word()?;
    let mut groups = Vec::new();
    while groups.len() < count {
        let state = words.word()?.chars().next()?;
        words.counted()?;
        let (paths_of, args): (usize, usize) = (words.value()?, words.value()?);
        let mut paths = Vec::new();
        while paths.len() < paths_of {
            let dev = words.value()?;
            let works = words.word()? == "A";
            paths.push(Path { dev, works, failures: words.value()? });
            words.take(args)?;
        }
        groups.push(Group { state, paths });
    }
    Some(Multipath { queueing, groups })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Status, decode},
        *,
    };

    #[test]
    fn groups_and_paths() {
        let line = "2 0 0 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:0 F 3 0 1 ";
        let Some(Status::Multipath(map)) = decode("multipath", line) else { panic!("none") };
        assert_eq!((map.queueing, map.working(), map.groups.len()), (false, 1, 2));
        let failed = map.groups[1].paths[0];
        assert_eq!((failed.dev, failed.works, failed.failures), (Dev::new(8, 0), false, 3));
        let line = "2 1 0 0 1 1 E 0 2 0 8:16 F 1 8:0 F 3";
        let Some(Status::Multipath(map)) = decode("multipath", line) else { panic!("none") };
        assert_eq!((map.queueing, map.working()), (true, 0));
        for line in ["", "2 0 0 0 1 1 A 0 2 0 8:16 A 0", "2 0 0 0 4294967296 1 A"] {
            assert_eq!(decode("multipath", line), None, "{line}");
        }
    }
}
