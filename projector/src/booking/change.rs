//! What an event changes in a booking view. Views copy and never infer.

use usher_events::event::{Event, ReleasedHold};
use usher_events::ids::{BookingId, HoldId, PaymentReference, PlanName, SeatId, ShowingId};
use usher_events::plan::{Plan, Showing};

use super::{BookingState, BookingView, HoldState, HoldView, Operated, SeatState, SettlementView};
use crate::store::{Deadline, Located};

/// One change of a booking view.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A plan is there.
    Plan(PlanName, Box<Plan>),
    /// A showing is there, with all seats of its plan.
    Showing(Showing),
    /// Seats are something else now.
    Seats {
        /// Of which showing.
        showing: ShowingId,
        /// Which.
        seats: Vec<SeatId>,
        /// What they are now.
        state: SeatState,
    },
    /// A hold is there.
    Hold(HoldView),
    /// A hold is something else now.
    HoldState(HoldId, HoldState),
    /// A hold has other seats now.
    HoldSeats(HoldId, Vec<SeatId>),
    /// A hold lasts longer.
    HoldDeadline(HoldId, Deadline),
    /// A booking is there.
    Booking(BookingView),
    /// A booking has these seats left; with none it is cancelled.
    BookingSeats(BookingId, Vec<SeatId>),
    /// A payment ended so.
    Settlement(HoldId, PaymentReference, SettlementView),
    /// An operator did something.
    Operated(Operated),
}

impl Change {
    /// What `located` changes, in order.
    pub fn of(located: &Located) -> Vec<Self> {
        let given = located.offset;
        let mut changes: Vec<Self> = Operated::of(located).map(Self::Operated).into_iter().collect();
        let freed = |changes: &mut Vec<Self>, released: &ReleasedHold, state| {
            changes.push(Self::HoldState(released.hold, state));
            changes.push(seats(&released.showing, &released.seats, SeatState::Free));
        };
        match &located.event {
            Event::OpeningScheduled(event) => {
                let plans = event.plans.iter();
                changes.extend(plans.map(|(name, plan)| Self::Plan(name.clone(), Box::new(plan.clone()))));
                changes.extend(event.showings.iter().cloned().map(Self::Showing));
            }
            Event::PlanAdded(event) => {
                changes.push(Self::Plan(event.name.clone(), Box::new(event.plan.clone())))
            }
            Event::ShowingAdded(event) => changes.push(Self::Showing(event.showing.clone())),
            Event::SeatsBlocked(event) => {
                changes.push(seats(&event.showing, &event.seats, SeatState::Blocked))
            }
            Event::SeatsUnblocked(event) => {
                changes.push(seats(&event.showing, &event.seats, SeatState::Free))
            }
            Event::SeatsHeld(event) => {
                changes.push(Self::Hold(HoldView {
                    hold: event.hold,
                    ticket: event.ticket,
                    showing: event.showing.clone(),
                    seats: event.seats.clone(),
                    state: HoldState::Live,
                    expires_at: Deadline { at: event.expires_at, given },
                    booking: None,
                }));
                changes.push(seats(&event.showing, &event.seats, SeatState::Held));
            }
            Event::HoldSwapped(event) => {
                changes.push(Self::HoldSeats(event.hold, event.seats.clone()));
                changes.push(seats(&event.showing, &event.freed, SeatState::Free));
                changes.push(seats(&event.showing, &event.seats, SeatState::Held));
            }
            Event::HoldExtended(event) => {
                changes.push(Self::HoldDeadline(event.hold, Deadline { at: event.expires_at, given }));
            }
            Event::HoldReleased(event) => freed(&mut changes, &event.released, HoldState::Released),
            Event::HoldsExpired(event) => {
                event.holds.iter().for_each(|hold| freed(&mut changes, &hold.released, HoldState::Expired));
            }
            Event::VisitorLeft(event) => {
                event.released.iter().for_each(|hold| freed(&mut changes, hold, HoldState::Released));
            }
            Event::VisitsEnded(event) => {
                let released = event.visits.iter().flat_map(|visit| &visit.released);
                released.for_each(|hold| freed(&mut changes, hold, HoldState::Released));
            }
            Event::BookingConfirmed(event) => {
                changes.push(Self::HoldState(event.hold, HoldState::Booked));
                changes.push(seats(&event.showing, &event.seats, SeatState::Booked));
                changes.push(Self::Booking(BookingView {
                    booking: event.booking,
                    ticket: event.ticket,
                    hold: event.hold,
                    showing: event.showing.clone(),
                    seats: event.seats.clone(),
                    state: BookingState::Booked,
                    payment_reference: event.payment_reference.clone(),
                    reference: event.reference.clone(),
                    late: event.late,
                }));
                let settlement = SettlementView { booking: event.booking, refund: None };
                changes.push(Self::Settlement(event.hold, event.payment_reference.clone(), settlement));
            }
            Event::BookingCancelled(event) => {
                changes.push(Self::BookingSeats(event.booking, event.remaining.clone()));
                changes.push(seats(&event.showing, &event.freed, SeatState::Free));
            }
            Event::RefundDue(event) => {
                let settlement = SettlementView { booking: event.booking, refund: Some(event.reason) };
                changes.push(Self::Settlement(event.hold, event.payment_reference.clone(), settlement));
            }
            _ => {}
        }
        changes
    }
}

fn seats(showing: &ShowingId, seats: &[SeatId], state: SeatState) -> Change {
    Change::Seats { showing: showing.clone(), seats: seats.to_vec(), state }
}
