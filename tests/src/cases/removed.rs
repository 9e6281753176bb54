//! Devices that go away, and names that come again.

use anyhow::{Context as _, Result, ensure};

use super::Case;
use crate::{
    disk::Loop,
    fault::FullDisk,
    fio,
    machine::{Machine, Need},
    scene::Scene,
};

pub const CASES: &[Case] = &[Case {
    name: "a_name_that_is_used_again_is_another_device",
    needs: &[Need::Bpf, Need::Loop, Need::Program("fio")],
    run: reused,
}];

fn reused(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let FullDisk { disk, files: first_files } = FullDisk::new(machine)?;
    let (name, path, first_file) = (disk.name.clone(), disk.path.clone(), disk.file.clone());
    fio::failed_requests(&disk, "write", 2048)?;
    disk.remove()?;

    // Its end is in the past when the event is read.
    let named = |file: &std::path::Path| {
        scene.expect(&format!("an event about {}", file.display()), &name, |event| {
            event.io.is_some()
                && event.block.as_ref().is_some_and(|block| block.id.wwid.contains(&*file.to_string_lossy()))
        })
    };
    let first = named(&first_file)?;
    drop(first_files);

    let second_full = FullDisk::new(machine)?;
    let second_file = second_full.disk.file.clone();
    if second_full.disk.path == path {
        fio::failed_requests(&second_full.disk, "write", 2048)?;
    } else {
        let disk = Loop::attach_as(&path, &second_file)?;
        fio::failed_requests(&disk, "write", 2048)?;
    }
    let second = named(&second_file)?;
    ensure!(first.event_id != second.event_id, "two devices in one event");
    let seq = |event: &peripety::event::Event| event.block.as_ref().and_then(|block| block.id.diskseq);
    ensure!(seq(&first) != seq(&second) || seq(&first).is_none(), "the same diskseq {:?}", seq(&first));

    // What was said of the first one stays as it was.
    let found = scene.found(&name)?;
    let first_again =
        found.iter().find(|event| event.event_id == first.event_id).context("the first event is gone")?;
    let wwid = first_again.block.as_ref().map(|block| block.id.wwid.clone()).unwrap_or_default();
    ensure!(wwid.contains(&*first_file.to_string_lossy()), "the first device is now called {wwid}");
    Ok(())
}
