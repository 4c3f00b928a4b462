//! What an event changes in a queue view. Views copy and never infer.

use usher_events::event::{self, BeaconValue, Event, LobbyClosed, OpeningScheduled, TicketState};
use usher_events::ids::{Hash, Ticket};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use super::{DrawView, OpeningState, OpeningStatus, bucket};
use crate::store::{Deadline, Located};

/// A ticket's new state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketStep {
    /// Which ticket.
    pub ticket: Ticket,
    /// Its state from now on; `Waiting` of a ticket without a number is `Lobby`.
    pub state: TicketState,
    /// Its number, where this event gives it one; else it keeps what it has.
    pub number: Option<u32>,
    /// Until when to enter or to leave, where this event says so; else it
    /// keeps what it has, or gets that of the place it takes over.
    pub deadline: Option<Deadline>,
    /// Whether the ticket may be new; else it is there already.
    pub joins: bool,
    /// Whose place it takes over.
    pub moved_from: Option<Ticket>,
}

/// What changes in an opening's status.
#[derive(Debug, Clone, PartialEq)]
pub enum StatusPatch {
    /// The opening came to be.
    Scheduled(Box<OpeningStatus>),
    /// Title and times.
    Rescheduled {
        /// What people read.
        title: String,
        /// When it opens.
        opens_at: Timestamp,
        /// When it drains by itself.
        drains_at: Option<Timestamp>,
        /// When it closes.
        closes_at: Timestamp,
    },
    /// The rules.
    Policy(Box<Policy>),
    /// The operator's word.
    Message(Option<String>),
    /// The state.
    State(OpeningState),
    /// Admissions.
    Admitted {
        /// The greatest number so far.
        serving_number: u32,
        /// The bucket they fall into.
        bucket: i64,
        /// How many.
        count: u32,
    },
}

/// What one event changes in a queue view.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueStep {
    /// Tickets and status; small.
    Small {
        /// Tickets, in order.
        tickets: Vec<TicketStep>,
        /// The status.
        status: Option<StatusPatch>,
    },
    /// The cohort is everybody who is in the lobby.
    LobbyClosed {
        /// The root over it.
        cohort_root: Hash,
        /// How many they are.
        count: u32,
    },
    /// The whole cohort gets its numbers, by the one function that draws.
    DrawHeld {
        /// The seed.
        seed: Hash,
        /// The beacon's value.
        beacon: Option<BeaconValue>,
        /// The root over the drawn order.
        order_root: Hash,
    },
}

impl QueueStep {
    /// What `located` changes; none when it concerns no queue.
    pub fn of(located: &Located) -> Option<Self> {
        let offset = located.offset;
        let status = |patch| Some(Self::Small { tickets: Vec::new(), status: Some(patch) });
        let tickets = |tickets| Some(Self::Small { tickets, status: None });
        let state = |state| status(StatusPatch::State(state));
        match &located.event {
            Event::OpeningScheduled(event) => status(scheduled(event)),
            Event::OpeningRescheduled(event) => status(StatusPatch::Rescheduled {
                title: event.title.clone(),
                opens_at: event.opens_at,
                drains_at: event.drains_at,
                closes_at: event.closes_at,
            }),
            Event::PolicyChanged(event) => status(StatusPatch::Policy(Box::new(event.policy.clone()))),
            Event::MessageChanged(event) => status(StatusPatch::Message(event.message.clone())),
            Event::OpeningOpened(_) | Event::OpeningResumed(_) => state(OpeningState::Open),
            Event::OpeningPaused(_) => state(OpeningState::Paused),
            Event::OpeningDrained(_) => state(OpeningState::Draining),
            Event::OpeningClosed(_) => state(OpeningState::Closed),
            Event::VisitorJoined(event) => {
                let state = if event.number.is_some() { TicketState::Waiting } else { TicketState::Lobby };
                tickets(vec![TicketStep { number: event.number, joins: true, ..step(event.ticket, state) }])
            }
            Event::TicketMoved(event) => tickets(vec![
                step(event.from, TicketState::Left),
                TicketStep {
                    number: event.number,
                    joins: true,
                    moved_from: Some(event.from),
                    ..step(event.to, event.state)
                },
            ]),
            Event::VisitorLeft(event) => tickets(vec![step(event.ticket, event.state)]),
            Event::LobbyClosed(LobbyClosed { cohort_root, count, .. }) => {
                Some(Self::LobbyClosed { cohort_root: *cohort_root, count: *count })
            }
            Event::DrawHeld(event) => Some(Self::DrawHeld {
                seed: event.seed,
                beacon: event.beacon.clone(),
                order_root: event.order_root,
            }),
            Event::VisitorsAdmitted(event) => {
                let deadline = Deadline { at: event.enter_by, given: offset };
                let admitted = event.admitted.iter();
                let tickets =
                    admitted.map(|admitted| with_deadline(admitted.ticket, TicketState::Admitted, deadline));
                Some(Self::Small {
                    tickets: tickets.collect(),
                    status: Some(StatusPatch::Admitted {
                        serving_number: event.serving_number,
                        bucket: bucket(event.at),
                        count: u32::try_from(event.admitted.len()).unwrap_or(u32::MAX),
                    }),
                })
            }
            Event::AdmissionsExpired(event) => {
                let away = event.away.iter().map(|ticket| step(*ticket, TicketState::Away));
                let spent = event.spent.iter().map(|ticket| step(*ticket, TicketState::Spent));
                tickets(away.chain(spent).collect())
            }
            Event::VisitorsWentAway(event) => {
                tickets(event.tickets.iter().map(|ticket| step(*ticket, TicketState::Away)).collect())
            }
            Event::VisitorsReturned(event) => {
                tickets(event.tickets.iter().map(|ticket| step(*ticket, TicketState::Waiting)).collect())
            }
            Event::VisitorEntered(event) => {
                let deadline = Deadline { at: event.leave_by, given: offset };
                tickets(vec![with_deadline(event.ticket, TicketState::Inside, deadline)])
            }
            Event::VisitsEnded(event) => {
                tickets(event.visits.iter().map(|visit| step(visit.ticket, visit.state)).collect())
            }
            // The house stands in no line.
            Event::SeatsHeld(event::SeatsHeld { ticket: Ticket::HOUSE, .. })
            | Event::HoldExtended(event::HoldExtended { ticket: Ticket::HOUSE, .. }) => None,
            Event::SeatsHeld(event) => {
                let deadline = Deadline { at: event.leave_by, given: offset };
                tickets(vec![with_deadline(event.ticket, TicketState::Inside, deadline)])
            }
            Event::HoldExtended(event) => {
                let deadline = Deadline { at: event.leave_by, given: offset };
                tickets(vec![with_deadline(event.ticket, TicketState::Inside, deadline)])
            }
            Event::BookingConfirmed(event) if event.visit_ended => {
                tickets(vec![step(event.ticket, TicketState::Done)])
            }
            Event::PlanAdded(_)
            | Event::ShowingAdded(_)
            | Event::SeatsBlocked(_)
            | Event::SeatsUnblocked(_)
            | Event::RefusalsCounted(_)
            | Event::HoldSwapped(_)
            | Event::HoldReleased(_)
            | Event::HoldsExpired(_)
            | Event::BookingConfirmed(_)
            | Event::BookingCancelled(_)
            | Event::RefundDue(_)
            | Event::WriterClaimed(_)
            | Event::WriterAlive(_) => None,
        }
    }
}

fn step(ticket: Ticket, state: TicketState) -> TicketStep {
    TicketStep { ticket, state, number: None, deadline: None, joins: false, moved_from: None }
}

fn with_deadline(ticket: Ticket, state: TicketState, deadline: Deadline) -> TicketStep {
    TicketStep { deadline: Some(deadline), ..step(ticket, state) }
}

fn scheduled(event: &OpeningScheduled) -> StatusPatch {
    StatusPatch::Scheduled(Box::new(OpeningStatus {
        title: event.title.clone(),
        opens_at: event.opens_at,
        drains_at: event.drains_at,
        closes_at: event.closes_at,
        policy: event.policy.clone(),
        draw: DrawView {
            seed_commitment: event.seed_commitment,
            draw_key_id: event.draw_key_id.clone(),
            beacon: event.beacon.clone(),
            ..DrawView::default()
        },
        ..OpeningStatus::default()
    }))
}
