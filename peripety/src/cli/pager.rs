//! Output that is longer than the terminal, through a pager.
//!
//! What is printed goes to the pager's standard input instead of the terminal; width and colours are those of the terminal.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    process::{Child, Command, Stdio},
};

use anstream::{AutoStream, ColorChoice};

use crate::terminal;

/// Programs that stand for one, the first that is set counts.
const VARIABLES: [&str; 2] = ["PERIPETY_PAGER", "PAGER"];
/// Without one. `less` shows what fits the screen and ends, leaves colours, and marks lines that it has cut.
const USUAL: &str = "less";
const OPTIONS: &str = "FRSXMK";

/// A running pager. It is waited for at the end of its scope.
pub(super) struct Pager(Child);

impl Pager {
    /// Starts one where standard output is a terminal and the user did not say otherwise.
    pub(super) fn start() -> Option<Self> {
        let stdout = io::stdout();
        if !stdout.is_terminal() || env::var_os("TERM").is_some_and(|term| term == "dumb") {
            return None;
        }
        let mut pager = command(VARIABLES.into_iter().find_map(env::var_os))?;
        let (width, colours) = (terminal::width(), AutoStream::choice(&stdout) != ColorChoice::Never);
        ignore_interrupt()?;
        let mut child = pager.stdin(Stdio::piped()).spawn().ok()?;
        let to = child.stdin.take()?;
        rustix::stdio::dup2_stdout(&to).ok()?;
        terminal::keep_width(width);
        if colours {
            ColorChoice::Always.write_global();
        }
        Some(Self(child))
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        let _it_may_have_been_left = io::stdout().flush();
        // The pager ends when nobody can write to it any more.
        if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
            let _nothing_more_is_printed = rustix::stdio::dup2_stdout(&nowhere);
        }
        let _it_is_gone = self.0.wait();
    }
}

/// The pager that the user wants; none where that is no pager, or there is none.
fn command(wanted: Option<OsString>) -> Option<Command> {
    let mut command = match wanted {
        Some(wanted) if wanted.is_empty() || wanted == "cat" => return None,
        Some(wanted) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(wanted);
            shell
        }
        None => {
            let path = env::var_os("PATH")?;
            env::split_paths(&path).map(|dir| dir.join(USUAL)).find(|program| program.is_file())?;
            Command::new(USUAL)
        }
    };
    if env::var_os("LESS").is_none() {
        command.env("LESS", OPTIONS);
    }
    // Who may run prpt as root may not for that run a shell as root from its pager.
    if rustix::process::geteuid().is_root() && env::var_os("SUDO_UID").is_some() {
        command.env("LESSSECURE", "1");
    }
    Some(command)
}

/// An interrupt is for the pager: it stops reading, and is left with its own key.
fn ignore_interrupt() -> Option<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let _guard = runtime.enter();
    // From now on it is taken for good, and nobody looks at what came.
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_sets_counts() {
        assert!(command(Some(OsString::new())).is_none(), "an empty one is none");
        assert!(command(Some("cat".into())).is_none());
        let most = command(Some("most -s".into())).unwrap();
        assert_eq!(most.get_program(), "sh");
        assert!(most.get_args().any(|arg| arg == "most -s"));
    }

    #[test]
    fn nothing_is_paged_that_goes_to_no_terminal() {
        if !io::stdout().is_terminal() {
            assert!(Pager::start().is_none());
        }
    }
}
