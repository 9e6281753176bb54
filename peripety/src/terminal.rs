//! What both programs print to a terminal with.

use std::{io::IsTerminal as _, os::fd::AsFd as _, sync::OnceLock};

/// Columns of a terminal that does not say how many it has.
const USUAL_WIDTH: usize = 80;

/// Columns of the terminal where a pager shows what goes to stdout.
static PAGED: OnceLock<Option<usize>> = OnceLock::new();

/// From now on stdout leads to a terminal with so many columns, through a pager.
pub(crate) fn keep_width(width: Option<usize>) {
    let _set_once = PAGED.set(width);
}

/// Columns of the terminal on stdout; none when it is none.
pub(crate) fn width() -> Option<usize> {
    if let Some(paged) = PAGED.get() {
        return *paged;
    }
    let stdout = std::io::stdout();
    stdout.is_terminal().then(|| {
        let columns = rustix::termios::tcgetwinsize(stdout.as_fd()).map_or(0, |size| size.ws_col);
        if columns == 0 { USUAL_WIDTH } else { usize::from(columns) }
    })
}

/// The error with its causes, without those that the words before say already.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |error| error.source()) {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
