//! Holds: seats kept for one visitor until a deadline.

use serde::{Deserialize, Serialize};
use usher_events::event::{
    ExpiredHold, HoldExtended, HoldReleased, HoldSwapped, HoldsExpired, ReleasedHold, SeatsHeld, TicketState,
};
use usher_events::ids::{ExtensionId, HoldId, SeatId, ShowingId, Ticket};
use usher_events::time::Timestamp;

use super::choosing::{Best, Relax};
use super::queue::Entry;
use super::seats::SeatState;
use super::{Decision, HoldState, Opening, OpeningState, Refusal, Resource, as_many_as_fit};

/// One hold, also after its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) ticket: Ticket,
    pub(super) showing: u32,
    pub(super) seats: Vec<u32>,
    pub(super) state: HoldState,
    pub(super) expires_at: Timestamp,
    pub(super) extensions: u32,
}

/// What one visitor has of the seats.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Visitor {
    pub(super) live_holds: Vec<HoldId>,
    pub(super) booked_seats: u32,
}

impl Opening {
    /// Keeps `seats` for `ticket`: all of them or none.
    ///
    /// Refused when the visitor is not inside the seat window, when a seat is
    /// not free (all of them are named), against a rule about seats, or over the
    /// policy's limit. The house needs no visit and has no limit.
    pub(super) fn hold(
        &self,
        now: Timestamp,
        hold: HoldId,
        ticket: Ticket,
        showing: &ShowingId,
        seats: &[SeatId],
        wheelchair: bool,
    ) -> Result<Decision, Refusal> {
        let leave_by = self.may_hold(&ticket)?;
        if seats.is_empty() {
            return Err(Refusal::invalid("seats", "expected at least one seat"));
        }
        self.check_limit(&ticket, seats.len(), None)?;
        let (at, indexes) = self.known_seats(showing, seats)?;
        self.check_places(now, ticket, at, &[], &indexes, wheelchair)?;
        Ok(self.keep(now, hold, ticket, leave_by, showing, seats.to_vec()))
    }

    /// Keeps the best free seats for `ticket`, as many as are asked for.
    ///
    /// Refused when none are as they were asked for; it names what would have
    /// to be relaxed.
    pub(super) fn hold_best(
        &self,
        now: Timestamp,
        hold: HoldId,
        ticket: Ticket,
        showing: &ShowingId,
        best: &Best,
    ) -> Result<Decision, Refusal> {
        let leave_by = self.may_hold(&ticket)?;
        let count = best.count as usize;
        if count == 0 {
            return Err(Refusal::invalid("best.count", "expected at least one seat"));
        }
        self.check_limit(&ticket, count, None)?;
        let unknown = || Refusal::UnknownShowing { showing: showing.clone() };
        let at = self.find_showing(showing).ok_or_else(unknown)?;
        let hall = self.hall_of(at).ok_or_else(unknown)?;
        let category = match &best.category {
            None => None,
            Some(name) => Some(hall.floor.category(name).ok_or_else(|| {
                Refusal::invalid("best.category", format!("no category is called `{name}`"))
            })?),
        };
        let surveys = match best.wheelchair {
            false => vec![self.survey(at, hall, &[], category)],
            true => self.wheelchair_surveys(at, hall, category),
        };
        let choose = |relax| surveys.iter().filter_map(|survey| survey.best(count, relax)).min();
        match choose(best.relax) {
            Some(choice) => Ok(self.keep(now, hold, ticket, leave_by, showing, hall.ids(&choice.seats))),
            None => Err(Refusal::NoSuchChoice {
                showing: showing.clone(),
                count: best.count,
                free: surveys
                    .iter()
                    .map(|survey| u32::try_from(survey.free()).unwrap_or(u32::MAX))
                    .max()
                    .unwrap_or(0),
                would_do: match best.relax {
                    Relax::Split => None,
                    _ => choose(Relax::Split).map(|choice| choice.relaxed()),
                },
            }),
        }
    }

    fn keep(
        &self,
        now: Timestamp,
        hold: HoldId,
        ticket: Ticket,
        leave_by: Timestamp,
        showing: &ShowingId,
        seats: Vec<SeatId>,
    ) -> Decision {
        let expires_at = now.plus_s(self.policy.hold_for_s);
        let leave_by = leave_by.max(expires_at);
        let showing = showing.clone();
        Decision::Accepted(SeatsHeld { at: now, hold, ticket, showing, seats, expires_at, leave_by }.into())
    }

    /// New holds are for visitors inside, and for the house, until the close.
    /// Says when the visit ends.
    fn may_hold(&self, ticket: &Ticket) -> Result<Timestamp, Refusal> {
        if self.state == OpeningState::Closed {
            return Err(Refusal::WrongState { state: self.state });
        }
        if *ticket == Ticket::HOUSE { Ok(Timestamp::default()) } else { Ok(self.inside(ticket)?.deadline) }
    }

    fn inside(&self, ticket: &Ticket) -> Result<&Entry, Refusal> {
        let entry = self.entry_of(ticket)?;
        match entry.state {
            TicketState::Inside => Ok(entry),
            state if state.is_final() => Err(Refusal::Gone { state }),
            state => Err(Refusal::NotInside { state }),
        }
    }

    /// The visitor may have so many seats more, when those of `swapped` are
    /// given back.
    fn check_limit(&self, ticket: &Ticket, asked: usize, swapped: Option<HoldId>) -> Result<(), Refusal> {
        if *ticket == Ticket::HOUSE {
            return Ok(());
        }
        let kept = self.live_holds(ticket).filter(|(id, _)| Some(*id) != swapped);
        let held: usize = kept.map(|(_, hold)| hold.seats.len()).sum();
        let booked = self.visitors.get(ticket).map_or(0, |visitor| visitor.booked_seats);
        let max_seats = self.policy.max_seats;
        if held + booked as usize + asked > max_seats as usize {
            let held = u32::try_from(held).unwrap_or(u32::MAX);
            return Err(Refusal::TooManySeats { max_seats, held, booked });
        }
        Ok(())
    }

    /// Exchanges the seats of a live hold for `seats`, of the same showing and
    /// until the same time. Seats may be among both. Refused as a new hold
    /// would be, and then the hold keeps the seats that it has.
    pub(super) fn swap(
        &self,
        now: Timestamp,
        hold: HoldId,
        ticket: Ticket,
        seats: &[SeatId],
        wheelchair: bool,
    ) -> Result<Decision, Refusal> {
        let found = self.own_live_hold(hold, ticket)?;
        self.may_hold(&ticket)?;
        if seats.is_empty() {
            return Err(Refusal::invalid("seats", "expected at least one seat"));
        }
        self.check_limit(&ticket, seats.len(), Some(hold))?;
        let showing = self.showing_id(found);
        let (at, indexes) = self.known_seats(&showing, seats)?;
        let given_back: Vec<u32> =
            found.seats.iter().copied().filter(|seat| !indexes.contains(seat)).collect();
        if given_back.is_empty() && indexes.len() == found.seats.len() {
            return Ok(Decision::Already);
        }
        self.check_places(now, ticket, at, &found.seats, &indexes, wheelchair)?;
        let freed = self.hall_of(at).map(|hall| hall.ids(&given_back)).unwrap_or_default();
        let (seats, expires_at) = (seats.to_vec(), found.expires_at);
        Ok(Decision::Accepted(
            HoldSwapped { at: now, hold, ticket, showing, freed, seats, expires_at }.into(),
        ))
    }

    /// Makes a live hold last longer, as often as the policy lets it.
    pub(super) fn extend(
        &self,
        now: Timestamp,
        hold: HoldId,
        ticket: Ticket,
        extension: ExtensionId,
    ) -> Result<Decision, Refusal> {
        let found = self.own_live_hold(hold, ticket)?;
        let max_extensions = self.policy.max_extensions;
        if found.extensions >= max_extensions {
            return Err(Refusal::NoMoreExtensions { max_extensions });
        }
        let expires_at = found.expires_at.plus_s(self.policy.hold_for_s);
        let visit = if ticket == Ticket::HOUSE { expires_at } else { self.entry_of(&ticket)?.deadline };
        let leave_by = visit.max(expires_at);
        Ok(Decision::Accepted(HoldExtended { at: now, hold, ticket, extension, expires_at, leave_by }.into()))
    }

    /// Gives a live hold back.
    pub(super) fn release(&self, now: Timestamp, hold: HoldId, ticket: Ticket) -> Result<Decision, Refusal> {
        let found = self.own_hold(hold, ticket)?;
        match found.state {
            HoldState::Live => {
                let released = self.released(hold, found);
                Ok(Decision::Accepted(HoldReleased { at: now, ticket, released }.into()))
            }
            HoldState::Booked => Err(Refusal::HoldBooked { hold }),
            HoldState::Released | HoldState::Expired => Ok(Decision::Repeated),
        }
    }

    fn own_hold(&self, hold: HoldId, ticket: Ticket) -> Result<&Hold, Refusal> {
        let found = self.holds.get(&hold).ok_or(Refusal::UnknownHold)?;
        // Whose hold it is, is nobody else's to know.
        if found.ticket == ticket { Ok(found) } else { Err(Refusal::UnknownHold) }
    }

    fn own_live_hold(&self, hold: HoldId, ticket: Ticket) -> Result<&Hold, Refusal> {
        let found = self.own_hold(hold, ticket)?;
        match found.state {
            HoldState::Live => Ok(found),
            HoldState::Booked => Err(Refusal::HoldBooked { hold }),
            HoldState::Released | HoldState::Expired => {
                Err(Refusal::HoldOver { hold, expired_at: Some(found.expires_at) })
            }
        }
    }

    /// Holds whose time is over.
    pub(super) fn expire_holds(&self, now: Timestamp) -> Result<Decision, Refusal> {
        let due = self.ending_holds.iter().take_while(|(deadline, _)| *deadline <= now);
        let expired = due.filter_map(|(_, id)| {
            let hold = self.holds.get(id)?;
            Some(ExpiredHold { ticket: hold.ticket, released: self.released(*id, hold) })
        });
        let holds = as_many_as_fit(expired, |expired| 1 + expired.released.seats.len());
        if holds.is_empty() {
            return Err(Refusal::NotDue);
        }
        Ok(Decision::Accepted(HoldsExpired { at: now, holds }.into()))
    }

    pub(super) fn live_holds(&self, ticket: &Ticket) -> impl Iterator<Item = (HoldId, &Hold)> {
        let ids = self.visitors.get(ticket).map(|visitor| visitor.live_holds.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.holds.get(id).map(|hold| (*id, hold)))
    }

    pub(super) fn released(&self, id: HoldId, hold: &Hold) -> ReleasedHold {
        ReleasedHold { hold: id, showing: self.showing_id(hold), seats: self.seat_ids(hold) }
    }

    pub(super) fn showing_id(&self, hold: &Hold) -> ShowingId {
        self.showings[hold.showing as usize].showing.showing.clone()
    }

    pub(super) fn seat_ids(&self, hold: &Hold) -> Vec<SeatId> {
        self.hall_of(hold.showing as usize).map(|hall| hall.ids(&hold.seats)).unwrap_or_default()
    }

    pub(super) fn hold_resource(&self, hold: HoldId, extension: Option<ExtensionId>) -> Resource {
        let Some(found) = self.holds.get(&hold) else { return Resource::Nothing {} };
        Resource::Hold {
            hold,
            state: found.state,
            showing: self.showing_id(found),
            seats: self.seat_ids(found),
            expires_at: found.expires_at,
            extension,
        }
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn seats_held(&mut self, event: &SeatsHeld) {
        let Ok((showing, seats)) = self.known_seats(&event.showing, &event.seats) else { return };
        self.set_seats(showing, &seats, SeatState::Held);
        let hold = Hold {
            ticket: event.ticket,
            showing: u32::try_from(showing).unwrap_or(u32::MAX),
            seats,
            state: HoldState::Live,
            expires_at: event.expires_at,
            extensions: 0,
        };
        self.holds.insert(event.hold, hold);
        self.ending_holds.insert((event.expires_at, event.hold));
        self.visitors.entry(event.ticket).or_default().live_holds.push(event.hold);
        self.queue.set_deadline_of(&event.ticket, event.leave_by);
    }

    pub(super) fn hold_swapped(&mut self, event: &HoldSwapped) {
        let Ok((showing, seats)) = self.known_seats(&event.showing, &event.seats) else { return };
        if let Ok((_, freed)) = self.known_seats(&event.showing, &event.freed) {
            self.set_seats(showing, &freed, SeatState::Free);
        }
        self.set_seats(showing, &seats, SeatState::Held);
        if let Some(hold) = self.holds.get_mut(&event.hold) {
            hold.seats = seats;
        }
    }

    pub(super) fn hold_extended(&mut self, event: &HoldExtended) {
        let Some(hold) = self.holds.get_mut(&event.hold) else { return };
        self.ending_holds.remove(&(hold.expires_at, event.hold));
        hold.expires_at = event.expires_at;
        hold.extensions += 1;
        self.ending_holds.insert((event.expires_at, event.hold));
        self.queue.set_deadline_of(&event.ticket, event.leave_by);
    }

    pub(super) fn hold_ended(&mut self, released: &ReleasedHold, state: HoldState) {
        if let Some((showing, seats)) = self.end_hold(released.hold, state) {
            self.set_seats(showing, &seats, SeatState::Free);
        }
    }

    /// Ends a live hold; its seats are the caller's to set.
    pub(super) fn end_hold(&mut self, id: HoldId, state: HoldState) -> Option<(usize, Vec<u32>)> {
        let hold = self.holds.get_mut(&id)?;
        hold.state = state;
        self.ending_holds.remove(&(hold.expires_at, id));
        if let Some(visitor) = self.visitors.get_mut(&hold.ticket) {
            visitor.live_holds.retain(|live| *live != id);
        }
        Some((hold.showing as usize, hold.seats.clone()))
    }

    /// No live hold ends before `floor`.
    pub(super) fn raise_holds(&mut self, floor: Timestamp) {
        let early = self.ending_holds.iter().take_while(|(deadline, _)| *deadline < floor);
        let early: Vec<(Timestamp, HoldId)> = early.copied().collect();
        for (deadline, id) in early {
            self.ending_holds.remove(&(deadline, id));
            self.ending_holds.insert((floor, id));
            if let Some(hold) = self.holds.get_mut(&id) {
                hold.expires_at = floor;
            }
        }
    }
}
