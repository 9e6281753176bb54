//! The tables of device-mapper: what `dmsetup table` prints, and the kernel's ioctl gives.
//!
//! The parameters of each target are documented in Documentation/admin-guide/device-mapper of the kernel.

mod mirror;
mod one;
mod paths;
mod raid;
mod snapshot;
mod stripes;

use std::str::FromStr;

use peripety_model::Dev;

use super::{Kind, Layout, Member, Role, Segment};

/// One line of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// First sector of the map that it is for.
    pub start: u64,
    /// How many sectors.
    pub len: u64,
    /// `linear`, `striped`, `raid` …
    pub name: String,
    /// What follows. The key of `crypt` is not kept.
    pub params: String,
}

/// The most targets of one map that are read.
const TARGETS_MAX: usize = 16 * 1024;

impl Target {
    /// A target, with the key taken out of its parameters.
    pub fn new(start: u64, len: u64, name: &str, params: &str) -> Self {
        let params = match name {
            "crypt" => params
                .split(' ')
                .enumerate()
                .map(|(n, word)| if n == 1 { "-" } else { word })
                .collect::<Vec<_>>()
                .join(" "),
            _ => params.to_owned(),
        };
        Self { start, len, name: name.to_owned(), params }
    }

    /// The lines of a table as `dmsetup table` prints it for one map; those that are none are left out.
    pub fn lines(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::line).take(TARGETS_MAX).collect()
    }

    fn line(line: &str) -> Option<Self> {
        let mut words = line.trim().splitn(4, ' ');
        let (start, len) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self::new(start, len, words.next()?, words.next().unwrap_or_default()))
    }
}

/// How a map with this table lies on those below. A target that cannot be read is [`Kind::Opaque`].
pub fn layout(table: &[Target]) -> Layout {
    let segments = table.iter().take(TARGETS_MAX).map(|target| {
        let words = Words(target.params.split_ascii_whitespace().collect());
        (decoder(&target.name))(target, &words)
            .unwrap_or_else(|| opaque(target, "its parameters are of no form that is known", words.devices()))
    });
    Layout { segments: segments.collect() }
}

/// Makes a segment of a target; none when the parameters are not as documented.
type Decoder = fn(&Target, &Words<'_>) -> Option<Segment>;

fn decoder(name: &str) -> Decoder {
    match name {
        "linear" | "flakey" | "dust" | "ebs" => one::linear,
        "delay" => one::delay,
        "crypt" => one::crypt,
        "verity" => one::verity,
        "era" => one::era,
        "log-writes" => one::log_writes,
        "thin-pool" => one::thin_pool,
        "error" | "zero" => one::nothing,
        "striped" => stripes::striped,
        "unstriped" => stripes::unstriped,
        "mirror" => mirror::mirror,
        "raid" => raid::raid,
        "multipath" => paths::multipath,
        "snapshot-origin" => snapshot::origin,
        "snapshot" | "snapshot-merge" => snapshot::snapshot,
        "cache" => snapshot::cache,
        "writecache" => snapshot::writecache,
        "clone" => snapshot::clone,
        "thin" => one::thin,
        _ => one::unknown,
    }
}

fn opaque(target: &Target, why: &'static str, on: Vec<Dev>) -> Segment {
    let members = on.into_iter().map(|dev| Member::at(dev, 0)).collect();
    segment(target, Kind::Opaque(why), members)
}

/// A segment whose layout in words is the target's name.
fn segment(target: &Target, kind: Kind, members: Vec<Member>) -> Segment {
    Segment::new(target.start, target.len, kind, members, target.name.clone())
}

fn data(target: &Target, member: Member) -> Segment {
    segment(target, Kind::Same(Role::Data), vec![member])
}

/// The words of a target's parameters.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn get(&self, at: usize) -> Option<&'a str> {
        self.0.get(at).copied()
    }

    fn number<T: FromStr>(&self, at: usize) -> Option<T> {
        self.get(at)?.parse().ok()
    }

    /// A device, and where on it.
    fn member(&self, at: usize) -> Option<Member> {
        Some(Member::at(self.number(at)?, self.number(at + 1)?))
    }

    /// All that look like devices.
    fn devices(&self) -> Vec<Dev> {
        let mut devices: Vec<Dev> = Vec::new();
        for dev in self.0.iter().filter_map(|word| word.parse().ok()) {
            if !devices.contains(&dev) {
                devices.push(dev);
            }
        }
        devices
    }
}
