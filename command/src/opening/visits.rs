//! Visits of the seat window, and leaving for good.

use usher_events::event::{EndedVisit, ReleasedHold, TicketState, VisitorEntered, VisitorLeft, VisitsEnded};
use usher_events::ids::Ticket;
use usher_events::time::Timestamp;

use super::queue::Entry;
use super::{Decision, HoldState, Opening, OpeningState, Refusal, as_many_as_fit};

impl Opening {
    /// Enters the seat window, or says whose turn it is.
    pub(super) fn enter(&self, now: Timestamp, ticket: Ticket) -> Result<Decision, Refusal> {
        let entry = self.entry_of(&ticket)?;
        match entry.state {
            TicketState::Inside => Ok(Decision::Already),
            state if state.is_final() => Err(Refusal::Gone { state }),
            _ if self.state == OpeningState::Closed => Err(Refusal::WrongState { state: self.state }),
            TicketState::Admitted => {
                let leave_by = now.plus_s(self.policy.stay_for_s);
                Ok(Decision::Accepted(VisitorEntered { at: now, ticket, leave_by }.into()))
            }
            _ => Err(self.not_their_turn(entry)),
        }
    }

    fn not_their_turn(&self, entry: &Entry) -> Refusal {
        let drawn = self.draw.seed.is_some();
        let number = (entry.number > 0).then_some(entry.number);
        Refusal::NotYourTurn {
            state: entry.state,
            number,
            position: number.filter(|_| drawn).map(|number| self.queue.position(number)),
            serving_number: self.serving_number,
        }
    }

    /// Leaves the seat window; live holds go with the visit.
    pub(super) fn leave_window(&self, now: Timestamp, ticket: Ticket) -> Result<Decision, Refusal> {
        let entry = self.entry_of(&ticket)?;
        match entry.state {
            TicketState::Inside => {
                let visit = self.ended_visit(ticket, TicketState::Left);
                Ok(Decision::Accepted(VisitsEnded { at: now, visits: vec![visit] }.into()))
            }
            state if state.is_final() => Ok(Decision::Repeated),
            state => Err(Refusal::NotInside { state }),
        }
    }

    /// Gives the place up, wherever the ticket stands.
    pub(super) fn leave(&self, now: Timestamp, ticket: Ticket) -> Result<Decision, Refusal> {
        let entry = self.entry_of(&ticket)?;
        if entry.state.is_final() {
            return Ok(Decision::Repeated);
        }
        let EndedVisit { ticket, state, released } = self.ended_visit(ticket, TicketState::Left);
        Ok(Decision::Accepted(VisitorLeft { at: now, ticket, state, released }.into()))
    }

    /// Visits whose time is over. Who booked is done, who did not is spent.
    pub(super) fn end_visits(&self, now: Timestamp) -> Result<Decision, Refusal> {
        let due = self.queue.leaving.iter().take_while(|(deadline, _)| *deadline <= now);
        let ended = due.map(|(_, at)| self.ended_visit(self.queue.ticket_at(*at), TicketState::Spent));
        let members = |visit: &EndedVisit| {
            1 + visit.released.iter().map(|released| 1 + released.seats.len()).sum::<usize>()
        };
        let visits = as_many_as_fit(ended, members);
        if visits.is_empty() {
            return Err(Refusal::NotDue);
        }
        Ok(Decision::Accepted(VisitsEnded { at: now, visits }.into()))
    }

    fn ended_visit(&self, ticket: Ticket, without_booking: TicketState) -> EndedVisit {
        let booked = self.visitors.get(&ticket).is_some_and(|visitor| visitor.booked_seats > 0);
        let released = self.live_holds(&ticket).map(|(id, hold)| self.released(id, hold)).collect();
        EndedVisit { ticket, state: if booked { TicketState::Done } else { without_booking }, released }
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn visit_ended(&mut self, ticket: Ticket, state: TicketState, released: &[ReleasedHold]) {
        for hold in released {
            self.hold_ended(hold, HoldState::Released);
        }
        self.queue.set_state_of(&ticket, state);
    }
}
