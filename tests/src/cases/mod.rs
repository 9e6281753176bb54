//! The tests, one file for each subject.

mod cli;
mod damaged_journal;
mod demo;
mod doors;
mod filesystems;
mod fleet;
mod floods;
mod for_programs;
mod forgery;
mod gluster;
mod healthy;
mod incidents;
mod info;
mod lifecycle;
mod map;
mod no_journald;
mod no_room;
mod notify;
mod programs;
mod reload;
mod removed;
mod replay;
mod requests;
mod sandbox;
mod scan;
mod slow_io;
mod status;
mod storm;
mod unit;
mod watch;
mod zram;

use anyhow::Result;

use crate::machine::{Machine, Need};

/// One test.
pub struct Case {
    pub name: &'static str,
    /// Without these it is skipped.
    pub needs: &'static [Need],
    pub run: fn(&Machine) -> Result<()>,
}

/// All tests.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let subjects: &[&[Case]] = &[
        requests::CASES,
        storm::CASES,
        filesystems::CASES,
        fleet::CASES,
        floods::CASES,
        for_programs::CASES,
        gluster::CASES,
        healthy::CASES,
        forgery::CASES,
        lifecycle::CASES,
        reload::CASES,
        no_journald::CASES,
        no_room::CASES,
        notify::CASES,
        programs::CASES,
        damaged_journal::CASES,
        demo::CASES,
        doors::CASES,
        removed::CASES,
        replay::CASES,
        status::CASES,
        info::CASES,
        map::CASES,
        sandbox::CASES,
        scan::CASES,
        slow_io::CASES,
        cli::CASES,
        zram::CASES,
        unit::CASES,
        watch::CASES,
    ];
    subjects.iter().chain(incidents::CASES).copied().flatten()
}
