//! What this daemon cannot see, for everybody who asks what is wrong.

use super::sources::Probes;
use crate::{
    collector::ebpf::{Verdict, status::ProbeStatus},
    state::Limit,
};

/// What the probes cannot see.
pub(super) fn of_probes(probes: Option<&Probes>) -> Vec<Limit> {
    let Some(probes) = probes else {
        let why = "peripetyd runs with --no-ebpf: failures that the kernel prints nothing about go unseen";
        return vec![Limit::unseen("probes", why)];
    };
    let status = probes.lock().status();
    limits(&status.probes)
}

fn limits(probes: &[ProbeStatus]) -> Vec<Limit> {
    let refused = |probe: &ProbeStatus| match &probe.verdict {
        Verdict::Refused { reason } => {
            Some((probe.tracepoint.clone(), reason.clone(), probe.lost_without.clone()))
        }
        // A kernel that lacks a required one has another in its place, which is in the list as well.
        Verdict::Attached { .. } | Verdict::Waiting { .. } | Verdict::Absent { .. } | Verdict::Off { .. } => {
            None
        }
    };
    let refused: Vec<_> = probes.iter().filter_map(refused).collect();
    let Some((_, reason, _)) = refused.first() else {
        let some = probes.iter().any(|probe| probe.verdict.is_attached());
        let why = "no probe is attached: failures that the kernel prints nothing about go unseen";
        return if some { Vec::new() } else { vec![Limit::unseen("probes", why)] };
    };
    let none = !probes.iter().any(|probe| probe.verdict.is_attached());
    let why = if none {
        format!(
            "every probe was refused ({reason}): what fails is known from kernel text alone, which loses most of a storm"
        )
    } else {
        let unseen: Vec<String> = refused.iter().map(|(name, _, lost)| format!("{lost} ({name})")).collect();
        format!("probes were refused ({reason}); unseen go: {}", unseen.join("; "))
    };
    vec![Limit::unseen("probes", why)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::ebpf::status::{AttachMode, Counts};

    fn probe(name: &str, verdict: Verdict) -> ProbeStatus {
        ProbeStatus {
            tracepoint: name.into(),
            verdict,
            need: "required".into(),
            lost_without: "counts".into(),
            program: None,
            counts: Counts::default(),
        }
    }

    #[test]
    fn what_is_refused_is_said_and_what_a_kernel_lacks_is_not() {
        let attached = || Verdict::Attached { way: AttachMode::Raw, fallback: String::new() };
        let refused = || Verdict::Refused { reason: "no CAP_BPF".into() };
        let absent = Verdict::Absent { reason: "driver not loaded".into() };
        assert_eq!(limits(&[probe("a", attached()), probe("b", absent.clone())]), []);
        let some = limits(&[probe("a", attached()), probe("b", refused())]);
        assert!(
            some[0].unseen && some[0].why == "probes were refused (no CAP_BPF); unseen go: counts (b)",
            "{some:?}"
        );
        let all = limits(&[probe("a", refused()), probe("b", absent)]);
        assert!(all[0].why.starts_with("every probe was refused (no CAP_BPF)"), "{all:?}");
        assert!(limits(&[])[0].unseen);
    }
}
