//! Layouts against tables that were written by hand, and against themselves: up is down, turned round.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{fixture::Tree, map::md::Array};

const ONE: [One; 6] = [
    One::LeftAsymmetric,
    One::RightAsymmetric,
    One::LeftSymmetric,
    One::RightSymmetric,
    One::First,
    One::Last,
];

fn algorithms() -> impl Strategy<Value = Algorithm> {
    let two = [Two::ZeroRestart, Two::NRestart, Two::NContinue];
    let all = ONE
        .iter()
        .flat_map(|one| {
            [Algorithm::One(*one), Algorithm::Two(Two::Moving(*one)), Algorithm::Two(Two::QLast(*one))]
        })
        .chain(two.map(Algorithm::Two))
        .chain([Algorithm::Btrfs(1), Algorithm::Btrfs(2)]);
    prop::sample::select(all.collect::<Vec<_>>())
}

fn chunk() -> impl Strategy<Value = NonZeroU64> {
    (1_u64..300).prop_map(|chunk| NonZeroU64::new(chunk).unwrap())
}

/// A kind, and how many members it has.
fn kinds() -> impl Strategy<Value = (Kind, usize)> {
    let raid10 = (1_usize..9, 1_u64..4, 1_u64..4, 0_u64..2, 0_u64..3, chunk(), 1_u64..1 << 40)
        .prop_filter_map("a layout that fits", |(members, near, far, offset, sets, chunk, size)| {
            let layout = sets << 17 | offset << 16 | far << 8 | near;
            Some((Kind::Raid10(Raid10::of_md(layout, members as u64, chunk, size)?), members))
        });
    prop_oneof![
        (1_usize..9, chunk(), 0_u64..20)
            .prop_map(|(members, chunk, first)| (Kind::Striped(Striped { chunk, first }), members)),
        (chunk(), 1_u64..9, 0_u64..9).prop_map(|(chunk, stripes, stripe)| {
            let stripes = NonZeroU64::new(stripes).unwrap();
            (Kind::Unstriped(Unstriped { chunk, stripes, stripe: stripe % stripes.get() }), 1)
        }),
        (3_usize..9, chunk(), algorithms())
            .prop_map(|(members, chunk, algorithm)| (Kind::Raid456(Raid456 { chunk, algorithm }), members)),
        raid10,
        (1_usize..5, prop::sample::select(vec![Role::Data, Role::Copy, Role::Path]))
            .prop_map(|(members, role)| (Kind::Same(role), members)),
    ]
}

fn is_data(role: Role) -> bool {
    !matches!(role, Role::Parity | Role::Q)
}

/// As many sectors as fit on a member, for the kinds that say.
fn bounded(kind: &Kind, members: usize, at: u64) -> u64 {
    match kind {
        Kind::Raid10(raid) if raid.far.get() > 1 => match raid.stride {
            Some(stride) => at % (stride * members as u64 / raid.near.get()).max(1),
            None => at,
        },
        _ => at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_lies_below_says_what_it_is_part_of((kind, members) in kinds(), at in 0_u64..1 << 40) {
        let at = bounded(&kind, members, at);
        let run = kind.down(members, at);
        // In the last chunk of a far copy the kernel rounds down, and the array ends before it.
        let fits = |spot: &Below| !matches!(&kind, Kind::Raid10(raid) if raid.far.get() > 1
            && raid.stride.is_some_and(|stride| spot.sector % stride.max(1) + raid.chunk.get() > stride));
        prop_assert!(run.spots.iter().any(|spot| is_data(spot.role)));
        for spot in run.spots.iter().filter(|spot| fits(spot)) {
            prop_assert!(spot.member < members);
            let above = kind.up(members, spot.member, spot.sector);
            let found = above.spots.iter().any(|above| above.sector == at && above.role == spot.role);
            prop_assert!(found, "{kind:?}: {at} is at {spot:?}, which is {above:?}");
            // And what it is part of lies there.
            for above in above.spots {
                let back = kind.down(members, above.sector);
                let same = |b: &Below| (b.member, b.sector, b.role) == (spot.member, spot.sector, above.role);
                prop_assert!(back.spots.iter().any(same), "{kind:?}: {spot:?} is {above:?}, which is at {back:?}");
            }
        }
    }

    #[test]
    fn no_two_places_are_one((kind, members) in kinds(), at in 0_u64..1 << 30, other in 0_u64..1 << 30) {
        let (at, other) = (bounded(&kind, members, at), bounded(&kind, members, other));
        prop_assume!(at != other);
        // Near and far copies in sets that do not fit: there the kernel's own arithmetic gives one place to two sectors.
        let unfit = |raid: &Raid10| raid.near.get() > 1 && raid.far.get() > 1 && members as u64 % raid.set != 0;
        prop_assume!(!matches!(&kind, Kind::Raid10(raid) if unfit(raid)));
        let data = |at| kind.down(members, at).spots.into_iter().filter(|s| is_data(s.role));
        for spot in data(at) {
            prop_assert!(data(other).all(|o| (o.member, o.sector) != (spot.member, spot.sector)), "{kind:?}");
        }
        let mut places: Vec<(usize, u64)> = kind.down(members, at).spots.iter().map(|s| (s.member, s.sector)).collect();
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        prop_assert_eq!(places.len(), count, "two copies in one place: {:?}", kind);
    }

    #[test]
    fn a_run_lies_in_a_row((kind, members) in kinds(), at in 0_u64..1 << 40, off in 0_u64..400) {
        let run = kind.down(members, at);
        let off = off % run.len;
        let moved = kind.down(members, at + off);
        let spots: Vec<Below> = run.spots.iter().map(|s| Below { sector: s.sector + off, ..*s }).collect();
        prop_assert_eq!(spots, moved.spots);
    }

    #[test]
    fn no_table_and_no_place_makes_it_fail(
        text in "[0-9]{1,20} [0-9]{1,20} (linear|striped|mirror|raid|multipath|crypt|thin|snapshot|cache|unstriped|delay|verity|writecache) ([0-9]{1,20} |[0-9]{1,3}:[0-9]{1,3} |raid1|raid5_ls |raid10 |- |raid10_copies ){0,20}",
        sector in any::<u64>(), len in any::<u64>(),
    ) {
        struct Facts(Layout);
        impl MapFacts for Facts {
            fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String> {
                Ok((space == dev("9:9")).then(|| Arc::new(self.0.clone())))
            }
            fn above(&self, _: Space) -> Vec<Space> {
                vec![dev("9:9")]
            }
        }
        let facts = Facts(dm::layout(&dm::Target::lines(&text)));
        down(&facts, Range { space: dev("9:9"), sector, len });
        up(&facts, Range { space: dev("8:0"), sector, len });
    }

    #[test]
    fn no_answer_of_the_kernel_makes_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..800), small in 0_u8..8) {
        // Small numbers where counts and offsets are, so that more than the first check is reached.
        let mut bytes = bytes;
        for at in [16, 20, 24, 64, 332, 44] {
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&u32::from(small).to_ne_bytes());
            }
        }
        kernel::decode_table(&bytes);
        kernel::decode_extents(&bytes);
        let chunks = kernel::decode_search(&bytes);
        btrfs::layout(&chunks, &|_| None);
        if let Some(chunk) = btrfs::Chunk::decode(0, &bytes) {
            for segment in btrfs::layout(&[chunk], &|_| None).segments {
                segment.kind.down(segment.members.len(), 77);
                segment.kind.up(segment.members.len(), 0, 77);
            }
        }
    }
}

fn dev(text: &str) -> Space {
    text.parse().unwrap()
}

/// Which data chunk each member has, row by row: `P` and `Q` for parity.
fn rows(kind: &Kind, members: usize, rows: u64) -> Vec<String> {
    let cell = |row, member| {
        let run = kind.up(members, member, row);
        match run.spots.as_slice() {
            [Above { role: Role::Parity, .. }, ..] => "P".to_owned(),
            [Above { role: Role::Q, .. }, ..] => "Q".to_owned(),
            [Above { sector, .. }] => sector.to_string(),
            _ => "-".to_owned(),
        }
    };
    (0..rows).map(|row| (0..members).map(|m| cell(row, m)).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_layouts_are_those_of_the_manual_of_md() {
    // md(4), mdadm(8) and drivers/md/raid5.c; a chunk is one sector.
    let raid = |level, layout| {
        let algorithm = Algorithm::of_md(level, layout).unwrap();
        Kind::Raid456(Raid456 { chunk: NonZeroU64::MIN, algorithm })
    };
    assert_eq!(rows(&raid(5, 2), 4, 5), ["0 1 2 P", "4 5 P 3", "8 P 6 7", "P 9 10 11", "12 13 14 P"]);
    assert_eq!(rows(&raid(5, 0), 4, 4), ["0 1 2 P", "3 4 P 5", "6 P 7 8", "P 9 10 11"]);
    assert_eq!(rows(&raid(5, 3), 4, 4), ["P 0 1 2", "5 P 3 4", "7 8 P 6", "9 10 11 P"]);
    assert_eq!(rows(&raid(5, 1), 3, 3), ["P 0 1", "2 P 3", "4 5 P"]);
    assert_eq!(rows(&raid(4, 0), 3, 2), ["0 1 P", "2 3 P"]);
    assert_eq!(rows(&raid(6, 2), 4, 4), ["Q 0 1 P", "2 3 P Q", "5 P Q 4", "P Q 6 7"]);
    assert_eq!(
        rows(&raid(6, 8), 5, 5),
        ["P Q 0 1 2", "3 P Q 4 5", "6 7 P Q 8", "9 10 11 P Q", "Q 12 13 14 P"]
    );
    assert_eq!(rows(&raid(6, 10), 4, 3), ["0 1 Q P", "3 Q P 2", "Q P 4 5"]);
    assert_eq!(rows(&raid(6, 18), 4, 3), ["0 1 P Q", "3 P 2 Q", "P 4 5 Q"]);
    let raid10 =
        |layout, members, size| Kind::Raid10(Raid10::of_md(layout, members, NonZeroU64::MIN, size).unwrap());
    assert_eq!(rows(&raid10(0x102, 4, 100), 4, 2), ["0 0 1 1", "2 2 3 3"]);
    assert_eq!(rows(&raid10(0x102, 3, 100), 3, 3), ["0 0 1", "1 2 2", "3 3 4"]);
    assert_eq!(rows(&raid10(0x201, 3, 4), 3, 4), ["0 1 2", "3 4 5", "2 0 1", "5 3 4"]);
    assert_eq!(rows(&raid10(0x1_0201, 3, 100), 3, 4), ["0 1 2", "2 0 1", "3 4 5", "5 3 4"]);
}

#[test]
fn each_target_of_device_mapper_says_where_its_sectors_are() {
    /// A table, a sector, and the places below.
    type Case = (&'static str, u64, &'static [(&'static str, u64)]);
    let cases: &[Case] = &[
        ("0 100 linear 8:0 2048\n100 100 linear 8:16 0", 130, &[("8:16", 30)]),
        ("0 2048 striped 2 128 8:0 0 8:16 64", 300, &[("8:0", 172)]),
        ("0 2048 mirror core 2 1024 nosync 2 8:0 0 8:16 8 1 handle_errors", 5, &[("8:0", 5), ("8:16", 13)]),
        (
            "0 2048 mirror disk 4 253:9 1024 sync block_on_error 2 8:0 0 8:16 8",
            5,
            &[("8:0", 5), ("8:16", 13)],
        ),
        (
            "0 2048 raid raid1 3 0 region_size 1024 2 253:1 253:2 253:3 253:4",
            7,
            &[("253:2", 7), ("253:4", 7)],
        ),
        ("0 2048 raid raid5_ls 1 128 3 - 8:0 - 8:16 - 8:32", 128, &[("8:16", 0), ("8:32", 0)]),
        ("0 2048 raid raid5_ls 1 128 3 - 8:0 - - - 8:32", 0, &[("8:0", 0), ("8:32", 0)]),
        (
            "0 4096 raid raid10 5 128 raid10_format near raid10_copies 2 4 - 8:0 - 8:16 - 8:32 - 8:48",
            130,
            &[("8:32", 2), ("8:48", 2)],
        ),
        (
            "0 2048 multipath 1 queue_if_no_path 1 alua 2 1 service-time 0 1 2 8:0 1 1 service-time 0 1 2 8:16 1 1",
            9,
            &[("8:0", 9), ("8:16", 9)],
        ),
        ("0 2048 crypt aes-xts-plain64 0123456789abcdef 0 8:3 4096 1 allow_discards", 1, &[("8:3", 4097)]),
        ("0 2048 flakey 8:0 10 5 5", 3, &[("8:0", 13)]),
        ("0 2048 delay 8:0 10 5", 3, &[("8:0", 13)]),
        ("0 2048 dust 8:0 64 512", 3, &[("8:0", 67)]),
        ("0 2048 snapshot-origin 8:0", 3, &[("8:0", 3)]),
        ("0 2048 snapshot 8:0 8:16 P 16", 3, &[("8:0", 3)]),
        ("0 2048 cache 8:0 8:16 8:32 512 1 writeback smq 0", 3, &[("8:32", 3)]),
        ("0 2048 writecache s 8:0 8:16 4096 0", 3, &[("8:0", 3)]),
        ("0 2048 thin-pool 8:0 8:16 128 0 0", 3, &[("8:16", 3)]),
        ("0 2048 verity 1 8:0 8:16 4096 4096 256 1 sha256 ab cd", 3, &[("8:0", 3)]),
        ("0 2048 unstriped 2 128 1 8:0 0", 130, &[("8:0", 386)]),
        ("0 2048 error ", 3, &[]),
        ("0 2048 thin 253:1 1", 3, &[]),
        ("0 2048 raid raid5_ls 1 128 banana", 3, &[]),
        ("0 2048 striped 2 0 8:0 0 8:16 0", 3, &[]),
        ("0 2048 linear", 3, &[]),
    ];
    for (table, at, places) in cases {
        struct Facts(Layout);
        impl MapFacts for Facts {
            fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String> {
                Ok((space == dev("9:9")).then(|| Arc::new(self.0.clone())))
            }
            fn above(&self, space: Space) -> Vec<Space> {
                if space == dev("9:9") { Vec::new() } else { vec![dev("9:9")] }
            }
        }
        let facts = Facts(dm::layout(&dm::Target::lines(table)));
        let sector = Range { space: dev("9:9"), sector: *at, len: 1 };
        let walked = down(&facts, sector);
        let found: Vec<(String, u64)> =
            walked.steps.iter().map(|step| (step.range.space.to_string(), step.range.sector)).collect();
        let wanted: Vec<(String, u64)> = places.iter().map(|(d, s)| ((*d).to_owned(), *s)).collect();
        assert_eq!(found, wanted, "{table}");
        for step in walked.steps {
            let back = up(&facts, step.range);
            assert!(back.steps.iter().any(|above| above.range == sector), "{table}: {back:?}");
        }
    }
}

#[test]
fn the_key_of_an_encrypted_device_is_not_kept() {
    let table = dm::Target::lines("0 2048 crypt aes-xts-plain64 0123456789abcdef 0 8:3 4096");
    assert_eq!(table[0].params, "aes-xts-plain64 - 0 8:3 4096");
}

#[test]
fn what_is_not_certain_says_so_and_so_does_what_is_below() {
    let facts = Tables(HashMap::from([
        (dev("253:1"), dm::layout(&dm::Target::lines("0 2048 cache 8:0 8:16 253:0 512 0 smq 0"))),
        (dev("253:0"), dm::layout(&dm::Target::lines("0 2048 linear 8:32 8"))),
    ]));
    let walked = down(&facts, Range { space: dev("253:1"), sector: 1, len: 1 });
    let leaf = walked.leaves()[0].1.clone();
    assert_eq!((leaf.range.space, leaf.range.sector, leaf.certain), (dev("8:32"), 9, false));
    let thin = Tables(HashMap::from([(dev("253:1"), dm::layout(&dm::Target::lines("0 2048 thin 253:0 1")))]));
    let walked = down(&thin, Range { space: dev("253:1"), sector: 1, len: 1 });
    assert!(walked.unknown.contains("thin_dump") && walked.unknown.contains("253:0"), "{walked:?}");
    let walked = up(&thin, Range { space: dev("253:0"), sector: 1, len: 1 });
    assert!(walked.unknown.contains("thin_dump"), "{walked:?}");
}

/// Layouts that are known, each over all others.
struct Tables(HashMap<Space, Layout>);

impl MapFacts for Tables {
    fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String> {
        Ok(self.0.get(&space).cloned().map(Arc::new))
    }

    fn above(&self, space: Space) -> Vec<Space> {
        self.0.keys().copied().filter(|above| *above != space).collect()
    }
}

#[test]
fn what_lies_below_parity_is_parity() {
    let facts = Tables(HashMap::from([
        (
            dev("253:9"),
            dm::layout(&dm::Target::lines("0 2048 raid raid5_ls 1 128 3 - 253:0 - 253:1 - 253:2")),
        ),
        (dev("253:0"), dm::layout(&dm::Target::lines("0 1024 linear 8:0 8"))),
        (dev("253:2"), dm::layout(&dm::Target::lines("0 1024 linear 8:32 8"))),
    ]));
    let walked = down(&facts, Range { space: dev("253:9"), sector: 0, len: 1 });
    let leaves: Vec<_> = walked.leaves().iter().map(|(role, s)| (*role, s.range.space.to_string())).collect();
    assert_eq!(leaves, [(Role::Data, "8:0".to_owned()), (Role::Parity, "8:32".to_owned())]);
    // And what the parity is made of is not affected by it: the walk up ends there.
    let up = up(&facts, Range { space: dev("8:32"), sector: 8, len: 1 });
    assert_eq!(up.steps[0].steps.iter().map(|s| s.role).collect::<Vec<_>>(), [Role::Parity, Role::Parity]);
}

#[test]
fn a_device_on_itself_ends() {
    let facts = Tables(HashMap::from([
        (dev("7:0"), dm::layout(&dm::Target::lines("0 100 linear 7:1 0"))),
        (dev("7:1"), dm::layout(&dm::Target::lines("0 100 linear 7:0 0"))),
    ]));
    let walked = down(&facts, Range { space: dev("7:0"), sector: 0, len: 100 });
    assert!(walked.leaves()[0].1.unknown.contains("layers"));
    up(&facts, Range { space: dev("7:0"), sector: 0, len: 100 });
}

/// An array with members of these sizes, as sysfs shows it.
fn array(level: &str, attributes: &[(&str, &str)], members: &[(&str, &str, u64)]) -> Array {
    let tree = Tree::new();
    let dir = "devices/virtual/block/md0";
    tree.disk(dir, "9:0", 1);
    tree.files(&format!("sys/{dir}/md"), &[("level", level), ("raid_disks", &members.len().to_string())]);
    tree.files(&format!("sys/{dir}/md"), attributes);
    for (slot, (number, offset, size)) in members.iter().enumerate() {
        let member = format!("sys/{dir}/md/dev-m{slot}");
        let (slot, size) = (slot.to_string(), (size / 2).to_string());
        tree.files(&member, &[("slot", &slot), ("offset", offset), ("size", &size), ("state", "in_sync")]);
        tree.file(&format!("{member}/block/dev"), format!("{number}\n"));
    }
    let roots = tree.roots();
    Array::read(&roots.files, &roots.sysfs.join(dir)).unwrap()
}

fn below(layout: &Layout, at: u64) -> Vec<(String, u64, bool)> {
    let facts = Tables(HashMap::from([(dev("9:0"), layout.clone())]));
    let walked = down(&facts, Range { space: dev("9:0"), sector: at, len: 1 });
    walked.steps.iter().map(|s| (s.range.space.to_string(), s.range.sector, s.certain)).collect()
}

fn place(dev: &str, sector: u64) -> (String, u64, bool) {
    (dev.to_owned(), sector, true)
}

#[test]
fn an_array_is_laid_out_as_sysfs_says() {
    let two = &[("8:0", "2048", 1 << 20), ("8:16", "4096", 1 << 20)];
    let raid1 = array("raid1", &[("component_size", "524288")], two).layout().unwrap();
    assert_eq!(below(&raid1, 10), [place("8:0", 2058), place("8:16", 4106)]);

    let linear = array("linear", &[("chunk_size", "0")], two).layout().unwrap();
    assert_eq!(below(&linear, (1 << 20) + 3), [place("8:16", 4099)]);

    // Members of 1024 and 2048 sectors: behind sector 2048 there is only the larger one.
    let unequal = &[("8:0", "0", 1024), ("8:16", "0", 2048)];
    let raid0 = array("raid0", &[("chunk_size", "65536"), ("layout", "2")], unequal).layout().unwrap();
    assert_eq!(below(&raid0, 128), [place("8:16", 0)]);
    assert_eq!(below(&raid0, 2048 + 130), [place("8:16", 1154)]);

    let three = &[("8:0", "0", 1024), ("8:16", "8", 2048), ("8:32", "16", 2048)];
    let zones =
        |layout| array("raid0", &[("chunk_size", "65536"), ("layout", layout)], three).layout().unwrap();
    // The second zone begins at sector 3072, chunk 24 of the array, with two members.
    assert_eq!(below(&zones("2"), 3072), [place("8:16", 1032)]);
    assert_eq!(below(&zones("1"), 3072), [place("8:16", 1032)]);
    let odd = &[("8:0", "0", 128), ("8:16", "8", 2048), ("8:32", "16", 2048)];
    let zones =
        |layout| array("raid0", &[("chunk_size", "65536"), ("layout", layout)], odd).layout().unwrap();
    // Here at chunk 3: the old layout begins it on the second of the two.
    assert_eq!(below(&zones("2"), 384), [place("8:16", 136)]);
    assert_eq!(below(&zones("1"), 384), [place("8:32", 144)]);
}

#[test]
fn an_array_that_is_reshaped_has_two_layouts_and_is_certain_of_neither() {
    let growing = array(
        "raid5",
        &[
            ("chunk_size", "65536"),
            ("layout", "2"),
            ("raid_disks", "4 (3)"),
            ("reshape_position", "768"),
            ("reshape_direction", "forwards"),
        ],
        &[("8:0", "0", 4096), ("8:16", "0", 4096), ("8:32", "0", 4096), ("8:48", "0", 4096)],
    );
    let layout = growing.layout().unwrap();
    // Chunk 4 is before the place, on four members; chunk 6 is behind it, on three.
    let uncertain = |dev: &str, sector| (dev.to_owned(), sector, false);
    assert_eq!(below(&layout, 4 * 128)[0], uncertain("8:0", 128));
    assert_eq!(below(&layout, 7 * 128)[0], uncertain("8:16", 3 * 128));
}

#[test]
fn a_hole_and_what_is_not_written_lie_nowhere() {
    assert_eq!(Extent { logical: 0, physical: 0, len: 4096, flags: 0x6 }.unplaced(), Some("not written yet"));
    assert_eq!(Extent { logical: 0, physical: 8192, len: 4096, flags: 0x801 }.unplaced(), None);
}
