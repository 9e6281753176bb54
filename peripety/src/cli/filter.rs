//! The options that say which events are wanted.

use anyhow::{Context as _, anyhow, bail};

use super::blk_text;
use crate::{
    block::{BlkCache, ResolveError},
    config::Config,
    event::{EventType, SUB_SYSTEMS, Severity, SubSystem, TYPES},
    query::{DeviceFilter, Filter, boot, time},
    roots::Roots,
};

/// Which events.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArgs {
    /// Only events as bad as this or worse: emergency, alert, critical, error, warning, notice, info, debug
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// Only events of this type; may be given more than once
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    event_type: Vec<String>,
    /// Only events of this subsystem; may be given more than once
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    sub_system: Vec<String>,
    /// Only events about this block device, what it is made of or what is made of it; any name that 'prpt info' knows
    #[arg(long, value_name = "DEVICE")]
    blk: Option<String>,
    /// 'no': only events of kernel text that no probe saw though it should have; 'yes': all others
    #[arg(long, value_name = "yes|no", value_parser = clap::builder::BoolishValueParser::new())]
    confirmed: Option<bool>,
    /// Only the event with this id, and those that it caused
    #[arg(long, value_name = "ID")]
    event_id: Vec<String>,
    /// Only events not older than this: '2026-11-21', '10:00', 'yesterday', '-1h', '2 hours ago' …
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
}

/// A filter, and why its device is known by name only.
pub(super) struct Built {
    pub(super) filter: Filter,
    /// Why no device of this machine has the name; the name may still stand in events.
    pub(super) unknown_device: Option<anyhow::Error>,
}

/// Sets the end of the time that is wanted, which no live stream has.
pub(super) fn set_until(filter: &mut Filter, until: Option<&str>) -> anyhow::Result<()> {
    filter.until = until.map(|text| time::parse(text, &time::now())).transpose().context("--until")?;
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since > until
    {
        bail!("--since is later than --until: nothing can lie between them");
    }
    Ok(())
}

impl FilterArgs {
    /// The filter that the options ask for.
    pub(super) fn build(&self, roots: &Roots) -> anyhow::Result<Built> {
        let mut filter = self.build_for_any_machine(roots)?;
        let mut unknown_device = None;
        if let Some(name) = &self.blk {
            let (device, unknown) = device(name, roots)?;
            filter.device = Some(device);
            unknown_device = unknown;
        }
        Ok(Built { filter, unknown_device })
    }

    /// The same for events of a machine that may be another one: its devices are known by what events say of them.
    pub(super) fn build_for_any_machine(&self, roots: &Roots) -> anyhow::Result<Filter> {
        let mut filter = Filter {
            severity: self.severity.as_deref().map(severity).transpose()?,
            since: self
                .since
                .as_deref()
                .map(|text| time::parse(text, &time::now()))
                .transpose()
                .context("--since")?,
            confirmed: self.confirmed,
            ..Filter::default()
        };
        for id in &self.event_id {
            let id =
                id.trim().parse().with_context(|| format!("--event-id: '{id}' is no event id (a UUID)"))?;
            filter.ids.push(id);
        }
        let own = Own::of(roots, self.event_type.len() + self.sub_system.len());
        for name in &self.event_type {
            filter.event_types.push(event_type(name, &own.types)?);
        }
        for name in &self.sub_system {
            filter.sub_systems.push(sub_system(name, &own.sub_systems)?);
        }
        if let Some(name) = &self.blk {
            if name.trim().is_empty() {
                bail!("--blk: the name of a block device is empty");
            }
            filter.device = Some(DeviceFilter::named(name));
        }
        Ok(filter)
    }
}

fn device(name: &str, roots: &Roots) -> anyhow::Result<(DeviceFilter, Option<anyhow::Error>)> {
    if name.trim().is_empty() {
        bail!("--blk: {}", blk_text::unresolved(&ResolveError::Empty));
    }
    let named = || DeviceFilter::named(name);
    let Ok(cache) = BlkCache::scan(&roots.block()) else { return Ok((named(), None)) };
    match cache.resolve(name) {
        // An empty drive or a free loop device: what was in it before is what the name means.
        Ok(info)
            if info.id.wwid.is_empty() && info.id.size_sectors.is_none_or(crate::event::Sectors::is_zero) =>
        {
            Ok((named(), None))
        }
        Ok(info) => Ok((DeviceFilter::known(info.id.clone(), boot::current(roots)), None)),
        // It may be a device that is gone.
        Err(unknown @ (ResolveError::Unknown { .. } | ResolveError::Stat { .. })) => {
            Ok((named(), Some(anyhow!(blk_text::unresolved(&unknown)))))
        }
        Err(error) => Err(anyhow!(blk_text::unresolved(&error)).context("--blk")),
    }
}

/// Names that the user's own rules introduced.
#[derive(Debug, Default)]
struct Own {
    types: Vec<String>,
    sub_systems: Vec<String>,
}

impl Own {
    /// Reads the configuration where a name asks for it. One that cannot be read introduces nothing.
    fn of(roots: &Roots, names: usize) -> Self {
        let rules =
            if names == 0 { Vec::new() } else { Config::load(roots).map(|c| c.rules()).unwrap_or_default() };
        Self {
            types: rules.iter().map(|rule| rule.event_type.as_str().to_owned()).collect(),
            sub_systems: rules.iter().map(|rule| rule.sub_system.as_str().to_owned()).collect(),
        }
    }
}

fn severity(text: &str) -> anyhow::Result<Severity> {
    text.parse().map_err(|unknown| {
        let near = near(text, Severity::ALL.iter().map(|s| s.as_str()));
        anyhow::anyhow!("--severity: {unknown}{near}")
    })
}

fn event_type(text: &str, own: &[String]) -> anyhow::Result<EventType> {
    let name = text.trim();
    if let Some(info) = crate::event::info(name) {
        return Ok(EventType::new(info.name));
    }
    if let Some(own) = own.iter().find(|own| own.eq_ignore_ascii_case(name)) {
        return Ok(EventType::new(own.clone()));
    }
    let near = near(name, TYPES.iter().map(|t| t.name).chain(own.iter().map(String::as_str)));
    bail!("--event-type: '{name}' is no event type of peripety or of your rules{near}")
}

fn sub_system(text: &str, own: &[String]) -> anyhow::Result<SubSystem> {
    let wanted = SubSystem::new(text);
    if wanted.is_known() || own.iter().any(|own| SubSystem::new(own) == wanted) {
        return Ok(wanted);
    }
    let near = near(wanted.as_str(), SUB_SYSTEMS.iter().copied().chain(own.iter().map(String::as_str)));
    bail!("--sub-system: '{text}' is no subsystem of peripety or of your rules{near}")
}

/// `; did you mean …?` with the names that look most alike, or nothing.
fn near<'a, I: Iterator<Item = &'a str>>(text: &str, names: I) -> String {
    let text = text.to_lowercase();
    let mut alike: Vec<(u64, &str)> = names
        .map(|name| (likeness(&text, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 800)
        .collect();
    alike.sort_by(|a, b| b.cmp(a));
    alike.dedup();
    let names: Vec<&str> = alike.into_iter().take(3).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) }
}

/// How alike two words are, up to 1000.
fn likeness(one: &str, other: &str) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a similarity is from 0 to 1"
    )]
    let thousandths = (strsim::jaro_winkler(one, other) * 1000.0) as u64;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_names_what_was_meant() {
        let says = |error: anyhow::Error| format!("{error:#}");
        let error = says(severity("Ctritical").unwrap_err());
        assert!(error.contains("did you mean critical"), "{error}");
        let error = says(event_type("FS_EROR", &[]).unwrap_err());
        assert!(error.contains("did you mean FS_ERROR"), "{error}");
        let error = says(event_type("MY_TIPE", &["MY_TYPE".into()]).unwrap_err());
        assert!(error.contains("MY_TYPE"), "{error}");
        let error = says(sub_system("multipth", &[]).unwrap_err());
        assert!(error.contains("multipath"), "{error}");
        let error = says(sub_system("\u{1f980}", &[]).unwrap_err());
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn names_are_taken_in_any_case() {
        assert_eq!(event_type(" fs_error ", &[]).unwrap(), EventType::FS_ERROR);
        assert_eq!(event_type("my_type", &["MY_TYPE".into()]).unwrap().as_str(), "MY_TYPE");
        assert_eq!(severity("ERR").unwrap(), Severity::Error);
        assert_eq!(sub_system("EXT4", &[]).unwrap().as_str(), "ext4");
    }
}
