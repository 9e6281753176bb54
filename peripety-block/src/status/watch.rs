//! The maps of device-mapper over time: which raised an event, what their targets say, and when those are read that raise none.

use std::{collections::BTreeMap, time::Duration};

use peripety_model::Dev;

use super::{AskError, FIRST_LEVEL, LEVEL_STEP, Listed, MapStatus, Maps, Seen, TargetLine, target};

/// How often a target is read that raises no event.
const SILENT: Duration = Duration::from_secs(3600);
/// How often at most, and at least while it changes, one is read that fills up.
const OFTEN: Duration = Duration::from_secs(10);
/// How seldom one is read of which nothing was written since, unless it takes longer to fill.
const QUIET: Duration = Duration::from_secs(60);
/// As fast as anything is taken to fill up: sectors each second (2 GiB).
const FILL_RATE: u64 = 4 << 20;

/// What is known of a map.
#[derive(Debug)]
struct Known {
    listed: Listed,
    read: MapStatus,
    /// When it is read though it raised no event.
    due: Option<Duration>,
    pause: Duration,
}

/// All maps, as far as their status says something.
#[derive(Debug, Default)]
pub struct MapWatch {
    known: BTreeMap<Dev, Known>,
}

impl MapWatch {
    /// How many have a target whose status says something.
    pub fn count(&self) -> usize {
        self.all().count()
    }

    /// The status of all of them, as it was read last.
    pub fn all(&self) -> impl Iterator<Item = &MapStatus> {
        self.known.values().map(|known| &known.read).filter(|status| !status.targets.is_empty())
    }

    /// When it is time to look though nothing happens.
    pub fn due(&self) -> Option<Duration> {
        self.known.values().filter_map(|known| known.due).min()
    }

    /// The next look reads this map, or all of them, whether or not it raised an event.
    pub fn read_again(&mut self, map: Option<Dev>) {
        self.due_now(|dev, _| map.is_none_or(|map| map == dev));
    }

    /// The next look reads those that raise no event, and those that fill up.
    pub fn read_silent_again(&mut self) {
        self.due_now(|_, known| known.due.is_some());
    }

    fn due_now(&mut self, is_meant: impl Fn(Dev, &Known) -> bool) {
        let meant = self.known.iter_mut().filter(|(dev, known)| is_meant(**dev, known));
        meant.for_each(|(_, known)| known.due = Some(Duration::ZERO));
    }

    /// Lists the maps, and reads those that raised an event or are due. Gives what changed.
    ///
    /// # Errors
    /// The maps cannot be listed.
    pub fn look(&mut self, maps: &impl Maps, now: Duration) -> Result<Vec<MapStatus>, AskError> {
        // Armed before it is listed, so that what happens meanwhile wakes again.
        maps.arm()?;
        let listed = maps.list()?;
        let there: BTreeMap<Dev, Listed> = listed.into_iter().map(|map| (map.dev, map)).collect();
        self.known.retain(|dev, _| there.contains_key(dev));
        let mut changed = Vec::new();
        for (dev, map) in there {
            let known = self.known.get(&dev);
            let is_same = known.is_some_and(|known| known.listed == map && map.events.is_some());
            let is_due = known.and_then(|known| known.due).is_some_and(|due| due <= now);
            if is_same && !is_due {
                continue;
            }
            // One that is being taken down may be gone; another one may have its number at the next look.
            let Ok(status) = maps.status(&map) else { continue };
            changed.extend(self.take(map, status, now));
        }
        Ok(changed)
    }

    fn take(&mut self, listed: Listed, status: MapStatus, now: Duration) -> Option<MapStatus> {
        let before = self.known.remove(&listed.dev);
        let before_pause = before.as_ref().map_or(Duration::ZERO, |known| known.pause);
        let unchanged = before.is_some_and(|known| known.read == status);
        let pause = pause(&status, unchanged.then_some(before_pause));
        let due = pause.map(|pause| now + pause);
        let changed = (!unchanged && !status.targets.is_empty()).then(|| status.clone());
        let pause = pause.unwrap_or_default();
        self.known.insert(listed.dev, Known { listed, read: status, due, pause });
        changed
    }
}

/// After how long a map is read again; `quiet` is the pause before, where nothing changed since.
fn pause(status: &MapStatus, quiet: Option<Duration>) -> Option<Duration> {
    let (first, step) = (f64::from(FIRST_LEVEL), f64::from(LEVEL_STEP));
    let of_target = |line: &TargetLine| {
        let fills = line.decode().into_iter().flat_map(|status| status.fills(line.len));
        let soonest = fills.filter_map(|fill| {
            let percent = fill.share.percent().filter(|percent| *percent < 100.0)?;
            let next = if percent < first { first } else { percent - percent % step + step };
            let seconds = (next - percent) / 100.0 * fill.sectors as f64 / FILL_RATE as f64;
            Some(Duration::from_secs_f64(seconds.clamp(OFTEN.as_secs_f64(), SILENT.as_secs_f64())))
        });
        let silent = target(&line.target).filter(|target| target.seen == Seen::ByReading).map(|_| SILENT);
        soonest.chain(silent).min()
    };
    let base = status.targets.iter().filter_map(of_target).min()?;
    Some(quiet.map_or(base, |before| (before * 2).clamp(base, base.max(QUIET))))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// The targets of a map with the lines of their status.
    type Targets = Vec<(&'static str, String)>;

    /// Answers as the kernel does, and counts the questions.
    #[derive(Default)]
    struct Fake {
        maps: RefCell<Vec<(Listed, Targets)>>,
        armed: Cell<u32>,
        reads: Cell<u32>,
    }

    impl Fake {
        fn add(&self, minor: u32, target: &'static str, line: &str) {
            let listed = Listed { dev: Dev::new(254, minor), name: format!("map{minor}"), events: Some(0) };
            self.maps.borrow_mut().push((listed, vec![(target, line.to_owned())]));
        }

        fn says(&self, index: usize, line: &str, raises: bool) {
            let (listed, targets) = &mut self.maps.borrow_mut()[index];
            targets[0].1 = line.to_owned();
            listed.events = listed.events.map(|events| events + u32::from(raises));
        }
    }

    impl Maps for Fake {
        fn arm(&self) -> Result<(), AskError> {
            self.armed.set(self.armed.get() + 1);
            Ok(())
        }

        fn list(&self) -> Result<Vec<Listed>, AskError> {
            Ok(self.maps.borrow().iter().map(|(listed, _)| listed.clone()).collect())
        }

        fn status(&self, map: &Listed) -> Result<MapStatus, AskError> {
            self.reads.set(self.reads.get() + 1);
            let maps = self.maps.borrow();
            let (_, targets) = maps.iter().find(|(listed, _)| listed.dev == map.dev).unwrap();
            let targets = targets.iter().filter(|(target, _)| super::super::target(target).is_some());
            let targets = targets.map(|(target, line)| TargetLine {
                start: 0,
                len: 65536,
                target: (*target).to_owned(),
                line: line.clone(),
                legs: Vec::new(),
            });
            Ok(MapStatus {
                dev: map.dev,
                name: map.name.clone(),
                uuid: String::new(),
                targets: targets.collect(),
            })
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const WHOLE: &str = "2 254:10 254:11 128/128 1 AA 1 core";

    fn lines(changed: &[MapStatus]) -> Vec<String> {
        changed.iter().map(|status| status.targets[0].line.clone()).collect()
    }

    #[test]
    fn a_thousand_maps_of_which_none_says_anything_cost_one_list() {
        let (fake, mut watch) = (Fake::default(), MapWatch::default());
        for minor in 0..1000 {
            fake.add(minor, "linear", "");
        }
        fake.add(1000, "mirror", WHOLE);
        assert_eq!(lines(&watch.look(&fake, SECOND).unwrap()), [WHOLE]);
        assert_eq!((fake.reads.get(), watch.count(), watch.due()), (1001, 1, None));
        // Nothing happened: nothing is read, and nothing is due.
        watch.read_silent_again();
        assert!(watch.look(&fake, 2 * SECOND).unwrap().is_empty());
        assert_eq!((fake.reads.get(), fake.armed.get()), (1001, 2));
    }

    #[test]
    fn each_event_is_read_also_when_it_came_while_nobody_looked() {
        let (fake, mut watch) = (Fake::default(), MapWatch::default());
        fake.add(0, "mirror", WHOLE);
        watch.look(&fake, SECOND).unwrap();
        let dead = "2 254:10 254:11 127/128 1 AD 1 core";
        fake.says(0, dead, true);
        assert_eq!(lines(&watch.look(&fake, 2 * SECOND).unwrap()), [dead]);
        // An event of which the status shows nothing is no message.
        fake.says(0, dead, true);
        assert!(watch.look(&fake, 3 * SECOND).unwrap().is_empty());
        assert_eq!(fake.reads.get(), 3);
        assert_eq!(lines(&watch.all().cloned().collect::<Vec<_>>()), [dead]);
        // Another map has its number.
        fake.maps.borrow_mut()[0].0.name = "other".to_owned();
        fake.says(0, WHOLE, false);
        assert_eq!(lines(&watch.look(&fake, 4 * SECOND).unwrap()), [WHOLE]);
        fake.maps.borrow_mut().clear();
        watch.look(&fake, 5 * SECOND).unwrap();
        assert!(watch.all().next().is_none());
    }

    #[test]
    fn what_raises_no_event_is_read_once_an_hour_and_when_asked_for() {
        let (fake, mut watch) = (Fake::default(), MapWatch::default());
        fake.add(0, "integrity", "0 65536 -");
        watch.look(&fake, SECOND).unwrap();
        assert_eq!(watch.due(), Some(SECOND + SILENT));
        fake.says(0, "1 65536 -", false);
        assert!(watch.look(&fake, 2 * SECOND).unwrap().is_empty());
        watch.read_silent_again();
        assert_eq!(lines(&watch.look(&fake, 3 * SECOND).unwrap()), ["1 65536 -"]);
        fake.says(0, "2 65536 -", false);
        assert_eq!(lines(&watch.look(&fake, 3 * SECOND + SILENT).unwrap()), ["2 65536 -"]);
    }

    #[test]
    fn a_map_is_read_again_when_its_table_came_after_it_or_is_another_one() {
        let (fake, mut watch) = (Fake::default(), MapWatch::default());
        fake.add(0, "linear", "");
        fake.add(1, "mirror", WHOLE);
        watch.look(&fake, SECOND).unwrap();
        assert_eq!(watch.count(), 1);
        fake.maps.borrow_mut()[0].1 = vec![("mirror", WHOLE.to_owned())];
        assert!(watch.look(&fake, 2 * SECOND).unwrap().is_empty());
        let reads = fake.reads.get();
        watch.read_again(Some(Dev::new(254, 0)));
        watch.read_again(Some(Dev::new(254, 9)));
        assert_eq!(lines(&watch.look(&fake, 3 * SECOND).unwrap()), [WHOLE]);
        assert_eq!((watch.count(), fake.reads.get() - reads), (2, 1));
        watch.read_again(None);
        assert!(watch.look(&fake, 4 * SECOND).unwrap().is_empty());
        assert_eq!((watch.due(), fake.reads.get() - reads), (None, 3));
    }

    #[test]
    fn a_pool_is_read_as_often_as_it_may_fill() {
        let (fake, mut watch) = (Fake::default(), MapWatch::default());
        let pool = |used: u32| format!("0 1/2048 {used}/1000 - rw discard_passdown queue_if_no_space - 512");
        fake.add(0, "thin-pool", &pool(100));
        watch.look(&fake, Duration::ZERO).unwrap();
        assert_eq!(watch.due(), Some(OFTEN));
        // While nothing is written it is read ever less often, down to once a minute.
        let (mut now, mut pauses) = (Duration::ZERO, Vec::new());
        for _ in 0..5 {
            now = watch.due().unwrap();
            assert!(watch.look(&fake, now).unwrap().is_empty());
            pauses.push((watch.due().unwrap() - now).as_secs());
        }
        assert_eq!(pauses, [20, 40, 60, 60, 60]);
        fake.says(0, &pool(810), false);
        assert_eq!(lines(&watch.look(&fake, now + QUIET).unwrap()), [pool(810)]);
        assert_eq!(watch.due(), Some(now + QUIET + OFTEN));
        // A large one cannot fill soon.
        let mut large = MapWatch::default();
        let status = |map: &Listed| {
            let mut status = fake.status(map).unwrap();
            status.targets[0].len = 1 << 33;
            status
        };
        let listed = fake.list().unwrap().remove(0);
        large.take(listed.clone(), status(&listed), Duration::ZERO);
        assert_eq!(large.due().unwrap().as_secs(), (1 << 33) / 100 * 4 / FILL_RATE);
    }
}
