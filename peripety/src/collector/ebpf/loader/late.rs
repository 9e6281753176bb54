//! What is attached after the start: probes of drivers that are loaded later, and those that wait for a disk.

use std::sync::Arc;

use super::{
    super::{
        bio_disks,
        probes::{PROBES, Probe},
        status::{AttachMode, Verdict},
    },
    Addition, Ebpf, Instance, MOST_INSTANCES, Plan, exists,
    instance::{self, Programs, Source},
    load_error,
};

impl Ebpf {
    /// What is absent and may be there by now, of the probes that `came` names. None when there is nothing to do.
    pub(crate) fn plan(&self, came: impl Fn(&Probe) -> bool) -> Option<Plan> {
        let rows: Vec<usize> = PROBES
            .iter()
            .zip(&self.verdicts)
            .enumerate()
            .filter(|(_row, (_probe, (verdict, _program)))| matches!(verdict, Verdict::Absent { .. }))
            .filter(|(_row, (probe, _verdict))| {
                came(probe) && exists(&self.source.roots, probe) != Some(false)
            })
            .map(|(row, _probe)| row)
            .collect();
        let is_due = !rows.is_empty() && self.instances.len() < MOST_INSTANCES;
        is_due.then(|| Plan { source: Arc::clone(&self.source), rows })
    }

    /// Takes in what a plan attached. Whether it was anything.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn add(&mut self, addition: Addition) -> bool {
        let mut refused = None;
        let instance = addition.loaded.and_then(|loaded| {
            let mut loaded = *loaded;
            if self.source.options.verbose
                && let Programs::Own(ebpf) = &mut loaded.programs
            {
                super::super::verbose::start(ebpf);
            }
            Instance::new(loaded)
                .inspect_err(|error| refused = Some(format!("cannot wait for the ring: {error}")))
                .ok()
        });
        let number = self.instances.len();
        let any = instance.is_some();
        self.instances.extend(instance);
        for (row, verdict, program) in addition.verdicts {
            let Some(place) = self.verdicts.get_mut(row) else { continue };
            *place = match (&refused, verdict.is_loaded()) {
                (Some(reason), true) => (Verdict::Refused { reason: reason.clone() }, None),
                _ => (verdict, program.map(|name| (number, name))),
            };
        }
        any
    }

    /// Attaches what waits for a disk or driver like this one; for anything, if it is not known what came. Whether it did.
    pub(crate) fn attach_waiting(&mut self, came: Option<(&str, &str)>) -> bool {
        if came.is_none_or(|(subsystem, _)| subsystem == "block") {
            self.name_slow_disks();
        }
        let roots = &self.source.roots;
        let mut any = false;
        for (probe, (verdict, program)) in PROBES.iter().zip(&mut self.verdicts) {
            let Verdict::Waiting { .. } = verdict else { continue };
            let is_due = match came {
                Some((subsystem, devpath)) => bio_disks::comes(roots, subsystem, devpath),
                None => (probe.waits)(roots).is_none(),
            };
            let instance = program.and_then(|(at, name)| Some((self.instances.get_mut(at)?, name)));
            let Some((Instance { programs: Programs::Own(ebpf), pinned, .. }, name)) = instance else {
                continue;
            };
            if !is_due {
                continue;
            }
            any = true;
            *verdict = match instance::attach_loaded(ebpf, probe, name, pinned.as_deref()) {
                Ok(outcome) => {
                    pinned.take_if(|dir| !self.source.or_unpinned(dir, outcome));
                    Verdict::Attached { way: AttachMode::Raw, fallback: String::new() }
                }
                Err(error) => Verdict::Refused { reason: load_error::explain(roots, &error) },
            };
        }
        any
    }

    /// A disk came: its limit may be set by its name.
    fn name_slow_disks(&mut self) {
        let Source { roots, options, .. } = &*self.source;
        if !options.slow.by_name.is_empty() {
            let limits = options.slow.by_number(roots);
            for instance in &mut self.instances {
                if let Err(error) = instance.maps.set_slow_limits(&limits) {
                    tracing::warn!(%error, "the limits of slow requests cannot be set");
                }
            }
        }
    }
}
