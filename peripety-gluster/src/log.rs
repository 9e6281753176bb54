//! Lines of GlusterFS' own log files:
//! `[DATE TIME.US +0000] LEVEL [MSGID: N] [FILE.c:LINE:FUNCTION] 0-DOMAIN: text [{key=value}, …]`.
//!
//! The MSGID is what lasts over versions, the text is not. They say what datagrams say, and why a health check failed, of which a
//! brick sends none before it ends.

use crate::hint::{Hint, Report};

/// A line, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When, as it stands there; UTC, and microseconds with versions that write them.
    pub time: &'a str,
    /// M emergency, A alert, C critical, E error, W warning, N notice, I information, D debug, T trace.
    pub level: char,
    /// Number of the message; none in versions and places without.
    pub id: Option<u32>,
    /// The translator or part: `0-management`, `0-rep-posix`.
    pub domain: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// Takes a line apart; none for one of another form.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (time, rest) = line.strip_prefix('[')?.split_once("] ")?;
        let is_time = time.len() >= 19 && time.bytes().take(4).all(|byte| byte.is_ascii_digit());
        let mut characters = rest.chars();
        let level = characters.next().filter(|level| is_time && "MACEWNIDT".contains(*level))?;
        let mut rest = characters.as_str().trim_start();
        let mut id = None;
        if let Some(numbered) = rest.strip_prefix("[MSGID: ") {
            let (number, after) = numbered.split_once("] ")?;
            (id, rest) = (number.parse().ok(), after);
        }
        // A stack of callers may stand before the place: (-->f [0x1] -->g [0x2] ).
        if let Some(at) = rest.strip_prefix('[') {
            rest = at.split_once("] ")?.1;
        }
        if rest.starts_with('(') {
            rest = rest.split_once(") ").map_or(rest, |(_, after)| after);
        }
        let (domain, text) = rest.split_once(": ")?;
        Some(Self { time, level, id, domain, text: text.trim_end() })
    }
}

/// What a line reports; none for what is of no interest.
pub fn hint(line: &str) -> Option<Hint> {
    let line = Line::parse(line)?;
    match line.id? {
        // OPERATION() on BRICK/.glusterfs/health_check returned ret is -1 error is ERROR [ERROR], then: health-check failed, going
        // down. The volume is in the domain.
        113_075 => {
            let volume = line.domain.strip_prefix("0-")?.strip_suffix("-posix")?.to_owned();
            Some(match health_check(line.text) {
                Some((path, why)) => Hint::Reason { volume: Some(volume), path, why },
                None => Hint::Changed,
            })
        }
        // A brick or a peer has disconnected from glusterd; a peer was added, or accepted; a brick signed in or out
        106_004 | 106_005 | 106_142..=106_144 | 106_487 | 106_488 | 106_490 | 106_493 => Some(Hint::Changed),
        // Server quorum lost for volume NAME. Stopping local bricks. / regained
        id @ (106_002 | 106_003) => {
            let volume = line.text.split(" for volume ").nth(1)?.split('.').next()?;
            Some(Hint::Report(Report::ServerQuorum { volume: volume.to_owned(), lost: id == 106_002 }))
        }
        // afr: an entry is in split-brain
        108_008 => Some(Hint::Heal),
        _ => None,
    }
}

/// The brick whose health check failed, and how.
fn health_check(text: &str) -> Option<(String, String)> {
    let (operation, rest) = text.split_once("() on ")?;
    let (path, rest) = rest.split_once("/.glusterfs/health_check returned ")?;
    let error = rest.split_once(" error is ")?.1.split(" [").next()?.trim();
    Some((path.to_owned(), format!("health check failed ({operation}: {error})")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_that_glusterd_wrote() {
        for (line, expected) in [
            (
                "[2026-11-30 09:45:14.403751 +0000] I [MSGID: 106143] [glusterd-pmap.c:357:pmap_port_remove] 0-pmap: removing brick /bricks/b/dist on port 55477 ",
                Some(Hint::Changed),
            ),
            (
                "[2026-11-30 09:45:14.410000 +0000] I [MSGID: 106005] [glusterd-handler.c:6047:__glusterd_brick_rpc_notify] 0-management: Brick 10.77.0.1:/bricks/b/rep has disconnected from glusterd. ",
                Some(Hint::Changed),
            ),
            (
                "[2026-11-30 09:45:14.410000 +0000] C [MSGID: 106002] [glusterd-server-quorum.c:355:glusterd_do_volume_quorum_action] 0-management: Server quorum lost for volume rep. Stopping local bricks. ",
                Some(Hint::Report(Report::ServerQuorum { volume: "rep".to_owned(), lost: true })),
            ),
            (
                "[2026-11-30 09:45:14.410000 +0000] M [MSGID: 113075] [posix-helpers.c:2214:posix_health_check_thread_proc] 0-rep-posix: health-check failed, going down ",
                Some(Hint::Changed),
            ),
            (
                "[2026-11-30 10:57:38.037637 +0000] W [MSGID: 113075] [posix-helpers.c:2081:posix_fs_health_check] 0-rep-posix: open_for_write() on /bricks/b/rep/.glusterfs/health_check returned ret is -1 error is Input/output error [Input/output error]",
                Some(Hint::Reason {
                    volume: Some("rep".to_owned()),
                    path: "/bricks/b/rep".to_owned(),
                    why: "health check failed (open_for_write: Input/output error)".to_owned(),
                }),
            ),
            (
                "[2026-11-30 09:44:17.859155 +0000] I [MSGID: 106568] [glusterd-svc-mgmt.c:265:glusterd_svc_stop] 0-management: scrub service is stopped ",
                None,
            ),
            ("a line of something else", None),
        ] {
            assert_eq!(hint(line), expected, "{line}");
        }
    }

    #[test]
    fn a_line_with_its_callers() {
        let line = "[2026-11-30 09:43:22.829900 +0000] W [glusterfsd.c:1458:cleanup_and_exit] (-->glusterd(a+0x1) [0x1] -->glusterd(b+0x2) [0x2] ) 0-: received signum (15), shutting down";
        let line = Line::parse(line).unwrap();
        assert_eq!((line.level, line.id, line.text), ('W', None, "received signum (15), shutting down"));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line: String, rest: String) {
            let _any = hint(&line);
            let _any = hint(&format!("[2026-11-30 09:45:14.410000 +0000] {rest}"));
            let _any = hint(&format!("[2026-11-30 09:45:14 +0000] C [MSGID: 106002] [a.c:1:f] 0-x: {rest}"));
        }
    }
}
