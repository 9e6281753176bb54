//! Subjects and keys: `peripety.SITE.HOST.SEVERITY.SUBSYSTEM.TYPE`, and `SITE.HOST` and `SITE.KIND.THING` in the tables.
//!
//! Names come from hosts and from storage, and may be anything. In a subject a dot would be another level, `*` and `>` would be
//! wildcards; keys of a table take letters, digits and `-/_=.` only. So every other byte is written as `=` and two hexadecimal
//! digits, which fits both.

use std::fmt::Write as _;

use peripety_model::{Event, Incident, Severity};

/// The first token of all subjects.
pub const PREFIX: &str = "peripety";
/// What stands for the subsystem in the subject of an incident; its state stands for the type.
pub const INCIDENT: &str = "incident";
/// Bytes of a token: what is longer is cut. A host name of Linux has 64 bytes at most.
const TOKEN_MAX: usize = 200;

/// A name as one token.
pub fn token(name: &str) -> String {
    let mut token = String::new();
    for byte in name.bytes() {
        if token.len() + 3 > TOKEN_MAX {
            break;
        }
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            let _never_fails = write!(token, "={byte:02X}");
        }
    }
    // A token has to be something.
    if token.is_empty() { "=".to_owned() } else { token }
}

/// The name that a token stands for; none if [`token`] does not make it.
pub fn untoken(token: &str) -> Option<String> {
    if token == "=" {
        return Some(String::new());
    }
    let (mut bytes, mut rest) = (Vec::new(), token.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender {
    /// The site, as a token.
    pub site: String,
    /// The host, as a token.
    pub host: String,
}

impl Sender {
    /// By their names.
    pub fn new(site: &str, host: &str) -> Self {
        Self { site: token(site), host: token(host) }
    }

    /// Its key in the table of hosts.
    pub fn key(&self) -> String {
        format!("{}.{}", self.site, self.host)
    }

    /// The subject of a revision of an event.
    pub fn of_event(&self, event: &Event) -> String {
        self.subject(event.severity, event.sub_system.as_str(), event.event_type.as_str())
    }

    /// The subject of a revision of an incident.
    pub fn of_incident(&self, incident: &Incident) -> String {
        self.subject(incident.severity, INCIDENT, incident.state.as_str())
    }

    fn subject(&self, severity: Severity, sub_system: &str, what: &str) -> String {
        let Self { site, host } = self;
        format!("{PREFIX}.{site}.{host}.{severity}.{}.{}", token(sub_system), token(what))
    }
}

/// A subject, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who speaks.
    pub sender: Sender,
    /// How bad, as it stands there.
    pub severity: String,
    /// The subsystem, or [`INCIDENT`].
    pub sub_system: String,
    /// The type of the event, or the state of the incident.
    pub what: String,
}

impl Subject {
    /// None if it is no subject of a host.
    pub fn parse(text: &str) -> Option<Self> {
        let mut tokens = text.split('.').map(str::to_owned);
        if tokens.next()? != PREFIX {
            return None;
        }
        let mut next = || tokens.next().filter(|token| !token.is_empty());
        let sender = Sender { site: next()?, host: next()? };
        let this = Self { sender, severity: next()?, sub_system: next()?, what: next()? };
        tokens.next().is_none().then_some(this)
    }
}

#[cfg(test)]
mod tests {
    use peripety_model::EventType;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hostile_host_stays_in_its_own_place() {
        let mut event =
            Event::new(Default::default(), EventType::BLK_IO_ERROR, "2026-03-01T12:00:00Z".parse().unwrap());
        event.sub_system = peripety_model::SubSystem::new("a.b > *");
        for name in ["db1.example.com", "*", ">", "a b\r\nPUB x", "", "ü", "peripety.north.other"] {
            let sender = Sender::new("north", name);
            let subject = sender.of_event(&event);
            let parsed = Subject::parse(&subject).unwrap();
            assert_eq!(parsed.sender, sender, "{subject}");
            assert_eq!(untoken(&parsed.sender.host).as_deref(), Some(name));
            assert_eq!(parsed.what, "BLK_IO_ERROR");
        }
        assert_eq!(
            Sender::new("n", "db1.x").of_event(&event),
            "peripety.n.db1=2Ex.error.a=2Eb=20=3E=20=2A.BLK_IO_ERROR"
        );
        for text in [
            "",
            "peripety",
            "peripety.a.b.c.d",
            "other.a.b.c.d.e",
            "peripety.a.b.c.d.e.f",
            "peripety..b.c.d.e",
        ] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_one_token_and_two_names_are_two(a in ".{0,30}", b in ".{0,30}") {
            let of = token(&a);
            prop_assert!(of.len() <= TOKEN_MAX && !of.is_empty());
            prop_assert!(of.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)), "{}", of);
            prop_assert_eq!(a == b, of == token(&b));
        }

        #[test]
        fn any_subject_is_taken_apart_or_refused(text in ".{0,60}") {
            let _either = Subject::parse(&text);
            let _either = untoken(&text);
        }
    }
}
