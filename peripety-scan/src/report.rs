//! What a scan has to say: one line on standard output each, of which `peripetyd` makes an event (`rules/scan.toml`).

use std::fmt;

use peripety_model::{Dev, text::printable};

use crate::{
    amount::{bytes, count, time},
    config::Method,
    pass::{Bad, Done},
};

/// A line about a device.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// What people call it.
    pub device: &'a str,
    /// Its number.
    pub dev: Dev,
    /// What is to be said.
    pub what: What<'a>,
}

/// What is to be said.
#[derive(Clone, Debug)]
pub enum What<'a> {
    /// Sectors cannot be read.
    Bad(Bad),
    /// A pass ended.
    Done(&'a Done),
    /// It cannot go on.
    Stopped(&'a str),
    /// It goes on.
    Resumed,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scan of {}: ", one_word(self.device))?;
        match &self.what {
            What::Bad(bad) => {
                // The number, which the rule reads.
                let errno = bad.errno.raw();
                write!(f, "{} sectors at {} cannot be read: errno {errno}", bad.count, bad.sector)?
            }
            What::Done(done) => {
                let seconds = done.took().as_secs();
                write!(f, "{} {} in {}", done.method.past(), bytes(done.bytes), time(done.took()))?;
                write!(f, ", {}", errors(done))?;
                write!(f, "; {} bytes, {seconds} s", done.bytes)?;
            }
            What::Stopped(why) => write!(f, "cannot go on: {}", one_word(why))?,
            What::Resumed => f.write_str("goes on")?,
        }
        write!(f, "; device {}", self.dev)
    }
}

/// `0 errors`, `3 errors, 2 corrected`, `3 errors, all corrected`, `8 mismatches`.
pub fn errors(done: &Done) -> String {
    let what = match done.method {
        Method::MdCheck | Method::RaidCheck => "mismatch",
        Method::Read | Method::Scrub => "error",
    };
    let mut words = count(done.errors, what);
    if done.method == Method::Scrub && done.errors > 0 {
        match done.corrected {
            all if all >= done.errors => words.push_str(", all corrected"),
            some => words.push_str(&format!(", {some} corrected")),
        }
    }
    if !done.complete {
        words.push_str(", given up before the end");
    }
    words
}

/// What ends a part of the line stands in none.
fn one_word(text: &str) -> String {
    printable(text).replace(';', ",")
}

#[cfg(test)]
mod tests {
    use peripety_model::{Errno, Sector, Sectors};

    use super::*;

    #[test]
    fn lines_as_the_rules_of_the_daemon_know_them() {
        let dev: Dev = "8:16".parse().unwrap();
        let line = |what| Line { device: "/dev/sdb", dev, what }.to_string();
        let bad = Bad { sector: Sector(4656), count: Sectors(8), errno: Errno::EIO };
        assert_eq!(
            line(What::Bad(bad)),
            "scan of /dev/sdb: 8 sectors at 4656 cannot be read: errno 5; device 8:16"
        );
        let done = Done {
            began: "2026-03-01T00:00:00Z".parse().unwrap(),
            ended: "2026-03-10T00:00:00Z".parse().unwrap(),
            method: Method::Read,
            bytes: 4_000_787_030_016,
            errors: 0,
            corrected: 0,
            complete: true,
        };
        assert_eq!(
            line(What::Done(&done)),
            "scan of /dev/sdb: read 4.0 TB in 9 days, 0 errors; 4000787030016 bytes, 777600 s; device 8:16"
        );
        let done = Done { errors: 3, corrected: 2, method: Method::Scrub, ..done };
        assert!(line(What::Done(&done)).contains("scrubbed 4.0 TB in 9 days, 3 errors, 2 corrected; "));
        let done = Done { errors: 8, method: Method::MdCheck, ..done };
        assert!(line(What::Done(&done)).contains("checked 4.0 TB in 9 days, 8 mismatches; "));
        let done = Done { errors: 33, method: Method::Read, complete: false, ..done };
        assert!(line(What::Done(&done)).contains("33 errors, given up before the end; "));
        let hostile = Line { device: "/dev/mapper/a;b\nc", dev, what: What::Stopped("x;y") }.to_string();
        assert_eq!(hostile, "scan of /dev/mapper/a,b\\nc: cannot go on: x,y; device 8:16");
        assert_eq!(line(What::Resumed), "scan of /dev/sdb: goes on; device 8:16");
    }
}
