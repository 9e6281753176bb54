//! The few scenarios that are part of `cargo xtask test`.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result};

use super::{
    bench::{self, Bench, Job},
    kernel, scenario,
};
use crate::sh;

/// By kernel: Debian's stable one with a fault of each family, the oldest and the newest with one.
const CORE: &[(&str, &[&str])] = &[
    ("6.1", &["scsi-medium-error", "multipath", "thin-pool"]),
    ("5.10", &["scsi-medium-error"]),
    ("7.2", &["scsi-medium-error"]),
];

/// Plays those whose name contains the filter, and may `bring` what that takes. Where there can be no machines, one line says why; where there can, a
/// scenario that fails is a failure.
pub fn run(filter: Option<&str>, bring: bool, binaries: &Path, skipped: &mut Vec<String>) -> Result<()> {
    let is_wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter));
    if !CORE.iter().any(|(_kernel, names)| names.iter().any(|name| is_wanted(name))) {
        return Ok(());
    }
    let bench = match set_up(bring) {
        Ok(bench) => bench,
        Err(error) => {
            skipped.push(format!("faults in virtual machines: {error:#}"));
            return Ok(());
        }
    };
    let scenarios = scenario::all()?;
    let mut jobs = Vec::new();
    for (kernel, names) in CORE {
        let kernel = bench.kernels.iter().find(|k| k.name == *kernel).context("a kernel of the core")?;
        for name in names.iter().filter(|name| is_wanted(name)) {
            let scenario = scenarios.iter().find(|s| s.name == *name);
            let scenario = scenario.with_context(|| format!("scenario {name} is gone"))?;
            jobs.push(Job { kernel, scenario });
        }
    }
    // One at a time: two slow each other down so much that kernels take their own timers for broken.
    bench::verdict(&bench.play(jobs, binaries, 1, false))
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
