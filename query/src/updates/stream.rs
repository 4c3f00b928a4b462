//! What everyone who watches the same is sent, and the newest part of it kept
//! for those who lost their connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};

use super::event::{Id, event};

/// The most events that a reader may be behind before it is dropped.
const MOST_BEHIND: usize = 64;
/// The most events that are kept, and the most bytes of them.
const MOST_KEPT: usize = 256;
const MOST_KEPT_BYTES: usize = 1 << 20;

/// What a client had seen when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing: it is new.
    Nothing,
    /// Everything up to this id.
    UpTo(Id),
    /// Something that is not understood here.
    Unknown,
}

/// Where a client begins: what it is sent first, and what follows.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) first: Vec<Bytes>,
    pub(super) events: broadcast::Receiver<Bytes>,
}

/// One stream of events.
#[derive(Debug)]
pub(super) struct Stream {
    recent: Mutex<Recent>,
    events: broadcast::Sender<Bytes>,
    /// Something that it tells of changed.
    pub(super) changed: Notify,
}

/// An event that was sent.
#[derive(Debug)]
struct Past {
    id: Id,
    /// For changes of seats: the version that they follow.
    since: Option<u64>,
    frame: Bytes,
}

#[derive(Debug)]
struct Recent {
    at: Id,
    past: VecDeque<Past>,
    bytes: usize,
    /// For who is new to the seats: which version they are at.
    seats_at: Option<Bytes>,
}

impl Stream {
    /// A stream that begins with a status and, where it tells of seats, with
    /// what says which version they are at.
    pub(super) fn new(at: Id, status: &[u8], seats_at: Option<&[u8]>) -> Self {
        let seats_at = seats_at.map(|seats_at| event(at, "seats", seats_at));
        let mut recent = Recent { at, past: VecDeque::new(), bytes: 0, seats_at };
        recent.keep(Past { id: at, since: None, frame: event(at, "status", status) });
        Self {
            recent: Mutex::new(recent),
            events: broadcast::Sender::new(MOST_BEHIND),
            changed: Notify::new(),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    pub(super) fn at(&self) -> Id {
        self.recent().at
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    /// Listens from what was `seen` on: nothing is missed and nothing comes
    /// twice between what is sent first and what follows.
    pub(super) fn listen(&self, seen: Seen) -> Beginning {
        let recent = self.recent();
        let first = match seen {
            Seen::Nothing => recent.whole(),
            Seen::UpTo(id) => recent.after(id).unwrap_or_else(|| recent.reset()),
            Seen::Unknown => recent.reset(),
        };
        Beginning { first, events: self.events.subscribe() }
    }

    /// Tells a status, true of `position`.
    pub(super) fn tell_status(&self, position: u64, status: &[u8]) {
        let mut recent = self.recent();
        recent.at.position = position;
        let id = recent.at;
        // Who comes later needs the newest one only.
        recent.forget(|past| past.since.is_none());
        self.tell(&mut recent, Past { id, since: None, frame: event(id, "status", status) });
    }

    /// Tells changes of seats that lead from the version before to `version`.
    pub(super) fn tell_seats(&self, version: u64, changes: &[u8], seats_at: &[u8]) {
        let mut recent = self.recent();
        let since = recent.at.version.replace(version);
        let id = recent.at;
        recent.seats_at = Some(event(id, "seats", seats_at));
        self.tell(&mut recent, Past { id, since, frame: event(id, "seats", changes) });
    }

    /// Begins anew: the views went back, and what was told may not be so.
    pub(super) fn begin_again(&self, at: Id, status: &[u8], seats_at: Option<&[u8]>) {
        let mut recent = self.recent();
        recent.forget(|_| true);
        recent.at = at;
        recent.seats_at = seats_at.map(|seats_at| event(at, "seats", seats_at));
        recent.keep(Past { id: at, since: None, frame: event(at, "status", status) });
        recent.reset().into_iter().for_each(|frame| drop(self.events.send(frame)));
    }

    /// Shows that the connection is well when there is nothing to tell.
    pub(super) fn beat(&self) {
        drop(self.events.send(Bytes::from_static(b":\n\n")));
    }

    /// Nobody listening is fine.
    fn tell(&self, recent: &mut Recent, past: Past) {
        drop(self.events.send(past.frame.clone()));
        recent.keep(past);
    }
}

impl Recent {
    fn keep(&mut self, past: Past) {
        self.bytes += past.frame.len();
        self.past.push_back(past);
        while self.past.len() > MOST_KEPT || (self.bytes > MOST_KEPT_BYTES && self.past.len() > 1) {
            // The status stays, as everyone begins with it.
            let Some(oldest) = self.past.iter().position(|past| past.since.is_some()) else { return };
            self.bytes -= self.past.remove(oldest).map_or(0, |past| past.frame.len());
        }
    }

    fn forget(&mut self, which: impl Fn(&Past) -> bool) {
        self.past.retain(|past| !which(past));
        self.bytes = self.past.iter().map(|past| past.frame.len()).sum();
    }

    /// For who knows nothing: the newest status, and where the seats are.
    fn whole(&self) -> Vec<Bytes> {
        let status = self.past.iter().filter(|past| past.since.is_none()).map(|past| &past.frame);
        status.chain(&self.seats_at).cloned().collect()
    }

    /// For who knows something else: to ask again for all, and the same.
    fn reset(&self) -> Vec<Bytes> {
        let reset = event(self.at, "reset", b"{}");
        std::iter::once(reset).chain(self.whole()).collect()
    }

    /// What follows `id`, if all of it is kept.
    fn after(&self, id: Id) -> Option<Vec<Bytes>> {
        if id.position > self.at.position {
            return None;
        }
        if let Some(now) = self.at.version {
            let version = id.version.filter(|version| *version <= now)?;
            let oldest = self.past.iter().find_map(|past| past.since);
            if version < now && oldest.is_none_or(|since| since > version) {
                return None;
            }
        }
        let is_new = |past: &&Past| match past.since {
            None => past.id.position > id.position,
            Some(_) => past.id.version > id.version,
        };
        Some(self.past.iter().filter(is_new).map(|past| past.frame.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(position: u64, version: u64) -> Id {
        Id { position, version: Some(version) }
    }

    fn names(frames: &[Bytes]) -> Vec<String> {
        let line = |frame: &Bytes| {
            let text = String::from_utf8(frame.to_vec()).unwrap();
            let mut lines = text.lines().map(|line| line.split_once(": ").unwrap().1);
            format!("{1} {0}", lines.next().unwrap(), lines.next().unwrap())
        };
        frames.iter().map(line).collect()
    }

    fn first(stream: &Stream, seen: Seen) -> Vec<String> {
        names(&stream.listen(seen).first)
    }

    fn stream() -> Stream {
        let stream = Stream::new(id(10, 3), b"{}", Some(b"{}"));
        stream.tell_seats(5, b"{}", b"{}");
        stream.tell_status(12, b"{}");
        stream.tell_seats(6, b"{}", b"{}");
        stream
    }

    #[test]
    fn who_is_new_gets_the_newest_status_and_where_the_seats_are() {
        assert_eq!(first(&stream(), Seen::Nothing), ["status 12-5", "seats 12-6"]);
    }

    #[test]
    fn who_comes_back_gets_what_they_missed_and_nothing_twice() {
        let stream = stream();
        for (seen, missed) in [
            (id(10, 3), vec!["seats 10-5", "status 12-5", "seats 12-6"]),
            // Between two versions: what led across holds, as seats are told as they are.
            (id(10, 4), vec!["seats 10-5", "status 12-5", "seats 12-6"]),
            (id(10, 5), vec!["status 12-5", "seats 12-6"]),
            (id(12, 5), vec!["seats 12-6"]),
            (id(12, 6), vec![]),
        ] {
            assert_eq!(first(&stream, Seen::UpTo(seen)), missed, "{seen}");
        }
    }

    #[test]
    fn who_missed_more_than_is_kept_or_knows_something_else_is_reset() {
        let stream = stream();
        let reset = ["reset 12-6", "status 12-5", "seats 12-6"];
        for seen in [id(10, 2), id(13, 6), id(12, 7), Id { position: 12, version: None }] {
            assert_eq!(first(&stream, Seen::UpTo(seen)), reset, "{seen}");
        }
        assert_eq!(first(&stream, Seen::Unknown), reset);
        for version in 7..7 + MOST_KEPT as u64 {
            stream.tell_seats(version, b"{}", b"{}");
        }
        assert_eq!(first(&stream, Seen::UpTo(id(12, 6)))[0], "reset 12-262");
        assert_eq!(first(&stream, Seen::UpTo(id(12, 7))).len(), MOST_KEPT - 1);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let stream = stream();
        let large = vec![b' '; MOST_KEPT_BYTES / 4];
        for version in 7..20 {
            stream.tell_seats(version, &large, b"{}");
        }
        assert!(stream.recent().bytes <= MOST_KEPT_BYTES);
        assert_eq!(first(&stream, Seen::Nothing), ["status 12-5", "seats 12-19"]);
        assert_eq!(first(&stream, Seen::UpTo(id(12, 17))), ["seats 12-18", "seats 12-19"]);
    }

    #[test]
    fn a_stream_of_the_status_alone_only_needs_the_newest() {
        let at = |position| Id { position, version: None };
        let stream = Stream::new(at(10), b"{}", None);
        stream.tell_status(12, b"{}");
        assert_eq!(first(&stream, Seen::UpTo(at(3))), ["status 12"]);
        assert_eq!(first(&stream, Seen::UpTo(id(12, 7))), [""; 0]);
        assert_eq!(first(&stream, Seen::UpTo(at(13))), ["reset 12", "status 12"]);
    }

    #[test]
    fn views_that_went_back_reset_who_listens() {
        let stream = stream();
        let mut listening = stream.listen(Seen::UpTo(id(12, 6)));
        stream.begin_again(id(4, 1), b"{}", Some(b"{}"));
        let told: Vec<Bytes> = std::iter::from_fn(|| listening.events.try_recv().ok()).collect();
        assert_eq!(names(&told), ["reset 4-1", "status 4-1", "seats 4-1"]);
        assert_eq!(first(&stream, Seen::UpTo(id(12, 6)))[0], "reset 4-1");
    }
}
