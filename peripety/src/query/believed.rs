//! Who wrote an entry of the journal (promise 7): `peripety_client::believed` decides for all readers.

use std::fs;

pub(crate) use peripety_client::believed::Foreign;
pub(super) use peripety_client::believed::{Believed, Judge, PROOF};

use crate::{
    journal::{Entry, machine_id},
    roots::Roots,
};

impl peripety_client::believed::Fields for Entry {
    fn get(&self, name: &str) -> Option<&str> {
        Self::get(self, name)
    }

    fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }
}

/// What knows this machine.
pub(super) fn judge(roots: &Roots) -> Judge {
    let group = fs::read_to_string(roots.procfs.join("self/cgroup")).unwrap_or_default();
    Judge::new(machine_id(roots), roots.daemons.clone(), &group)
}
