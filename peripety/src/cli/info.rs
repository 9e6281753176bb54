//! `prpt info`: all that is known about a block device, by any of its names.

use std::collections::HashSet;

use super::{
    Format, Output, blk_text, info_map,
    render::{json, note, print},
};
use crate::{
    block::{BlkCache, BlkInfo, Dev, Direction},
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
#[command(after_long_help = FORMS)]
pub(super) struct Args {
    /// Any name of a block device: sda, 8:16, dm-0, mpatha, vg/lv, 4:0:0:1, nvme0:1, a path, a mount point, UUID, WWID …
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Where this sector of 512 bytes lies, down to the disks and up to what is made of them; with +COUNT that many from it on
    #[arg(long, value_name = "SECTOR[+COUNT]")]
    map: Option<info_map::Sectors>,
    #[command(flatten)]
    output: Output,
}

const FORMS: &str = "\
Names, in the order in which they are tried:
  8:16                        device number
  4:0:0:1                     SCSI address
  nvme0:1, nvme0 1            NVMe controller and namespace id (also 'nvme0 nsid 1')
  UUID=… LABEL=… PARTUUID=… PARTLABEL=… ID=… WWID=… SERIAL=…
  0x800010, 8388624, 2064     device number as the kernel or stat(2) encode it
  sda1, dm-0, nvme0n1         kernel name
  /dev/…, disk/by-id/…, vg/lv path or link below /dev
  /srv, ./file                mount point, a file on it, the file behind a loop device
  mpatha, vg-lv               name of a map
  UUID, WWID, label or serial number

For the name of a file it is also reported where the file lies, on which disks. With --map a btrfs may be named by
btrfs:UUID: its sectors are those of its logical addresses.";

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let cache = BlkCache::scan(&roots.block())?;
    blk_text::warn_of_rights(roots);
    let mut code = super::OK;
    let maps = info_map::Maps::new(roots, &cache);
    for (index, name) in joined(args.names).iter().enumerate() {
        if let Some(map) = args.map.and_then(|sectors| maps.of_btrfs(name, sectors)) {
            match args.output.format() {
                Format::Plain => print(&map.text())?,
                format => json(&map, format)?,
            }
            continue;
        }
        match cache.resolve(name) {
            Ok(info) => {
                let answer = match args.map {
                    Some(sectors) => Answer::Map(maps.sectors(&info, sectors)),
                    None => Answer::Device { info: &info, file: maps.file(name) },
                };
                let text = || match &answer {
                    Answer::Map(map) => map.text(),
                    Answer::Device { file, .. } => {
                        page(&cache, &info) + &file.as_ref().map(info_map::OfFile::text).unwrap_or_default()
                    }
                };
                match args.output.format() {
                    Format::Plain => print(&format!("{}{}", if index == 0 { "" } else { "\n" }, text()))?,
                    format => json(&answer, format)?,
                }
            }
            Err(error) => {
                note(&blk_text::unresolved(&error));
                code = super::FAILED;
            }
        }
    }
    Ok(code)
}

/// What is printed about one name.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Map(info_map::OfSectors),
    Device {
        #[serde(flatten)]
        info: &'a BlkInfo,
        /// For the name of a file: where it lies.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<info_map::OfFile>,
    },
}

/// A controller and a namespace id may be words of their own: `prpt info nvme0 1`, `prpt info nvme0 nsid 1`.
fn joined(names: Vec<String>) -> Vec<String> {
    let controller = |name: &str| name.strip_prefix("nvme").is_some_and(number);
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    let mut rest = names.into_iter().peekable();
    while let Some(mut name) = rest.next() {
        if controller(&name) {
            let _keyword = rest.next_if(|word| ["nsid", "ns", "namespace"].contains(&word.as_str()));
            if let Some(id) = rest.next_if(|word| number(word)) {
                name = format!("{name}:{id}");
            }
        }
        out.push(name);
    }
    out
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Columns of a line: it should fit on any terminal and in any mail.
const WIDTH: usize = 80;
/// Columns of what is on the left.
const LEFT: usize = 14;

fn page(cache: &BlkCache, info: &BlkInfo) -> String {
    let id = &info.id;
    let mut page = format!("{}\n", printable(&id.name()));
    let mut row = |name: &str, value: &str| {
        if value.is_empty() {
            return;
        }
        let lines = blk_text::wrapped(&printable(value), WIDTH - LEFT - 2);
        for (index, line) in lines.iter().enumerate() {
            page.push_str(&format!("  {:LEFT$}{line}\n", if index == 0 { name } else { "" }));
        }
    };
    row("Kernel name", &format!("{} ({})", id.blk_path, id.dev));
    row("Type", blk_text::kind(id.blk_type));
    row("WWID", &id.wwid);
    row("Size", &id.size_sectors.map(blk_text::size_in_words).unwrap_or_default());
    row("Vendor", &id.vendor);
    row("Model", &id.model);
    row("Serial", &id.serial);
    row("Content", &id.fs_type);
    row("Label", &id.label);
    row("UUID", &id.uuid);
    for (index, point) in id.mount_points.iter().enumerate() {
        row(if index == 0 { "Mounted on" } else { "" }, point);
    }
    row("Address", &id.transport_id);
    row("Transport", &id.transport.as_ref().map(blk_text::transport).unwrap_or_default());
    row("Disk sequence", &id.diskseq.map(|seq| seq.to_string()).unwrap_or_default());
    for (title, direction) in [("Made of", Direction::Owners), ("Used by", Direction::Holders)] {
        let lines = tree(cache, id.dev, direction);
        if !lines.is_empty() {
            page.push_str(&format!("  {title}\n{lines}"));
        }
    }
    page
}

/// The devices below or above, each indented by its distance. One that is reached by several ways is reported once.
fn tree(cache: &BlkCache, dev: Dev, direction: Direction) -> String {
    let mut lines = String::new();
    let mut seen = HashSet::from([dev]);
    let mut stack: Vec<(usize, std::sync::Arc<BlkInfo>)> = Vec::new();
    let push = |stack: &mut Vec<_>, dev, depth| {
        stack.extend(cache.next(dev, direction).into_iter().rev().map(|next| (depth, next)));
    };
    push(&mut stack, dev, 0);
    while let Some((depth, next)) = stack.pop() {
        if seen.insert(next.id.dev) {
            // Deeper than this nobody sees the difference.
            let indent = 4 + 2 * depth.min(12);
            let line = blk_text::short(&next.id);
            lines.push_str(&format!("{:indent$}{}\n", "", blk_text::cut(&printable(&line), WIDTH - indent)));
            push(&mut stack, next.id.dev, depth + 1);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::fixture;

    #[test]
    fn a_page_tells_all_in_eighty_columns() {
        let cache = fixture::multipath().scan();
        let info = cache.resolve("/bind").unwrap();
        let volume = page(&cache, &info);
        insta::assert_snapshot!("volume", volume);
        let path = page(&cache, &cache.resolve("3:0:0:1").unwrap());
        insta::assert_snapshot!("path", path);
        assert!(volume.lines().chain(path.lines()).all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn a_controller_takes_the_number_after_it() {
        let words = |text: &str| joined(text.split(' ').map(str::to_owned).collect());
        assert_eq!(words("nvme0 1 sda nvme1 nsid 2"), ["nvme0:1", "sda", "nvme1:2"]);
        assert_eq!(words("nvme0n1 1 nvme0"), ["nvme0n1", "1", "nvme0"]);
    }
}
