//! What an event changes in what presence knows.

use usher_events::event::{Event, TicketState};
use usher_events::ids::{OpeningId, Ticket};

use crate::opening::Opening;

/// A ticket as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketNow {
    /// Where it is in the queue's list of tickets; that never changes.
    pub index: u32,
    /// Which.
    pub ticket: Ticket,
    /// 0: none.
    pub number: u32,
    /// Where it stands.
    pub state: TicketState,
}

/// What presence needs of an opening's rules and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The longest silence of who is present.
    pub away_after_s: u32,
    /// The greatest number admitted so far.
    pub serving_number: u32,
    /// Nobody is watched any more.
    pub over: bool,
}

/// Something of one opening is so from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which opening.
    pub opening: OpeningId,
    /// What of it.
    pub what: What,
}

/// What is so from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A ticket.
    Ticket(TicketNow),
    /// The numbers of all tickets, by index; 0: none.
    Numbers(Vec<u32>),
    /// The opening.
    Rules(Rules),
}

/// Adds what `event` changed to `changes`; `after` is the opening after it.
pub(crate) fn note(opening: &OpeningId, event: &Event, after: &Opening, changes: &mut Vec<Change>) {
    let mut add = |what| changes.push(Change { opening: opening.clone(), what });
    let rules = || What::Rules(after.presence_rules());
    let queue = after.queue();
    let mut ticket = |ticket: &Ticket| {
        if let Some(now) = queue.ticket_now(ticket) {
            add(What::Ticket(now));
        }
    };
    match event {
        Event::VisitorJoined(event) => ticket(&event.ticket),
        Event::VisitorLeft(event) => ticket(&event.ticket),
        Event::VisitorEntered(event) => ticket(&event.ticket),
        Event::VisitsEnded(event) => event.visits.iter().for_each(|visit| ticket(&visit.ticket)),
        Event::BookingConfirmed(event) if event.visit_ended => ticket(&event.ticket),
        Event::TicketMoved(event) => [&event.from, &event.to].into_iter().for_each(ticket),
        Event::VisitorsWentAway(event) => event.tickets.iter().for_each(ticket),
        Event::VisitorsReturned(event) => event.tickets.iter().for_each(ticket),
        Event::AdmissionsExpired(event) => event.away.iter().chain(&event.spent).for_each(ticket),
        Event::VisitorsAdmitted(event) => {
            event.admitted.iter().for_each(|admitted| ticket(&admitted.ticket));
            add(rules());
        }
        Event::DrawHeld(_) => add(What::Numbers(queue.numbers())),
        Event::OpeningScheduled(_) | Event::PolicyChanged(_) | Event::OpeningClosed(_) => add(rules()),
        _ => {}
    }
}
