//! Lines that say nothing of storage, known without reading them: what a log has most of.
//!
//! A line of the kernel has something to say if a rule, or any other reader of lines, may be about it. All of them know their
//! lines by what they begin with or have in them. Who reads lines in another way has to be named here.

use super::{Line, ahead, boot, devices::from_text, multiline, old};
use crate::parser::{
    FAREWELLS, places,
    rules::{Literals, Rule, RuleSet},
    stack,
};

/// Knows such lines.
#[derive(Debug)]
pub(crate) struct Silent {
    rules: RuleSet,
    /// None if each line has to be read.
    kernel: Option<Literals>,
    /// Whether there are rules of which nothing but their expression is known.
    has_expressions: bool,
    /// Programs that rules are about, by the length of their names: most lines are of others.
    programs: Vec<Vec<String>>,
}

impl Silent {
    /// What none of these rules is about.
    pub(super) fn new(rules: &RuleSet) -> Self {
        let of_others = from_text::beginnings()
            .chain(multiline::beginnings())
            .chain(ahead::BEGINNINGS)
            .chain(places::beginnings())
            .chain(stack::beginnings())
            .chain(FAREWELLS)
            .chain(old::beginnings())
            .chain(boot::FIRST_LINES);
        let beginnings = rules
            .of_kernel()
            .flat_map(|rule| rule.starts_with.iter().map(String::as_str))
            .chain(of_others.map(|start| -> &str { start }));
        let parts = rules
            .of_kernel()
            .filter(|rule| rule.starts_with.is_empty())
            .filter_map(|rule| rule.contains.as_deref())
            .chain(multiline::parts().chain(places::parts()).chain([boot::RTC]).map(|part| -> &str { part }));
        Self {
            kernel: Literals::new(beginnings, parts),
            has_expressions: rules.of_kernel().any(|rule| rule.is_any_line()),
            programs: by_length(rules.rules()),
            rules: rules.clone(),
        }
    }

    /// The rules, for another thread.
    pub(super) fn rules(&self) -> RuleSet {
        self.rules.for_thread()
    }

    /// Whether nobody has anything to read in a line.
    pub(crate) fn is(&self, line: &Line<'_>) -> bool {
        let text = line.text;
        match line.identifier {
            None => {
                self.kernel.as_ref().is_some_and(|kernel| !kernel.has(text))
                    && !(self.has_expressions
                        && self.rules.of_kernel().any(|rule| rule.is_any_line() && rule.may_take(text)))
            }
            Some(program) => {
                program != from_text::PROGRAM
                    && !(self.is_known(program) && self.rules.may_be_about(program, text))
            }
        }
    }

    fn is_known(&self, program: &str) -> bool {
        self.programs.get(program.len()).is_some_and(|names| names.iter().any(|name| name == program))
    }
}

/// The names of programs in lists, of which each has those of one length.
fn by_length(rules: &[Rule]) -> Vec<Vec<String>> {
    let mut lists: Vec<Vec<String>> = Vec::new();
    for name in rules.iter().flat_map(|rule| &rule.identifiers) {
        if lists.len() <= name.len() {
            lists.resize(name.len() + 1, Vec::new());
        }
        if let Some(list) = lists.get_mut(name.len()).filter(|list| !list.contains(name)) {
            list.push(name.clone());
        }
    }
    lists
}

#[cfg(test)]
mod tests;
