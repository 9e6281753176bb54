//! `raid`: `TYPE #PARAMS CHUNK PARAMS… #MEMBERS (METADATA DATA)*`, with `-` for what is missing.

use std::num::NonZeroU64;

use super::{Kind, Member, Role, Segment, Target, Words, segment};
use crate::map::{Algorithm, Raid10, Raid456, Striped, kib};

pub(super) fn raid(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let raid_type = words.get(0)?;
    let count: usize = words.number(1)?;
    let of_params = Params(words.0.get(2..count.checked_add(2)?)?);
    let members_at = count.checked_add(2)?;
    let members: usize = words.number(members_at)?;
    let start = of_params.number("data_offset").unwrap_or(0);
    let place = |n: usize| {
        let word = words.get(n.checked_mul(2)?.checked_add(members_at)?.checked_add(2)?)?;
        let dev = if word == "-" { None } else { Some(word.parse().ok()?) };
        Some(Member { space: dev.map(crate::map::Space::Device), start, len: None })
    };
    let members: Vec<Member> = (0..members).map(place).collect::<Option<_>>()?;
    let count = members.len() as u64;
    let chunk = || words.number::<NonZeroU64>(2);
    let kind = match raid_type {
        "raid1" => Kind::Same(Role::Copy),
        "raid0" => Kind::Striped(Striped { chunk: chunk()?, first: 0 }),
        _ if raid_type.starts_with("raid10") => {
            Kind::Raid10(raid10(raid_type, &of_params, target.len, count, chunk()?)?)
        }
        _ => Kind::Raid456(Raid456 { chunk: chunk()?, algorithm: Algorithm::of_dm(raid_type)? }),
    };
    let mut segment = segment(target, kind, members);
    segment.how = match chunk().filter(|_| raid_type != "raid1") {
        Some(chunk) => format!("{raid_type} over {count}, chunk {}", kib(chunk.get())),
        None => format!("{raid_type} over {count}"),
    };
    // While the number of members or the layout is being changed, two layouts hold.
    segment.certain = of_params.number::<i64>("delta_disks").is_none_or(|delta| delta == 0);
    Some(segment)
}

fn raid10(raid_type: &str, params: &Params<'_>, len: u64, members: u64, chunk: NonZeroU64) -> Option<Raid10> {
    let copies: u64 = params.number("raid10_copies").unwrap_or(2);
    let format = params.get("raid10_format").or(raid_type.strip_prefix("raid10_")).unwrap_or("near");
    if !(1..=255).contains(&copies) {
        return None;
    }
    let sets = if params.has("raid10_use_near_sets") { 0 } else { 2 << 17 };
    let layout = match format {
        "near" => 1 << 8 | copies,
        "far" => sets | copies << 8 | 1,
        "offset" => sets | 1 << 16 | copies << 8 | 1,
        _ => return None,
    };
    let dev_sectors = len.checked_mul(copies)?.checked_div(members)?;
    Raid10::of_md(layout, members, chunk, dev_sectors)
}

/// Optional parameters, most of them a name and a value.
struct Params<'a>(&'a [&'a str]);

impl<'a> Params<'a> {
    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .windows(2)
            .find_map(|pair| if let [key, value] = pair { (*key == name).then_some(*value) } else { None })
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }
}
