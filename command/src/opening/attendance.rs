//! Who gets in line, and who of them is there.

use std::collections::BTreeSet;

use usher_events::event::{TicketState, VisitorJoined, VisitorsReturned, VisitorsWentAway};
use usher_events::ids::{Hash, Ticket};
use usher_events::time::Timestamp;

use super::queue::Entry;
use super::{Decision, MAX_MEMBERS, Opening, OpeningState, Refusal};

impl Opening {
    pub(super) fn entry_of(&self, ticket: &Ticket) -> Result<&Entry, Refusal> {
        self.queue.get(ticket).ok_or(Refusal::UnknownTicket)
    }

    /// Gets in line: into the lobby before the opening, then behind all
    /// others; or at once into the place that the same person has.
    pub(super) fn join(
        &self,
        now: Timestamp,
        ticket: Ticket,
        subject: Option<Hash>,
    ) -> Result<Decision, Refusal> {
        if ticket == Ticket::HOUSE {
            return Err(Refusal::invalid("ticket", "this is the hash of no secret"));
        }
        if self.queue.get(&ticket).is_some() {
            return Ok(Decision::Repeated);
        }
        if self.state == OpeningState::Closed {
            return Err(Refusal::WrongState { state: self.state });
        }
        let subject = self.joins_as(subject)?;
        if let Some(subject) = subject
            && let Some(moved) = self.taken_over(now, subject, ticket)?
        {
            return Ok(Decision::Accepted(moved.into()));
        }
        let number = match self.state {
            OpeningState::Scheduled => None,
            OpeningState::Drawing | OpeningState::Open | OpeningState::Paused => {
                Some(self.queue.next_number())
            }
            state => return Err(Refusal::WrongState { state }),
        };
        if self.queue.len() >= self.policy.max_tickets as usize {
            return Err(Refusal::Full { max_tickets: self.policy.max_tickets });
        }
        Ok(Decision::Accepted(VisitorJoined { at: now, ticket, number, subject }.into()))
    }

    /// Those of `indexes` who wait and are present are away now.
    pub(super) fn go_away(&self, now: Timestamp, indexes: &[u32]) -> Result<Decision, Refusal> {
        let waits = |state| matches!(state, TicketState::Lobby | TicketState::Waiting);
        let tickets = self.those_of(indexes, waits)?;
        Ok(Decision::Accepted(VisitorsWentAway { at: now, tickets }.into()))
    }

    /// Those of `indexes` who were away are back in their old places.
    pub(super) fn come_back(&self, now: Timestamp, indexes: &[u32]) -> Result<Decision, Refusal> {
        let tickets = self.those_of(indexes, |state| state == TicketState::Away)?;
        Ok(Decision::Accepted(VisitorsReturned { at: now, tickets }.into()))
    }

    fn those_of(&self, indexes: &[u32], are: impl Fn(TicketState) -> bool) -> Result<Vec<Ticket>, Refusal> {
        // Each is named once, whoever noticed it twice.
        let indexes: BTreeSet<u32> = indexes.iter().copied().collect();
        let is = |index: &u32| self.queue.state_at(*index).is_some_and(&are);
        let those = indexes.into_iter().filter(is).take(MAX_MEMBERS);
        let tickets: Vec<Ticket> = those.map(|index| self.queue.ticket_at(index)).collect();
        // Presence ends with the opening.
        let nothing = tickets.is_empty() || self.state == OpeningState::Closed;
        if nothing { Err(Refusal::NotDue) } else { Ok(tickets) }
    }
}
