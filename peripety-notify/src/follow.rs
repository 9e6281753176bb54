//! The daemon's revisions to the receivers, from where the last one came.

use std::{
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use peripety::internal::{
    Roots, checked,
    files::replace,
    follow::{Item, Kinds, Place, follow},
};

use crate::{
    receiver::{Places, Receiver},
    store::Copy,
};

/// How long to wait for a daemon that is not there; ever longer.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How far the copy of the place is behind; longer than a queue takes to be copied.
const LAG: Duration = Duration::from_secs(60);

/// Follows the daemon, and waits for it while it is away.
pub(crate) fn forever(roots: &Roots, places: &Places, receivers: &[Arc<Receiver>], events: bool) -> ! {
    let path = places.runtime.join("place");
    let copied = places.state.join("place");
    let mut place = read(&path).or_else(|| read(&copied));
    let mut copy = Lagging { copy: Copy::new(copied), next: None };
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
                if let Some(line) = line(at) {
                    if let Err(error) = replace(&path, &line, 0o600) {
                        tracing::debug!("{}: cannot write it: {error}", path.display());
                    }
                    copy.note(line);
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

/// With a checksum: what damage leaves of it is no place, and all is looked at again.
fn line(place: &Place) -> Option<Vec<u8>> {
    let json = serde_json::to_vec(place).ok()?;
    let mut line = Vec::new();
    checked::seal(&mut line, &json);
    Some(line)
}

/// The copy for the time after a reboot. It must not be ahead of the copies of the queues, which a disk may hold up: so it has
/// the place of a while ago, and what came since comes again.
struct Lagging {
    copy: Copy,
    /// The place that is written next, and when it was had.
    next: Option<(Vec<u8>, Instant)>,
}

impl Lagging {
    fn note(&mut self, line: Vec<u8>) {
        let Some((next, since)) = &mut self.next else {
            self.next = Some((line, Instant::now()));
            return;
        };
        if since.elapsed() >= LAG && !self.copy.is_busy() {
            self.copy.write(std::mem::replace(next, line));
            *since = Instant::now();
        }
    }
}
