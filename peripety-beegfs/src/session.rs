//! One server over all its connections: what to answer, which events came, what was lost. No I/O.

use crate::{
    event::{FileEvent, Version},
    message::{CloseReason, Message, is_message},
    places::Places,
    wire::DecodeError,
};

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// Version 1: the server could not deliver them: nobody listened, or not fast enough.
    Dropped,
    /// Version 1: they were about several paths and name only one.
    Missed,
    /// Version 2: the server's queue made room before they were asked for.
    Overwritten,
    /// Version 2: numbers were left out.
    Gap,
    /// Version 2: the server's numbers began anew.
    Renumbered,
    /// A packet came that is no event.
    Malformed,
}

impl LossKind {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Missed => "missed",
            Self::Overwritten => "overwritten",
            Self::Gap => "gap",
            Self::Renumbered => "renumbered",
            Self::Malformed => "malformed",
        }
    }
}

/// Events that will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub kind: LossKind,
    /// How many; absent if that cannot be known.
    pub count: Option<u64>,
}

/// What a packet gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// Packets to send.
    pub send: Vec<Vec<u8>>,
    /// What is missing before the event.
    pub lost: [Option<Loss>; 2],
    /// The event.
    pub event: Option<FileEvent<'a>>,
    /// Of version 2: the server and the number of the event that comes next.
    pub next: Option<(u32, u64)>,
    /// The server ends the stream.
    pub closed: Option<CloseReason>,
    /// The packet is wrong.
    pub error: Option<DecodeError>,
    /// The connection is of no use.
    pub hang_up: bool,
}

/// Where to begin with a server of version 2 that is not known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest event that it has.
    #[default]
    Oldest,
    /// With what comes from now on.
    Newest,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    New,
    One,
    /// Asked which numbers there are.
    Asked {
        meta_id: u32,
    },
    Streaming {
        meta_id: u32,
        next: u64,
    },
}

/// A server.
#[derive(Debug)]
pub struct Session {
    begin: Begin,
    places: Places,
    /// Version 1: the counters of dropped and missed that came last.
    counters: Option<(u64, u64)>,
    state: State,
}

impl Session {
    /// A server that has not connected yet.
    pub const fn new(begin: Begin, places: Places) -> Self {
        Self { begin, places, counters: None, state: State::New }
    }

    /// It connected.
    pub const fn connected(&mut self) {
        self.state = State::New;
    }

    /// A packet of it.
    pub fn packet<'a>(&mut self, packet: &'a [u8]) -> Received<'a> {
        if self.state != State::One && is_message(packet) {
            match Message::decode(packet) {
                Ok(message) => self.message(message).unwrap_or_else(|| unexpected(packet)),
                Err(error) => Received { error: Some(error), hang_up: true, ..Received::default() },
            }
        } else if matches!(self.state, State::New | State::One) {
            self.version_1(packet)
        } else {
            unexpected(packet)
        }
    }

    fn version_1<'a>(&mut self, packet: &'a [u8]) -> Received<'a> {
        let event = match FileEvent::of_version_1(packet) {
            Ok(event) => event,
            Err(error) => {
                // A first packet that is none is from no metadata server.
                let hang_up = self.state == State::New;
                let lost = (!hang_up).then_some(Loss { kind: LossKind::Malformed, count: Some(1) });
                return Received { error: Some(error), lost: [lost, None], hang_up, ..Received::default() };
            }
        };
        self.state = State::One;
        let mut lost = [None, None];
        if let Version::One { dropped, missed, .. } = event.version {
            let (dropped_before, missed_before) = self.counters.unwrap_or_default();
            // A counter that went back is that of a server that was started anew.
            let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            let loss = |kind, count| (count > 0).then_some(Loss { kind, count: Some(count) });
            lost = [
                loss(LossKind::Dropped, grown(dropped, dropped_before)),
                loss(LossKind::Missed, grown(missed, missed_before)),
            ];
            self.counters = Some((dropped, missed));
        }
        Received { lost, event: Some(event), ..Received::default() }
    }

    /// None: it does not belong here.
    fn message<'a>(&mut self, message: Message<'a>) -> Option<Received<'a>> {
        Some(match (message, self.state) {
            (Message::HandshakeResponse { meta_id, .. }, State::New) => {
                self.state = State::Asked { meta_id };
                let send = [Message::HandshakeRequest, Message::RangeRequest];
                Received { send: send.iter().map(Message::encode).collect(), ..Received::default() }
            }
            (Message::Range { next, oldest }, State::Asked { meta_id }) => self.start(meta_id, next, oldest),
            (Message::Event { number, bytes }, State::Streaming { meta_id, next }) => {
                self.event(meta_id, next, number, bytes)
            }
            (Message::Close(reason), _) => {
                Received { closed: Some(reason), hang_up: true, ..Received::default() }
            }
            // An answer to a question that was not asked costs nothing.
            (Message::Newest { .. } | Message::Range { .. }, State::Streaming { .. }) => Received::default(),
            _ => return None,
        })
    }

    fn start<'a>(&mut self, meta_id: u32, next: u64, oldest: u64) -> Received<'a> {
        let (first, lost) = match self.places.next_of(meta_id) {
            None if self.begin == Begin::Newest => (next, None),
            None => (oldest, None),
            Some(wanted) if wanted > next => (oldest, Some(Loss { kind: LossKind::Renumbered, count: None })),
            Some(wanted) if wanted < oldest => {
                (oldest, Some(Loss { kind: LossKind::Overwritten, count: Some(oldest - wanted) }))
            }
            Some(wanted) => (wanted, None),
        };
        self.state = State::Streaming { meta_id, next: first };
        self.places.set(meta_id, first);
        Received {
            send: vec![Message::Start { first }.encode()],
            lost: [lost, None],
            next: Some((meta_id, first)),
            ..Received::default()
        }
    }

    fn event<'a>(&mut self, meta_id: u32, expected: u64, number: u64, bytes: &'a [u8]) -> Received<'a> {
        if number < expected {
            return Received::default();
        }
        let next = number.saturating_add(1);
        self.state = State::Streaming { meta_id, next };
        self.places.set(meta_id, next);
        let gap = number - expected;
        let gap = (gap > 0).then_some(Loss { kind: LossKind::Gap, count: Some(gap) });
        let received = Received { next: Some((meta_id, next)), ..Received::default() };
        match FileEvent::of_version_2(bytes) {
            Ok(event) => Received { lost: [gap, None], event: Some(event), ..received },
            Err(error) => {
                let malformed = Loss { kind: LossKind::Malformed, count: Some(1) };
                Received { lost: [gap, Some(malformed)], error: Some(error), ..received }
            }
        }
    }
}

/// A packet that no metadata server sends now.
fn unexpected<'a>(packet: &[u8]) -> Received<'a> {
    let error = DecodeError::Kind(packet.first().copied().unwrap_or_default());
    Received { error: Some(error), hang_up: true, ..Received::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::EventType;

    fn version_1(dropped: u64, missed: u64) -> Vec<u8> {
        event(Version::One { minor: 0, size: 0, dropped, missed })
    }

    fn event(version: Version) -> Vec<u8> {
        let kind = EventType::Known("Create");
        let (path, none) = (&b"/a"[..], &b""[..]);
        let event = FileEvent {
            kind,
            entry_id: b"1-1-1",
            parent_entry_id: b"root",
            path,
            target_path: none,
            target_parent_id: none,
            version,
        };
        event.encode()
    }

    fn numbered(number: u64) -> Vec<u8> {
        let bytes = event(Version::Two { flags: 0, links: 1, user: 0, time_ns: 1 });
        Message::Event { number, bytes: &bytes }.encode()
    }

    /// Connects it, and gives what it asks for first.
    fn stream(session: &mut Session, next: u64, oldest: u64) -> (Vec<u8>, Option<Loss>) {
        session.connected();
        let hello = Message::HandshakeResponse { meta_id: 7, mirror_group: 0 }.encode();
        let answer = session.packet(&hello).send;
        assert_eq!(answer, [Message::HandshakeRequest.encode(), Message::RangeRequest.encode()]);
        let range = Message::Range { next, oldest }.encode();
        let mut received = session.packet(&range);
        (received.send.remove(0), received.lost[0])
    }

    fn lost(kind: LossKind, count: u64) -> Option<Loss> {
        Some(Loss { kind, count: Some(count) })
    }

    #[test]
    fn counters_of_version_1_say_what_is_missing_and_survive_both_sides() {
        let mut session = Session::new(Begin::Oldest, Places::default());
        session.connected();
        let mut next = |dropped, missed| session.packet(&version_1(dropped, missed)).lost;
        assert_eq!(next(2, 0), [lost(LossKind::Dropped, 2), None], "before we came");
        assert_eq!(next(2, 0), [None, None]);
        assert_eq!(next(5, 1), [lost(LossKind::Dropped, 3), lost(LossKind::Missed, 1)]);
        session.connected();
        assert_eq!(session.packet(&version_1(1, 1)).lost, [lost(LossKind::Dropped, 1), None], "started anew");
    }

    #[test]
    fn version_2_goes_on_where_it_was() {
        let mut session = Session::new(Begin::Oldest, Places::default());
        assert_eq!(stream(&mut session, 5, 3), (Message::Start { first: 3 }.encode(), None));
        assert_eq!(session.packet(&numbered(3)).next, Some((7, 4)));
        assert_eq!(session.packet(&numbered(3)), Received::default(), "again");
        assert_eq!(session.packet(&numbered(6)).lost[0], lost(LossKind::Gap, 2));
        assert_eq!(stream(&mut session, 9, 3), (Message::Start { first: 7 }.encode(), None));
        let overwritten = lost(LossKind::Overwritten, 13);
        assert_eq!(stream(&mut session, 30, 20), (Message::Start { first: 20 }.encode(), overwritten));
        let renumbered = Some(Loss { kind: LossKind::Renumbered, count: None });
        assert_eq!(stream(&mut session, 2, 0), (Message::Start { first: 0 }.encode(), renumbered));
        let mut newest = Session::new(Begin::Newest, Places::default());
        assert_eq!(stream(&mut newest, 30, 20), (Message::Start { first: 30 }.encode(), None));
    }

    #[test]
    fn an_event_that_cannot_be_read_is_a_loss_and_the_next_one_comes() {
        let mut session = Session::new(Begin::Oldest, Places::default());
        stream(&mut session, 0, 0);
        let broken = Message::Event { number: 0, bytes: b"\x02\0xx" }.encode();
        let received = session.packet(&broken);
        assert_eq!(received.lost[1], lost(LossKind::Malformed, 1));
        assert!(received.error.is_some() && !received.hang_up);
        assert!(session.packet(&numbered(1)).event.is_some());
    }

    #[test]
    fn who_is_no_server_is_hung_up_on() {
        for packet in [&b"GET / HTTP/1.0"[..], b"", b"\x08events\0"] {
            let mut session = Session::new(Begin::Oldest, Places::default());
            session.connected();
            assert!(session.packet(packet).hang_up, "{packet:?}");
        }
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(packets in prop::collection::vec(
            (any::<u8>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            let mut session = Session::new(Begin::Oldest, Places::default());
            for (kind, magic, rest) in packets {
                let magic: &[u8] = if magic { b"events\0" } else { b"" };
                let _any = session.packet(&[&[kind % 12], magic, &rest].concat());
            }
        }
    }
}
