//! Which device lies directly on which.
//!
//! Events of a running machine say so ([`BlkId::made_of`]). Those of logs and of older versions have flat lists, the nearest
//! device first: there each run of devices of one kind is taken for a layer, and a partition lies on the disk of its name.

use peripety_model::{BlkId, BlkInfo, BlkType};

/// What lies below, what lies above.
pub(super) fn edges(block: &BlkInfo) -> Vec<(&BlkId, &BlkId)> {
    let all: Vec<&BlkId> = std::iter::once(&block.id).chain(&block.owners).chain(&block.holders).collect();
    if all.iter().any(|id| !id.made_of.is_empty()) {
        let made = |above: &'_ &'_ BlkId| above.made_of.clone();
        return all
            .iter()
            .flat_map(|above| made(above).into_iter().map(move |dev| (dev, *above)))
            .filter_map(|(dev, above)| Some((all.iter().find(|id| id.dev == dev).copied()?, above)))
            .collect();
    }
    let mut edges = Vec::new();
    let mut above = vec![&block.id];
    for layer in layers(&block.owners) {
        edges.extend(pairs(&layer, &above));
        above = layer;
    }
    let mut below = vec![&block.id];
    for layer in layers(&block.holders) {
        edges.extend(pairs(&below, &layer));
        below = layer;
    }
    edges
}

/// Runs of one kind.
fn layers(ids: &[BlkId]) -> Vec<Vec<&BlkId>> {
    let mut all: Vec<Vec<&BlkId>> = Vec::new();
    for id in ids {
        match all.last_mut() {
            Some(layer) if layer.first().is_some_and(|first| first.blk_type == id.blk_type) => layer.push(id),
            _ => all.push(vec![id]),
        }
    }
    all
}

fn pairs<'a>(below: &[&'a BlkId], above: &[&'a BlkId]) -> Vec<(&'a BlkId, &'a BlkId)> {
    let mut pairs = Vec::new();
    for top in above {
        let own = below.iter().filter(|id| is_partition(top) && is_of(top, id));
        let own: Vec<_> = own.map(|id| (*id, *top)).collect();
        if own.is_empty() {
            pairs.extend(below.iter().map(|id| (*id, *top)));
        } else {
            pairs.extend(own);
        }
    }
    pairs
}

fn is_partition(id: &BlkId) -> bool {
    matches!(id.blk_type, BlkType::Partition | BlkType::DmPartition)
}

/// Whether the partition has the name of the disk with a number behind it.
fn is_of(partition: &BlkId, disk: &BlkId) -> bool {
    let rest = partition.blk_path.strip_prefix(&disk.blk_path).filter(|_| !disk.blk_path.is_empty());
    rest.is_some_and(|rest| rest.trim_start_matches('p').bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::id;
    use peripety_model::Dev;

    fn named(block: &BlkInfo) -> Vec<(String, String)> {
        edges(block).into_iter().map(|(a, b)| (a.short_name(), b.short_name())).collect()
    }

    #[test]
    fn lists_without_numbers_are_layers_and_partitions_lie_on_their_own_disk() {
        let block = BlkInfo {
            id: id("md0", BlkType::Md),
            owners: [
                ("sda1", BlkType::Partition),
                ("sdb1", BlkType::Partition),
                ("sda", BlkType::Scsi),
                ("sdb", BlkType::Scsi),
            ]
            .map(|(name, kind)| id(name, kind))
            .to_vec(),
            holders: vec![id("vg/lv", BlkType::DmLvm)],
        };
        let wanted = [("sda1", "md0"), ("sdb1", "md0"), ("sda", "sda1"), ("sdb", "sdb1"), ("md0", "vg/lv")];
        assert_eq!(named(&block), wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn what_a_device_says_it_is_made_of_is_taken() {
        let mut block = BlkInfo { id: id("vg/lv", BlkType::DmLvm), ..BlkInfo::default() };
        block.owners = ["sda", "sdb", "sdc"].map(|name| id(name, BlkType::Scsi)).to_vec();
        for (n, owner) in block.owners.iter_mut().enumerate() {
            owner.dev = Dev::new(8, 16 * n as u32);
        }
        block.id.made_of = vec![Dev::new(8, 0), Dev::new(8, 32), Dev::new(9, 9)];
        let wanted = [("sda", "vg/lv"), ("sdc", "vg/lv")];
        assert_eq!(named(&block), wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
