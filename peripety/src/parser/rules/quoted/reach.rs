//! Whether an expression can take any of the lines that a place of the kernel may print: decided on the automaton itself,
//! for every text of a user at once.

use std::collections::BTreeSet;

use regex_automata::{
    nfa::thompson::{NFA, State},
    util::{look::Look, primitives::StateID},
};

use super::format::{Class, Part, User};

/// States of an automaton that some text leads to.
pub(super) struct Reach<'n> {
    nfa: &'n NFA,
    states: BTreeSet<StateID>,
}

impl<'n> Reach<'n> {
    /// Before the first byte.
    pub(super) fn new(nfa: &'n NFA) -> Self {
        let mut states = BTreeSet::new();
        close(nfa, nfa.start_unanchored(), true, false, &mut states);
        Self { nfa, states }
    }

    /// Whether the expression takes one of the texts if the line ends here.
    pub(super) fn takes(&self) -> bool {
        let mut ended = BTreeSet::new();
        for state in &self.states {
            close(self.nfa, *state, false, true, &mut ended);
        }
        ended.iter().any(|state| matches!(self.nfa.state(*state), State::Match { .. }))
    }

    fn step(&self, has: &dyn Fn(u8) -> bool) -> Self {
        let mut states = BTreeSet::new();
        let mut go = |next| close(self.nfa, next, false, false, &mut states);
        for state in &self.states {
            match self.nfa.state(*state) {
                State::ByteRange { trans } if (trans.start..=trans.end).any(has) => go(trans.next),
                State::Sparse(sparse) => {
                    for trans in &*sparse.transitions {
                        if (trans.start..=trans.end).any(has) {
                            go(trans.next);
                        }
                    }
                }
                State::Dense(dense) => {
                    let leads = (0..=u8::MAX).zip(&*dense.transitions).filter(|(byte, _)| has(*byte));
                    // The dead state takes what leads nowhere.
                    leads.filter(|(_, next)| **next != StateID::ZERO).for_each(|(_, next)| go(*next));
                }
                _ => {}
            }
        }
        Self { nfa: self.nfa, states }
    }

    fn add(&mut self, other: Self) -> bool {
        let before = self.states.len();
        self.states.extend(other.states);
        self.states.len() != before
    }

    /// One character of those: a byte of ASCII, or several others.
    fn char(&self, has: &dyn Fn(u8) -> bool) -> Self {
        let mut found = self.step(&|byte| byte < 0x80 && has(byte));
        let high = |reach: &Self| reach.step(&|byte| byte >= 0x80);
        let first = high(self);
        if !first.states.is_empty() {
            found.add(high(&high(&first)));
        }
        found
    }

    /// After a part of a line; `each` is asked wherever the line may end within it.
    pub(super) fn part(mut self, part: &Part, each: &mut dyn FnMut(&Self)) -> Self {
        if self.states.is_empty() {
            return self;
        }
        match part {
            Part::Words(words) => {
                for byte in words.bytes() {
                    self = self.step(&|b| b == byte);
                    if self.states.is_empty() {
                        break;
                    }
                    each(&self);
                }
                self
            }
            Part::Kernel(class) => {
                let has = |byte| class.has(byte);
                self.many(class.least(), if *class == Class::Fill { 16 } else { class.most() }, &has, each)
            }
            Part::User(user) => {
                let has = |byte: u8| user.has(char::from(byte));
                let least = usize::from(*user == User::Netdev);
                self.many(least, user.most(), &has, each)
            }
        }
    }

    fn many(self, least: usize, most: usize, has: &dyn Fn(u8) -> bool, each: &mut dyn FnMut(&Self)) -> Self {
        let mut now = self;
        for _ in 0..least {
            now = now.char(has);
            if now.states.is_empty() {
                return now;
            }
            each(&now);
        }
        let mut all = Self { nfa: now.nfa, states: now.states.clone() };
        for _ in least..most {
            now = now.char(has);
            each(&now);
            // No end in sight, and nothing new.
            let grown = all.add(Self { nfa: now.nfa, states: now.states.clone() });
            if now.states.is_empty() || (most == usize::MAX && !grown) {
                break;
            }
        }
        all
    }
}

fn close(nfa: &NFA, from: StateID, at_start: bool, at_end: bool, into: &mut BTreeSet<StateID>) {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        into.insert(id);
        match nfa.state(id) {
            State::Look { look, next } => {
                let holds = match look {
                    Look::Start => at_start,
                    Look::End => at_end,
                    // Whether a word ends there is not followed: more is taken to be possible than is.
                    _ => true,
                };
                if holds {
                    open.push(*next);
                }
            }
            State::Union { alternates } => open.extend(alternates.iter()),
            State::BinaryUnion { alt1, alt2 } => open.extend([*alt1, *alt2]),
            State::Capture { next, .. } => open.push(*next),
            _ => {}
        }
    }
}
