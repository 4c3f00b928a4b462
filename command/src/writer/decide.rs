//! Deciding one command: due timers first, then the command, then its record.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use tracing::error;
use usher_events::event::{Event, SeatRefusals};
use usher_events::ids::{Actor, OpeningId, SeatId, ShowingId};
use usher_events::record::{self, Headers, MAX_RECORD_BYTES, Record};
use usher_events::time::Timestamp;

use super::hashing::Hashes;
use super::mailbox::Reply;
use super::partition::{InFlight, Output, Partition};
use super::replies::{Answer, Submitted};
use super::state::Chained;
use crate::opening::{Command, Decision, Due, Fact, Refusal, Request};

/// For how long after a durable record was sent its writer is taken to own the
/// partition when it refuses, in milliseconds. It is well under the time after
/// which another instance takes a silent one's partition.
const OWNS_FOR_MS: i64 = 1_000;
/// How often refusals become an event, in milliseconds.
const COUNT_EVERY_MS: i64 = 60_000;
/// The most seats that one count names.
const COUNTED_SEATS: usize = 1_000;
/// The most timers of one opening that are decided in one go.
const TIMERS_AT_ONCE: usize = 1_024;

impl<T> Partition<T> {
    /// Decides the commands of the mailbox, as long as there is room.
    pub(super) fn decide_waiting(&mut self, now: Timestamp) {
        while self.decides() && self.has_room() {
            let Some(submitted) = self.mailbox.pop_front() else { break };
            self.decide(submitted, now);
        }
        self.release();
    }

    fn decide(&mut self, submitted: Box<Submitted<T>>, now: Timestamp) {
        if !self.knows(&submitted.opening) && !matches!(submitted.request.command, Command::Schedule(_)) {
            let (n, as_of) = (self.refuses_at(now), self.reign.sent());
            self.wait(n, as_of, submitted, Answer::Refused(Box::new(Refusal::UnknownOpening)));
            return;
        }
        self.run_due(&submitted.opening, now);
        if self.closes_lobby(&submitted.opening) {
            self.wait_for_hashes(submitted);
            return;
        }
        let Some(mut submitted) = self.with_hashes(submitted) else { return };
        let opening = submitted.opening.clone();
        let sent = self.reign.sent();
        let chained = self.working(&opening);
        submitted.request.now = now.max(chained.last_at);
        let (n, as_of, answer) = match chained.opening.decide(&submitted.request) {
            Ok(Decision::Accepted(event)) => match self.append(&opening, &submitted.request, event) {
                Ok(()) => (sent + 1, sent + 1, self.done(&submitted, true)),
                Err(NotSent::TooLarge) => {
                    let refusal = Refusal::TooLarge { max_bytes: MAX_RECORD_BYTES };
                    (sent, sent, Answer::Refused(Box::new(refusal)))
                }
                Err(NotSent::Fault) => {
                    self.outputs.push(Output::Reply(submitted.reply_to, Reply::Unknown));
                    return;
                }
            },
            // The original's record is confirmed at the latest with what is in flight.
            Ok(Decision::Repeated) => (sent, sent, self.done(&submitted, false)),
            // True only if this writer still owns the partition: one own record shows it.
            Ok(Decision::Already) => (sent + 1, sent, self.done(&submitted, false)),
            Err(refusal) => (self.refuses_at(now), sent, Answer::Refused(Box::new(refusal))),
        };
        if self.working(&opening).seq == 0 {
            self.working.remove(&opening);
        }
        self.wait(n, as_of, submitted, answer);
    }

    /// Answers wait in the order of their commands.
    fn wait(&mut self, n: u64, as_of: u64, submitted: Box<Submitted<T>>, answer: Answer) {
        self.replies.wait(n.max(self.replies.last_n()), as_of, submitted, answer);
    }

    fn knows(&self, opening: &OpeningId) -> bool {
        self.working.contains_key(opening) || self.confirmed.openings.contains_key(opening)
    }

    /// The own record that a refusal decided `now` waits for: what is in
    /// flight, and one more when nothing durable was sent of late. A process
    /// that was stopped and goes on would else refuse, by what it knew before,
    /// what another instance has granted meanwhile.
    fn refuses_at(&self, now: Timestamp) -> u64 {
        let sent = self.reign.sent();
        if now.0.saturating_sub(self.owned_at.0) > OWNS_FOR_MS { sent + 1 } else { sent }
    }

    fn done(&mut self, submitted: &Submitted<T>, created: bool) -> Answer {
        let resource = self.working(&submitted.opening).opening.resource(&submitted.request.command);
        Answer::Done { created, resource: Box::new(resource) }
    }

    /// The opening as all decisions so far make it.
    pub(super) fn working(&mut self, opening: &OpeningId) -> &mut Chained {
        match self.working.entry(opening.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(self.confirmed.openings.get(opening).cloned().unwrap_or_default())
            }
        }
    }

    /// Applies `event` and sends its record.
    fn append(&mut self, opening: &OpeningId, request: &Request, event: Event) -> Result<(), NotSent> {
        let value = record::encode(&event).map_err(|fault| {
            error!(%opening, %fault, "an event cannot be encoded");
            NotSent::Fault
        })?;
        // A log that refuses a record ends the tenure, and the next one's too.
        if value.len() > MAX_RECORD_BYTES {
            return Err(NotSent::TooLarge);
        }
        let stamp = self.reign.next_stamp().ok_or(NotSent::Fault)?;
        let chained = self.working(opening);
        let mut headers = Headers {
            tenure: stamp.tenure,
            n: stamp.n,
            seq: chained.seq + 1,
            command_id: request.id,
            digest: request.digest,
            actor: request.actor.header(),
            chain: chained.chain,
        };
        headers.chain = record::chain(&chained.chain, opening, &value, &headers);
        let numbering = request.command.drawn().map(|drawn| Arc::clone(&drawn.numbering));
        let beacon_is_awaited = matches!(event, Event::LobbyClosed(_));
        let beacon_is_past = matches!(event, Event::DrawHeld(_) | Event::OpeningClosed(_));
        let fact = Fact { command_id: request.id, digest: request.digest, event, numbering };
        let (seq, chain) = (headers.seq, headers.chain);
        chained.fold(&fact, seq, chain);
        let due = chained.opening.next_due();
        self.due.set(opening, due);
        self.outbox.push(Record { key: Some(opening.clone()), value, headers });
        let sent_at = self.now;
        self.in_flight.push_back(InFlight { fact: Some((opening.clone(), fact)), seq, chain, sent_at });
        if beacon_is_awaited || beacon_is_past {
            self.note_beacon(opening);
        }
        Ok(())
    }

    // --- timers -----------------------------------------------------------

    /// Decides every timer that is due, of all openings.
    pub(super) fn run_timers(&mut self, now: Timestamp) {
        while self.has_room() {
            let Some((_, opening)) = self.due.first().filter(|(due, _)| *due <= now).cloned() else { break };
            match self.run_due(&opening, now) {
                Timers::Done => {}
                Timers::More => break,
            }
        }
        self.release();
    }

    /// Decides the timers of `opening` that are due, each its own event.
    fn run_due(&mut self, opening: &OpeningId, now: Timestamp) -> Timers {
        if self.hashing.contains_key(opening) {
            self.due.set(opening, None);
            return Timers::Done;
        }
        // Known since the last event; nearly always nothing is due.
        let at = now.max(self.working(opening).last_at);
        if self.due.of(opening).is_some_and(|due| due > at) {
            return Timers::Done;
        }
        for _ in 0..TIMERS_AT_ONCE {
            let chained = self.working(opening);
            let at = now.max(chained.last_at);
            match chained.opening.due(at) {
                None => {
                    let due = chained.opening.next_due();
                    self.due.set(opening, due);
                    return Timers::Done;
                }
                Some(Due::Decide(command)) => {
                    if !self.decide_timer(opening, command, now) {
                        return Timers::Done;
                    }
                }
                Some(Due::Hash(job)) => match self.hash(opening, job) {
                    Hashes::Made(command) => {
                        if !self.decide_timer(opening, command, now) {
                            return Timers::Done;
                        }
                    }
                    Hashes::Ordered | Hashes::Impossible => {
                        self.due.set(opening, None);
                        return Timers::Done;
                    }
                },
            }
        }
        Timers::More
    }

    /// Decides one timer's command; false when nothing came of it.
    pub(super) fn decide_timer(&mut self, opening: &OpeningId, command: Command, now: Timestamp) -> bool {
        let chained = self.working(opening);
        let now = now.max(chained.last_at);
        let due = chained.opening.due_at(&command).unwrap_or(now);
        let request = Request::of_timer(opening, command, due, now);
        match chained.opening.decide(&request) {
            Ok(Decision::Accepted(event)) => self.append(opening, &request, event).is_ok(),
            other => {
                error!(%opening, timer = request.command.name(), outcome = ?other, "a timer that was due changed nothing");
                self.due.set(opening, None);
                false
            }
        }
    }

    /// Decides what presence noticed, if it still applies; else presence
    /// notices again.
    pub(super) fn decide_notice(&mut self, opening: &OpeningId, command: Command, now: Timestamp) {
        if !self.knows(opening) {
            return;
        }
        self.run_due(opening, now);
        if self.closes_lobby(opening) {
            return;
        }
        let chained = self.working(opening);
        let now = now.max(chained.last_at);
        let request = Request::of_timer(opening, command, now, now);
        if let Ok(Decision::Accepted(event)) = chained.opening.decide(&request) {
            // What is not sent is noticed again, like what does not apply.
            drop(self.append(opening, &request, event));
        }
    }

    /// Turns the refusals of the last minute into events.
    pub(super) fn count_refusals(&mut self, now: Timestamp) {
        while let Some((opening, command)) = self.refusals.take_due(now) {
            self.decide_timer(&opening, command, now);
        }
    }
}

/// Why an event was not sent.
#[derive(Debug, PartialEq, Eq)]
enum NotSent {
    /// Its record would be larger than a log takes.
    TooLarge,
    /// The tenure is over, or the event cannot be written down.
    Fault,
}

/// How far an opening's timers are.
#[derive(Debug, PartialEq, Eq)]
enum Timers {
    /// None is due, or all wait for hashes.
    Done,
    /// There are more; they go on at the next tick.
    More,
}

/// Refusals since the last count, by opening.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    by_opening: HashMap<OpeningId, Tally>,
}

#[derive(Debug)]
struct Tally {
    since: Timestamp,
    by_reason: std::collections::BTreeMap<String, u64>,
    by_seat: HashMap<(ShowingId, SeatId), u64>,
}

impl Tallies {
    /// Counts one refusal of an opening that exists.
    pub(super) fn add(&mut self, opening: &OpeningId, refusal: &Refusal, now: Timestamp) {
        let tally = self.by_opening.entry(opening.clone()).or_insert_with(|| Tally {
            since: now,
            by_reason: Default::default(),
            by_seat: HashMap::new(),
        });
        *tally.by_reason.entry(refusal.kind().to_owned()).or_default() += 1;
        for (showing, seat) in refusal.seats() {
            *tally.by_seat.entry((showing.clone(), seat.clone())).or_default() += 1;
        }
    }

    /// When the next count is due.
    pub(super) fn next_count(&self) -> Timestamp {
        let since = self.by_opening.values().map(|tally| tally.since).min();
        since.map_or(Timestamp::MAX, |since| Timestamp(since.0 + COUNT_EVERY_MS))
    }

    /// One opening's count that is due.
    fn take_due(&mut self, now: Timestamp) -> Option<(OpeningId, Command)> {
        let due = self.by_opening.iter().find(|(_, tally)| tally.since.0 + COUNT_EVERY_MS <= now.0);
        let opening = due.map(|(opening, _)| opening.clone())?;
        let tally = self.by_opening.remove(&opening)?;
        let mut by_seat: Vec<SeatRefusals> = tally
            .by_seat
            .into_iter()
            .map(|((showing, seat), count)| SeatRefusals { showing, seat, count })
            .collect();
        by_seat.sort_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (&a.showing, &a.seat).cmp(&(&b.showing, &b.seat)))
        });
        by_seat.truncate(COUNTED_SEATS);
        let command = Command::CountRefusals { since: tally.since, by_reason: tally.by_reason, by_seat };
        Some((opening, command))
    }
}

impl Request {
    /// A timer's command, with the id that the state gives it.
    pub(super) fn of_timer(opening: &OpeningId, command: Command, due: Timestamp, now: Timestamp) -> Self {
        let id = command.timer_id(opening, due);
        let digest = command.digest(opening);
        Self { id, digest, actor: Actor::Timer(command.name()), now, command }
    }
}
