//! Asks filesystems on a thread beside: one that hangs holds whoever uses a path of it.
//!
//! There is one thread as long as all answer. Where one does not in time, its thread is left to it, another one asks the rest,
//! and its answer is taken whenever it comes.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use peripety_model::Dev;
use rustix::event::{EventfdFlags, eventfd};

/// How long a filesystem may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Threads that are left to filesystems which hang; with so many, nothing more is asked.
pub(super) const HANGING_MAX: usize = 32;

/// Bytes for each of them.
const STACK: usize = 256 << 10;

/// Asks one after the other.
pub(super) struct Asker<Q, A> {
    ask: Arc<dyn Fn(Q) -> A + Send + Sync>,
    todo: VecDeque<(Dev, Q)>,
    /// The thread that asks; none before the first question, and after one that hangs.
    worker: Option<Sender<(Dev, Q)>>,
    asked: Option<(Dev, Instant)>,
    hanging: BTreeSet<Dev>,
    answers: Receiver<(Dev, A)>,
    give: Sender<(Dev, A)>,
    wake: Arc<OwnedFd>,
    /// Why the rest was not asked.
    why_not: Option<String>,
}

impl<Q: Send + 'static, A: Send + 'static> Asker<Q, A> {
    /// Asks nothing yet.
    pub(super) fn new(ask: impl Fn(Q) -> A + Send + Sync + 'static) -> io::Result<Self> {
        let (give, answers) = channel();
        Ok(Self {
            ask: Arc::new(ask),
            todo: VecDeque::new(),
            worker: None,
            asked: None,
            hanging: BTreeSet::new(),
            answers,
            give,
            wake: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            why_not: None,
        })
    }

    /// Asks these from now on, in place of those that were not asked yet. Those that hang are not asked again.
    pub(super) fn begin(&mut self, all: impl IntoIterator<Item = (Dev, Q)>) {
        self.todo = all.into_iter().filter(|(dev, _)| !self.hanging.contains(dev)).collect();
        self.why_not = None;
    }

    /// Readable when there is an answer.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// How long to wait at most before [`Asker::go_on`].
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.asked.map(|(_, since)| PATIENCE.saturating_sub(since.elapsed()))
    }

    /// Whether all have answered, or hang.
    pub(super) fn is_done(&self) -> bool {
        self.asked.is_none() && self.todo.is_empty()
    }

    /// Whether it hangs: it was asked, and has not answered.
    pub(super) fn hangs(&self, dev: Dev) -> bool {
        self.hanging.contains(&dev)
    }

    /// Why some were not asked, if they were not.
    pub(super) fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    /// Takes the answers that there are, and asks the next one.
    pub(super) fn go_on(&mut self) -> Vec<(Dev, A)> {
        let mut count = [0; 8];
        let _none = rustix::io::read(&self.wake, &mut count);
        let mut answers = Vec::new();
        loop {
            while let Ok((dev, answer)) = self.answers.try_recv() {
                if !self.hanging.remove(&dev) {
                    self.asked = None;
                }
                answers.push((dev, answer));
            }
            if let Some((dev, since)) = self.asked {
                if since.elapsed() < PATIENCE {
                    return answers;
                }
                self.hanging.insert(dev);
                (self.asked, self.worker) = (None, None);
            }
            let Some((dev, question)) = self.todo.pop_front() else { return answers };
            if let Err(why) = self.send(dev, question) {
                self.todo.clear();
                self.why_not = Some(why);
                return answers;
            }
        }
    }

    fn send(&mut self, dev: Dev, question: Q) -> Result<(), String> {
        if self.hanging.len() >= HANGING_MAX {
            return Err(format!("not asked: {HANGING_MAX} other filesystems do not answer"));
        }
        if self.worker.is_none() {
            self.worker = Some(self.start().map_err(|error| format!("no thread to ask it: {error}"))?);
        }
        let sent = self.worker.as_ref().is_some_and(|worker| worker.send((dev, question)).is_ok());
        if !sent {
            self.worker = None;
            return Err("the thread that asks ended".to_owned());
        }
        self.asked = Some((dev, Instant::now()));
        Ok(())
    }

    fn start(&self) -> io::Result<Sender<(Dev, Q)>> {
        let (worker, questions) = channel();
        let (ask, give, wake) = (Arc::clone(&self.ask), self.give.clone(), Arc::clone(&self.wake));
        let run = move || {
            // Ends when another thread has taken its place.
            while let Ok((dev, question)) = questions.recv() {
                if give.send((dev, ask(question))).is_err() {
                    return;
                }
                let _is_readable_already = rustix::io::write(&wake, &1_u64.to_ne_bytes());
            }
        };
        thread::Builder::new().name("ask".to_owned()).stack_size(STACK).spawn(run).map(|_| worker)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    const fn dev(minor: u32) -> Dev {
        Dev::new(8, minor)
    }

    /// Goes on until it is done, as the program does, and for no longer than is allowed.
    fn done<A: Send + 'static>(asker: &mut Asker<u32, A>, most: Duration) -> Vec<(Dev, A)> {
        let begin = Instant::now();
        let mut answers = Vec::new();
        loop {
            answers.extend(asker.go_on());
            if asker.is_done() {
                return answers;
            }
            assert!(begin.elapsed() < most, "not done after {:?}", begin.elapsed());
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn one_that_hangs_is_named_and_holds_up_none_of_the_others() {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let held = Arc::clone(&gate);
        let ask = move |minor: u32| {
            if minor == 2 {
                let mut open = held.0.lock().unwrap();
                while !*open {
                    open = held.1.wait(open).unwrap();
                }
            }
            minor * 10
        };
        let mut asker = Asker::new(ask).unwrap();
        let all = || (1..=5).map(|minor| (dev(minor), minor));
        asker.begin(all());
        let answers = done(&mut asker, PATIENCE * 3);
        assert_eq!(answers, [1, 3, 4, 5].map(|minor| (dev(minor), minor * 10)));
        assert!(asker.hangs(dev(2)) && !asker.hangs(dev(3)));
        // It is not asked again while it hangs, and no time is lost with it.
        let begin = Instant::now();
        asker.begin(all());
        assert_eq!(done(&mut asker, PATIENCE).len(), 4);
        assert!(begin.elapsed() < PATIENCE);
        // When it answers at last, that counts.
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let begin = Instant::now();
        while asker.hangs(dev(2)) {
            assert!(begin.elapsed() < PATIENCE * 5, "it does not come back");
            for (of, answer) in asker.go_on() {
                assert_eq!((of, answer), (dev(2), 20));
            }
            thread::sleep(Duration::from_millis(2));
        }
        asker.begin(all());
        assert_eq!(done(&mut asker, PATIENCE * 3).len(), 5);
    }

    #[test]
    fn threads_that_hang_are_bounded() {
        let mut asker = Asker::<u32, ()>::new(|_| ()).unwrap();
        asker.hanging = (100..).take(HANGING_MAX).map(dev).collect();
        asker.begin([(dev(1), 1)]);
        assert!(done(&mut asker, PATIENCE).is_empty());
        assert!(asker.why_not().is_some_and(|why| why.contains("do not answer")), "{:?}", asker.why_not());
    }
}
