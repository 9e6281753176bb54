//! The daemon's revisions to the receivers, from where the last one came.

use std::{fs, path::Path, sync::Arc, thread, time::Duration};

use peripety::internal::{
    Roots, checked,
    follow::{Item, Kinds, Place, follow},
};

use crate::receiver::{Places, Receiver, file};

/// How long to wait for a daemon that is not there; ever longer.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Follows the daemon, and waits for it while it is away.
pub(crate) fn forever(roots: &Roots, places: &Places, receivers: &[Arc<Receiver>], events: bool) -> ! {
    let path = file(places, "place");
    let copy = places.state.join("place");
    let mut place = read(&path).or_else(|| read(&copy));
    let kinds = Kinds { incidents: true, events };
    let (mut wait, mut said) = (WAIT_FIRST, false);
    loop {
        let mut lived = false;
        let result = follow(roots, kinds, place.clone(), &mut |item, at| {
            lived = true;
            match &item {
                Item::Incident(incident) | Item::Open(incident) => {
                    receivers.iter().for_each(|receiver| receiver.take(incident));
                }
                Item::Event(event) => receivers.iter().for_each(|receiver| receiver.take_event(event)),
                Item::Live => {}
                Item::Gap(why) => tracing::warn!("nobody may be notified of some incidents: {why}"),
            }
            // After what it stands for is written down: who is killed here gets it again, and knows that it has it.
            if let Some(at) = at {
                write(&path, at);
                if matches!(item, Item::Live) {
                    write(&copy, at);
                }
                place = Some(at.clone());
            }
        });
        if lived {
            (wait, said) = (WAIT_FIRST, false);
        }
        if let Err(error) = result
            && !std::mem::replace(&mut said, true)
        {
            tracing::warn!("{error}; it is waited for");
        }
        thread::sleep(wait);
        wait = (wait * 2).min(WAIT_MAX);
    }
}

fn read(path: &Path) -> Option<Place> {
    let text = fs::read(path).ok()?;
    serde_json::from_slice(checked::unseal(text.strip_suffix(b"\n")?)?).ok()
}

/// Small, in one write, and with a checksum: what a kill leaves half is no place, and all is looked at again.
fn write(path: &Path, place: &Place) {
    let Ok(json) = serde_json::to_vec(place) else { return };
    let mut line = Vec::new();
    checked::seal(&mut line, &json);
    let new = path.with_extension("new");
    if let Err(error) = fs::write(&new, &line).and_then(|()| fs::rename(&new, path)) {
        tracing::debug!("{}: cannot write it: {error}", path.display());
    }
}
