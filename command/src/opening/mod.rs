//! The opening: one ticket onsale, the consistency boundary.
//!
//! Pure: time, ids and randomness come in through the request. [`Opening::decide`]
//! says what a command leads to, [`Opening::fold`] applies what happened.

mod admission;
mod attendance;
mod choosing;
mod command;
mod draw;
mod holds;
mod places;
mod queue;
mod refusal;
mod resource;
mod schedule;
mod seats;
mod settlement;
mod subjects;
#[cfg(test)]
mod tests;
mod tickets;
mod timers;
mod visits;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use usher_events::event::{Beacon, Event, OpeningOpened, OpeningResumed};
use usher_events::ids::{
    Actor, AdmissionId, BookingId, CommandId, Hash, HoldId, PaymentReference, PlanName, ShowingId, Ticket,
};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use crate::presence::Rules;

pub use choosing::{Best, PlaceRule, Relax};
pub use command::{Command, Drawn, Request, Schedule, schedule_id};
pub use draw::{HashJob, SeedNeeded, Undrawn};
pub use queue::{Numbering, Queue};
pub use refusal::{Refusal, SeatConflict, SeatProblem};
pub use resource::{BookingState, HoldState, Resource};
pub use timers::Due;

use holds::{Hold, Visitor};
use seats::{Hall, ShowingSeats};
use settlement::{Booking, Settlement};
use subjects::Subjects;

/// The most members that one event lists.
pub const MAX_MEMBERS: usize = 4_096;

/// An event with the command that caused it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fact {
    /// The command's id.
    pub command_id: CommandId,
    /// BLAKE3 of the command's canonical request.
    pub digest: Hash,
    /// What happened.
    pub event: Event,
    /// A draw's numbers where they are known already; else its fold hashes.
    #[serde(skip)]
    pub numbering: Option<Arc<Numbering>>,
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.command_id == other.command_id && self.digest == other.digest && self.event == other.event
    }
}

impl DomainEvent for Fact {
    fn event_type(&self) -> String {
        self.event.kind().to_owned()
    }

    fn event_version(&self) -> String {
        self.event.version().to_string()
    }
}

/// Where an opening stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpeningState {
    /// The lobby is open.
    #[default]
    Scheduled,
    /// The lobby is closed; its order is being drawn.
    Drawing,
    /// Visitors are admitted.
    Open,
    /// Nobody is admitted for now.
    Paused,
    /// Nobody may join any more; who is in line is served.
    Draining,
    /// Over; live holds may finish.
    Closed,
}

impl OpeningState {
    /// The state as JSON shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Drawing => "drawing",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Closed => "closed",
        }
    }
}

/// What a command leads to.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "taken apart at once; a box would be an allocation per command")]
pub enum Decision {
    /// This happens.
    Accepted(Event),
    /// The same command was done before, or there is nothing to do that
    /// anyone relies on: answer with the resource as it is.
    Repeated,
    /// What was asked for is so already. Only the partition's owner knows
    /// that it still is.
    Already,
}

/// The plan of draws: how the lobby becomes an order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct DrawFacts {
    seed_commitment: Hash,
    key_id: String,
    beacon: Option<Beacon>,
    cohort_root: Option<Hash>,
    seed: Option<Hash>,
}

/// One ticket opening. The default is one that does not exist yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Opening {
    scheduled_by: Option<CommandId>,
    state: OpeningState,
    title: String,
    opens_at: Timestamp,
    drains_at: Option<Timestamp>,
    closes_at: Timestamp,
    policy: Policy,
    message: Option<String>,
    draw: DrawFacts,
    halls: BTreeMap<PlanName, Hall>,
    showings: Vec<ShowingSeats>,
    /// The place of each in the list.
    showing_at: HashMap<ShowingId, usize>,
    /// Seats that are not sold yet, of each showing, by when they are.
    opening_seats: BTreeMap<(Timestamp, u32), Vec<u32>>,
    queue: Queue,
    subjects: Subjects,
    serving_number: u32,
    /// When the rate allows the next admission.
    next_admission_at: Timestamp,
    last_admission_at: Option<Timestamp>,
    admissions: HashMap<AdmissionId, u32>,
    holds: HashMap<HoldId, Hold>,
    /// Live holds by their end.
    ending_holds: BTreeSet<(Timestamp, HoldId)>,
    /// Who holds or has booked seats, or did.
    visitors: HashMap<Ticket, Visitor>,
    bookings: HashMap<BookingId, Booking>,
    #[serde(with = "settlement::as_pairs")]
    settlements: BTreeMap<(HoldId, PaymentReference), Settlement>,
    /// Accepted commands that no other state tells.
    commands: HashMap<CommandId, Remembered>,
}

/// What is kept of an accepted command.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Remembered {
    digest: Hash,
    /// The visitor that it was about, by their place in the queue's list.
    visitor: Option<u32>,
}

impl Opening {
    /// Whether it was ever scheduled.
    pub fn exists(&self) -> bool {
        self.scheduled_by.is_some()
    }

    /// Where it stands.
    pub fn state(&self) -> OpeningState {
        self.state
    }

    /// The line.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The rules in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What presence needs of the opening.
    pub(crate) fn presence_rules(&self) -> Rules {
        Rules {
            away_after_s: self.policy.away_after_s,
            serving_number: self.serving_number,
            over: self.state == OpeningState::Closed,
        }
    }

    /// Says what `request` leads to: an event, nothing new, or a refusal.
    pub fn decide(&self, request: &Request) -> Result<Decision, Refusal> {
        if let Command::Schedule(schedule) = &request.command {
            return self.schedule(request, schedule);
        }
        if !self.exists() {
            return Err(Refusal::UnknownOpening);
        }
        if let Command::Confirm { hold, .. } = &request.command {
            self.may_know(&request.actor, *hold)?;
        }
        if let Some(done) = self.commands.get(&request.id)
            && (done.digest == request.digest || request.command.has_chosen_id())
        {
            return self.repeated(request, done);
        }
        let now = request.now;
        match &request.command {
            Command::Schedule(_) => Err(Refusal::IdReused),
            Command::Reschedule { title, opens_at, drains_at, closes_at } => {
                self.reschedule(now, title.as_ref(), *opens_at, *drains_at, *closes_at)
            }
            Command::AddPlan { name, plan } => self.add_plan(now, name, plan),
            Command::AddShowing { showing } => self.add_showing(now, showing),
            Command::ChangePolicy { patch } => self.change_policy(now, patch),
            Command::SetMessage { message } => self.set_message(now, message.as_ref()),
            Command::Pause => self.pause(now),
            Command::Resume => self.resume(now),
            Command::Drain => self.drain(now),
            Command::Close => self.close(now),
            Command::BringBeacon { beacon, drawn } => self.bring_beacon(now, beacon, drawn.as_ref()),
            Command::Join { ticket } => self.join(now, *ticket, None),
            Command::JoinAs { ticket, subject } => self.join(now, *ticket, Some(*subject)),
            Command::Leave { ticket } => self.leave(now, *ticket),
            Command::Enter { ticket } => self.enter(now, *ticket),
            Command::LeaveWindow { ticket } => self.leave_window(now, *ticket),
            Command::AskWhenOver => Ok(Decision::Already),
            Command::AdmitByHand { admission, count } => self.admit_by_hand(now, *admission, *count),
            Command::Hold { hold, ticket, showing, seats, wheelchair } => {
                self.hold(now, *hold, *ticket, showing, seats, *wheelchair)
            }
            Command::HoldBest { hold, ticket, showing, best } => {
                self.hold_best(now, *hold, *ticket, showing, best)
            }
            Command::Swap { hold, ticket, seats, wheelchair } => {
                self.swap(now, *hold, *ticket, seats, *wheelchair)
            }
            Command::Extend { hold, ticket, extension } => self.extend(now, *hold, *ticket, *extension),
            Command::Release { hold, ticket } => self.release(now, *hold, *ticket),
            Command::Confirm { booking, hold, payment_reference } => {
                self.confirm(now, &request.actor, *booking, *hold, payment_reference)
            }
            Command::Cancel { booking, seat } => self.cancel(now, *booking, seat.as_ref()),
            timer => self.decide_timer(now, timer),
        }
    }

    /// A command that was accepted before comes again, or its id does.
    fn repeated(&self, request: &Request, done: &Remembered) -> Result<Decision, Refusal> {
        if done.digest == request.digest {
            return Ok(Decision::Repeated);
        }
        if let Command::Confirm { hold, payment_reference, .. } = &request.command
            && self.settlements.contains_key(&(*hold, payment_reference.clone()))
        {
            return Ok(Decision::Repeated);
        }
        let own = match &request.actor {
            Actor::Visitor(ticket) => done.visitor.is_some() && self.queue.find(ticket) == done.visitor,
            _ => true,
        };
        Err(if own { Refusal::IdReused } else { Refusal::IdInUse })
    }

    /// Applies what happened. Never fails: what is in the log is so.
    pub fn fold(&mut self, fact: &Fact) {
        if Command::is_remembered(&fact.event) {
            let visitor = visitor_of(&fact.event).and_then(|ticket| self.queue.find(ticket));
            self.commands.entry(fact.command_id).or_insert(Remembered { digest: fact.digest, visitor });
        }
        match &fact.event {
            Event::OpeningScheduled(event) => self.scheduled(fact.command_id, event),
            Event::OpeningRescheduled(event) => self.rescheduled(event),
            Event::PlanAdded(event) => self.plan_added(&event.name, &event.plan),
            Event::ShowingAdded(event) => self.showing_added(&event.showing),
            Event::PolicyChanged(event) => self.policy_changed(event),
            Event::MessageChanged(event) => self.message.clone_from(&event.message),
            Event::OpeningOpened(OpeningOpened { at }) | Event::OpeningResumed(OpeningResumed { at }) => {
                self.admissions_begin(OpeningState::Open, *at);
            }
            Event::OpeningPaused(_) => self.state = OpeningState::Paused,
            Event::OpeningDrained(event) => self.admissions_begin(OpeningState::Draining, event.at),
            Event::OpeningClosed(_) => self.state = OpeningState::Closed,
            Event::VisitorJoined(event) => {
                self.queue.joined(event.ticket, event.number);
                if let Some(subject) = &event.subject {
                    self.belongs_to(&event.ticket, subject);
                }
            }
            Event::TicketMoved(event) => {
                self.queue.moved(event);
                self.belongs_to(&event.to, &event.subject);
            }
            Event::VisitorLeft(event) => self.visit_ended(event.ticket, event.state, &event.released),
            Event::LobbyClosed(event) => self.lobby_closed(event),
            Event::DrawHeld(event) => self.draw_held(event, fact.numbering.as_deref()),
            Event::VisitorsAdmitted(event) => self.admitted(event),
            Event::AdmissionsExpired(event) => self.queue.missed(&event.away, &event.spent),
            Event::VisitorsWentAway(event) => self.queue.went_away(&event.tickets),
            Event::VisitorsReturned(event) => self.queue.returned(&event.tickets),
            Event::VisitorEntered(event) => self.queue.entered(event.ticket, event.leave_by),
            Event::VisitsEnded(event) => {
                for visit in &event.visits {
                    self.visit_ended(visit.ticket, visit.state, &visit.released);
                }
            }
            Event::SeatsBlocked(event) => self.seats_blocked(&event.showing, &event.seats, true),
            Event::SeatsUnblocked(event) => self.seats_blocked(&event.showing, &event.seats, false),
            Event::SeatsHeld(event) => self.seats_held(event),
            Event::HoldSwapped(event) => self.hold_swapped(event),
            Event::HoldExtended(event) => self.hold_extended(event),
            Event::HoldReleased(event) => self.hold_ended(&event.released, HoldState::Released),
            Event::HoldsExpired(event) => {
                for expired in &event.holds {
                    self.hold_ended(&expired.released, HoldState::Expired);
                }
            }
            Event::BookingConfirmed(event) => self.booking_confirmed(event),
            Event::BookingCancelled(event) => self.booking_cancelled(event),
            Event::RefundDue(event) => self.refund_due(event),
            Event::RefusalsCounted(_) | Event::WriterClaimed(_) | Event::WriterAlive(_) => {}
        }
    }
}

/// The visitor whose resource `event` is about.
fn visitor_of(event: &Event) -> Option<&Ticket> {
    match event {
        Event::SeatsHeld(event) => Some(&event.ticket),
        Event::HoldSwapped(event) => Some(&event.ticket),
        Event::HoldExtended(event) => Some(&event.ticket),
        Event::BookingConfirmed(event) => Some(&event.ticket),
        Event::RefundDue(event) => Some(&event.ticket),
        _ => None,
    }
}

/// The first of `items` that one event may list: with what they count for,
/// at most [`MAX_MEMBERS`].
fn as_many_as_fit<T>(items: impl Iterator<Item = T>, members: impl Fn(&T) -> usize) -> Vec<T> {
    let mut room = MAX_MEMBERS;
    let fits = |item: &T| {
        let left = room.checked_sub(members(item));
        room = left.unwrap_or(room);
        left.is_some()
    };
    items.take_while(fits).collect()
}

/// The thin handle of the framework: the decision is [`Opening::decide`]'s.
impl Aggregate for Opening {
    const TYPE: &'static str = "opening";
    type Command = Request;
    type Event = Fact;
    type Error = Refusal;
    type Services = ();

    async fn handle(&mut self, request: Request, (): &(), sink: &EventSink<Self>) -> Result<(), Refusal> {
        if let Decision::Accepted(event) = self.decide(&request)? {
            let (command_id, digest) = (request.id, request.digest);
            sink.write(Fact { command_id, digest, event, numbering: None }, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, fact: Fact) {
        self.fold(&fact);
    }
}
