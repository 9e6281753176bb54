//! `prpt policy`: what policies are there, and what they would do. It runs nothing.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use peripety_policy::{
    case::{Case, Decision},
    config::{self, Config, Policy},
    look::Look,
    situation::Situation,
};

use super::{
    FAILED, NOTHING, OK,
    incidents::known,
    render::{note, print},
};
use crate::{
    block::BlkCache,
    event::{EventId, Incident, Nature},
    incident::pick::is_meant,
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Check the policies
    Check {
        #[command(flatten)]
        file: File,
    },
    /// Say what would be done now about an incident, and run nothing
    Simulate {
        /// Which: an incident's id or the beginning of it, one of its events, a device
        #[arg(value_name = "INCIDENT|EVENT|DEVICE")]
        target: String,
        #[command(flatten)]
        file: File,
    },
}

#[derive(Debug, clap::Args)]
struct File {
    /// The policies
    #[arg(long, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    match args.what {
        What::Check { file } => {
            let config = Config::read(&file.config)?;
            if config.policy.is_empty() {
                note("no policy: nothing is done about any failure");
                return Ok(NOTHING);
            }
            let lines: Vec<String> = config.policy.iter().map(|policy| line(policy) + "\n").collect();
            print(&lines.concat())?;
            Ok(OK)
        }
        What::Simulate { target, file } => simulate(&target, &Config::read(&file.config)?, roots),
    }
}

fn line(policy: &Policy) -> String {
    let mut line = format!("{}: {:?}", policy.name, policy.action).to_lowercase();
    line.push_str(&format!(" for {}", policy.types.join(", ")));
    if !policy.devices.is_empty() {
        line.push_str(&format!(" of {}", policy.devices.join(", ")));
    }
    if let Some(failures) = policy.failures {
        line.push_str(&format!(", from {failures} failures within {:#} on", policy.within));
    }
    if !policy.wait.is_zero() {
        line.push_str(&format!(", after {:#}", policy.wait));
    }
    if let Some(percent) = policy.out_of_sync {
        line.push_str(&format!(", or more than {percent} % out of sync"));
    }
    printable(&line).into_owned()
}

fn simulate(target: &str, config: &Config, roots: &Roots) -> anyhow::Result<u8> {
    let mut all = known(roots, None)?;
    all.sort_by_key(|incident| (incident.state.is_open(), incident.updated));
    let Some(incident) = all.into_iter().rfind(|incident| is_meant(incident, target)) else {
        note(&format!("no incident is known by '{target}'; 'prpt incidents' lists them"));
        return Ok(FAILED);
    };
    let cache = BlkCache::scan(&roots.block())?;
    let look = Look::new(&roots.block().dev, &roots.sysfs);
    let mut out = String::new();
    for (event_type, of) in arrays(&incident, &cache, &look)? {
        out.push_str(&printable(&would(config, &event_type, &of)));
        out.push('\n');
    }
    if out.is_empty() {
        note("none of its events is about an array, pool or snapshot that is there now");
        return Ok(NOTHING);
    }
    print(&out)?;
    Ok(OK)
}

/// The arrays that the faults of an incident are about, as they are now; each once for each type.
fn arrays(incident: &Incident, cache: &BlkCache, look: &Look) -> anyhow::Result<Vec<(String, Situation)>> {
    let mut found: Vec<(String, Situation)> = Vec::new();
    for member in &incident.events {
        if member.event_type.info().is_none_or(|info| info.nature != Nature::Fault) {
            continue;
        }
        let Ok(info) = cache.resolve(&member.device) else { continue };
        let all =
            std::iter::once(&info.id.blk_path).chain(info.holders.iter().map(|holder| &holder.blk_path));
        for name in all.filter_map(|path| path.rsplit('/').next()) {
            let of = look.situation(name).with_context(|| format!("the state of {name} cannot be read"))?;
            let Some(of) = of else { continue };
            let event_type = member.event_type.to_string();
            if !found.iter().any(|(known, other)| *known == event_type && other.name == of.name) {
                found.push((event_type, of));
            }
            break;
        }
    }
    Ok(found)
}

/// What would be done about a failure that happened just now, with its wait and after it.
fn would(config: &Config, event_type: &str, of: &Situation) -> String {
    let start = format!("{}: {event_type}: ", of.name);
    let Some(policy) = config.find(event_type, &of.names()) else { return start + "no policy is about it" };
    let case = Case::new(policy, &of.name, event_type, EventId::nil(), Duration::ZERO);
    let now = case.decide(policy, Some(of), Duration::ZERO);
    let then = case.decide(policy, Some(of), policy.wait.unsigned_abs());
    let words = |decision: &Decision| match decision {
        Decision::Leave(why) => format!("nothing is done: {why}"),
        Decision::Wait(_, why) => format!("waits: {why}"),
        Decision::Act(plan) => format!("runs: {plan}"),
    };
    let mut text = format!("{start}policy '{}' {}", policy.name, words(&now));
    if matches!(now, Decision::Wait(..)) && now != then {
        text.push_str(&format!("; after that, if it is as it is now, {}", words(&then)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use peripety_block::status::{MapStatus, TargetLine};

    use super::*;

    #[test]
    fn what_would_be_done_now_and_after_the_wait() {
        let text = "[[policy]]\nname = \"leg\"\ntypes = [\"DM_MIRROR_LEG_FAILED\"]\nwait = \"5min\"\naction = \"replace-leg\"\n";
        let config = Config::parse(text, Path::new("p")).unwrap();
        let line = TargetLine {
            start: 0,
            len: 1,
            target: "mirror".to_owned(),
            line: "2 254:0 254:1 8/9 1 AD 1 core".to_owned(),
            legs: Vec::new(),
        };
        let map = MapStatus {
            dev: "254:3".parse().unwrap(),
            name: "vg-lv".to_owned(),
            uuid: "LVM-x".to_owned(),
            targets: vec![line],
        };
        let of = Situation::of_map(&map).unwrap();
        assert_eq!(
            would(&config, "DM_MIRROR_LEG_FAILED", &of),
            "vg-lv: DM_MIRROR_LEG_FAILED: policy 'leg' waits: it may be over by itself: 300 s are left; after that, if it \
             is as it is now, runs: lvconvert --yes --repair vg/lv"
        );
        assert!(would(&config, "MD_DISK_FAILED", &of).ends_with("no policy is about it"));
        assert!(
            self::line(&config.policy[0]).starts_with("leg: replaceleg for DM_MIRROR_LEG_FAILED, after 5")
        );
    }
}
