//! Archives: what is of use is taken out of them, and no name or link of theirs reaches the disk.
//!
//! Logs and tables go into files without a name ([`super::spool`]), sysfs and its links into a tree in memory
//! ([`crate::files`]), where they are known by the names that they have in the archive.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    LogKind,
    catalog::{Catalog, LeftOut},
    facts,
    members::{Kind, Member, Members, TarError},
    name,
    spool::{Spool, StoreError},
    supportconfig,
};
use crate::{
    files::TreeError,
    offline::bounds::{Bounded, FACTS_MAX, FILES_MAX, Limits, MEMBERS_MAX, Reached, TREE_MAX},
};

/// Whether a file that starts so is a tar archive (POSIX 1003.1, ustar).
pub(crate) fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Takes out of an archive what is of use. What could be read of a broken one is there, and what could not is reported.
pub(super) fn catalog(from: impl Read, limits: &Limits, spool: &mut Spool) -> Catalog {
    let mut members = Members::new(Bounded::archive(from, limits));
    let mut unpacking = Unpacking { catalog: Catalog::new(None), spool };
    let mut seen = 0;
    loop {
        match members.next() {
            Ok(None) => break,
            Ok(Some(member)) => {
                seen += 1;
                if seen > MEMBERS_MAX {
                    unpacking.catalog.left_out.reached(Reached::Members(MEMBERS_MAX));
                    break;
                }
                unpacking.member(member, &mut members);
            }
            Err(error) => {
                unpacking.broken(error);
                break;
            }
        }
    }
    unpacking.catalog
}

struct Unpacking<'s> {
    catalog: Catalog,
    spool: &'s mut Spool,
}

impl Unpacking<'_> {
    fn member<R: Read>(&mut self, member: Member, members: &mut Members<R>) {
        let Some(path) = member.name.as_deref().and_then(name::clean) else {
            // The archive's own top, `./`, has no name.
            let is_top = member.kind == Kind::Directory
                && member.name.is_some_and(|name| name == b"./" || name == b".");
            self.left_out().bad_names += u64::from(!is_top);
            return;
        };
        if facts::is_sysfs(&path) {
            self.sysfs(&path, member, members);
            return;
        }
        let is_log = LogKind::of(&path).is_some() || supportconfig::is_part(&path);
        if !is_log && !facts::is_fact(&path) {
            return;
        }
        match &member.kind {
            Kind::File => self.file(path, &member, members),
            Kind::HardLink(of) => {
                let linked = name::clean(of).is_some_and(|of| self.catalog.add_hard_link(path, &of));
                self.left_out().bad_links += u64::from(!linked);
            }
            // A link leads to a file that is there anyway; a directory may have any name.
            Kind::Link(_) | Kind::Directory => {}
            Kind::Special => self.left_out().special += 1,
        }
    }

    fn file<R: Read>(&mut self, path: PathBuf, member: &Member, members: &mut Members<R>) {
        if self.catalog.is_full() && !self.catalog.has(&path) {
            self.left_out().reached(Reached::Files(FILES_MAX));
            return;
        }
        let written = i64::try_from(member.written).ok().filter(|at| *at > 0);
        let written = written.and_then(|at| Timestamp::from_second(at).ok());
        let kind = LogKind::of(&path);
        if kind == Some(LogKind::Journal) {
            match self.spool.journal(members.data(), member.sparse.as_ref()) {
                Ok(extent) => self.catalog.add_stored(path, extent, written),
                Err(error) => self.not_stored(&path, error),
            }
            return;
        }
        let is_table = kind.is_none() && !supportconfig::is_part(&path);
        let most = if is_table { FACTS_MAX } else { u64::MAX };
        let (extent, error) = self.spool.text(members.data().take(most));
        if let Some(extent) = extent.filter(|extent| extent.length() > 0 || error.is_none()) {
            if is_table && extent.length() == FACTS_MAX {
                self.left_out().reached(Reached::Facts(FACTS_MAX));
            }
            // What came before the bound is of use.
            self.catalog.add_stored(path.clone(), extent, written);
        }
        if let Some(error) = error {
            self.not_stored(&path, error);
        }
    }

    fn sysfs<R: Read>(&mut self, path: &Path, member: Member, members: &mut Members<R>) {
        let tree = &mut self.catalog.tree;
        let added = match &member.kind {
            Kind::Directory => tree.add_directory(path),
            // Of a file that is not read it still counts where it lies.
            Kind::File if !facts::is_attribute(path) || member.sparse.is_some() => {
                tree.add_directory(path.parent().unwrap_or(path))
            }
            Kind::File => {
                let mut content = Vec::new();
                // What cannot be read shows with the next member.
                let _shows_later = members.data().take(facts::size_max(path)).read_to_end(&mut content);
                tree.add_file(path, content.into())
            }
            Kind::Link(target) => match name::target(target) {
                Some(target) => tree.add_link(path, target),
                None => Err(TreeError::Nowhere),
            },
            Kind::HardLink(of) => match name::clean(of) {
                Some(of) => tree.add_hard_link(path, &of),
                None => Err(TreeError::Nowhere),
            },
            Kind::Special => {
                self.left_out().special += 1;
                return;
            }
        };
        match added {
            Ok(()) => {}
            Err(TreeError::Clash) => self.left_out().clashes += 1,
            Err(TreeError::Nowhere) => self.left_out().bad_links += 1,
            Err(TreeError::Full) => self.left_out().reached(Reached::Tree(TREE_MAX as u64)),
        }
    }

    fn left_out(&mut self) -> &mut LeftOut {
        &mut self.catalog.left_out
    }

    fn not_stored(&mut self, path: &Path, error: StoreError) {
        match error {
            StoreError::Reached(reached) => self.left_out().reached(reached),
            // The archive itself ends here, which the next member reports.
            StoreError::Read(_) => {}
            StoreError::Write { .. } => self.left_out().not_stored(&format!("{}: {error}", path.display())),
        }
    }

    fn broken(&mut self, error: TarError) {
        let reached = match &error {
            TarError::Read(source) => source.get_ref().and_then(|e| e.downcast_ref::<Reached>()).cloned(),
            _ => None,
        };
        match reached {
            Some(reached) => self.left_out().reached(reached),
            None => self.left_out().broken = Some(error.to_string()),
        }
    }
}
