//! How far a rebuild is: what sysfs says of an md array, answered by the kernel from memory.

use std::{fs, path::Path};

use crate::{
    event::incident::{Incident, Progress, State},
    roots::Roots,
};

/// The progress of what an incident waits for; none where nothing is rebuilt.
fn progress(roots: &Roots, incident: &Incident) -> Option<Progress> {
    if !incident.state.is_open() {
        return None;
    }
    let names = std::iter::once(&incident.cause.name)
        .chain(&incident.impact.devices)
        .chain(incident.events.iter().map(|member| &member.device));
    let mut tried: Vec<&str> = Vec::new();
    for name in names {
        let node = name.rsplit('/').next().unwrap_or(name);
        if tried.contains(&node) || !node.starts_with("md") {
            continue;
        }
        tried.push(node);
        if let Some(found) = of_array(&roots.sysfs.join("class/block").join(node), node) {
            return Some(found);
        }
    }
    None
}

/// Puts it into incidents. One whose array is rebuilt is recovering, whoever began that.
pub(crate) fn note(roots: &Roots, incidents: &mut [Incident]) {
    for incident in incidents {
        incident.progress = progress(roots, incident);
        if incident.progress.is_some() && incident.state == State::Open && !incident.needs_acknowledgement {
            incident.state = State::Recovering;
        }
    }
}

/// `md/sync_completed` is `none`, `delayed`, or sectors that are done and all of them (drivers/md/md.c, sync_completed_show).
fn of_array(dir: &Path, name: &str) -> Option<Progress> {
    let read = |attribute: &str| {
        fs::read_to_string(dir.join("md").join(attribute)).ok().map(|text| text.trim().to_owned())
    };
    let action =
        read("sync_action").filter(|action| matches!(action.as_str(), "recover" | "resync" | "reshape"))?;
    let completed = read("sync_completed")?;
    let (done, all) = completed.split_once('/')?;
    let (done, all): (u64, u64) =
        (done.trim().parse().ok()?, all.trim().parse().ok().filter(|all| *all > 0)?);
    let kib_per_s = read("sync_speed").and_then(|speed| speed.parse::<u64>().ok());
    let left_kib = all.saturating_sub(done) / 2;
    let permille = u32::try_from(u128::from(done.min(all)) * 1000 / u128::from(all)).ok()?;
    Some(Progress {
        device: name.to_owned(),
        action,
        percent: f64::from(permille) / 10.0,
        kib_per_s,
        seconds_left: kib_per_s.and_then(|speed| left_kib.checked_div(speed)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_how_far_a_rebuild_is() {
        let dir = tempfile::tempdir().unwrap();
        let md = dir.path().join("md");
        fs::create_dir(&md).unwrap();
        let write = |name: &str, text: &str| fs::write(md.join(name), format!("{text}\n")).unwrap();
        write("sync_action", "recover");
        write("sync_completed", "250000 / 1000000");
        write("sync_speed", "10000");
        let found = of_array(dir.path(), "md0").unwrap();
        assert_eq!((found.device.as_str(), found.action.as_str(), found.percent), ("md0", "recover", 25.0));
        assert_eq!((found.kib_per_s, found.seconds_left), (Some(10_000), Some(37)));
        for (action, completed) in
            [("idle", "none"), ("recover", "delayed"), ("recover", "none"), ("recover", "1 / 0")]
        {
            write("sync_action", action);
            write("sync_completed", completed);
            assert_eq!(of_array(dir.path(), "md0"), None, "{action} {completed}");
        }
    }
}
