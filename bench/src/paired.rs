//! Paired runs: one thing and then the other, again and again, so that what else the machine does hits both alike.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Pairs; the median of their ratios is reported.
const PAIRS: usize = 7;

/// What is counted: time on this thread's CPU, or time on the wall where the work is done elsewhere.
#[derive(Clone, Copy)]
pub enum Clock {
    Cpu,
    Wall,
}

/// One of the two.
pub struct Side<'a> {
    pub name: &'a str,
    pub run: &'a mut dyn FnMut(),
}

/// Runs both; the ratio is the speed of `ours` over that of `other`.
pub fn figure(part: &str, what: &str, units: u64, clock: Clock, ours: Side<'_>, other: Side<'_>) -> Value {
    let start = Instant::now();
    let now = || match clock {
        Clock::Wall => start.elapsed().as_secs_f64(),
        Clock::Cpu => {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        }
    };
    let time = |side: &mut dyn FnMut()| {
        let before = now();
        side();
        now() - before
    };
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (mine, theirs) = (time(&mut *ours.run), time(&mut *other.run));
        ratios.push(theirs / mine);
        rates.push(units as f64 / mine);
    }
    json!({
        "part": part, "what": what, "ratio": median(&mut ratios), "of": other.name,
        "detail": format!("{} a second {}", shortened(median(&mut rates)), ours.name),
    })
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn shortened(n: f64) -> String {
    if n >= 1e6 { format!("{:.1} million", n / 1e6) } else { format!("{:.0} thousand", n / 1e3) }
}
