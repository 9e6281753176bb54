//! What a program is reported before it is loaded: its globals.

use std::collections::BTreeMap;

use peripety_common::counters::NO_OFFSET;

use super::{btf::Offsets, format::Format, probes::Probe};
use crate::roots::Roots;

/// Offsets of both ways, and why a probe cannot go one of them.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Offsets by the name of the program's global.
    pub(super) offsets: BTreeMap<&'static str, u16>,
    /// Switches by the name of the program's global.
    pub(super) switches: BTreeMap<&'static str, u8>,
    btf: Option<Offsets>,
    no_btf: String,
    no_format: BTreeMap<&'static str, String>,
}

impl Layout {
    /// Asks BTF and tracefs for everything that `probes` want.
    pub(super) fn resolve(roots: &Roots, probes: &[&Probe]) -> Self {
        let mut layout = Self::default();
        let drivers: Vec<&str> = probes.iter().filter_map(|probe| probe.module).collect();
        match Offsets::resolve(roots, &drivers) {
            Ok(btf) => {
                layout.offsets.extend(&btf.members);
                layout.switches.insert("CMD_CMND_ARRAY", u8::from(btf.cmnd_is_array));
                layout.switches.insert("RQ_COMPLETE_ERRNO", u8::from(btf.rq_complete_errno));
                layout.btf = Some(btf);
            }
            Err(error) => layout.no_btf = error.to_string(),
        }
        for probe in probes {
            if let Err(reason) = layout.add_format(roots, probe) {
                layout.no_format.insert(probe.event(), reason);
            }
        }
        layout
    }

    fn add_format(&mut self, roots: &Roots, probe: &Probe) -> Result<(), String> {
        let format = Format::read(roots, probe.category, probe.event()).map_err(|e| e.to_string())?;
        for (global, field, size) in probe.format {
            self.offsets.insert(global, format.offset(field, *size).map_err(|e| e.to_string())?);
        }
        for (global, field, size) in probe.format_optional {
            self.offsets.insert(global, format.offset(field, *size).unwrap_or(NO_OFFSET));
        }
        Ok(())
    }

    /// Why a probe cannot be a raw tracepoint, if so.
    pub(super) fn raw_obstacle(&self, probe: &Probe) -> Option<String> {
        // The console's arguments are plain: it needs no offsets.
        match &self.btf {
            _ if probe.btf.is_empty() => None,
            None => Some(self.no_btf.clone()),
            Some(btf) => btf.missing(probe.btf).map(|name| format!("type information has no {name}")),
        }
    }

    /// Number of the type that a program with typed arguments attaches to, if the kernel reports.
    pub(super) fn prototype(&self, probe: &Probe) -> Option<u32> {
        let name = format!("btf_trace_{}", probe.event());
        self.btf.as_ref()?.prototypes.get(name.as_str()).copied()
    }

    /// Why a probe cannot be a classic tracepoint, if so.
    pub(super) fn classic_obstacle(&self, probe: &Probe) -> Option<String> {
        if probe.classic.is_empty() {
            return Some("the tracepoint's record does not say when a request was made".to_owned());
        }
        self.no_format.get(probe.event()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::collector::ebpf::probes::PROBES;

    /// Format files of real kernels, as they lie below tracefs' `events`.
    fn fixtures() -> Vec<(String, Roots)> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tracefs");
        let mut kernels: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), entry.path())
            })
            .map(|(name, path)| (name, Roots { sysfs: path.join("sys"), ..Roots::under(&path) }))
            .collect();
        kernels.sort_by(|a, b| a.0.cmp(&b.0));
        kernels
    }

    #[test]
    fn every_tracepoint_of_every_kernel_has_the_fields_that_its_probe_reads() {
        let kernels = fixtures();
        assert_eq!(kernels.len(), 6, "five real kernels and the made-up RHEL 9");
        for (kernel, roots) in kernels {
            let mut found = 0;
            for probe in PROBES {
                let directory = roots.tracefs().join("events").join(probe.category).join(probe.event());
                if !directory.exists() {
                    continue;
                }
                found += 1;
                let mut layout = Layout::default();
                layout
                    .add_format(&roots, probe)
                    .unwrap_or_else(|e| panic!("{kernel}: {}: {e}", probe.event()));
                for (global, field, _) in probe.format {
                    assert!(
                        layout.offsets[global] >= 8,
                        "{kernel}: {}: {field} among the common fields",
                        probe.event()
                    );
                }
            }
            assert!(found >= 8, "{kernel}: only {found} of the probes' tracepoints");
        }
    }

    #[test]
    fn the_extra_common_field_of_rhel_9_moves_what_follows() {
        let roots = |name: &str| fixtures().into_iter().find(|(k, _)| k.starts_with(name)).unwrap().1;
        let offset = |roots: &Roots, event: &str, global: &str| {
            let probe = PROBES.iter().find(|p| p.event() == event).unwrap();
            let mut layout = Layout::default();
            layout.add_format(roots, probe).unwrap();
            layout.offsets[global]
        };
        let (debian, rhel) = (roots("6.1"), roots("rhel9"));
        assert_eq!(offset(&debian, "block_rq_error", "TP_RQ_DEV"), 8);
        assert_eq!(offset(&rhel, "block_rq_error", "TP_RQ_DEV"), 12);
        assert_eq!(offset(&rhel, "block_rq_error", "TP_RQ_SECTOR"), 16);
        assert_eq!(offset(&debian, "nvme_complete_rq", "TP_NVME_DISK"), 8);
        assert_eq!(offset(&rhel, "nvme_complete_rq", "TP_NVME_DISK"), 9);
        assert_eq!(offset(&rhel, "scsi_dispatch_cmd_done", "TP_SCSI_RESULT"), 28);
    }

    #[test]
    fn sense_is_optional_and_marked_as_missing_before_6_8() {
        let probe = PROBES.iter().find(|p| p.event() == "scsi_dispatch_cmd_done").unwrap();
        for (kernel, roots) in fixtures() {
            if !roots.tracefs().join("events/scsi").exists() {
                continue;
            }
            let mut layout = Layout::default();
            layout.add_format(&roots, probe).unwrap();
            let has_sense = kernel.starts_with("6.12") || kernel.starts_with("7.");
            assert_eq!(layout.offsets["TP_SCSI_SENSE_KEY"] != NO_OFFSET, has_sense, "{kernel}");
        }
    }
}
