//! `prpt arrays`: what arrays, mirrors, pools and snapshots say of themselves now.

mod summary;
mod text;

use std::{thread, time::Duration};

use anyhow::Context as _;
use peripety_block::{
    files::Files,
    status::{ArrayStatus, AskError, Control, MapStatus, Maps as _},
};

use self::summary::Summary;
use super::{
    Format, NOTHING, OK, Output,
    render::{json, note, print, width},
};
use crate::{block::BlkCache, roots::Roots};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these: any name of the array, map or volume
    #[arg(value_name = "DEVICE")]
    devices: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// For how long a rebuild is looked at whose speed the kernel does not say.
const SPEED: Duration = Duration::from_secs(1);

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let cache = BlkCache::scan(&roots.block())?;
    let mut wanted = Vec::new();
    for device in &args.devices {
        wanted.push(
            cache.resolve(device).with_context(|| format!("'{device}' is no device that is known"))?.id.dev,
        );
    }
    let is_wanted = |dev| wanted.is_empty() || wanted.contains(&dev);
    let mut maps = read_maps(roots);
    maps.retain(|map| is_wanted(map.dev) && !map.targets.is_empty());
    let mut arrays = read_arrays(&cache, roots);
    arrays.retain(|array| is_wanted(array.dev));
    let later = if maps.iter().any(summary::is_syncing) {
        thread::sleep(SPEED);
        read_maps(roots)
    } else {
        Vec::new()
    };
    let mut all: Vec<Summary> = arrays.iter().map(|array| Summary::of_array(array, &cache)).collect();
    for map in &maps {
        let later = later.iter().find(|other| other.dev == map.dev).map(|later| (later, SPEED));
        all.extend(Summary::of_map(map, later, &cache));
    }
    if all.is_empty() {
        note("no array, mirror, pool or snapshot found");
        return Ok(NOTHING);
    }
    match args.output.format() {
        Format::Plain => print(&text::plain(&all, width().unwrap_or(80)))?,
        format => all.iter().try_for_each(|summary| json(summary, format))?,
    }
    Ok(if all.iter().all(Summary::is_well) { OK } else { NOTHING })
}

fn read_arrays(cache: &BlkCache, roots: &Roots) -> Vec<ArrayStatus> {
    let block = roots.sysfs.join("class/block");
    let all = cache.all();
    let names = all.iter().filter_map(|info| info.id.blk_path.strip_prefix("/dev/"));
    names
        .filter(|name| name.starts_with("md"))
        .filter_map(|name| ArrayStatus::read(&Files::Disk, &block, name))
        .collect()
}

/// The maps, with a word about why there are none where that is so.
fn read_maps(roots: &Roots) -> Vec<MapStatus> {
    let read = || -> Result<Vec<MapStatus>, AskError> {
        let Some(control) = Control::open_if_loaded(&roots.block().dev, &roots.sysfs)? else {
            return Ok(Vec::new());
        };
        let listed = control.list()?;
        // One that goes meanwhile is none.
        Ok(listed.iter().filter_map(|map| control.status(map).ok()).collect())
    };
    read().unwrap_or_else(|error| {
        note(&format!("{error}: mirrors, pools and snapshots of device-mapper are left out"));
        Vec::new()
    })
}
