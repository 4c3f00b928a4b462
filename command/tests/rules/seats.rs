//! The seats: each in one live hold or booking at a time, each payment
//! settled once.

use std::collections::{BTreeSet, HashMap};

use usher_events::event::{
    BookingCancelled, BookingConfirmed, Event, HoldExtended, HoldSwapped, RefundDue, RefundReason,
    ReleasedHold, SeatsHeld, TicketState,
};
use usher_events::ids::{BookingId, HoldId, PaymentReference, PlanName, SeatId, ShowingId, Ticket};
use usher_events::plan::{Plan, Showing};
use usher_events::time::Timestamp;

use super::room::Room;

/// One seat of one showing.
type Seat = (ShowingId, SeatId);

/// Who has a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Hold(HoldId),
    Booking(BookingId),
    Blocked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Live,
    Released,
    Expired,
    Booked,
}

#[derive(Debug, Clone)]
struct Hold {
    ticket: Ticket,
    seats: BTreeSet<Seat>,
    expires_at: Timestamp,
    extensions: u32,
    stage: Stage,
}

#[derive(Debug, Clone)]
struct Booking {
    ticket: Ticket,
    payment: PaymentReference,
    seats: BTreeSet<Seat>,
}

/// The seats, holds, bookings and payments.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    plans: HashMap<PlanName, (BTreeSet<SeatId>, BTreeSet<SeatId>)>,
    showings: HashMap<ShowingId, PlanName>,
    /// Whoever is not here is free.
    taken: HashMap<Seat, By>,
    holds: HashMap<HoldId, Hold>,
    bookings: HashMap<BookingId, Booking>,
    settled: HashMap<(HoldId, PaymentReference), bool>,
}

fn of(showing: &ShowingId, seats: &[SeatId]) -> BTreeSet<Seat> {
    seats.iter().map(|seat| (showing.clone(), seat.clone())).collect()
}

impl Seats {
    pub(super) fn settlement(&self, hold: HoldId, payment: &PaymentReference) -> Option<bool> {
        self.settled.get(&(hold, payment.clone())).copied()
    }

    pub(super) fn knows_hold(&self, hold: HoldId) -> bool {
        self.holds.contains_key(&hold)
    }

    /// No live hold ends before `floor`.
    pub(super) fn raise_deadlines(&mut self, floor: Timestamp) {
        for hold in self.holds.values_mut().filter(|hold| hold.stage == Stage::Live) {
            hold.expires_at = hold.expires_at.max(floor);
        }
    }

    pub(super) fn apply(&mut self, event: &Event, room: &Room) -> Result<(), String> {
        match event {
            Event::OpeningScheduled(event) => {
                for (name, plan) in &event.plans {
                    self.plan(name, plan)?;
                }
                for showing in &event.showings {
                    self.showing(showing)?;
                }
            }
            Event::PlanAdded(event) => self.plan(&event.name, &event.plan)?,
            Event::ShowingAdded(event) => self.showing(&event.showing)?,
            Event::SeatsHeld(event) => self.held(event, room)?,
            Event::HoldSwapped(event) => self.swapped(event, room)?,
            Event::HoldExtended(event) => self.extended(event, room)?,
            Event::HoldReleased(event) => {
                self.end(event.at, event.ticket, &event.released, Stage::Released)?;
            }
            Event::HoldsExpired(event) => {
                for expired in &event.holds {
                    self.end(event.at, expired.ticket, &expired.released, Stage::Expired)?;
                }
            }
            Event::VisitorLeft(event) => {
                self.leave(event.at, event.ticket, event.state, &event.released)?;
            }
            Event::VisitsEnded(event) => {
                for visit in &event.visits {
                    self.leave(event.at, visit.ticket, visit.state, &visit.released)?;
                }
            }
            Event::BookingConfirmed(event) => self.booked(event, room)?,
            Event::BookingCancelled(event) => self.cancelled(event)?,
            Event::RefundDue(event) => self.refunded(event, room)?,
            _ => {}
        }
        Ok(())
    }

    fn plan(&mut self, name: &PlanName, plan: &Plan) -> Result<(), String> {
        let seats = plan.seating.seats().map(|seat| seat.seat_guid.clone()).collect();
        let blocked = plan.details.blocked.keys().cloned().collect();
        rule!(self.plans.insert(name.clone(), (seats, blocked)).is_none(), "plan {name} changed");
        Ok(())
    }

    fn showing(&mut self, showing: &Showing) -> Result<(), String> {
        let Some((_, blocked)) = self.plans.get(&showing.plan) else {
            return Err(format!("showing {} has no plan", showing.showing));
        };
        let blocked = blocked.iter().map(|seat| ((showing.showing.clone(), seat.clone()), By::Blocked));
        self.taken.extend(blocked);
        let before = self.showings.insert(showing.showing.clone(), showing.plan.clone());
        rule!(before.is_none(), "showing {} changed", showing.showing);
        Ok(())
    }

    /// How many seats a visitor has, held or booked.
    fn has(&self, ticket: Ticket) -> usize {
        let live = self.holds.values().filter(|hold| hold.ticket == ticket && hold.stage == Stage::Live);
        let booked = self.bookings.values().filter(|booking| booking.ticket == ticket);
        live.map(|hold| hold.seats.len()).sum::<usize>()
            + booked.map(|booking| booking.seats.len()).sum::<usize>()
    }

    fn swapped(&mut self, event: &HoldSwapped, room: &Room) -> Result<(), String> {
        rule!(room.inside(&event.ticket) && !room.closed(), "seats were swapped from outside");
        let Some(hold) = self.holds.get(&event.hold) else { return Err("no hold was swapped".to_owned()) };
        rule!(
            hold.stage == Stage::Live && hold.ticket == event.ticket,
            "another's or an old hold was swapped"
        );
        rule!(hold.expires_at == event.expires_at, "a swap moved a hold's end");
        let (before, after) = (hold.seats.clone(), of(&event.showing, &event.seats));
        rule!(after.len() == event.seats.len() && !after.is_empty(), "a seat is swapped for twice");
        let freed: BTreeSet<Seat> = before.difference(&after).cloned().collect();
        rule!(of(&event.showing, &event.freed) == freed, "a swap frees other seats than it gives back");
        for seat in &freed {
            self.taken.remove(seat);
        }
        for seat in after.difference(&before) {
            let plan = self.showings.get(&seat.0).and_then(|plan| self.plans.get(plan));
            rule!(plan.is_some_and(|(seats, _)| seats.contains(&seat.1)), "seat {seat:?} does not exist");
            let by = self.taken.insert(seat.clone(), By::Hold(event.hold));
            rule!(by.is_none(), "seat {seat:?} is taken by {by:?} and swapped for");
        }
        if let Some(hold) = self.holds.get_mut(&event.hold) {
            hold.seats = after;
        }
        let most = room.policy().max_seats as usize;
        rule!(self.has(event.ticket) <= most, "a visitor has more than {most} seats");
        Ok(())
    }

    fn held(&mut self, event: &SeatsHeld, room: &Room) -> Result<(), String> {
        rule!(room.inside(&event.ticket) && !room.closed(), "seats were held from outside");
        let seats = of(&event.showing, &event.seats);
        rule!(seats.len() == event.seats.len() && !seats.is_empty(), "a seat is held twice in one hold");
        let most = room.policy().max_seats as usize;
        rule!(self.has(event.ticket) + seats.len() <= most, "a visitor has more than {most} seats");
        rule!(event.expires_at == event.at.plus_s(room.policy().hold_for_s), "a hold of another length");
        for seat in &seats {
            let plan = self.showings.get(&seat.0).and_then(|plan| self.plans.get(plan));
            rule!(plan.is_some_and(|(seats, _)| seats.contains(&seat.1)), "seat {seat:?} does not exist");
            let by = self.taken.insert(seat.clone(), By::Hold(event.hold));
            rule!(by.is_none(), "seat {seat:?} is taken by {by:?} and held again");
        }
        let hold = Hold {
            ticket: event.ticket,
            seats,
            expires_at: event.expires_at,
            extensions: 0,
            stage: Stage::Live,
        };
        rule!(self.holds.insert(event.hold, hold).is_none(), "hold {} came twice", event.hold);
        Ok(())
    }

    fn extended(&mut self, event: &HoldExtended, room: &Room) -> Result<(), String> {
        let Some(hold) = self.holds.get_mut(&event.hold) else {
            return Err("an unknown hold was extended".to_owned());
        };
        rule!(
            hold.ticket == event.ticket && hold.stage == Stage::Live,
            "a {:?} hold was extended",
            hold.stage
        );
        rule!(hold.expires_at > event.at, "a hold was extended after its end");
        hold.extensions += 1;
        rule!(hold.extensions <= room.policy().max_extensions, "a hold was extended too often");
        let expires_at = hold.expires_at.plus_s(room.policy().hold_for_s);
        rule!(event.expires_at == expires_at, "an extension of another length");
        hold.expires_at = expires_at;
        Ok(())
    }

    fn end(
        &mut self,
        at: Timestamp,
        ticket: Ticket,
        ended: &ReleasedHold,
        stage: Stage,
    ) -> Result<(), String> {
        let Some(hold) = self.holds.get_mut(&ended.hold) else {
            return Err("an unknown hold ended".to_owned());
        };
        rule!(hold.stage == Stage::Live, "a {:?} hold ended again", hold.stage);
        rule!(hold.ticket == ticket, "a hold ended as another visitor's");
        let due = hold.expires_at <= at;
        rule!(due == (stage == Stage::Expired), "{stage:?} at {at}, and it lasts to {}", hold.expires_at);
        rule!(hold.seats == of(&ended.showing, &ended.seats), "other seats come free than were held");
        hold.stage = stage;
        for seat in &hold.seats {
            let by = self.taken.remove(seat);
            rule!(by == Some(By::Hold(ended.hold)), "seat {seat:?} comes free from {by:?}");
        }
        Ok(())
    }

    /// A visit ends with all of its live holds, and not before.
    fn leave(
        &mut self,
        at: Timestamp,
        ticket: Ticket,
        state: TicketState,
        released: &[ReleasedHold],
    ) -> Result<(), String> {
        for ended in released {
            self.end(at, ticket, ended, Stage::Released)?;
        }
        rule!(!self.has_live(ticket), "a visit ended with a live hold");
        let booked =
            self.bookings.values().any(|booking| booking.ticket == ticket && !booking.seats.is_empty());
        rule!(booked == (state == TicketState::Done), "{state:?} with a booking: {booked}");
        Ok(())
    }

    fn has_live(&self, ticket: Ticket) -> bool {
        self.holds.values().any(|hold| hold.ticket == ticket && hold.stage == Stage::Live)
    }

    /// How a payment of `hold` must end now: booked (late or not), or not.
    fn ends(&self, hold: HoldId, at: Timestamp, room: &Room) -> Result<Result<bool, RefundReason>, String> {
        let Some(hold) = self.holds.get(&hold) else {
            return Err("an unknown hold was paid for".to_owned());
        };
        let until = hold.expires_at.plus_s(room.policy().late_payment_grace_s);
        Ok(match hold.stage {
            Stage::Live => {
                rule!(hold.expires_at > at, "a hold was alive after its end");
                Ok(false)
            }
            Stage::Booked => Err(RefundReason::AlreadyBooked),
            Stage::Released => Err(RefundReason::HoldReleased),
            Stage::Expired if at > until => Err(RefundReason::TooLate),
            Stage::Expired if hold.seats.iter().any(|seat| self.taken.contains_key(seat)) => {
                Err(RefundReason::SeatsTaken)
            }
            Stage::Expired => Ok(true),
        })
    }

    fn booked(&mut self, event: &BookingConfirmed, room: &Room) -> Result<(), String> {
        let ends = self.ends(event.hold, event.at, room)?;
        rule!(ends == Ok(event.late), "booked, late: {}, where {ends:?} was due", event.late);
        self.settle(event.hold, &event.payment_reference, true)?;
        let seats = of(&event.showing, &event.seats);
        let Some(hold) = self.holds.get_mut(&event.hold) else { return Ok(()) };
        rule!(hold.ticket == event.ticket, "a hold is booked for somebody else");
        rule!(hold.seats == seats, "other seats are booked than were held");
        hold.stage = Stage::Booked;
        for seat in &seats {
            let by = self.taken.insert(seat.clone(), By::Booking(event.booking));
            let own = if event.late { by.is_none() } else { by == Some(By::Hold(event.hold)) };
            rule!(own, "seat {seat:?} is booked from {by:?}");
        }
        let booking = Booking { ticket: event.ticket, payment: event.payment_reference.clone(), seats };
        rule!(self.bookings.insert(event.booking, booking).is_none(), "booking {} came twice", event.booking);
        let ends = room.inside(&event.ticket) && !self.has_live(event.ticket);
        rule!(event.visit_ended == ends, "a booking ended the visit: {}, not {ends}", event.visit_ended);
        Ok(())
    }

    fn refunded(&mut self, event: &RefundDue, room: &Room) -> Result<(), String> {
        let ends = self.ends(event.hold, event.at, room)?;
        rule!(ends == Err(event.reason), "a refund for {:?}, where {ends:?} was due", event.reason);
        rule!(self.holds[&event.hold].ticket == event.ticket, "a refund to somebody else");
        self.settle(event.hold, &event.payment_reference, false)
    }

    fn settle(&mut self, hold: HoldId, payment: &PaymentReference, booked: bool) -> Result<(), String> {
        let before = self.settled.insert((hold, payment.clone()), booked);
        rule!(before.is_none(), "a payment was settled twice: {before:?}, then {booked}");
        Ok(())
    }

    fn cancelled(&mut self, event: &BookingCancelled) -> Result<(), String> {
        let Some(booking) = self.bookings.get_mut(&event.booking) else {
            return Err("an unknown booking was cancelled".to_owned());
        };
        rule!(booking.ticket == event.ticket, "somebody else's booking was cancelled");
        rule!(booking.payment == event.payment_reference, "a booking with another payment was cancelled");
        for seat in of(&event.showing, &event.freed) {
            rule!(booking.seats.remove(&seat), "seat {seat:?} was not booked");
            let by = self.taken.remove(&seat);
            rule!(by == Some(By::Booking(event.booking)), "seat {seat:?} comes free from {by:?}");
        }
        rule!(booking.seats == of(&event.showing, &event.remaining), "other seats stay booked");
        Ok(())
    }
}
