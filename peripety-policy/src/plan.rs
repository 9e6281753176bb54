//! What each action is for each kind of array, and when it would be wrong to take it: one table.

use serde::{Deserialize, Serialize};

use crate::{
    config::{Action, Policy},
    situation::{Kind, Situation},
};

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Commands, one after the other; the next only if the one before succeeded, or if nobody saw how it ended: what stops an
    /// array comes first, what lets it go on comes last.
    pub commands: Vec<Vec<String>>,
    /// What they are given in their environment.
    pub environment: Vec<(String, String)>,
}

impl std::fmt::Display for Plan {
    /// The commands as they would be typed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let commands: Vec<String> = self.commands.iter().map(|words| words.join(" ")).collect();
        f.write_str(&commands.join("; "))
    }
}

/// A row: an action on a kind of array.
struct Row {
    action: Action,
    kind: Kind,
    /// Why not to do it as things are.
    refuses: fn(&Situation) -> Option<&'static str>,
    /// The commands; none where a name is missing that they need.
    commands: fn(&Situation) -> Option<Vec<Vec<String>>>,
}

const ROWS: &[Row] = &[
    Row {
        action: Action::Resync,
        kind: Kind::Mirror,
        refuses: without_good_leg,
        commands: |of| {
            // Without a flush and without freezing the filesystem: writes of a failed leg may be waiting.
            let suspend = command(&["dmsetup", "suspend", "--noflush", "--nolockfs", &of.name]);
            Some(vec![suspend, command(&["dmsetup", "resume", &of.name])])
        },
    },
    Row {
        action: Action::Resync,
        kind: Kind::DmRaid,
        refuses: without_good_leg,
        commands: |of| Some(vec![command(&["lvchange", "--refresh", of.volume.as_deref()?])]),
    },
    Row {
        action: Action::Resync,
        kind: Kind::Md,
        refuses: without_good_leg,
        commands: |of| {
            let array = format!("/dev/{}", of.name);
            let member = format!("/dev/{}", of.failed.first()?);
            Some(vec![command(&["mdadm", &array, "--re-add", &member])])
        },
    },
    Row {
        action: Action::Rewrite,
        kind: Kind::DmRaid,
        refuses: unless_all_good,
        commands: |of| Some(vec![command(&["lvchange", "--syncaction", "repair", of.volume.as_deref()?])]),
    },
    Row {
        action: Action::Rewrite,
        kind: Kind::Md,
        refuses: unless_all_good,
        commands: |of| Some(vec![command(&["mdadm", "--action=repair", &format!("/dev/{}", of.name)])]),
    },
    Row { action: Action::ReplaceLeg, kind: Kind::Mirror, refuses: without_good_leg, commands: repair },
    Row { action: Action::ReplaceLeg, kind: Kind::DmRaid, refuses: without_good_leg, commands: repair },
    Row { action: Action::Extend, kind: Kind::Pool, refuses: |_| None, commands: extend },
    Row { action: Action::Extend, kind: Kind::Snapshot, refuses: |_| None, commands: extend },
];

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn repair(of: &Situation) -> Option<Vec<Vec<String>>> {
    // Not by the policies of lvm.conf: as LVM has them, they do nothing about RAID, and take a mirror's leg away.
    Some(vec![command(&["lvconvert", "--yes", "--repair", of.volume.as_deref()?])])
}

fn extend(of: &Situation) -> Option<Vec<Vec<String>>> {
    Some(vec![command(&["lvextend", "--use-policies", of.volume.as_deref()?])])
}

/// The copy that everything is to be taken from has to be there, and to be one that failed nothing.
fn without_good_leg(of: &Situation) -> Option<&'static str> {
    (of.good == 0)
        .then_some("no member is left that has all data and failed nothing: it could cost the last copy")
}

/// A repair writes over members that differ: only with all of them there is a choice.
fn unless_all_good(of: &Situation) -> Option<&'static str> {
    (of.good < of.members).then_some("a member is missing or out of sync: it could cost the last copy")
}

/// What a policy does about an array as it is.
///
/// # Errors
/// Why it does nothing, in words.
pub fn plan(policy: &Policy, of: &Situation, event_type: &str) -> Result<Plan, String> {
    if of.lost && policy.action != Action::Run {
        return Err(format!("{} has failed for good, a person has to look", of.name));
    }
    let environment = environment(of, policy, event_type);
    if policy.action == Action::Run {
        return Ok(Plan { commands: vec![policy.command.clone()], environment });
    }
    let row = ROWS.iter().find(|row| row.action == policy.action && row.kind == of.kind);
    let row = row.ok_or_else(|| format!("there is no such action for {}", of.kind.words()))?;
    if let Some(why) = (row.refuses)(of) {
        return Err(why.to_owned());
    }
    let commands = (row.commands)(of).ok_or_else(|| match of.kind {
        Kind::Md => format!("no member of {} is there to take again", of.name),
        _ => format!("{} is no volume of LVM", of.name),
    })?;
    Ok(Plan { commands, environment })
}

fn environment(of: &Situation, policy: &Policy, event_type: &str) -> Vec<(String, String)> {
    let mut all = vec![
        ("PERIPETY_POLICY", policy.name.clone()),
        ("PERIPETY_EVENT_TYPE", event_type.to_owned()),
        ("PERIPETY_ARRAY", of.name.clone()),
        ("PERIPETY_MEMBERS", of.members.to_string()),
        ("PERIPETY_MEMBERS_GOOD", of.good.to_string()),
        ("PERIPETY_MAY_FAIL", of.may_fail.to_string()),
        ("PERIPETY_MEMBERS_FAILED", of.failed.join(" ")),
    ];
    all.extend(of.volume.clone().map(|volume| ("PERIPETY_VOLUME", volume)));
    all.extend(of.full.map(|percent| ("PERIPETY_FULL_PERCENT", format!("{percent:.1}"))));
    all.extend(of.out_of_sync.map(|percent| ("PERIPETY_OUT_OF_SYNC_PERCENT", format!("{percent:.1}"))));
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config::Config, situation::tests::of};

    fn planned(action: &str, target: &str, line: &str) -> Result<String, String> {
        let text = format!("[[policy]]\nname = \"p\"\ntypes = [\"*\"]\naction = \"{action}\"\n");
        let config = Config::parse(&text, Path::new("p")).unwrap();
        Ok(plan(&config.policy[0], &of(target, line), "X")?.to_string())
    }

    const DEAD: &str = "2 254:0 254:1 8/9 1 AD 1 core";

    #[test]
    fn each_action_is_the_command_that_a_person_would_type() {
        for (action, target, line, commands) in [
            ("resync", "mirror", DEAD, "dmsetup suspend --noflush --nolockfs vg-lv; dmsetup resume vg-lv"),
            ("resync", "raid", "raid1 2 AD 9/9 idle 0 0 -", "lvchange --refresh vg/lv"),
            ("rewrite", "raid", "raid1 2 AA 9/9 idle 0 0 -", "lvchange --syncaction repair vg/lv"),
            ("replace-leg", "mirror", DEAD, "lvconvert --yes --repair vg/lv"),
            ("extend", "snapshot", "85/100 2", "lvextend --use-policies vg/lv"),
        ] {
            assert_eq!(planned(action, target, line).as_deref(), Ok(commands));
        }
    }

    #[test]
    fn nothing_is_done_that_could_cost_the_last_copy() {
        for (action, target, line, words) in [
            // The one with the data failed a read.
            ("resync", "mirror", "2 254:0 254:1 8/9 1 RD 1 core", "last copy"),
            ("replace-leg", "mirror", "2 254:0 254:1 8/9 1 RD 1 core", "last copy"),
            ("replace-leg", "mirror", "2 254:0 254:1 8/9 1 DD 1 core", "for good"),
            ("replace-leg", "raid", "raid5_ls 3 ADD 9/9 idle 0 0 -", "for good"),
            ("rewrite", "raid", "raid1 2 AD 9/9 idle 0 0 -", "last copy"),
            ("rewrite", "mirror", "2 254:0 254:1 9/9 1 AR 1 core", "no such action for a mirror"),
            ("extend", "thin-pool", "Fail", "for good"),
            ("extend", "mirror", DEAD, "no such action"),
        ] {
            let refused = planned(action, target, line).unwrap_err();
            assert!(refused.contains(words), "{action} {line}: {refused}");
        }
    }

    #[test]
    fn a_program_gets_the_facts_in_its_environment_and_none_in_its_arguments() {
        let text =
            "[[policy]]\nname = \"p\"\ntypes = [\"*\"]\naction = \"run\"\ncommand = [\"/bin/x\", \"y\"]\n";
        let config = Config::parse(text, Path::new("p")).unwrap();
        let plan = plan(&config.policy[0], &of("mirror", DEAD), "DM_MIRROR_LEG_FAILED").unwrap();
        assert_eq!(plan.commands, [["/bin/x", "y"]]);
        let value = |name: &str| plan.environment.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(
            (value("PERIPETY_ARRAY"), value("PERIPETY_VOLUME"), value("PERIPETY_MEMBERS_GOOD")),
            (Some("vg-lv"), Some("vg/lv"), Some("1"))
        );
        assert_eq!(value("PERIPETY_EVENT_TYPE"), Some("DM_MIRROR_LEG_FAILED"));
    }
}
