//! What a step of the log says to analysts: rows to add and marks to set.

use std::collections::HashMap;

use usher_events::event::{Event, ReleasedHold};
use usher_events::ids::{HoldId, OpeningId, PlanName, ShowingId, Ticket};
use usher_events::plan::{Plan, Showing};
use usher_events::time::Timestamp;

use crate::store::{Batch, Located};

/// When a place in line first got so far; times are independent of the order
/// in which they are noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) joined: Option<Timestamp>,
    pub(super) admitted: Option<Timestamp>,
    pub(super) entered: Option<Timestamp>,
    pub(super) held: Option<Timestamp>,
    pub(super) booked: Option<Timestamp>,
}

fn first(known: &mut Option<Timestamp>, at: Option<Timestamp>) {
    *known = match (*known, at) {
        (Some(known), Some(at)) => Some(known.min(at)),
        (known, at) => known.or(at),
    };
}

impl Reached {
    fn and(&mut self, other: Self) {
        first(&mut self.joined, other.joined);
        first(&mut self.admitted, other.admitted);
        first(&mut self.entered, other.entered);
        first(&mut self.held, other.held);
        first(&mut self.booked, other.booked);
    }
}

/// How a hold ended, as the table keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Released = 1,
    Expired = 2,
    Booked = 3,
    BookedLate = 4,
}

/// A hold that began.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) ticket: Ticket,
    pub(super) showing: ShowingId,
    pub(super) at: Timestamp,
}

/// What happened to a hold in a step.
#[derive(Debug, Clone, Default)]
pub(super) struct HoldMarks {
    pub(super) begun: Option<Begun>,
    pub(super) seats: Option<usize>,
    pub(super) swaps: i32,
    pub(super) extensions: i32,
    pub(super) ended: Option<(Outcome, Timestamp)>,
}

/// Seats of a showing that were booked, given back, or put out of sale.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) opening: OpeningId,
    pub(super) offset: u64,
    pub(super) showing: ShowingId,
    pub(super) at: Timestamp,
    pub(super) booked: i32,
    pub(super) cancelled: i32,
    pub(super) blocked: i32,
}

/// A count of refusals, of a reason or of a seat.
#[derive(Debug, Clone)]
pub(super) struct Refused<T> {
    pub(super) opening: OpeningId,
    pub(super) offset: u64,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) what: T,
    pub(super) count: u64,
}

/// What an operator changed; few, and applied one by one in order.
#[derive(Debug, Clone)]
pub(super) enum Setup {
    Opening { title: String, opens_at: Timestamp },
    Plan { name: PlanName, seats: i32, blocked: i32 },
    Showing { showing: Showing, offset: u64, at: Timestamp },
}

/// All that a step says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) setups: Vec<(OpeningId, Setup)>,
    pub(super) visitors: HashMap<(OpeningId, Ticket), Reached>,
    /// Places in line that go on under another ticket: under which, in the
    /// end.
    pub(super) moved: HashMap<(OpeningId, Ticket), Ticket>,
    pub(super) holds: HashMap<(OpeningId, HoldId), HoldMarks>,
    pub(super) sales: Vec<Sale>,
    pub(super) reasons: Vec<Refused<String>>,
    pub(super) conflicts: Vec<Refused<(ShowingId, String)>>,
}

/// How many, as a column of 32 bits; no plan has so many seats.
pub(super) fn many(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl Facts {
    pub(super) fn of(batch: &Batch) -> Self {
        let mut facts = Self::default();
        batch.events.iter().for_each(|located| facts.add(located));
        facts
    }

    fn add(&mut self, located: &Located) {
        let at = located.event.at();
        self.line(&located.opening, at, &located.event);
        self.seats(located, at);
        self.setup(located, at);
    }

    /// How far places in line got.
    fn line(&mut self, opening: &OpeningId, at: Timestamp, event: &Event) {
        let at = Some(at);
        match event {
            Event::VisitorJoined(event) => {
                self.reached(opening, event.ticket, Reached { joined: at, ..Reached::default() });
            }
            Event::VisitorsAdmitted(event) => {
                for admitted in &event.admitted {
                    let reached = Reached { admitted: at, ..Reached::default() };
                    self.reached(opening, admitted.ticket, reached);
                }
            }
            Event::VisitorEntered(event) => {
                self.reached(opening, event.ticket, Reached { entered: at, ..Reached::default() });
            }
            // The house is no visitor.
            Event::SeatsHeld(event) if event.ticket != Ticket::HOUSE => {
                self.reached(opening, event.ticket, Reached { held: at, ..Reached::default() });
            }
            Event::BookingConfirmed(event) if event.ticket != Ticket::HOUSE => {
                self.reached(opening, event.ticket, Reached { booked: at, ..Reached::default() });
            }
            Event::TicketMoved(event) => self.go_on_as(opening, event.from, event.to),
            _ => {}
        }
    }

    fn go_on_as(&mut self, opening: &OpeningId, from: Ticket, to: Ticket) {
        if let Some(so_far) = self.visitors.remove(&(opening.clone(), from)) {
            self.reached(opening, to, so_far);
        }
        self.moved.values_mut().filter(|last| **last == from).for_each(|last| *last = to);
        self.moved.insert((opening.clone(), from), to);
    }

    pub(super) fn reached(&mut self, opening: &OpeningId, ticket: Ticket, reached: Reached) {
        self.visitors.entry((opening.clone(), ticket)).or_default().and(reached);
    }

    /// Holds, and seats that are booked or blocked.
    fn seats(&mut self, located: &Located, at: Timestamp) {
        let opening = &located.opening;
        match &located.event {
            Event::SeatsHeld(event) => {
                let hold = self.hold(opening, event.hold);
                hold.begun = Some(Begun { ticket: event.ticket, showing: event.showing.clone(), at });
                hold.seats = Some(event.seats.len());
            }
            Event::HoldSwapped(event) => {
                let hold = self.hold(opening, event.hold);
                hold.swaps += 1;
                hold.seats = Some(event.seats.len());
            }
            Event::HoldExtended(event) => self.hold(opening, event.hold).extensions += 1,
            Event::HoldReleased(event) => self.ended(opening, [&event.released], Outcome::Released, at),
            Event::HoldsExpired(event) => {
                let released = event.holds.iter().map(|hold| &hold.released);
                self.ended(opening, released, Outcome::Expired, at);
            }
            Event::VisitorLeft(event) => self.ended(opening, &event.released, Outcome::Released, at),
            Event::VisitsEnded(event) => {
                let released = event.visits.iter().flat_map(|visit| &visit.released);
                self.ended(opening, released, Outcome::Released, at);
            }
            Event::BookingConfirmed(event) => {
                let outcome = if event.late { Outcome::BookedLate } else { Outcome::Booked };
                self.hold(opening, event.hold).ended = Some((outcome, at));
                self.sold(located, &event.showing, [many(event.seats.len()), 0, 0]);
            }
            Event::BookingCancelled(event) => {
                self.sold(located, &event.showing, [0, many(event.freed.len()), 0]);
            }
            Event::SeatsBlocked(event) => {
                self.sold(located, &event.showing, [0, 0, many(event.seats.len())]);
            }
            Event::SeatsUnblocked(event) => {
                self.sold(located, &event.showing, [0, 0, -many(event.seats.len())]);
            }
            _ => {}
        }
    }

    fn hold(&mut self, opening: &OpeningId, hold: HoldId) -> &mut HoldMarks {
        self.holds.entry((opening.clone(), hold)).or_default()
    }

    fn ended<'a>(
        &mut self,
        opening: &OpeningId,
        released: impl IntoIterator<Item = &'a ReleasedHold>,
        outcome: Outcome,
        at: Timestamp,
    ) {
        for released in released {
            self.hold(opening, released.hold).ended = Some((outcome, at));
        }
    }

    fn sold(&mut self, located: &Located, showing: &ShowingId, [booked, cancelled, blocked]: [i32; 3]) {
        self.sales.push(Sale {
            opening: located.opening.clone(),
            offset: located.offset,
            showing: showing.clone(),
            at: located.event.at(),
            booked,
            cancelled,
            blocked,
        });
    }

    /// What is sold, and what was refused.
    fn setup(&mut self, located: &Located, at: Timestamp) {
        let (opening, offset) = (&located.opening, located.offset);
        let plan = |name: &PlanName, plan: &Plan| Setup::Plan {
            name: name.clone(),
            seats: many(plan.seating.seats().count()),
            blocked: many(plan.details.blocked_at_first().len()),
        };
        let showing = |showing: &Showing| Setup::Showing { showing: showing.clone(), offset, at };
        let setups: Vec<Setup> = match &located.event {
            Event::OpeningScheduled(event) => {
                let named = Setup::Opening { title: event.title.clone(), opens_at: event.opens_at };
                let plans = event.plans.iter().map(|(name, body)| plan(name, body));
                [named].into_iter().chain(plans).chain(event.showings.iter().map(showing)).collect()
            }
            Event::OpeningRescheduled(event) => {
                vec![Setup::Opening { title: event.title.clone(), opens_at: event.opens_at }]
            }
            Event::PlanAdded(event) => vec![plan(&event.name, &event.plan)],
            Event::ShowingAdded(event) => vec![showing(&event.showing)],
            Event::RefusalsCounted(event) => {
                let refused = (opening.clone(), offset, event.since, at);
                let reasons = event.by_reason.iter();
                self.reasons.extend(reasons.map(|(reason, count)| counted(&refused, reason.clone(), *count)));
                self.conflicts.extend(event.by_seat.iter().map(|seat| {
                    counted(&refused, (seat.showing.clone(), seat.seat.as_str().to_owned()), seat.count)
                }));
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.setups.extend(setups.into_iter().map(|setup| (opening.clone(), setup)));
    }
}

fn counted<T>(
    (opening, offset, since, until): &(OpeningId, u64, Timestamp, Timestamp),
    what: T,
    count: u64,
) -> Refused<T> {
    Refused { opening: opening.clone(), offset: *offset, since: *since, until: *until, what, count }
}
