//! The changes of many events, gathered as rows to write at once.

use std::collections::{BTreeMap, HashMap};

use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId};
use usher_events::plan::{Plan, Showing};
use usher_events::record::Offset;

use super::{BookingView, Change, HoldState, HoldView, Operated, SeatState, SettlementView};
use crate::store::{Deadline, Located};

/// What changes in a hold that is in the table already.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HoldPatch {
    pub(super) state: Option<HoldState>,
    pub(super) seats: Option<Vec<SeatId>>,
    pub(super) expires_at: Option<Deadline>,
}

/// A showing's seats: how often its version rises, and each seat's last state
/// with the rise that changed it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SeatRows {
    pub(super) rises: u64,
    pub(super) seats: HashMap<SeatId, (SeatState, u64)>,
}

/// All rows of a batch. Within it, only the last state of each row is kept.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) plans: Vec<(OpeningId, PlanName, Box<Plan>)>,
    pub(super) showings: Vec<(OpeningId, Showing)>,
    pub(super) seats: BTreeMap<(OpeningId, ShowingId), SeatRows>,
    pub(super) holds: HashMap<(OpeningId, HoldId), HoldView>,
    pub(super) hold_patches: HashMap<(OpeningId, HoldId), HoldPatch>,
    pub(super) bookings: HashMap<(OpeningId, BookingId), BookingView>,
    pub(super) booking_seats: HashMap<(OpeningId, BookingId), Vec<SeatId>>,
    pub(super) settlements: Vec<(OpeningId, HoldId, PaymentReference, SettlementView)>,
    pub(super) operated: Vec<(OpeningId, Offset, Operated)>,
}

impl Rows {
    /// The rows that `events` change, in order.
    pub(super) fn of(events: &[Located]) -> Self {
        let mut rows = Self::default();
        for located in events {
            let mut risen = Vec::new();
            for change in Change::of(located) {
                match change {
                    Change::Operated(act) => {
                        rows.operated.push((located.opening.clone(), located.offset, act))
                    }
                    change => rows.add(&located.opening, change, &mut risen),
                }
            }
        }
        rows
    }

    fn add(&mut self, opening: &OpeningId, change: Change, risen: &mut Vec<ShowingId>) {
        let opening = opening.clone();
        match change {
            Change::Plan(name, plan) => self.plans.push((opening, name, plan)),
            Change::Showing(showing) => self.showings.push((opening, showing)),
            Change::Seats { showing, seats, state } => {
                let rows = self.seats.entry((opening, showing.clone())).or_default();
                if !risen.contains(&showing) {
                    rows.rises += 1;
                    risen.push(showing);
                }
                let rise = rows.rises;
                rows.seats.extend(seats.into_iter().map(|seat| (seat, (state, rise))));
            }
            Change::Hold(hold) => drop(self.holds.insert((opening, hold.hold), hold)),
            Change::HoldState(hold, state) => match self.holds.get_mut(&(opening.clone(), hold)) {
                Some(known) => known.state = state,
                None => self.patch(opening, hold).state = Some(state),
            },
            Change::HoldSeats(hold, seats) => match self.holds.get_mut(&(opening.clone(), hold)) {
                Some(known) => known.seats = seats,
                None => self.patch(opening, hold).seats = Some(seats),
            },
            Change::HoldDeadline(hold, deadline) => match self.holds.get_mut(&(opening.clone(), hold)) {
                Some(known) => known.expires_at = deadline,
                None => self.patch(opening, hold).expires_at = Some(deadline),
            },
            Change::Booking(booking) => drop(self.bookings.insert((opening, booking.booking), booking)),
            Change::BookingSeats(booking, seats) => {
                match self.bookings.get_mut(&(opening.clone(), booking)) {
                    Some(known) => known.keep(seats),
                    None => drop(self.booking_seats.insert((opening, booking), seats)),
                }
            }
            Change::Settlement(hold, payment, settlement) => {
                self.settlements.push((opening, hold, payment, settlement));
            }
            // Gathered with its offset.
            Change::Operated(_) => {}
        }
    }

    fn patch(&mut self, opening: OpeningId, hold: HoldId) -> &mut HoldPatch {
        self.hold_patches.entry((opening, hold)).or_default()
    }
}
