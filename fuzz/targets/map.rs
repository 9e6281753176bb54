//! Tables of device-mapper, extents and chunks, and a walk through what they say.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use peripety_block::map::{self, Layout, MapFacts, Range, Space, btrfs, dm, kernel};

struct One(Layout);

impl MapFacts for One {
    fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String> {
        Ok((space == top()).then(|| Arc::new(self.0.clone())))
    }

    fn above(&self, _: Space) -> Vec<Space> {
        vec![top()]
    }
}

fn top() -> Space {
    "9:9".parse().unwrap()
}

fuzz_target!(|bytes: &[u8]| {
    let _ = kernel::decode_extents(bytes);
    let chunks = kernel::decode_search(bytes);
    let mut layouts = vec![btrfs::layout(&chunks, &|id| u32::try_from(id).ok().map(|n| peripety_model::Dev::new(8, n & 0xff)))];
    layouts.push(dm::layout(&kernel::decode_table(bytes)));
    if let Ok(text) = std::str::from_utf8(bytes) {
        layouts.push(dm::layout(&dm::Target::lines(text)));
    }
    let (sector, len) = bytes.split_first_chunk::<8>().map_or((0, 1), |(at, _)| (u64::from_le_bytes(*at) >> 20, 9));
    for layout in layouts {
        let facts = One(layout);
        map::down(&facts, Range { space: top(), sector, len });
        map::up(&facts, Range { space: "8:0".parse().unwrap(), sector, len });
    }
});
