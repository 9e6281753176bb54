use super::{instance::OBJECT, *};
use crate::collector::ebpf::status::AttachMode;

#[test]
fn the_object_has_both_programs_of_every_probe() {
    let object = aya_obj_names();
    for probe in PROBES {
        for name in [probe.raw, probe.classic].into_iter().chain(probe.typed) {
            assert!(object.contains(name), "{name}");
        }
    }
}

fn aya_obj_names() -> String {
    String::from_utf8_lossy(OBJECT).into_owned()
}

#[tokio::test]
async fn the_running_kernel_takes_every_probe_it_has_both_ways() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: loading eBPF takes root");
        return;
    }
    let roots = Roots::system();
    for only_classic in [false, true] {
        let ebpf = Ebpf::load(&roots, Options { only_classic, ring_bytes: 1 << 16, ..Options::default() });
        let status = ebpf.status();
        eprintln!("{}", serde_json::to_string_pretty(&status).unwrap());
        for probe in &status.probes {
            assert!(!matches!(probe.verdict, Verdict::Refused { .. }), "{probe:?}");
        }
        for probe in status.probes.iter().filter(|p| p.verdict.is_attached()) {
            match &probe.verdict {
                Verdict::Attached { way: AttachMode::Raw, .. } => assert!(!only_classic, "{probe:?}"),
                // Before 5.11 modules have no type information.
                other => {
                    assert!(only_classic || other.reason().starts_with("type information"), "{other:?}")
                }
            }
        }
        assert!(ebpf.attached().any(|kind| kind == Kind::FilemapSetWbErr));
        let mut ebpf = ebpf;
        ebpf.attach_waiting(Some(("module", "/module/dm_mod")));
        assert!(ebpf.attached().any(|kind| kind == Kind::BlockBioComplete));
        let status = ebpf.status();
        let bio = status.probes.iter().find(|p| p.tracepoint == "block:block_bio_complete").unwrap();
        let program = bio.program.as_ref().map(|program| program.name.as_str());
        assert_eq!(program, Some(if only_classic { "prpt_bio_err_c" } else { "prpt_bio_err_b" }), "{bio:?}");
    }
}

#[tokio::test]
async fn the_program_that_looks_at_good_requests_is_attached_where_there_is_a_limit_alone() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: loading eBPF takes root");
        return;
    }
    for (every_ns, is_on) in [(0, false), (2_000_000_000, true)] {
        let slow = SlowLimits { every_ns, ..SlowLimits::default() };
        let ebpf = Ebpf::load(&Roots::system(), Options { ring_bytes: 1 << 16, slow, ..Options::default() });
        let status = ebpf.status();
        let probe = status.probes.iter().find(|probe| probe.tracepoint == "block:block_rq_slow").unwrap();
        assert_eq!(probe.verdict.is_attached(), is_on, "{probe:?}");
        let name = probe.program.as_ref().map(|program| program.name.as_str());
        assert_eq!(name, is_on.then_some("prpt_rq_slow_b"), "{probe:?}");
    }
}

/// Every operation of 2,000 disks failing with three errors.
#[tokio::test]
async fn the_map_of_counts_has_room_for_thousands_of_disks() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: loading eBPF takes root");
        return;
    }
    let mut ebpf = Ebpf::load(&Roots::system(), Options { ring_bytes: 1 << 16, ..Options::default() });
    let keys = (0..2_000)
        .flat_map(|dev| (0..5).map(move |op| (dev, op)))
        .flat_map(|(dev, op)| [5, 61, 110].map(|code| (dev, op, code)))
        .map(|(dev, op, code)| CountKey { dev: dev << 4, code, kind: 0, op, reserved: 0 });
    let maps = &mut ebpf.instances[0].maps;
    let wanted: std::collections::HashSet<_> = keys.collect();
    assert_eq!(wanted.len(), 30_000);
    for key in &wanted {
        maps.set_exact(*key, 1).unwrap();
    }
    // A disk may fail meanwhile.
    assert_eq!(maps.exact().filter(|(key, _)| wanted.contains(key)).count(), 30_000);
}
