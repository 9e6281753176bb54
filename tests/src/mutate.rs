//! Damage to files, the same every time.

/// Numbers that look random (xorshift64*).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

const PAGE: usize = 4096;

/// Damages a file in one of many ways; says how.
pub fn mutate(bytes: &mut Vec<u8>, seed: u64) -> String {
    let mut numbers = Numbers::new(seed);
    // A journal file is longer than what it has been written to so far.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let pages = used.div_ceil(PAGE);
    match numbers.below(10) {
        kind @ 0..3 => {
            let count = [1, 16, 256].get(kind).copied().unwrap_or(1);
            for _ in 0..count {
                flip(bytes, &mut numbers, used);
            }
            format!("{count} bits flipped")
        }
        3 => {
            for _ in 0..4 {
                // The header alone.
                flip(bytes, &mut numbers, 264);
            }
            "4 bits of the header flipped".to_owned()
        }
        4 => {
            let end = numbers.below(used);
            bytes.truncate(end);
            format!("cut short at {end}")
        }
        5 => {
            let (page, count) = (numbers.below(pages), 1 + numbers.below(4));
            fill(bytes, page, count, || 0);
            format!("{count} pages zeroed from page {page} on")
        }
        6 => {
            let (page, count) = (numbers.below(pages), 1 + numbers.below(4));
            fill(bytes, page, count, || numbers.next().to_le_bytes().first().copied().unwrap_or(0));
            format!("{count} pages of garbage from page {page} on")
        }
        7 => {
            let more = numbers.below(1 << 20);
            let end = if numbers.below(2) == 0 { used } else { bytes.len() };
            bytes.truncate(end);
            bytes.extend((0..more).map(|_| numbers.next().to_le_bytes().first().copied().unwrap_or(0)));
            format!("{more} bytes of garbage after {end}")
        }
        8 => {
            // An offset or a size: somewhere else in the file, nowhere, or back to itself.
            let mut words = Vec::new();
            for _ in 0..3 {
                let at = numbers.below(used / 8) * 8;
                let value = match numbers.below(4) {
                    0 => u64::MAX,
                    1 => at as u64,
                    2 => numbers.next(),
                    _ => (numbers.below(used) & !7) as u64,
                };
                if let Some(word) = bytes.get_mut(at..at + 8) {
                    word.copy_from_slice(&value.to_le_bytes());
                }
                words.push(format!("{value:#x} at {at}"));
            }
            words.join(", ")
        }
        _ => {
            let (one, other) = (numbers.below(pages) * PAGE, numbers.below(pages) * PAGE);
            let page = bytes.get(one..(one + PAGE).min(bytes.len())).unwrap_or_default().to_vec();
            if let Some(room) = bytes.get_mut(other..other + page.len()) {
                room.copy_from_slice(&page);
            }
            format!("the page at {one} copied to {other}")
        }
    }
}

fn flip(bytes: &mut [u8], numbers: &mut Numbers, below: usize) {
    if let Some(byte) = bytes.get_mut(numbers.below(below)) {
        *byte ^= 1 << numbers.below(8);
    }
}

fn fill(bytes: &mut [u8], page: usize, count: usize, mut value: impl FnMut() -> u8) {
    for byte in bytes.iter_mut().skip(page * PAGE).take(count * PAGE) {
        *byte = value();
    }
}
