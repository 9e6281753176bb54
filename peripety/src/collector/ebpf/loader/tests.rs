use super::{instance::OBJECT, *};
use crate::collector::ebpf::status::Way;

#[test]
fn the_object_has_both_programs_of_every_probe() {
    let object = aya_obj_names();
    for probe in PROBES {
        for name in [probe.raw, probe.classic] {
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
                Verdict::Attached { way: Way::Raw, .. } => assert!(!only_classic, "{probe:?}"),
                // Before 5.11 modules have no type information.
                other => {
                    assert!(only_classic || other.reason().starts_with("type information"), "{other:?}")
                }
            }
        }
        assert!(ebpf.attached().any(|kind| kind == Kind::FilemapSetWbErr));
    }
}
