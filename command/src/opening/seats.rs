//! The seats of showings: free, held, booked, blocked.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use usher_events::event::SeatsUnblocked;
use usher_events::ids::{PlanName, SeatId, ShowingId};
use usher_events::plan::{OpensAt, Plan, Showing};
use usher_events::time::Timestamp;

use super::choosing::Floor;
use super::{Decision, Opening, OpeningState, Refusal, as_many_as_fit};

/// What a seat is in one showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SeatState {
    Free,
    Held,
    Booked,
    Blocked,
}

/// The seats of a plan; of the drawing only where they stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hall {
    pub(super) seats: Vec<SeatId>,
    index: HashMap<SeatId, u32>,
    /// Those that are not sold, or not yet.
    blocked: Vec<u32>,
    /// Those that are not sold before a time.
    opens: Vec<(Timestamp, u32)>,
    pub(super) floor: Floor,
}

impl Hall {
    pub(super) fn new(plan: &Plan) -> Self {
        let seats: Vec<SeatId> = plan.seating.seats().map(|seat| seat.seat_guid.clone()).collect();
        let index: HashMap<SeatId, u32> = seats.iter().cloned().zip(0..).collect();
        let find = |seat: &SeatId| index.get(seat).copied();
        let blocked = plan.details.blocked_at_first().into_iter().filter_map(find).collect();
        let opens = plan.details.opens_at.iter();
        let opens = opens.filter_map(|(seat, OpensAt(at))| Some((*at, find(seat)?))).collect();
        Self { seats, index, blocked, opens, floor: Floor::new(plan) }
    }

    pub(super) fn find(&self, seat: &SeatId) -> Option<u32> {
        self.index.get(seat).copied()
    }

    pub(super) fn ids(&self, seats: &[u32]) -> Vec<SeatId> {
        seats.iter().map(|seat| self.seats[*seat as usize].clone()).collect()
    }
}

/// One showing with the state of each of its seats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ShowingSeats {
    pub(super) showing: Showing,
    pub(super) states: Vec<SeatState>,
}

impl Opening {
    /// A showing's place in the list, by its id.
    pub(super) fn find_showing(&self, showing: &ShowingId) -> Option<usize> {
        self.showing_at.get(showing).copied()
    }

    pub(super) fn hall_of(&self, showing: usize) -> Option<&Hall> {
        self.halls.get(&self.showings.get(showing)?.showing.plan)
    }

    /// The asked seats by index: all exist, none twice.
    pub(super) fn known_seats(
        &self,
        showing: &ShowingId,
        seats: &[SeatId],
    ) -> Result<(usize, Vec<u32>), Refusal> {
        let unknown = || Refusal::UnknownShowing { showing: showing.clone() };
        let at = self.find_showing(showing).ok_or_else(unknown)?;
        let hall = self.hall_of(at).ok_or_else(unknown)?;
        let mut found = Vec::with_capacity(seats.len());
        let mut missing = Vec::new();
        for (i, seat) in seats.iter().enumerate() {
            match hall.find(seat) {
                Some(index) if found.contains(&index) => {
                    return Err(Refusal::invalid(
                        format!("seats[{i}]"),
                        format!("seat `{seat}` is asked for twice"),
                    ));
                }
                Some(index) => found.push(index),
                None => missing.push(seat.clone()),
            }
        }
        if missing.is_empty() {
            Ok((at, found))
        } else {
            Err(Refusal::UnknownSeats { showing: showing.clone(), seats: missing })
        }
    }

    /// Whether nobody has any of the seats.
    pub(super) fn all_free(&self, showing: usize, seats: &[u32]) -> bool {
        let is_free =
            |shown: &ShowingSeats| seats.iter().all(|seat| shown.states[*seat as usize] == SeatState::Free);
        self.showings.get(showing).is_some_and(is_free)
    }

    /// When the next seats are sold that are not yet.
    pub(super) fn seats_due(&self) -> Option<Timestamp> {
        let open = self.state != OpeningState::Closed;
        self.opening_seats.keys().next().filter(|_| open).map(|(time, _)| *time)
    }

    /// The seats of one showing whose time has come.
    pub(super) fn open_seats(&self, now: Timestamp) -> Result<Decision, Refusal> {
        let due = self.opening_seats.iter().next().filter(|((time, _), _)| *time <= now);
        let ((_, showing), seats) = due.ok_or(Refusal::NotDue)?;
        let shown = self.showings.get(*showing as usize).ok_or(Refusal::NotDue)?;
        let hall = self.hall_of(*showing as usize).ok_or(Refusal::NotDue)?;
        let seats = as_many_as_fit(seats.iter().copied(), |_| 1);
        let (showing, seats) = (shown.showing.showing.clone(), hall.ids(&seats));
        Ok(Decision::Accepted(SeatsUnblocked { at: now, showing, seats }.into()))
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn plan_added(&mut self, name: &PlanName, plan: &Plan) {
        self.halls.insert(name.clone(), Hall::new(plan));
    }

    pub(super) fn showing_added(&mut self, showing: &Showing) {
        let Some(hall) = self.halls.get(&showing.plan) else { return };
        let mut states = vec![SeatState::Free; hall.seats.len()];
        for seat in &hall.blocked {
            states[*seat as usize] = SeatState::Blocked;
        }
        let at = u32::try_from(self.showings.len()).unwrap_or(u32::MAX);
        for (time, seat) in &hall.opens {
            self.opening_seats.entry((*time, at)).or_default().push(*seat);
        }
        self.showing_at.insert(showing.showing.clone(), self.showings.len());
        self.showings.push(ShowingSeats { showing: showing.clone(), states });
    }

    pub(super) fn set_seats(&mut self, showing: usize, seats: &[u32], state: SeatState) {
        if let Some(shown) = self.showings.get_mut(showing) {
            for seat in seats {
                shown.states[*seat as usize] = state;
            }
        }
    }

    pub(super) fn seats_blocked(&mut self, showing: &ShowingId, seats: &[SeatId], blocked: bool) {
        if let Ok((at, seats)) = self.known_seats(showing, seats) {
            self.set_seats(at, &seats, if blocked { SeatState::Blocked } else { SeatState::Free });
            let seats: HashSet<u32> = seats.into_iter().collect();
            self.opening_seats.retain(|(_, of), waiting| {
                waiting.retain(|seat| *of as usize != at || !seats.contains(seat));
                !waiting.is_empty()
            });
        }
    }
}
