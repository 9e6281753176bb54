//! `prpt explain --files`: which files an incident is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde::Serialize;

use super::{
    Format,
    find_files::{self, Walked, Wanted},
    query,
    render::{json, note, print},
};
use crate::{
    block::{
        BlkCache, BlkInfo, Dev, DeviceFacts as _,
        map::{self, LiveMap, Range, Space, kernel::Kernel},
    },
    event::{Event, Incident, IncidentId, Sector, Sectors},
    roots::Roots,
    text::printable,
};

/// How long one filesystem is looked through.
pub(super) const SECONDS: u64 = 30;
/// Ranges of sectors of one event that are looked for.
const RANGES_MAX: usize = 64;

/// The files of an incident.
#[derive(Debug, Serialize)]
struct Files {
    incident_id: IncidentId,
    filesystems: Vec<OfFilesystem>,
}

#[derive(Debug, Serialize)]
struct OfFilesystem {
    mount_point: PathBuf,
    device: String,
    inodes: Vec<u64>,
    /// How many ranges of sectors were looked for.
    ranges: usize,
    #[serde(flatten)]
    walked: Walked,
}

/// Looks for the files of these incidents and prints them.
pub(super) fn show(
    incidents: &[Incident],
    format: Format,
    seconds: u64,
    roots: &Roots,
) -> anyhow::Result<()> {
    let search = Search::new(seconds, roots)?;
    for incident in incidents {
        let files = search.look(incident, &query::of_incident(incident, roots)?);
        match format {
            Format::Plain => print(&files.text())?,
            format => json(&files, format)?,
        }
    }
    Ok(())
}

/// Looks for files, with what is known of the devices of this machine.
pub(super) struct Search {
    seconds: u64,
    cache: BlkCache,
    kernel: Kernel,
    live: LiveMap<Kernel>,
}

impl Search {
    /// Looks through each filesystem for so many seconds.
    pub(super) fn new(seconds: u64, roots: &Roots) -> anyhow::Result<Self> {
        let block = roots.block();
        let cache = BlkCache::scan(&block)?;
        let kernel = Kernel { dev: block.dev.clone() };
        let live = LiveMap::new(&block, &cache, kernel.clone());
        Ok(Self { seconds, cache, kernel, live })
    }

    /// For a report: paths, and how each is known.
    pub(super) fn find(&self, incident: &Incident, events: &[Event]) -> Vec<(String, String)> {
        let files = self.look(incident, events);
        let all = files.filesystems.iter().flat_map(|of| &of.walked.files);
        all.map(|file| (file.path.display().to_string(), how(file))).collect()
    }

    fn look(&self, incident: &Incident, events: &[Event]) -> Files {
        let wanted = wanted(events, &self.cache, &self.live);
        if wanted.is_empty() {
            note(&format!(
                "incident {}: no inode and no sector of a mounted filesystem is known",
                incident.incident_id
            ));
        }
        let seconds = self.seconds;
        let mut files = Files { incident_id: incident.incident_id, filesystems: Vec::new() };
        for (device, wanted) in wanted {
            note(&format!(
                "reading directories and extents of {} on {device}, for {seconds} s at most; where that disk fails, this may block or \
                 add errors of its own",
                wanted.mount_point.display()
            ));
            let (mount_point, ranges) = (wanted.mount_point.clone(), wanted.ranges.len());
            let inodes = wanted.inodes.iter().copied().collect();
            let walked = find_files::find(wanted, Duration::from_secs(seconds), &self.kernel);
            files.filesystems.push(OfFilesystem { mount_point, device, inodes, ranges, walked });
        }
        files
    }
}

/// How a file is known to be meant.
fn how(file: &find_files::Found) -> String {
    match file.offset {
        Some(offset) => format!("byte {offset} lies on sectors that failed"),
        None => format!("inode {}", file.inode),
    }
}

/// What is to be looked for, by device of the filesystem.
fn wanted(events: &[Event], cache: &BlkCache, live: &LiveMap<Kernel>) -> BTreeMap<String, Wanted> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    for event in events {
        let dev = event.block.as_ref().map(|block| block.id.dev).or_else(|| event.kdev.parse::<Dev>().ok());
        let Some(info) = dev.and_then(|dev| cache.by_dev(dev, None)) else { continue };
        if let Some(inode) = event.facts.fs.as_ref().and_then(|fs| fs.inode).filter(|inode| *inode != 0)
            && let Some(wanted) = entry(&mut all, &info)
        {
            wanted.inodes.insert(inode);
        }
        for (first, last) in sectors(event) {
            let len = last.0.saturating_sub(first.0).saturating_add(1);
            let failed = Range { space: Space::Device(info.id.dev), sector: first.0, len };
            let above = map::up(live, failed);
            let mut open = vec![&above];
            while let Some(step) = open.pop() {
                open.extend(&step.steps);
                let of = match step.range.space {
                    Space::Device(dev) => cache.by_dev(dev, None),
                    // Its devices have its mount points.
                    Space::Btrfs(_) => Some(info.clone()),
                };
                if let Some(wanted) = of.and_then(|of| entry(&mut all, &of)) {
                    wanted.ranges.push(step.range);
                }
            }
        }
    }
    all
}

/// The sectors that failed, first and last of each range.
fn sectors(event: &Event) -> Vec<(Sector, Sector)> {
    let ranges: Vec<_> =
        event.sector_ranges.iter().take(RANGES_MAX).map(|range| (range.start, range.end)).collect();
    if !ranges.is_empty() {
        return ranges;
    }
    let last = |first: Sector, count: u32| first + Sectors(count.saturating_sub(1).into());
    let first = event.io.as_ref().and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))));
    first.map(|(first, count)| (first, last(first, count))).into_iter().collect()
}

/// What is wanted of the filesystem on a device; none where none is mounted.
fn entry<'a>(all: &'a mut BTreeMap<String, Wanted>, info: &BlkInfo) -> Option<&'a mut Wanted> {
    let point = info.id.mount_points.first()?;
    let new = || Wanted { mount_point: PathBuf::from(point), inodes: BTreeSet::new(), ranges: Vec::new() };
    Some(all.entry(info.id.name()).or_insert_with(new))
}

impl Files {
    fn text(&self) -> String {
        let mut text = String::new();
        for of in &self.filesystems {
            let point = of.mount_point.display();
            text.push_str(&format!("Files of {} on {point}\n", of.device));
            for file in &of.walked.files {
                text.push_str(&format!("  {}: {}\n", file.path.display(), how(file)));
            }
            let Walked { looked_at, unread, complete, files } = &of.walked;
            if files.is_empty() && *complete {
                text.push_str(&format!(
                    "  none of {looked_at} files: free space, metadata, or a file that was deleted\n"
                ));
            } else if !complete {
                text.push_str(&format!(
                    "  not all of it was looked at: {looked_at} files, {unread} could not be read; --seconds gives it more time\n"
                ));
            }
        }
        text.lines().map(|line| printable(line).into_owned() + "\n").collect()
    }
}
