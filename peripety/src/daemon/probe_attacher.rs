//! Attaches the probes of drivers that are loaded while the daemon runs.
//!
//! Loading programs takes milliseconds, and seconds under emulation or on a machine in trouble: the event loop goes on
//! meanwhile, and takes in what was attached when it is done.

use std::{collections::BTreeSet, future};

use tokio::task::JoinHandle;

use super::sources::Probes;
use crate::{
    collector::ebpf::{Addition, probes::PROBES},
    record::Uevent,
};

/// One thread at most that attaches, and what came meanwhile.
#[derive(Default)]
pub(super) struct Attacher {
    /// Drivers of the table that were loaded since the last look.
    came: BTreeSet<&'static str>,
    /// Uevents were lost: any driver may have come.
    any: bool,
    running: Option<JoinHandle<Addition>>,
}

impl Attacher {
    /// Takes note of a module that was loaded, if it is the driver of a probe.
    pub(super) fn note(&mut self, uevent: &Uevent) {
        if uevent.subsystem == "module" && uevent.action == "add" {
            let name = uevent.devpath.rsplit('/').next().unwrap_or_default();
            self.came.extend(PROBES.iter().filter_map(|probe| probe.module).find(|module| *module == name));
        }
    }

    /// Uevents were lost.
    pub(super) const fn note_anything(&mut self) {
        self.any = true;
    }

    /// Begins to attach what is due, unless that is going on.
    pub(super) fn go_on(&mut self, probes: Option<&Probes>) {
        if self.running.is_some() || (self.came.is_empty() && !self.any) {
            return;
        }
        let (came, any) = (std::mem::take(&mut self.came), std::mem::take(&mut self.any));
        let plan = probes.and_then(|probes| {
            probes.lock().plan(|probe| any || probe.module.is_some_and(|module| came.contains(module)))
        });
        self.running = plan.map(|plan| tokio::task::spawn_blocking(|| plan.carry_out()));
    }

    /// Waits for the end of what is going on; for ever if nothing is.
    pub(super) async fn done(&mut self) -> Option<Addition> {
        let Some(running) = &mut self.running else { return future::pending().await };
        let result = running.await;
        self.running = None;
        result.map_err(|error| tracing::error!(%error, "attaching the probes of a new driver failed")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(action: &str, name: &str) -> Uevent {
        Uevent {
            seq: 1,
            action: action.to_owned(),
            subsystem: "module".to_owned(),
            devpath: format!("/module/{name}"),
            dev: None,
            udev: false,
            properties: Vec::new(),
        }
    }

    #[test]
    fn only_the_drivers_of_probes_count() {
        let mut attacher = Attacher::default();
        for uevent in [module("add", "loop"), module("remove", "xfs"), module("add", "scsi_mod_x")] {
            attacher.note(&uevent);
        }
        assert!(attacher.came.is_empty());
        attacher.note(&module("add", "scsi_mod"));
        assert_eq!(attacher.came.iter().collect::<Vec<_>>(), [&"scsi_mod"]);
        // Without probes there is nothing to attach, now or later.
        attacher.go_on(None);
        assert!(attacher.running.is_none() && attacher.came.is_empty());
    }
}
