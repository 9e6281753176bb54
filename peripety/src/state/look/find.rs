//! What sysfs and mountinfo say is wrong, whether or not an event reported it.

use std::path::Path;

use super::{
    super::condition::{Condition, Subject},
    Look, array, is_off,
    sys::{names, read},
};
use crate::event::Severity;

impl Look<'_> {
    /// All of it.
    pub(super) fn find(&self) -> Vec<Condition> {
        let mut found = Vec::new();
        for name in names(&self.roots.sysfs.join("class/block")) {
            let dir = self.roots.sysfs.join("class/block").join(&name);
            self.device(&name, &dir, &mut found);
        }
        self.controllers(&mut found);
        self.mounted(&mut found);
        self.ext4(&mut found);
        found
    }

    fn device(&self, name: &str, dir: &Path, found: &mut Vec<Condition>) {
        let subject = || {
            let dev = read(&dir.join("dev")).and_then(|dev| dev.parse().ok());
            let diskseq = read(&dir.join("diskseq")).and_then(|seq| seq.parse().ok());
            Subject { name: name.replace('!', "/"), dev, diskseq, ..self.subject() }
        };
        if let Some(lacking) = array::lacking(dir) {
            let (condition, severity) = if lacking.failed {
                ("array_failed", Severity::Critical)
            } else {
                ("array_degraded", Severity::Warning)
            };
            found.push(Condition::found(condition, severity, subject(), lacking.words));
        }
        let state = read(&dir.join("device/state")).unwrap_or_default();
        if is_off(&state) {
            let words = format!("sysfs: its state is {state}");
            found.push(Condition::found("device_offline", Severity::Critical, subject(), words));
        }
    }

    /// A controller that gave up has no block device any more, or one that another controller reaches.
    fn controllers(&self, found: &mut Vec<Condition>) {
        let class = self.roots.sysfs.join("class/nvme");
        for name in names(&class) {
            let state = read(&class.join(&name).join("state")).unwrap_or_default();
            let severity = match state.as_str() {
                "dead" => Severity::Critical,
                "connecting" => Severity::Error,
                _ => continue,
            };
            let subject = Subject { name, ..self.subject() };
            let words = format!("sysfs: its state is {state}");
            found.push(Condition::found("nvme_path_down", severity, subject, words));
        }
    }

    fn mounted(&self, found: &mut Vec<Condition>) {
        for mount in self.mounts.iter().flatten() {
            let row = [("shutdown", "filesystem_shut_down"), ("emergency_ro", "filesystem_read_only")];
            let Some((option, name)) = row.into_iter().find(|(option, _)| mount.has(option)) else {
                continue;
            };
            let kernel = mount.source.strip_prefix("/dev/").unwrap_or(&mount.source);
            let dev = (!mount.dev.is_anonymous()).then_some(mount.dev);
            let id = self.ids.iter().find(|id| Some(id.dev) == dev || id.preferred_blk_path == mount.source);
            let subject = Subject {
                name: kernel.to_owned(),
                dev,
                mount_points: vec![mount.point.clone()],
                ..id.map_or_else(|| self.subject(), |id| self.of_id(id))
            };
            let subject = Subject { name: id.map_or(subject.name.clone(), super::kernel_name), ..subject };
            let words = format!("mountinfo: mounted with option {option}");
            found.push(Condition::found(name, Severity::Critical, subject, words));
        }
    }

    /// ext4 writes errors into its superblock, where they stay until e2fsck.
    fn ext4(&self, found: &mut Vec<Condition>) {
        let dir = self.roots.sysfs.join("fs/ext4");
        for name in names(&dir) {
            let errors = read(&dir.join(&name).join("errors_count")).and_then(|n| n.parse::<u64>().ok());
            let Some(errors) = errors.filter(|n| *n > 0) else { continue };
            let text = |file: &str| read(&dir.join(&name).join(file)).filter(|text| !text.is_empty());
            let time = |file: &str| {
                let seconds = text(file)?.parse::<i64>().ok().filter(|s| *s > 0)?;
                jiff::Timestamp::from_second(seconds).ok()
            };
            let kernel = name.replace('!', "/");
            let id = self.ids.iter().find(|id| super::kernel_name(id) == kernel);
            let subject =
                id.map_or_else(|| Subject { name: kernel.clone(), ..self.subject() }, |id| self.of_id(id));
            let mut words = format!("sysfs: {errors} errors since the last e2fsck");
            if let Some(function) = text("last_error_func") {
                words.push_str(&format!(", the last in {function}"));
            }
            found.push(Condition {
                since: time("first_error_time"),
                last: time("last_error_time"),
                sub_system: "ext4".to_owned(),
                ..Condition::found("filesystem_corrupt", Severity::Error, subject, words)
            });
        }
    }
}
