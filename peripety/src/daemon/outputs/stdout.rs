//! Events on standard output, for a human.

use super::Output;
use crate::{
    notifier::{
        self,
        plain::Style,
        stdout::{NAME, Stdout},
    },
    terminal,
};

/// How many events may wait for the terminal.
const CAPACITY: usize = 1024;

/// This output.
pub(super) const OUTPUT: Output = Output {
    name: NAME,
    keeps: false,
    wanted: |context| context.asked.stdout || context.main.notify_stdout,
    start: |_| {
        let style = Style { width: terminal::width(), colour: true, ..Style::default() };
        notifier::spawn(Stdout::new(style), CAPACITY)
    },
};
