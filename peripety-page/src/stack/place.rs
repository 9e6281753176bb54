//! Where each node stands: disks at the bottom, filesystems at the top, in rows.

use super::graph::{Graph, Mark};

/// A box.
pub(super) const WIDE: usize = 172;
/// Its height.
pub(super) const HIGH: usize = 58;
/// Between boxes of a row.
const APART: usize = 16;
/// Between rows: room for arrows.
const ROW: usize = 40;
/// Around all.
const EDGE: usize = 6;

/// Upper left corners of all nodes, and how large the picture is.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub at: Vec<(usize, usize)>,
    pub wide: usize,
    pub high: usize,
}

impl Places {
    pub(super) fn of(graph: &Graph) -> Self {
        let rows = rows(graph);
        let widest = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let wide = widest * (WIDE + APART) - APART + 2 * EDGE;
        let high = (rows.len().max(1)) * (HIGH + ROW) - ROW + 2 * EDGE;
        let mut at = vec![(0, 0); graph.nodes.len()];
        for (n, row) in rows.iter().enumerate() {
            let own = row.len() * (WIDE + APART) - APART.min(row.len() * APART);
            let left = (wide - own) / 2;
            let y = high - EDGE - HIGH - n * (HIGH + ROW);
            for (k, node) in row.iter().enumerate() {
                if let Some(place) = at.get_mut(*node) {
                    *place = (left + k * (WIDE + APART), y);
                }
            }
        }
        Self { at, wide, high }
    }
}

/// Nodes by row, the lowest row first. What failed stands first in its row, and what lies on the same below side by side.
fn rows(graph: &Graph) -> Vec<Vec<usize>> {
    let levels = levels(graph);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); levels.iter().max().map_or(0, |max| max + 1)];
    for (node, level) in levels.iter().enumerate() {
        if let Some(row) = rows.get_mut(*level) {
            row.push(node);
        }
    }
    let mut places: Vec<usize> = vec![0; graph.nodes.len()];
    for row in &mut rows {
        row.sort_by_cached_key(|node| {
            let below = graph.edges.iter().filter(|(_, above)| above == node);
            let below: Vec<usize> = below.filter_map(|(below, _)| places.get(*below).copied()).collect();
            // The mean of a thousand times the place, to stay with whole numbers.
            let middle = below.iter().map(|place| place * 1000).sum::<usize>() / below.len().max(1);
            let found = graph.nodes.get(*node);
            (middle, found.map(|n| n.mark == Mark::Whole), found.map(|n| n.name.clone()))
        });
        for (place, node) in row.iter().enumerate() {
            if let Some(own) = places.get_mut(*node) {
                *own = place;
            }
        }
    }
    rows
}

/// The longest way down from each node; there are no circles.
fn levels(graph: &Graph) -> Vec<usize> {
    let mut levels = vec![0_usize; graph.nodes.len()];
    for _ in 0..graph.nodes.len() {
        let mut moved = false;
        for (below, above) in &graph.edges {
            let least = levels.get(*below).map_or(0, |level| level + 1);
            if let Some(level) = levels.get_mut(*above)
                && *level < least
            {
                (*level, moved) = (least, true);
            }
        }
        if !moved {
            break;
        }
    }
    levels
}
