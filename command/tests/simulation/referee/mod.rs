//! The rules that never bend, checked from the log and what callers were
//! told; by code that is not the writer's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use usher_command::opening::{Command, Resource};
use usher_command::writer::{PartitionState, Reply};
use usher_events::event::{Event, ExpiredHold, TicketState};
use usher_events::ids::{CommandId, Hash, HoldId, PaymentReference, SeatId, Ticket};
use usher_events::record::{StoredRecord, chain};
use usher_events::time::Timestamp;

use crate::crowd::opening;
use crate::world::{Summary, World};

/// A valid record with its event.
struct Valid<'a> {
    stored: &'a StoredRecord,
    event: Event,
}

/// Which records count, by the protocol's text: a claim opens a tenure, and
/// only its unbroken continuation counts.
fn valid(records: &[StoredRecord]) -> Vec<Valid<'_>> {
    let mut next: Option<(u64, u64)> = None;
    let mut valid = Vec::new();
    for stored in records {
        let (tenure, n) = (stored.record.headers.tenure, stored.record.headers.n);
        let counts = n == 0 || next == Some((tenure, n));
        next = if counts { Some((tenure, n + 1)) } else { None };
        if counts {
            valid.push(Valid {
                stored,
                event: stored.record.event().expect("a writer writes what it can read"),
            });
        }
    }
    valid
}

macro_rules! rule {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

/// Checks everything; what happened, or what broke.
pub(crate) fn check(world: &World) -> Result<Summary, String> {
    let records = world.log.records(0, 0, usize::MAX);
    let valid = valid(&records);
    chained(&valid)?;
    once(&valid)?;
    let mut play = Play::default();
    for record in &valid {
        play.apply(record)?;
    }
    answers(world, &records, &valid, &play)?;
    same_state(world, &records)?;
    let count =
        |wanted: fn(&Event) -> bool| valid.iter().filter(|record| wanted(&record.event)).count() as u64;
    Ok(Summary {
        records: records.len() as u64,
        claims: count(|event| matches!(event, Event::WriterClaimed(_))),
        voids: (records.len() - valid.len()) as u64,
        answers: world.answers.len() as u64,
        bookings: count(|event| matches!(event, Event::BookingConfirmed(_))),
        refunds: count(|event| matches!(event, Event::RefundDue(_))),
    })
}

/// Every opening's records form one chain without a gap.
fn chained(valid: &[Valid<'_>]) -> Result<(), String> {
    let (mut seq, mut last) = (0, Hash::default());
    for record in valid {
        let Some(key) = &record.stored.record.key else { continue };
        let headers = &record.stored.record.headers;
        seq += 1;
        let expected = chain(&last, key, &record.stored.record.value, headers);
        rule!(headers.seq == seq, "offset {}: seq {} where {seq} follows", record.stored.offset, headers.seq);
        rule!(headers.chain == expected, "offset {}: the chain is broken", record.stored.offset);
        last = headers.chain;
    }
    Ok(())
}

/// An accepted command has no second effect.
fn once(valid: &[Valid<'_>]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for record in valid {
        let headers = &record.stored.record.headers;
        let repeatable =
            headers.actor.starts_with("timer:") || matches!(record.event, Event::VisitorsReturned(_));
        rule!(
            repeatable || seen.insert(headers.command_id),
            "offset {}: command {} has a second effect: {}",
            record.stored.offset,
            headers.command_id,
            record.event.kind()
        );
    }
    Ok(())
}

/// The opening as the events tell it, with nothing of the aggregate.
#[derive(Default)]
struct Play {
    tickets: HashMap<Ticket, TicketState>,
    numbers: BTreeMap<u32, Ticket>,
    seats: HashMap<SeatId, HoldId>,
    booked: HashSet<SeatId>,
    holds: HashMap<HoldId, (Ticket, Vec<SeatId>, Timestamp)>,
    settled: HashMap<(HoldId, PaymentReference), bool>,
    capacity: u32,
    cohort: BTreeSet<Ticket>,
    root: Hash,
    claim_at: Timestamp,
    /// Deadlines of holds and tickets that were given before the last claim.
    before_claim: HashSet<HoldId>,
    last_at: Timestamp,
}

impl Play {
    fn state(&self, ticket: &Ticket) -> Option<TicketState> {
        self.tickets.get(ticket).copied()
    }

    fn in_window(&self) -> u32 {
        let inside = |state: &&TicketState| matches!(state, TicketState::Admitted | TicketState::Inside);
        u32::try_from(self.tickets.values().filter(inside).count()).unwrap()
    }

    fn free(&mut self, hold: HoldId, seats: &[SeatId]) -> Result<(), String> {
        for seat in seats {
            rule!(
                self.seats.remove(seat) == Some(hold),
                "seat {seat} is freed by hold {hold}, which has it not"
            );
        }
        Ok(())
    }

    fn apply(&mut self, record: &Valid<'_>) -> Result<(), String> {
        let (at, offset) = (record.event.at(), record.stored.offset);
        if record.stored.record.key.is_some() {
            rule!(at >= self.last_at, "offset {offset}: time runs backwards");
            self.last_at = at;
        }
        match &record.event {
            Event::WriterClaimed(event) => {
                self.claim_at = event.at;
                self.before_claim = self.holds.keys().copied().collect();
            }
            Event::OpeningScheduled(event) => self.capacity = event.policy.capacity,
            Event::PolicyChanged(event) => self.capacity = event.policy.capacity,
            Event::VisitorJoined(event) => {
                rule!(self.state(&event.ticket).is_none(), "offset {offset}: joined twice");
                let state = if event.number.is_some() { TicketState::Waiting } else { TicketState::Lobby };
                self.tickets.insert(event.ticket, state);
                if let Some(number) = event.number {
                    rule!(
                        self.numbers.insert(number, event.ticket).is_none(),
                        "offset {offset}: number {number} is given twice"
                    );
                }
            }
            Event::LobbyClosed(event) => {
                let lobby = self.tickets.iter().filter(|(_, state)| !state.is_final());
                self.cohort = lobby.map(|(ticket, _)| *ticket).collect();
                rule!(
                    self.cohort.len() == event.count as usize,
                    "offset {offset}: the cohort's count is wrong"
                );
                let sorted: Vec<Ticket> = self.cohort.iter().copied().collect();
                self.root = usher_events::draw::merkle_root(&sorted);
                rule!(self.root == event.cohort_root, "offset {offset}: the cohort's root is wrong");
            }
            Event::DrawHeld(event) => {
                let sorted: Vec<Ticket> = self.cohort.iter().copied().collect();
                let order = usher_events::draw::drawn_order(&event.seed, &self.root, None, &sorted);
                rule!(
                    usher_events::draw::merkle_root(&order) == event.order_root,
                    "offset {offset}: the order's root is wrong"
                );
                for (number, ticket) in (1..).zip(order) {
                    self.numbers.insert(number, ticket);
                    if self.state(&ticket) == Some(TicketState::Lobby) {
                        self.tickets.insert(ticket, TicketState::Waiting);
                    }
                }
            }
            Event::VisitorsAdmitted(event) => {
                for admitted in &event.admitted {
                    let present = |ticket: &Ticket| self.state(ticket) == Some(TicketState::Waiting);
                    let first = self.numbers.iter().find(|(_, ticket)| present(ticket));
                    rule!(
                        first == Some((&admitted.number, &admitted.ticket)),
                        "offset {offset}: number {} is admitted before {first:?}",
                        admitted.number
                    );
                    self.tickets.insert(admitted.ticket, TicketState::Admitted);
                }
                rule!(
                    self.in_window() <= self.capacity,
                    "offset {offset}: {} in the seat window, capacity {}",
                    self.in_window(),
                    self.capacity
                );
            }
            Event::AdmissionsExpired(event) => {
                for ticket in event.away.iter().chain(&event.spent) {
                    rule!(
                        self.state(ticket) == Some(TicketState::Admitted),
                        "offset {offset}: was not admitted"
                    );
                }
                self.set(&event.away, TicketState::Away);
                self.set(&event.spent, TicketState::Spent);
            }
            Event::VisitorsReturned(event) => self.set(&event.tickets, TicketState::Waiting),
            Event::VisitorEntered(event) => {
                rule!(
                    self.state(&event.ticket) == Some(TicketState::Admitted),
                    "offset {offset}: entered unasked"
                );
                self.tickets.insert(event.ticket, TicketState::Inside);
            }
            Event::VisitorLeft(event) => {
                self.tickets.insert(event.ticket, event.state);
                for released in &event.released {
                    self.free(released.hold, &released.seats)?;
                }
            }
            Event::VisitsEnded(event) => {
                for visit in &event.visits {
                    self.tickets.insert(visit.ticket, visit.state);
                    for released in &visit.released {
                        self.free(released.hold, &released.seats)?;
                    }
                }
            }
            other => self.apply_booking(other, offset)?,
        }
        Ok(())
    }

    fn apply_booking(&mut self, event: &Event, offset: u64) -> Result<(), String> {
        match event {
            Event::SeatsHeld(event) => {
                rule!(
                    self.state(&event.ticket) == Some(TicketState::Inside),
                    "offset {offset}: held from outside"
                );
                for seat in &event.seats {
                    rule!(!self.booked.contains(seat), "offset {offset}: booked seat {seat} is held");
                    rule!(
                        self.seats.insert(seat.clone(), event.hold).is_none(),
                        "offset {offset}: seat {seat} is in two live holds"
                    );
                }
                self.holds.insert(event.hold, (event.ticket, event.seats.clone(), event.expires_at));
            }
            Event::HoldExtended(event) => {
                self.before_claim.remove(&event.hold);
                self.holds.get_mut(&event.hold).ok_or("an unknown hold was extended")?.2 = event.expires_at;
            }
            Event::HoldReleased(event) => self.free(event.released.hold, &event.released.seats)?,
            Event::HoldsExpired(event) => {
                for ExpiredHold { released, .. } in &event.holds {
                    let (_, _, expires_at) = self.holds[&released.hold];
                    let grace = Timestamp(self.claim_at.0 + 30_000);
                    let before = self.before_claim.contains(&released.hold);
                    rule!(event.at >= expires_at, "offset {offset}: a hold expired early");
                    rule!(!before || event.at >= grace, "offset {offset}: a hold paid for our outage");
                    self.free(released.hold, &released.seats)?;
                }
            }
            Event::BookingConfirmed(event) => {
                for seat in &event.seats {
                    let held = self.seats.remove(seat);
                    let free = held.is_none() && event.late;
                    rule!(
                        free || held == Some(event.hold),
                        "offset {offset}: seat {seat} is somebody else's"
                    );
                    rule!(self.booked.insert(seat.clone()), "offset {offset}: seat {seat} is booked twice");
                }
                self.settle(event.hold, &event.payment_reference, true, offset)?;
                if event.visit_ended {
                    self.tickets.insert(event.ticket, TicketState::Done);
                }
            }
            Event::BookingCancelled(event) => {
                for seat in &event.freed {
                    rule!(self.booked.remove(seat), "offset {offset}: seat {seat} was not booked");
                }
            }
            Event::RefundDue(event) => self.settle(event.hold, &event.payment_reference, false, offset)?,
            _ => {}
        }
        Ok(())
    }

    fn settle(
        &mut self,
        hold: HoldId,
        payment: &PaymentReference,
        booked: bool,
        offset: u64,
    ) -> Result<(), String> {
        let before = self.settled.insert((hold, payment.clone()), booked);
        rule!(before.is_none(), "offset {offset}: a payment was settled twice");
        Ok(())
    }

    fn set(&mut self, tickets: &[Ticket], state: TicketState) {
        for ticket in tickets {
            let numbered = self.numbers.values().any(|known| known == ticket);
            let state = if state == TicketState::Waiting && !numbered { TicketState::Lobby } else { state };
            self.tickets.insert(*ticket, state);
        }
    }
}

/// What callers were told is so, by the log.
fn answers(world: &World, records: &[StoredRecord], valid: &[Valid<'_>], play: &Play) -> Result<(), String> {
    let effects: HashMap<CommandId, u64> =
        valid.iter().map(|record| (record.stored.record.headers.command_id, record.stored.offset)).collect();
    let standing: HashSet<u64> = valid.iter().map(|record| record.stored.offset).collect();
    for answer in &world.answers {
        let (command, id) = (&answer.request.command, answer.request.id);
        let name = command.name();
        match &answer.reply {
            Reply::Done { created: true, resource, position } => {
                let offset = position - 1;
                let stored = records.get(usize::try_from(offset).unwrap());
                let own = stored.is_some_and(|stored| stored.record.headers.command_id == id);
                rule!(
                    own && standing.contains(&offset),
                    "{name} was acknowledged at {offset}, and is not in the log"
                );
                settled_as_told(command, resource, play)?;
            }
            Reply::Done { created: false, resource, position } => {
                let known = matches!(
                    command,
                    Command::Join { .. }
                        | Command::Hold { .. }
                        | Command::Extend { .. }
                        | Command::AdmitByHand { .. }
                );
                rule!(
                    !known || effects.get(&id).is_some_and(|offset| offset < position),
                    "{name} {id} was said to be done before {position}, and was not ({:?}, {resource:?})",
                    effects.get(&id)
                );
                if let (Command::Enter { ticket }, true) = (command, position > &1) {
                    inside_then(records, *ticket, position - 1)?;
                }
                settled_as_told(command, resource, play)?;
            }
            Reply::Refused { position, .. } => {
                rule!(*position <= records.len() as u64, "{name} was refused as of what is not there");
            }
            Reply::Unknown | Reply::Elsewhere(_) => {}
        }
    }
    Ok(())
}

/// A payment that was answered ended as it was told, for good.
fn settled_as_told(command: &Command, resource: &Resource, play: &Play) -> Result<(), String> {
    let Command::Confirm { hold, payment_reference, .. } = command else { return Ok(()) };
    let booked = play.settled.get(&(*hold, payment_reference.clone()));
    let told = matches!(resource, Resource::Booking { .. });
    rule!(booked == Some(&told), "a payment was told to be booked: {told}, and the log says {booked:?}");
    Ok(())
}

/// "You are inside already" was true of what precedes `end`.
fn inside_then(records: &[StoredRecord], ticket: Ticket, end: u64) -> Result<(), String> {
    let mut state = PartitionState::default();
    for stored in records.iter().take_while(|stored| stored.offset < end) {
        state.fold(stored.clone()).expect("a writer writes what it can read");
    }
    let found = state.openings.get(&opening()).and_then(|chained| chained.opening.queue().ticket(&ticket));
    let inside = matches!(found, Some((TicketState::Inside, _)));
    rule!(inside, "a visitor was told to be inside, and was {found:?} by then");
    Ok(())
}

/// The owner's state is what the log makes, by whoever folds it, as far as
/// the owner has read. Behind that no record counts, unless it is a claim
/// that landed late.
fn same_state(world: &World, records: &[StoredRecord]) -> Result<(), String> {
    let owner = world.owner().state();
    let told = |state: &PartitionState| {
        let chained = state.openings.get(&opening())?;
        let opening = serde_json::to_value(&chained.opening).expect("an opening can be kept");
        Some((opening, chained.seq, chained.chain))
    };
    let seq = |state: &PartitionState| state.openings.get(&opening()).map(|chained| chained.seq);
    let mut state = PartitionState::default();
    for stored in records.iter().cloned() {
        state.fold(stored).map_err(|fault| fault.to_string())?;
        if state.position == owner.position {
            rule!(
                state.cursor == owner.cursor,
                "the owner thinks to be at {:?}, not {:?}",
                owner.cursor,
                state.cursor
            );
            rule!(told(&state) == told(owner), "the owner's opening is not what the log makes");
        }
    }
    rule!(
        seq(&state) == seq(owner),
        "the owner has {:?} records of the opening, the log {:?}",
        seq(owner),
        seq(&state)
    );
    Ok(())
}
