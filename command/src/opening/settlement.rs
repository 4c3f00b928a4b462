//! Payments of holds: each ends in a booking or in a refund that is due.

use serde::{Deserialize, Serialize};
use usher_events::event::{BookingCancelled, BookingConfirmed, RefundDue, RefundReason, TicketState};
use usher_events::ids::{Actor, BookingId, HoldId, PaymentReference, SeatId, Ticket};
use usher_events::policy::Payment;
use usher_events::reference::BookingReference;
use usher_events::time::Timestamp;

use super::holds::Hold;
use super::seats::SeatState;
use super::{BookingState, Decision, HoldState, Opening, Refusal, Resource};

/// One booking, also after it was cancelled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Booking {
    pub(super) ticket: Ticket,
    pub(super) hold: HoldId,
    pub(super) showing: u32,
    /// Those that are still booked.
    pub(super) seats: Vec<u32>,
    pub(super) payment_reference: PaymentReference,
    pub(super) reference: Option<String>,
    pub(super) late: bool,
}

impl Booking {
    fn state(&self) -> BookingState {
        if self.seats.is_empty() { BookingState::Cancelled } else { BookingState::Booked }
    }
}

/// How the payment of a hold ended, for good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settlement {
    booking: BookingId,
    refund: Option<RefundReason>,
}

impl Opening {
    /// Settles a payment of `hold`, once and for good.
    pub(super) fn confirm(
        &self,
        now: Timestamp,
        actor: &Actor,
        booking: BookingId,
        hold: HoldId,
        payment_reference: &PaymentReference,
    ) -> Result<Decision, Refusal> {
        let found = self.may_know(actor, hold)?;
        if self.settlements.contains_key(&(hold, payment_reference.clone())) {
            return Ok(Decision::Repeated);
        }
        match actor {
            Actor::Merchant(_) => {}
            Actor::Visitor(_) if self.policy.payment == Payment::None => {}
            // What the house keeps for its guests, it gives them itself.
            Actor::Operator(_) if found.ticket == Ticket::HOUSE => {}
            _ => return Err(Refusal::MerchantConfirms),
        }
        let late = match self.settle(now, found) {
            Ok(late) => late,
            Err(reason) => {
                let (ticket, payment_reference) = (found.ticket, payment_reference.clone());
                let refund = RefundDue { at: now, booking, hold, ticket, payment_reference, reason };
                return Ok(Decision::Accepted(refund.into()));
            }
        };
        let others_live = self.live_holds(&found.ticket).any(|(id, _)| id != hold);
        let inside = self.queue.get(&found.ticket).is_some_and(|entry| entry.state == TicketState::Inside);
        Ok(Decision::Accepted(
            BookingConfirmed {
                at: now,
                booking,
                hold,
                ticket: found.ticket,
                showing: self.showing_id(found),
                seats: self.seat_ids(found),
                payment_reference: payment_reference.clone(),
                late,
                visit_ended: inside && !others_live,
                reference: Some(self.next_reference().to_string()),
            }
            .into(),
        ))
    }

    /// The hold, unless it is another visitor's: that it exists is nobody
    /// else's to know, also when they guess how it was settled.
    pub(super) fn may_know(&self, actor: &Actor, hold: HoldId) -> Result<&Hold, Refusal> {
        let found = self.holds.get(&hold).ok_or(Refusal::UnknownHold)?;
        match actor {
            Actor::Visitor(ticket) if *ticket != found.ticket => Err(Refusal::UnknownHold),
            _ => Ok(found),
        }
    }

    /// Whether the hold still becomes a booking (and if so, late), or why not.
    fn settle(&self, now: Timestamp, hold: &Hold) -> Result<bool, RefundReason> {
        match hold.state {
            HoldState::Live => Ok(false),
            HoldState::Booked => Err(RefundReason::AlreadyBooked),
            HoldState::Released => Err(RefundReason::HoldReleased),
            HoldState::Expired if now > hold.expires_at.plus_s(self.policy.late_payment_grace_s) => {
                Err(RefundReason::TooLate)
            }
            HoldState::Expired if !self.all_free(hold.showing as usize, &hold.seats) => {
                Err(RefundReason::SeatsTaken)
            }
            HoldState::Expired => Ok(true),
        }
    }

    /// The reference of the booking that comes next: bookings are never
    /// forgotten, so none is given twice.
    fn next_reference(&self) -> BookingReference {
        BookingReference::nth(&self.draw.seed_commitment, self.bookings.len() as u64)
    }

    /// Gives a booking's seats back, or the one that is named.
    pub(super) fn cancel(
        &self,
        now: Timestamp,
        booking: BookingId,
        seat: Option<&SeatId>,
    ) -> Result<Decision, Refusal> {
        let found = self.bookings.get(&booking).ok_or(Refusal::UnknownBooking)?;
        let showing = self.showings[found.showing as usize].showing.showing.clone();
        let hall = self.hall_of(found.showing as usize);
        let booked = hall.map(|hall| hall.ids(&found.seats)).unwrap_or_default();
        if let Some(seat) = seat.filter(|seat| !booked.contains(seat)) {
            let was_booked =
                self.holds.get(&found.hold).is_some_and(|hold| self.seat_ids(hold).contains(seat));
            let unknown = || Refusal::UnknownSeats { showing, seats: vec![seat.clone()] };
            return if was_booked { Ok(Decision::Repeated) } else { Err(unknown()) };
        }
        if booked.is_empty() {
            return Ok(Decision::Repeated);
        }
        let (freed, remaining) =
            booked.into_iter().partition(|booked| seat.is_none_or(|seat| seat == booked));
        Ok(Decision::Accepted(
            BookingCancelled {
                at: now,
                booking,
                ticket: found.ticket,
                payment_reference: found.payment_reference.clone(),
                showing,
                freed,
                remaining,
            }
            .into(),
        ))
    }

    /// How the payment of `hold` ended, under whichever booking id.
    pub(super) fn settlement_resource(&self, hold: HoldId, payment_reference: &PaymentReference) -> Resource {
        let Some(settlement) = self.settlements.get(&(hold, payment_reference.clone())) else {
            return Resource::Nothing {};
        };
        let booking = settlement.booking;
        match settlement.refund {
            Some(reason) => {
                Resource::Refund { booking, hold, payment_reference: payment_reference.clone(), reason }
            }
            None => self.booking_resource(booking),
        }
    }

    pub(super) fn booking_resource(&self, booking: BookingId) -> Resource {
        let Some(found) = self.bookings.get(&booking) else { return Resource::Nothing {} };
        let hall = self.hall_of(found.showing as usize);
        Resource::Booking {
            booking,
            state: found.state(),
            hold: found.hold,
            showing: self.showings[found.showing as usize].showing.showing.clone(),
            seats: hall.map(|hall| hall.ids(&found.seats)).unwrap_or_default(),
            payment_reference: found.payment_reference.clone(),
            reference: found.reference.clone(),
            late: found.late,
        }
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn booking_confirmed(&mut self, event: &BookingConfirmed) {
        let Some((showing, seats)) = self.end_hold(event.hold, HoldState::Booked) else { return };
        self.set_seats(showing, &seats, SeatState::Booked);
        let visitor = self.visitors.entry(event.ticket).or_default();
        visitor.booked_seats += u32::try_from(seats.len()).unwrap_or(0);
        let booking = Booking {
            ticket: event.ticket,
            hold: event.hold,
            showing: u32::try_from(showing).unwrap_or(u32::MAX),
            seats,
            payment_reference: event.payment_reference.clone(),
            reference: event.reference.clone(),
            late: event.late,
        };
        self.bookings.insert(event.booking, booking);
        let settlement = Settlement { booking: event.booking, refund: None };
        self.settlements.insert((event.hold, event.payment_reference.clone()), settlement);
        if event.visit_ended {
            self.queue.set_state_of(&event.ticket, TicketState::Done);
        }
    }

    pub(super) fn booking_cancelled(&mut self, event: &BookingCancelled) {
        let Ok((showing, freed)) = self.known_seats(&event.showing, &event.freed) else { return };
        self.set_seats(showing, &freed, SeatState::Free);
        let Some(booking) = self.bookings.get_mut(&event.booking) else { return };
        booking.seats.retain(|seat| !freed.contains(seat));
        if let Some(visitor) = self.visitors.get_mut(&booking.ticket) {
            visitor.booked_seats =
                visitor.booked_seats.saturating_sub(u32::try_from(freed.len()).unwrap_or(0));
        }
    }

    pub(super) fn refund_due(&mut self, event: &RefundDue) {
        let settlement = Settlement { booking: event.booking, refund: Some(event.reason) };
        self.settlements.insert((event.hold, event.payment_reference.clone()), settlement);
    }
}

/// JSON objects have text keys only: the map goes as a list of pairs.
pub(super) mod as_pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use usher_events::ids::{HoldId, PaymentReference};

    use super::Settlement;

    type Settlements = BTreeMap<(HoldId, PaymentReference), Settlement>;

    pub(in super::super) fn serialize<S: Serializer>(
        map: &Settlements,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Settlements, D::Error> {
        let pairs = Vec::<((HoldId, PaymentReference), Settlement)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
