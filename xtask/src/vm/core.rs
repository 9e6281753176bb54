//! The few scenarios that are part of `cargo xtask test`.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result};

use super::{
    bench::{self, Bench, Job, Outcome},
    kernel,
    scenario::{self, Scenario},
};
use crate::sh;

/// By kernel: Debian's stable one with a fault of each family, the oldest and the newest with one.
const CORE: &[(&str, &[&str])] = &[
    ("6.1", &["scsi-medium-error", "multipath", "thin-pool"]),
    ("5.10", &["scsi-medium-error"]),
    ("7.2", &["scsi-medium-error"]),
];

/// Machines and what is played in them.
pub struct Core {
    bench: Bench,
    scenarios: Vec<Scenario>,
    wanted: Vec<(&'static str, &'static str)>,
}

impl Core {
    /// Whether any name contains the filter.
    pub fn is_wanted(filter: Option<&str>) -> bool {
        !wanted(filter).is_empty()
    }

    /// Those whose name contains the filter. What that takes may be brought.
    ///
    /// # Errors
    /// There can be no machines here, and why.
    pub fn set_up(filter: Option<&str>, bring: bool) -> Result<Self> {
        Ok(Self { bench: set_up(bring)?, scenarios: scenario::all()?, wanted: wanted(filter) })
    }

    fn job(&self, kernel: &str, name: &str) -> Result<Job<'_>> {
        let kernel = self.bench.kernels.iter().find(|k| k.name == kernel).context("a kernel of the core")?;
        let scenario = self.scenarios.iter().find(|s| s.name == name);
        Ok(Job { kernel, scenario: scenario.with_context(|| format!("scenario {name} is gone"))? })
    }

    /// Plays all, and prints nothing.
    pub fn play(&self, binaries: &Path) -> Result<Vec<Outcome>> {
        let jobs: Result<Vec<Job<'_>>> =
            self.wanted.iter().map(|(kernel, name)| self.job(kernel, name)).collect();
        // One at a time: two slow each other down so much that kernels take their own timers for broken.
        Ok(self.bench.play(jobs?, binaries, 1, false, |_| ()))
    }

    /// Says how all went. What failed beside other tests is played once more, alone: a failure is one of a machine that gets its
    /// time.
    pub fn conclude(&self, outcomes: Vec<Outcome>, binaries: &Path) -> Result<()> {
        let (failed, mut all): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|o| !o.wrong.is_empty());
        all.iter().for_each(bench::report);
        if !failed.is_empty() {
            failed.iter().for_each(bench::report);
            eprintln!("played again, alone:");
            let jobs: Result<Vec<Job<'_>>> = failed.iter().map(|o| self.job(o.kernel, &o.scenario)).collect();
            all.extend(self.bench.play(jobs?, binaries, 1, false, bench::report));
        }
        bench::verdict(&all)
    }
}

fn wanted(filter: Option<&str>) -> Vec<(&'static str, &'static str)> {
    let all = CORE.iter().flat_map(|(kernel, names)| names.iter().map(move |name| (*kernel, *name)));
    all.filter(|(_kernel, name)| filter.is_none_or(|filter| name.contains(filter))).collect()
}

fn set_up(bring: bool) -> Result<Bench> {
    let missing = ["qemu-system-x86_64", "mmdebstrap", "busybox"].into_iter().find(|p| sh::find(p).is_none());
    if let (false, Some(program)) = (bring, missing) {
        anyhow::bail!("{program} is not here, and the machine is to be taken as it is");
    }
    anyhow::ensure!(cfg!(target_arch = "x86_64"), "the kernels are those of x86-64");
    anyhow::ensure!(sh::can_be_root(), "making a root file system takes root, and there is no sudo");
    let names: Vec<String> = CORE.iter().map(|(kernel, _names)| (*kernel).to_owned()).collect();
    eprintln!(
        "vm: kernels {} under qemu, about a minute for each scenario; the first time qemu, the kernels and a root file \
         system are brought (1 GB, some minutes)",
        names.join(", ")
    );
    Bench::set_up(&kernel::chosen(&names)?, &BTreeSet::from([super::root::USUAL]))
        .context("they cannot be set up here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_is_of_kernels_and_scenarios_that_exist() {
        let all = scenario::all().unwrap();
        for (kernel, names) in CORE {
            assert_eq!(kernel::chosen(&[(*kernel).to_owned()]).unwrap().len(), 1);
            for name in *names {
                let scenario = all.iter().find(|s| s.name == *name).unwrap_or_else(|| panic!("{name}"));
                assert!(scenario.is_for(kernel), "{name} is not for {kernel}");
            }
        }
    }
}
