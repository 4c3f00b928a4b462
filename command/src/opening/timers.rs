//! Timers: what an opening does by itself, and when.

use std::collections::BTreeSet;

use usher_events::event::{OpeningClosed, OpeningDrained, OpeningOpened, RefusalsCounted, TicketState};
use usher_events::time::Timestamp;

use super::{Command, Decision, HashJob, Opening, OpeningState, Refusal, Resource};

/// After a claim no deadline falls before its time and this, in seconds:
/// nobody is punished for our outage.
const CLAIM_GRACE_S: u32 = 30;

/// A timer, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    CloseLobby,
    HoldDraw,
    Open,
    Drain,
    OpenSeats,
    ExpireHolds,
    ExpireAdmissions,
    EndVisits,
    Close,
    AdmitNext,
}

/// What is due now.
#[derive(Debug)]
pub enum Due {
    /// This command.
    Decide(Command),
    /// The command that these hashes lead to.
    Hash(HashJob),
}

impl Opening {
    /// When the next timer is due, if any is to come.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers().filter_map(|(_, at)| at).min()
    }

    /// The first timer that is due at `now`, if one is.
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        let (timer, _) = self.timers().find(|(_, at)| at.is_some_and(|at| at <= now))?;
        Some(match timer {
            Timer::CloseLobby => Due::Hash(self.lobby_job()),
            Timer::HoldDraw => Due::Hash(self.draw_job(None)?),
            Timer::Open => Due::Decide(Command::Open),
            Timer::Drain => Due::Decide(Command::DrainOnTime),
            Timer::OpenSeats => Due::Decide(Command::OpenSeats),
            Timer::ExpireHolds => Due::Decide(Command::ExpireHolds),
            Timer::ExpireAdmissions => Due::Decide(Command::ExpireAdmissions),
            Timer::EndVisits => Due::Decide(Command::EndVisits),
            Timer::Close => Due::Decide(Command::CloseOnTime),
            Timer::AdmitNext => Due::Decide(Command::AdmitNext),
        })
    }

    /// When the timer that sends `command` is or was due, for its id; none
    /// for commands that no deadline sends.
    pub fn due_at(&self, command: &Command) -> Option<Timestamp> {
        let sends = |timer: Timer| match command {
            Command::CloseLobby { .. } => timer == Timer::CloseLobby,
            Command::HoldDraw(_) => timer == Timer::HoldDraw,
            Command::Open => timer == Timer::Open,
            Command::DrainOnTime => timer == Timer::Drain,
            Command::OpenSeats => timer == Timer::OpenSeats,
            Command::ExpireHolds => timer == Timer::ExpireHolds,
            Command::ExpireAdmissions => timer == Timer::ExpireAdmissions,
            Command::EndVisits => timer == Timer::EndVisits,
            Command::CloseOnTime => timer == Timer::Close,
            Command::AdmitNext => timer == Timer::AdmitNext,
            _ => false,
        };
        self.timers().find(|(timer, _)| sends(*timer)).and_then(|(_, at)| at)
    }

    /// When each timer is due, if it is to come, in the order in which those
    /// that are due go: what frees slots before admissions, holds before the
    /// visits that they belong to, and nobody is admitted into the end.
    fn timers(&self) -> impl Iterator<Item = (Timer, Option<Timestamp>)> {
        let first = |order: &BTreeSet<(Timestamp, u32)>| order.first().map(|(time, _)| *time);
        [
            (Timer::CloseLobby, self.lobby_due()),
            (Timer::HoldDraw, self.draw_due()),
            (Timer::Open, self.open_due()),
            (Timer::Drain, self.drain_due()),
            (Timer::OpenSeats, self.seats_due()),
            (Timer::ExpireHolds, self.ending_holds.first().map(|(time, _)| *time)),
            (Timer::ExpireAdmissions, first(&self.queue.entering)),
            (Timer::EndVisits, first(&self.queue.leaving)),
            (Timer::Close, self.close_due()),
            (Timer::AdmitNext, self.admission_due()),
        ]
        .into_iter()
    }

    fn lobby_due(&self) -> Option<Timestamp> {
        (self.exists() && self.state == OpeningState::Scheduled).then_some(self.opens_at)
    }

    pub(super) fn draw_due(&self) -> Option<Timestamp> {
        let drawing = self.state == OpeningState::Drawing && self.draw.seed.is_none();
        (drawing && self.draw.beacon.is_none()).then_some(self.opens_at)
    }

    fn open_due(&self) -> Option<Timestamp> {
        let drawn = self.state == OpeningState::Drawing && self.draw.seed.is_some();
        drawn.then_some(self.opens_at)
    }

    fn drain_due(&self) -> Option<Timestamp> {
        self.drains_at.filter(|_| matches!(self.state, OpeningState::Open | OpeningState::Paused))
    }

    /// When it closes by itself: on time, or at once when drained and empty.
    fn close_due(&self) -> Option<Timestamp> {
        let open = !matches!(self.state, OpeningState::Closed | OpeningState::Scheduled);
        let empty = self.state == OpeningState::Draining
            && self.ending_holds.is_empty()
            && [TicketState::Waiting, TicketState::Away, TicketState::Admitted, TicketState::Inside]
                .iter()
                .all(|state| self.queue.count(*state) == 0);
        open.then_some(if empty { Timestamp::default() } else { self.closes_at })
    }

    pub(super) fn decide_timer(&self, now: Timestamp, timer: &Command) -> Result<Decision, Refusal> {
        match timer {
            Command::CloseLobby { cohort_root, count } => self.close_lobby(now, *cohort_root, *count),
            Command::HoldDraw(drawn) => self.hold_draw(now, drawn),
            Command::Open if self.open_due().is_some() => {
                Ok(Decision::Accepted(OpeningOpened { at: now }.into()))
            }
            Command::AdmitNext => self.admit_next(now),
            Command::ExpireAdmissions => self.expire_admissions(now),
            Command::EndVisits => self.end_visits(now),
            Command::OpenSeats => self.open_seats(now),
            Command::ExpireHolds => self.expire_holds(now),
            Command::GoAway { indexes } => self.go_away(now, indexes),
            Command::Return { indexes } => self.come_back(now, indexes),
            Command::DrainOnTime if self.drain_due().is_some_and(|at| at <= now) => {
                Ok(Decision::Accepted(OpeningDrained { at: now }.into()))
            }
            Command::CloseOnTime if self.close_due().is_some_and(|at| at <= now) => {
                Ok(Decision::Accepted(OpeningClosed { at: now }.into()))
            }
            Command::CountRefusals { since, by_reason, by_seat } => Ok(Decision::Accepted(
                RefusalsCounted {
                    at: now,
                    since: *since,
                    by_reason: by_reason.clone(),
                    by_seat: by_seat.clone(),
                }
                .into(),
            )),
            _ => Err(Refusal::NotDue),
        }
    }

    /// A writer claimed the partition at `claim_at`: part of the fold.
    pub fn claimed(&mut self, claim_at: Timestamp) {
        let floor = claim_at.plus_s(CLAIM_GRACE_S);
        self.queue.raise_deadlines(floor);
        self.raise_holds(floor);
    }

    /// The resource that `command` is about, as it is now.
    pub fn resource(&self, command: &Command) -> Resource {
        match command {
            Command::AddPlan { name, .. } => match self.halls.get(name) {
                Some(hall) => Resource::Plan { plan: name.clone(), seats: hall.seats.len() },
                None => Resource::Nothing {},
            },
            Command::AddShowing { showing } => {
                let found = self.find_showing(&showing.showing).and_then(|at| self.showings.get(at));
                found.map_or(Resource::Nothing {}, |found| Resource::Showing {
                    showing: found.showing.showing.clone(),
                    plan: found.showing.plan.clone(),
                    seats: found.states.len(),
                })
            }
            Command::Join { ticket } | Command::JoinAs { ticket, .. } | Command::Leave { ticket } => {
                self.ticket_resource(ticket)
            }
            Command::Enter { ticket } | Command::LeaveWindow { ticket } => match self.queue.get(ticket) {
                Some(entry) => {
                    let leave_by = (entry.state == TicketState::Inside).then_some(entry.deadline);
                    let max_seats = self.policy.max_seats;
                    Resource::Entry { ticket: *ticket, state: entry.state, leave_by, max_seats }
                }
                None => Resource::Nothing {},
            },
            Command::AskWhenOver => {
                let last = self.showings.iter().map(|seats| seats.showing.starts_at).max();
                Resource::Over { over_at: last.unwrap_or(self.closes_at) }
            }
            Command::AdmitByHand { admission, .. } => Resource::Admission {
                admission: *admission,
                count: self.admissions.get(admission).copied().unwrap_or(0),
                serving_number: self.serving_number,
            },
            Command::Hold { hold, .. }
            | Command::HoldBest { hold, .. }
            | Command::Swap { hold, .. }
            | Command::Release { hold, .. } => self.hold_resource(*hold, None),
            Command::Extend { hold, extension, .. } => self.hold_resource(*hold, Some(*extension)),
            Command::Confirm { hold, payment_reference, .. } => {
                self.settlement_resource(*hold, payment_reference)
            }
            Command::Cancel { booking, .. } => self.booking_resource(*booking),
            _ => self.opening_resource(),
        }
    }

    fn ticket_resource(&self, ticket: &usher_events::ids::Ticket) -> Resource {
        match self.queue.ticket(ticket) {
            Some((state, number)) => Resource::Ticket { ticket: *ticket, state, number },
            None => Resource::Nothing {},
        }
    }
}
