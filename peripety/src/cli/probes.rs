//! `prpt probes`: what became of each probe, as the running daemon knows it.

use std::io::{self, Write};

use anyhow::Context as _;
use peripety_watch::message::Watching;

use super::{Format, NOTHING, OK, Output};
use crate::{
    collector::ebpf::{
        AttachMode, Verdict,
        status::{ProbeStatus, Status},
    },
    notifier::plain::wrap,
    query::socket::Client,
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let answer = Client::connect(roots)?.answer("probes")?;
    let status: Status = serde_json::from_value(answer.clone())
        .context("prpt and the running peripetyd are of different versions")?;
    let mut out = anstream::stdout().lock();
    match args.output.format() {
        Format::Plain => {
            plain(&mut out, &status)?;
            let watching =
                answer.get("watch").cloned().and_then(|watch| serde_json::from_value(watch).ok()).flatten();
            watch(&mut out, watching.as_ref())?;
        }
        Format::Json => writeln!(out, "{answer}")?,
        Format::JsonPretty => writeln!(out, "{answer:#}")?,
    }
    Ok(if healthy(&status) { OK } else { NOTHING })
}

/// Nothing was refused, nothing was dropped, and what every kernel has is attached.
fn healthy(status: &Status) -> bool {
    status.probes.iter().any(|p| p.verdict.is_attached())
        && status.probes.iter().all(|p| {
            let missing = p.need == "required" && matches!(p.verdict, Verdict::Absent { .. });
            !missing && !matches!(p.verdict, Verdict::Refused { .. }) && p.counts.dropped == 0
        })
}

fn plain(out: &mut impl Write, status: &Status) -> io::Result<()> {
    if status.probes.is_empty() {
        return writeln!(out, "No probes: the daemon was started with --no-ebpf.");
    }
    writeln!(
        out,
        "{:<34} {:<8} {:>5} {:>8} {:>8} {:>7}",
        "TRACEPOINT", "STATE", "ID", "SEEN", "SENT", "DROPPED"
    )?;
    for probe in &status.probes {
        let state = match &probe.verdict {
            Verdict::Attached { way: AttachMode::Raw, .. } => "raw",
            Verdict::Attached { way: AttachMode::Classic, .. } => "classic",
            other => other.word(),
        };
        let (id, counts) =
            (probe.program.as_ref().map_or("-".to_owned(), |p| p.id.to_string()), probe.counts);
        if probe.verdict.is_attached() {
            writeln!(
                out,
                "{:<34} {state:<8} {id:>5} {:>8} {:>8} {:>7}",
                probe.tracepoint, counts.seen, counts.sent, counts.dropped
            )?;
        } else {
            writeln!(out, "{:<34} {state:<8}", probe.tracepoint)?;
        }
        detail(out, probe, status.kernel_statistics)?;
    }
    let ring = status.ring;
    let percent = ring.most_filled_bytes.saturating_mul(100).checked_div(ring.bytes).unwrap_or(0);
    writeln!(out, "Ring: {} KiB, at most {percent} % of it ever waited.", ring.bytes / 1024)?;
    if !status.kernel_statistics {
        writeln!(out, "Runs are not counted: sysctl kernel.bpf_stats_enabled=1 counts them, at a price.")?;
    }
    Ok(())
}

/// What peripety-watch adds, which is no probe.
fn watch(out: &mut impl Write, watching: Option<&Watching>) -> io::Result<()> {
    let Some(watching) = watching else {
        return writeln!(
            out,
            "peripety-watch is absent: without it go unseen: inodes of ext4, byte ranges of XFS,\n    legs, sync and use of mirrors, arrays, pools and snapshots."
        );
    };
    let Watching { fanotify, health, maps, arrays, refused, .. } = watching;
    writeln!(out, "peripety-watch: FAN_FS_ERROR of {fanotify} filesystems, health monitors of {health};")?;
    writeln!(out, "    status of {maps} maps of device-mapper and {arrays} arrays of md.")?;
    for refused in refused {
        let line = format!("{} is not watched: {}", printable(&refused.mount_point), printable(&refused.why));
        for line in wrap(&line, 76) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

fn detail(out: &mut impl Write, probe: &ProbeStatus, statistics: bool) -> io::Result<()> {
    if let Some(program) = &probe.program {
        write!(out, "    {} tag {}", printable(&program.name), printable(&program.tag))?;
        if statistics {
            let each = program.run_time_ns.checked_div(program.run_count).unwrap_or(0);
            write!(out, ", ran {} times, {each} ns each", program.run_count)?;
        }
        if probe.counts.folded > 0 {
            write!(out, ", folded {}", probe.counts.folded)?;
        }
        if probe.counts.unseen > 0 {
            write!(out, ", not run for {}", probe.counts.unseen)?;
        }
        if program.misses > 0 {
            write!(out, ", missed {}", program.misses)?;
        }
        writeln!(out)?;
    }
    let reason = probe.verdict.reason();
    if !reason.is_empty() {
        for line in wrap(&printable(reason), 76) {
            writeln!(out, "    {line}")?;
        }
    }
    if matches!(probe.verdict, Verdict::Refused { .. }) {
        for line in wrap(&format!("without it go unseen: {}", probe.lost_without), 76) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::ebpf::status::{Counts, ProgramStatus, RingStatus};

    fn probe(verdict: Verdict) -> ProbeStatus {
        let program = verdict.is_attached().then(|| ProgramStatus {
            name: "prpt_rq_error".into(),
            id: 12345,
            tag: "0123456789abcdef".into(),
            run_count: 10,
            run_time_ns: 900,
            misses: 1,
        });
        ProbeStatus {
            tracepoint: "scsi:scsi_dispatch_cmd_timeout".into(),
            verdict,
            need: "driver".into(),
            lost_without: "SCSI timeouts that a retry heals".into(),
            program,
            counts: Counts {
                seen: 1_000_000,
                sent: 1_000_000,
                dropped: 0,
                folded: 0,
                unseen: 0,
                unchecked: 0,
            },
        }
    }

    #[test]
    fn every_line_fits_a_terminal_and_every_reason_is_shown() {
        let long =
            "the verifier refused it (Permission denied): ".to_owned() + &"R1 invalid mem access ".repeat(9);
        let status = Status {
            probes: vec![
                probe(Verdict::Attached { way: AttachMode::Raw, fallback: String::new() }),
                probe(Verdict::Refused { reason: long }),
                probe(Verdict::Absent { reason: "driver scsi_mod is not loaded".into() }),
            ],
            ring: RingStatus { bytes: 4 << 20, most_filled_bytes: 1 << 20 },
            kernel_statistics: true,
        };
        let mut out = Vec::new();
        plain(&mut out, &status).unwrap();
        let out = String::from_utf8(out).unwrap();
        for line in out.lines() {
            assert!(line.len() <= 80, "{}: {line}", line.len());
        }
        for wanted in
            ["tag 0123456789abcdef, ran 10 times, 90 ns each, missed 1", "at most 25 %", "is not loaded"]
        {
            assert!(out.contains(wanted), "{wanted}\n{out}");
        }
        assert!(!healthy(&status));
    }
}
