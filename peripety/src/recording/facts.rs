//! The facts about devices that the engine was given, and giving them again.
//!
//! The engine asks the same questions in the same order when it is given the same records. So only an answer that is not
//! the one before to the same question is kept, with the number of the asking for which it came; the first answer counts
//! as "no such device" where nothing is kept.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::block::{BlkInfo, Dev, DeviceFacts};

/// Questions whose answers are remembered; past it all are forgotten and answers reported anew.
const QUESTIONS_MAX: usize = 8192;

/// What the engine asks about devices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// By number.
    Dev(Dev),
    /// By name.
    Name(String),
}

/// An answer that is another than the one before to the same question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The question.
    #[serde(flatten)]
    pub question: Question,
    /// How often it was asked before for the same record.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nth: u64,
    /// The device, if there is one.
    pub is: Option<Arc<BlkInfo>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The answer in force to each question that has one.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Question, Arc<BlkInfo>>);

impl Known {
    fn is(&self, question: &Question, answer: Option<&Arc<BlkInfo>>) -> bool {
        match (self.0.get(question), answer) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old == new,
            (None, None) => true,
            _ => false,
        }
    }

    fn set(&mut self, question: Question, answer: Option<Arc<BlkInfo>>) {
        match answer {
            Some(info) => {
                self.0.insert(question, info);
            }
            None => {
                self.0.remove(&question);
            }
        }
    }

    /// Forgets all, before there are too many.
    pub(super) fn prune(&mut self) -> bool {
        let too_many = self.0.len() > QUESTIONS_MAX;
        if too_many {
            self.0.clear();
        }
        too_many
    }
}

/// Passes questions on, and notes the answers that are changes.
pub(super) struct FactsRecorder<'f> {
    facts: &'f dyn DeviceFacts,
    inner: RefCell<Seen<'f>>,
}

struct Seen<'f> {
    known: &'f mut Known,
    asked: HashMap<Question, u64>,
    changes: Vec<Change>,
}

impl<'f> FactsRecorder<'f> {
    pub(super) fn new(facts: &'f dyn DeviceFacts, known: &'f mut Known) -> Self {
        Self { facts, inner: RefCell::new(Seen { known, asked: HashMap::new(), changes: Vec::new() }) }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.inner.into_inner().changes
    }

    fn note(&self, question: Question, answer: Option<Arc<BlkInfo>>) -> Option<Arc<BlkInfo>> {
        let mut seen = self.inner.borrow_mut();
        let Seen { known, asked, changes } = &mut *seen;
        let is_change = !known.is(&question, answer.as_ref());
        let nth = asked.entry(question.clone()).or_default();
        if is_change {
            known.set(question.clone(), answer.clone());
            changes.push(Change { question, nth: *nth, is: answer.clone() });
        }
        *nth += 1;
        answer
    }
}

impl DeviceFacts for FactsRecorder<'_> {
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.note(Question::Dev(dev), self.facts.by_dev(dev, at_ns))
    }

    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.note(Question::Name(name.to_owned()), self.facts.by_name(name, at_ns))
    }
}

/// Gives recorded answers. What was not recorded is not known.
#[derive(Debug, Default)]
pub(crate) struct Answers(RefCell<RecordedAnswers>);

#[derive(Debug, Default)]
struct RecordedAnswers {
    known: Known,
    /// For the record in hand: what is still to become known, by question, the next one last.
    changes: HashMap<Question, Vec<Change>>,
    asked: HashMap<Question, u64>,
}

impl Answers {
    /// Change for the next record. What was not asked for by the one before is in force from now on, too.
    pub(crate) fn next(&self, changes: Vec<Change>) {
        let mut given = self.0.borrow_mut();
        let RecordedAnswers { known, changes: waiting, asked } = &mut *given;
        for (question, left) in waiting.drain() {
            if let Some(last) = left.into_iter().next() {
                known.set(question, last.is);
            }
        }
        asked.clear();
        for one in changes.into_iter().rev() {
            waiting.entry(one.question.clone()).or_default().push(one);
        }
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&self) {
        *self.0.borrow_mut() = RecordedAnswers::default();
    }

    fn answer(&self, question: Question) -> Option<Arc<BlkInfo>> {
        let mut given = self.0.borrow_mut();
        let RecordedAnswers { known, changes, asked } = &mut *given;
        if let Some(waiting) = changes.get_mut(&question) {
            let nth = asked.entry(question.clone()).or_default();
            while let Some(due) = waiting.pop_if(|next| next.nth <= *nth) {
                known.set(question.clone(), due.is);
            }
            *nth += 1;
        }
        known.0.get(&question).cloned()
    }
}

impl DeviceFacts for Answers {
    fn by_dev(&self, dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.answer(Question::Dev(dev))
    }

    fn by_name(&self, name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.answer(Question::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::block::BlkId;

    fn device(serial: u64) -> Option<Arc<BlkInfo>> {
        let id = BlkId { serial: serial.to_string(), ..BlkId::default() };
        (serial != 0).then(|| Arc::new(BlkInfo { id, ..BlkInfo::default() }))
    }

    /// Every answer as the test says.
    struct Script(Cell<u64>);

    impl DeviceFacts for Script {
        fn by_dev(&self, _dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
            device(self.0.get())
        }

        fn by_name(&self, _name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
            device(self.0.get())
        }
    }

    proptest::proptest! {
        /// Records of some questions each; the answers change as they like.
        #[test]
        fn every_asking_gets_the_answer_that_it_got(records in proptest::collection::vec(
            proptest::collection::vec((0u32..3, 0u64..3), 0..6), 0..12
        )) {
            let (script, mut known, answers) = (Script(Cell::new(0)), Known::default(), Answers::default());
            for asks in records {
                let listening = FactsRecorder::new(&script, &mut known);
                let ask = |facts: &dyn DeviceFacts, what: u32| match what {
                    0 => facts.by_name("sda", None),
                    minor => facts.by_dev(Dev::new(8, minor), None),
                };
                let given: Vec<_> = asks.iter().map(|(what, answer)| {
                    script.0.set(*answer);
                    ask(&listening, *what)
                }).collect();
                answers.next(listening.into_changes());
                let again: Vec<_> = asks.iter().map(|(what, _)| ask(&answers, *what)).collect();
                proptest::prop_assert_eq!(given, again);
            }
        }
    }

    #[test]
    fn the_same_answer_is_told_once() {
        let (script, mut known) = (Script(Cell::new(1)), Known::default());
        for reported in [1, 0, 0] {
            let listening = FactsRecorder::new(&script, &mut known);
            let _ = listening.by_dev(Dev::new(8, 0), Some(1));
            let _ = listening.by_dev(Dev::new(8, 0), Some(2));
            assert_eq!(listening.into_changes().len(), reported);
        }
    }
}
