//! `prpt list`: the block devices of this machine.

use std::sync::Arc;

use super::{
    Format, Output, blk_text,
    render::{json, note, print, width},
};
use crate::{
    block::{BlkCache, BlkInfo, BlkType},
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also loop devices without a file, and RAM disks and zram without content
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let cache = BlkCache::scan(&roots.block())?;
    blk_text::warn_of_rights(roots);
    let devices: Vec<Arc<BlkInfo>> =
        cache.all().into_iter().filter(|info| args.all || !is_idle(info)).collect();
    if devices.is_empty() {
        note("no block device found; 'prpt list --all' also shows those without content");
        return Ok(super::NOTHING);
    }
    match args.output.format() {
        Format::Plain => print(&table(&devices, width().unwrap_or(80)))?,
        format => devices.iter().try_for_each(|info| json(&**info, format))?,
    }
    Ok(super::OK)
}

/// Devices that the kernel makes in advance and nobody uses.
fn is_idle(info: &BlkInfo) -> bool {
    let id = &info.id;
    let unused = id.fs_type.is_empty() && id.mount_points.is_empty() && info.holders.is_empty();
    match id.blk_type {
        BlkType::Ram => unused,
        BlkType::Loop | BlkType::Zram | BlkType::Nbd => {
            unused && id.size_sectors.unwrap_or_default().is_zero()
        }
        _ => false,
    }
}

const TITLES: [&str; 7] = ["NAME", "NUMBER", "TYPE", "SIZE", "CONTENT", "MOUNTED ON", "WWID OR PATH"];

/// A table of at most `width` columns: what is too long for its column is cut, the last column first.
fn table(devices: &[Arc<BlkInfo>], width: usize) -> String {
    let rows: Vec<[String; 7]> =
        std::iter::once(TITLES.map(str::to_owned)).chain(devices.iter().map(|i| row(i))).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(unicode_width::UnicodeWidthStr::width(cell.as_str()));
        }
    }
    shrink(&mut widths, width.max(40));
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
            let cell = blk_text::cut(cell, width);
            let pad = width - unicode_width::UnicodeWidthStr::width(cell.as_str()).min(width);
            line.push_str(&cell);
            line.push_str(&" ".repeat(pad + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Takes from the columns that can best spare it, down to a least width for each; what then is still too much goes.
fn shrink(widths: &mut [usize; 7], limit: usize) {
    // Column and the least that still says something, in the order in which they give.
    const GIVE: [(usize, usize); 5] = [(6, 14), (5, 14), (2, 9), (4, 8), (0, 8)];
    let total = |widths: &[usize; 7]| {
        widths.iter().filter(|w| **w > 0).map(|w| w + 2).sum::<usize>().saturating_sub(2)
    };
    for (column, least) in GIVE {
        let over = total(widths).saturating_sub(limit);
        if let Some(width) = widths.get_mut(column) {
            *width -= over.min(width.saturating_sub(least));
        }
    }
    for (column, _) in GIVE {
        if total(widths) > limit
            && let Some(width) = widths.get_mut(column).filter(|_| column != 0)
        {
            *width = 0;
        }
    }
}

fn row(info: &BlkInfo) -> [String; 7] {
    let id = &info.id;
    let name = id.blk_path.strip_prefix("/dev/").unwrap_or(&id.blk_path);
    // Where a map has a name it says more than its id.
    let path = if id.preferred_blk_path != id.blk_path && !id.preferred_blk_path.starts_with("/dev/disk/") {
        &id.preferred_blk_path
    } else {
        &id.wwid
    };
    [
        printable(name).into_owned(),
        id.dev.to_string(),
        blk_text::kind(id.blk_type).to_owned(),
        id.size_sectors.map(blk_text::size).unwrap_or_default(),
        printable(&id.fs_type).into_owned(),
        printable(&id.mount_points.join(", ")).into_owned(),
        printable(path).into_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::fixture;

    #[test]
    fn a_table_fits_the_terminal() {
        let devices = fixture::multipath().scan().all();
        insta::assert_snapshot!("table", table(&devices, 80));
        for width in [20, 40, 60, 80, 120, 300] {
            let table = table(&devices, width);
            assert!(table.lines().all(|line| line.chars().count() <= width.max(40)), "{width}\n{table}");
            assert_eq!(table.lines().count(), 6);
        }
    }

    #[test]
    fn names_that_command_the_terminal_do_not() {
        let mut info = (*fixture::multipath().scan().resolve("sdb").unwrap()).clone();
        info.id.mount_points = vec!["/\x1b[2J\u{202e}".to_owned()];
        let table = table(&[Arc::new(info)], 200);
        assert!(!table.contains('\x1b') && !table.contains('\u{202e}'), "{table}");
    }
}
