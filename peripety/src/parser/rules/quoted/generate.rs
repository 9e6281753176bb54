//! Lines that a user can make the kernel print, with what he would put into them.

use super::format::{Class, Format, Part, User};

/// The same numbers from the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Lengths at which the kernel, or who stores its text, cuts a line.
const CUTS: &[usize] = &[15, 16, 31, 32, 63, 80, 255, 256, 480, 512, 960, 976, 992, 1000, 1024];

/// A text that tries to be taken for `payload`, a line of a rule.
fn hostile(payload: &str, random: &mut Random) -> String {
    const BEFORE: &[&str] =
        &["", "", "\n", "A: ", "A", "x\n\n", "]: ", "'\n", "\\x0a", "\r\n", "\n\n ", ") ", "é\n"];
    const AFTER: &[&str] = &["", "", "\n", " ", "\n[1]: ", "'", "\"", ": ", "0", "\u{fffd}"];
    let mut text = match random.below(4) {
        // Near to it: without its beginning, without its end, or with a sign changed.
        0 => payload.chars().skip(random.below(24)).collect(),
        1 => payload.chars().take(payload.chars().count().saturating_sub(random.below(24))).collect(),
        2 => payload.replacen(": ", random.one(&[":", " ", ":\n"]), 1),
        _ => payload.to_owned(),
    };
    text.insert_str(0, random.one(BEFORE));
    text.push_str(random.one(AFTER));
    if random.below(8) == 0 {
        // So much that the rest of the line is cut off.
        text.push_str(&random.one(&["0", "A", " ", "\n"]).repeat(900 + random.below(700)));
    }
    text
}

/// A line of `format` about what `payload` says.
pub(super) fn line(format: &Format, payload: &str, random: &mut Random) -> String {
    let mut line = String::new();
    for part in &format.0 {
        match part {
            Part::Words(words) => line.push_str(words),
            Part::Kernel(class) => line.push_str(match class {
                Class::Number => random.one(&["0", "1", "8", "123", "4194304"]),
                Class::Hex => random.one(&["0", "7f12a0b0c000", "0xffff8880", "4"]),
                Class::Fill => random.one(&[" ", "    "]),
                Class::Letter => random.one(&["R", "D", "S"]),
                Class::Word => random.one(&["overlay", "ext4", "1-1", "do_trap", "nvme_tcp"]),
                Class::Dev => random.one(&["sda", "nvme0n1", "dm-0", "loop1", "nvme0"]),
                Class::Hctl => random.one(&["0:0:0:0", "11:0:3:1"]),
                Class::Lower => {
                    random.one(&["trap", "general protection fault", "unhandled signal", "set to", "blocked"])
                }
            }),
            Part::User(user) => {
                let text = hostile(payload, random);
                let skip = if *user == User::Text { 0 } else { random.below(3) * random.below(40) };
                line.extend(text.chars().skip(skip).filter(|c| user.has(*c)).take(user.most()));
            }
        }
    }
    // The kernel does not cut a line within the prefix of a firewall's rule, nor right behind the name of a process (15 bytes):
    // it says something of it.
    let least = if format.0.contains(&Part::User(User::Prefix)) { 160 } else { 17 };
    let cut = match random.below(4) {
        0 => random.one(CUTS),
        1 => 1 + random.below(1100),
        _ => 1024,
    };
    line.truncate(line.floor_char_boundary(cut.max(least)));
    line
}
