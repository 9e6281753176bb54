//! What distinguishes events of one type on one device: the leg of a mirror, the place of a loss.

use super::{super::key::hash, controller};
use crate::{
    event::{EventType, facts::Member},
    parser::RawEvent,
};

/// Which facts of a raw event distinguish it from others of its type on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// None: they are one.
    None,
    /// The controller: each is another way to the same namespace.
    Controller,
    /// The leg or member of an array.
    Leg,
    /// The iSCSI session.
    Session,
    /// Function and line, as ext4's tracepoint distinguishes errors.
    FunctionAndLine,
    /// The file that lost data.
    Inode,
    /// The task, or the function of the kernel that something was found in.
    Task,
    /// Where records were lost, and why.
    Loss,
}

/// Which one is meant by a raw event.
pub(super) fn detail_of(raw: &RawEvent) -> Detail {
    match raw.sub_system.as_str() {
        "nvme" => Detail::Controller,
        // An array is rebuilt as a whole, also where mdadm names the spare that took part.
        _ if [EventType::MD_RECOVERY_STARTED, EventType::MD_RECOVERY_DONE].contains(&raw.event_type) => {
            Detail::None
        }
        "dm-mirror" | "dm-raid" | "md" => Detail::Leg,
        "iscsi" => Detail::Session,
        "ext4" if raw.event_type == EventType::FS_ERROR => Detail::FunctionAndLine,
        "block" if raw.event_type == EventType::BLK_LOST_WRITE => Detail::Inode,
        "task" | "kernel" => Detail::Task,
        "peripety" => Detail::Loss,
        _ => Detail::None,
    }
}

/// The same as a number: 0 where nothing distinguishes it.
pub(in super::super) fn detail(raw: &RawEvent) -> u64 {
    match detail_of(raw) {
        Detail::None => 0,
        Detail::Controller => controller(raw).map_or(0, hash),
        Detail::Loss => {
            let loss = raw.facts.loss.as_deref();
            loss.map_or(0, |loss| hash(&(&loss.source, &loss.reason, &loss.site)))
        }
        other => {
            let names = other.names(raw);
            if names == Member::default() {
                return 0;
            }
            let Member { inode, function, line, leg, member, session, task, .. } = names;
            hash(&(inode, function, line, leg, member, session, task))
        }
    }
}

/// Takes it away: the event is to stand for many that differ in it.
pub(super) fn clear_detail(raw: &mut RawEvent) {
    let detail = detail_of(raw);
    let facts = &mut raw.facts;
    match detail {
        Detail::None | Detail::Controller => {}
        Detail::Leg => {
            if let Some(dm) = &mut facts.dm {
                dm.leg = None;
            }
            if let Some(md) = &mut facts.md {
                md.member = None;
            }
        }
        Detail::Session => {
            if let Some(iscsi) = &mut facts.iscsi {
                iscsi.session = None;
            }
        }
        Detail::FunctionAndLine => {
            if let Some(fs) = &mut facts.fs {
                (fs.function, fs.line) = (None, None);
            }
        }
        Detail::Inode => {
            if let Some(fs) = &mut facts.fs {
                (fs.inode, fs.path) = (None, None);
            }
        }
        Detail::Task => {
            if let Some(task) = &mut facts.task {
                task.name = None;
            }
            if let Some(kernel) = &mut facts.kernel {
                kernel.function = None;
            }
        }
        Detail::Loss => facts.loss = None,
    }
}

impl Detail {
    /// What a raw event is called among its like.
    pub(super) fn named(self, raw: &RawEvent) -> Member {
        let names = self.names(raw);
        if names == Member::default() {
            return Member { kdev: Some(raw.kdev.to_text()), ..names };
        }
        names
    }

    fn names(self, raw: &RawEvent) -> Member {
        let facts = &raw.facts;
        let fs = facts.fs.as_deref();
        match self {
            Self::None | Self::Controller | Self::Loss => Member::default(),
            Self::Leg => Member {
                leg: facts.dm.as_ref().and_then(|dm| dm.leg.clone()),
                member: facts.md.as_ref().and_then(|md| md.member.clone()),
                ..Member::default()
            },
            Self::Session => {
                Member { session: facts.iscsi.as_ref().and_then(|iscsi| iscsi.session), ..Member::default() }
            }
            Self::FunctionAndLine => Member {
                function: fs.and_then(|fs| fs.function.clone()),
                line: fs.and_then(|fs| fs.line),
                ..Member::default()
            },
            Self::Inode => Member {
                inode: fs.and_then(|fs| fs.inode),
                path: fs.and_then(|fs| fs.path.clone()),
                ..Member::default()
            },
            Self::Task => Member {
                task: facts.task.as_ref().and_then(|task| task.name.clone()),
                function: facts.kernel.as_ref().and_then(|kernel| kernel.function.clone()),
                ..Member::default()
            },
        }
    }
}
