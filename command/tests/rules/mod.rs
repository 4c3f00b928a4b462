//! The rules that never bend, as the events of one opening tell them: another
//! reckoning than the aggregate's, with nothing of its code.

/// Says what broke unless it holds.
macro_rules! rule {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

mod room;
mod seats;

use usher_events::event::{EndedVisit, Event, ReleasedHold};
use usher_events::ids::{HoldId, PaymentReference};
use usher_events::time::Timestamp;

use room::Room;
use seats::Seats;

/// The most members that one event lists.
const MAX_MEMBERS: usize = 4_096;
/// After a claim no deadline falls before its time and this.
const CLAIM_GRACE_S: u32 = 30;

/// One opening, as its events tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    room: Room,
    seats: Seats,
    last_at: Timestamp,
}

impl Rules {
    /// The next event happens, caused by `actor`; says which rule it broke.
    pub(crate) fn apply(&mut self, event: &Event, actor: &str) -> Result<(), String> {
        let at = event.at();
        rule!(at >= self.last_at, "time runs backwards");
        self.last_at = at;
        rule!(members(event) <= MAX_MEMBERS, "{} lists {} members", event.kind(), members(event));
        self.seats.apply(event, &self.room)?;
        self.room.apply(event, actor.starts_with("timer:"))
    }

    /// A writer claims the partition: nobody is punished for an outage.
    pub(crate) fn claimed(&mut self, at: Timestamp) {
        let floor = at.plus_s(CLAIM_GRACE_S);
        self.room.raise_deadlines(floor);
        self.seats.raise_deadlines(floor);
    }

    /// Whether a payment became a booking, once it is settled.
    pub(crate) fn settlement(&self, hold: HoldId, payment: &PaymentReference) -> Option<bool> {
        self.seats.settlement(hold, payment)
    }

    /// Whether anybody ever had this hold.
    pub(crate) fn knows_hold(&self, hold: HoldId) -> bool {
        self.seats.knows_hold(hold)
    }
}

/// How many things an event lists.
fn members(event: &Event) -> usize {
    let of_hold = |released: &ReleasedHold| 1 + released.seats.len();
    let of_visit = |visit: &EndedVisit| 1 + visit.released.iter().map(of_hold).sum::<usize>();
    match event {
        Event::VisitorsAdmitted(event) => event.admitted.len(),
        Event::AdmissionsExpired(event) => event.away.len() + event.spent.len(),
        Event::VisitorsWentAway(event) => event.tickets.len(),
        Event::VisitorsReturned(event) => event.tickets.len(),
        Event::VisitsEnded(event) => event.visits.iter().map(of_visit).sum(),
        Event::VisitorLeft(event) => event.released.iter().map(of_hold).sum(),
        Event::HoldsExpired(event) => event.holds.iter().map(|expired| of_hold(&expired.released)).sum(),
        Event::SeatsHeld(event) => event.seats.len(),
        Event::HoldSwapped(event) => event.seats.len() + event.freed.len(),
        Event::HoldReleased(event) => of_hold(&event.released),
        Event::BookingConfirmed(event) => event.seats.len(),
        Event::BookingCancelled(event) => event.freed.len() + event.remaining.len(),
        Event::RefusalsCounted(event) => event.by_reason.len() + event.by_seat.len(),
        _ => 0,
    }
}
