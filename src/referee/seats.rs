//! Who had which seat.

use std::collections::HashMap;

use usher_events::event::{Event, ReleasedHold};
use usher_events::ids::{HoldId, SeatId, ShowingId};

use super::{Broken, Totals};

/// The seats of one opening that somebody holds or has booked, by the hold.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: HashMap<ShowingId, HashMap<SeatId, HoldId>>,
}

impl Seats {
    fn take(&mut self, showing: &ShowingId, seats: &[SeatId], hold: HoldId, broken: &mut Vec<Broken>) {
        let taken = self.taken.entry(showing.clone()).or_default();
        for seat in seats {
            let other = taken.insert(seat.clone(), hold).filter(|other| *other != hold);
            if let Some(other) = other {
                broken.push(Broken::SeatTwice { showing: showing.clone(), seat: seat.clone(), hold, other });
            }
        }
    }

    fn give_back(&mut self, released: &ReleasedHold, broken: &mut Vec<Broken>) {
        let ReleasedHold { hold, showing, seats } = released;
        let taken = self.taken.entry(showing.clone()).or_default();
        for seat in seats {
            if taken.get(seat) == Some(hold) {
                taken.remove(seat);
            } else {
                let (showing, seat) = (showing.clone(), seat.clone());
                broken.push(Broken::NotTheirs { showing, seat, hold: *hold });
            }
        }
    }

    pub(super) fn see(&mut self, event: &Event, totals: &mut Totals, broken: &mut Vec<Broken>) {
        match event {
            Event::SeatsHeld(event) => {
                totals.held += event.seats.len() as u64;
                self.take(&event.showing, &event.seats, event.hold, broken);
            }
            Event::HoldSwapped(event) => {
                let (hold, showing) = (event.hold, event.showing.clone());
                self.give_back(&ReleasedHold { hold, showing, seats: event.freed.clone() }, broken);
                self.take(&event.showing, &event.seats, hold, broken);
            }
            Event::HoldReleased(event) => self.give_back(&event.released, broken),
            Event::HoldsExpired(event) => {
                for expired in &event.holds {
                    self.give_back(&expired.released, broken);
                }
            }
            Event::VisitorLeft(event) => {
                for released in &event.released {
                    self.give_back(released, broken);
                }
            }
            Event::VisitsEnded(event) => {
                for released in event.visits.iter().flat_map(|visit| &visit.released) {
                    self.give_back(released, broken);
                }
            }
            // Already the hold's, or free when the payment came late.
            Event::BookingConfirmed(event) => {
                totals.booked += event.seats.len() as u64;
                self.take(&event.showing, &event.seats, event.hold, broken);
            }
            Event::BookingCancelled(event) => {
                if let Some(taken) = self.taken.get_mut(&event.showing) {
                    taken.retain(|seat, _| !event.freed.contains(seat));
                }
            }
            _ => {}
        }
    }
}
