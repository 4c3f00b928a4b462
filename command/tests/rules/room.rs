//! The waiting room: who is in line, let in, inside.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use usher_command::opening::OpeningState;
use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::{
    AdmissionsExpired, DrawHeld, Event, LobbyClosed, OpeningScheduled, TicketMoved, TicketState,
    VisitorJoined, VisitorsAdmitted, VisitsEnded,
};
use usher_events::ids::{Hash, Ticket};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

/// The waiting room and the opening's own state.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    state: Option<OpeningState>,
    policy: Policy,
    opens_at: Timestamp,
    drains_at: Option<Timestamp>,
    closes_at: Timestamp,
    seed_commitment: Hash,
    tickets: HashMap<Ticket, TicketState>,
    numbers: BTreeMap<u32, Ticket>,
    /// To enter, or to leave by.
    deadlines: HashMap<Ticket, Timestamp>,
    misses: HashMap<Ticket, u32>,
    cohort: BTreeSet<Ticket>,
    cohort_root: Hash,
    moved: HashMap<Ticket, Ticket>,
    drawn: bool,
    last_number: u32,
    serving_number: u32,
}

impl Room {
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn closed(&self) -> bool {
        self.state == Some(OpeningState::Closed)
    }

    pub(super) fn inside(&self, ticket: &Ticket) -> bool {
        self.ticket(ticket) == Some(TicketState::Inside)
    }

    fn ticket(&self, ticket: &Ticket) -> Option<TicketState> {
        self.tickets.get(ticket).copied()
    }

    /// No deadline of whoever may enter or is inside falls before `floor`.
    pub(super) fn raise_deadlines(&mut self, floor: Timestamp) {
        for deadline in self.deadlines.values_mut() {
            *deadline = floor.max(*deadline);
        }
    }

    pub(super) fn apply(&mut self, event: &Event, timer: bool) -> Result<(), String> {
        let scheduled = matches!(event, Event::OpeningScheduled(_));
        rule!(self.state.is_some() != scheduled, "{}: the opening exists once", event.kind());
        match event {
            Event::OpeningScheduled(event) => self.scheduled(event),
            Event::OpeningRescheduled(event) => {
                let moved = event.opens_at != self.opens_at;
                rule!(
                    !moved || self.state == Some(OpeningState::Scheduled),
                    "the lobby's end moved after it"
                );
                (self.opens_at, self.drains_at, self.closes_at) =
                    (event.opens_at, event.drains_at, event.closes_at);
            }
            Event::PolicyChanged(event) => self.policy = event.policy.clone(),
            Event::VisitorJoined(event) => self.joined(event)?,
            Event::TicketMoved(event) => self.moved(event)?,
            Event::VisitorLeft(event) => self.end(event.ticket, event.state)?,
            Event::LobbyClosed(event) => self.lobby_closed(event)?,
            Event::DrawHeld(event) => self.draw_held(event)?,
            Event::VisitorsAdmitted(event) => self.admitted(event)?,
            Event::AdmissionsExpired(event) => self.missed(event)?,
            Event::VisitorsWentAway(event) => {
                rule!(!self.closed(), "somebody went away after the close");
                for ticket in &event.tickets {
                    let was = self.ticket(ticket);
                    rule!(
                        matches!(was, Some(TicketState::Waiting | TicketState::Lobby)),
                        "{was:?} went away"
                    );
                    self.tickets.insert(*ticket, TicketState::Away);
                }
            }
            Event::VisitorsReturned(event) => {
                rule!(!self.closed(), "somebody returned after the close");
                for ticket in &event.tickets {
                    let was = self.ticket(ticket);
                    rule!(was == Some(TicketState::Away), "{was:?} returned");
                    let numbered = self.numbers.values().any(|known| known == ticket);
                    let state = if numbered { TicketState::Waiting } else { TicketState::Lobby };
                    self.tickets.insert(*ticket, state);
                }
            }
            Event::VisitorEntered(event) => {
                rule!(!self.closed(), "somebody entered after the close");
                let was = self.ticket(&event.ticket);
                rule!(was == Some(TicketState::Admitted), "{was:?} entered");
                rule!(event.at < self.deadlines[&event.ticket], "somebody entered too late");
                rule!(event.leave_by == event.at.plus_s(self.policy.stay_for_s), "a visit of another length");
                self.tickets.insert(event.ticket, TicketState::Inside);
                self.deadlines.insert(event.ticket, event.leave_by);
            }
            Event::VisitsEnded(event) => self.visits_ended(event, timer)?,
            Event::SeatsHeld(event) => self.leave_by(event.ticket, event.leave_by, event.expires_at)?,
            Event::HoldExtended(event) => self.leave_by(event.ticket, event.leave_by, event.expires_at)?,
            Event::BookingConfirmed(event) if event.visit_ended => {
                self.end(event.ticket, TicketState::Done)?;
            }
            other => self.opening(other, timer)?,
        }
        Ok(())
    }

    /// The opening's own states, each entered by an event, in their order.
    fn opening(&mut self, event: &Event, timer: bool) -> Result<(), String> {
        use OpeningState::{Closed, Drawing, Open, Paused, Scheduled};
        let was = self.state.unwrap_or_default();
        let (allowed, state) = match event {
            Event::OpeningOpened(_) => (was == Drawing && self.drawn, Open),
            Event::OpeningPaused(_) => (was == Open, Paused),
            Event::OpeningResumed(_) => (was == Paused, Open),
            Event::OpeningDrained(event) => {
                let due = self.drains_at.is_some_and(|drains_at| drains_at <= event.at);
                (matches!(was, Open | Paused) && (due || !timer), OpeningState::Draining)
            }
            Event::OpeningClosed(event) => {
                let due = self.closes_at <= event.at && was != Scheduled;
                let empty = was == OpeningState::Draining && self.empty();
                (was != Closed && (due || empty || !timer), Closed)
            }
            _ => return Ok(()),
        };
        rule!(allowed, "{} while the opening was {was:?}", event.kind());
        self.state = Some(state);
        Ok(())
    }

    fn empty(&self) -> bool {
        self.tickets.values().all(|state| state.is_final())
    }

    fn scheduled(&mut self, event: &OpeningScheduled) {
        self.state = Some(OpeningState::Scheduled);
        self.policy = event.policy.clone();
        (self.opens_at, self.drains_at, self.closes_at) = (event.opens_at, event.drains_at, event.closes_at);
        self.seed_commitment = event.seed_commitment;
    }

    fn joined(&mut self, event: &VisitorJoined) -> Result<(), String> {
        rule!(self.ticket(&event.ticket).is_none(), "a ticket joined twice");
        rule!(self.tickets.len() < self.policy.max_tickets as usize, "more tickets than the opening takes");
        let state = match self.state.unwrap_or_default() {
            OpeningState::Scheduled => {
                rule!(event.number.is_none(), "a number before the draw");
                TicketState::Lobby
            }
            OpeningState::Drawing | OpeningState::Open | OpeningState::Paused => {
                self.last_number += 1;
                rule!(
                    event.number == Some(self.last_number),
                    "{:?} where number {} is next",
                    event.number,
                    self.last_number
                );
                self.numbers.insert(self.last_number, event.ticket);
                TicketState::Waiting
            }
            over => return Err(format!("somebody joined while {over:?}")),
        };
        self.tickets.insert(event.ticket, state);
        Ok(())
    }

    fn moved(&mut self, event: &TicketMoved) -> Result<(), String> {
        let was = self.ticket(&event.from);
        rule!(
            was.is_some_and(|was| !was.is_final() && was != TicketState::Inside),
            "the place of {was:?} moved"
        );
        let to = self.ticket(&event.to);
        rule!(to.is_none_or(|to| to != TicketState::Inside), "a place moved to {to:?}");
        self.tickets.insert(event.from, TicketState::Left);
        self.tickets.insert(event.to, event.state);
        self.moved.insert(event.from, event.to);
        if let Some(number) = event.number {
            let before = self.numbers.insert(number, event.to);
            rule!(before == Some(event.from), "number {number} moved from {before:?}");
        }
        if let Some(deadline) = self.deadlines.remove(&event.from) {
            self.deadlines.insert(event.to, deadline);
        }
        let misses = self.misses.get(&event.from).copied().unwrap_or(0);
        self.misses.insert(event.to, misses);
        Ok(())
    }

    fn lobby_closed(&mut self, event: &LobbyClosed) -> Result<(), String> {
        rule!(self.state == Some(OpeningState::Scheduled), "the lobby closed twice");
        rule!(event.at >= self.opens_at, "the lobby closed early");
        self.state = Some(OpeningState::Drawing);
        let lobby = self.tickets.iter().filter(|(_, state)| !state.is_final());
        self.cohort = lobby.map(|(ticket, _)| *ticket).collect();
        rule!(self.cohort.len() == event.count as usize, "the cohort's count is wrong");
        self.last_number = event.count;
        let sorted: Vec<Ticket> = self.cohort.iter().copied().collect();
        self.cohort_root = merkle_root(&sorted);
        rule!(self.cohort_root == event.cohort_root, "the cohort's root is wrong");
        self.moved.clear();
        Ok(())
    }

    fn draw_held(&mut self, event: &DrawHeld) -> Result<(), String> {
        rule!(self.state == Some(OpeningState::Drawing) && !self.drawn, "a second draw");
        rule!(commitment(&event.seed) == self.seed_commitment, "the seed opens another commitment");
        let sorted: Vec<Ticket> = self.cohort.iter().copied().collect();
        let beacon = event.beacon.as_ref().map(|beacon| &beacon.randomness);
        let order = drawn_order(&event.seed, &self.cohort_root, beacon, &sorted);
        rule!(merkle_root(&order) == event.order_root, "the order's root is wrong");
        self.drawn = true;
        for (number, drawn) in (1..).zip(order) {
            let mut owner = drawn;
            while let Some(next) = self.moved.get(&owner) {
                owner = *next;
            }
            self.numbers.insert(number, owner);
            if self.ticket(&owner) == Some(TicketState::Lobby) {
                self.tickets.insert(owner, TicketState::Waiting);
            }
        }
        Ok(())
    }

    fn admitted(&mut self, event: &VisitorsAdmitted) -> Result<(), String> {
        let by_hand = event.admission.is_some();
        let admits = match self.state.unwrap_or_default() {
            OpeningState::Open | OpeningState::Draining => true,
            OpeningState::Paused => by_hand,
            _ => false,
        };
        rule!(admits, "somebody was admitted while {:?}", self.state);
        rule!(!event.admitted.is_empty(), "nobody was admitted");
        for admitted in &event.admitted {
            let present = |ticket: &Ticket| self.ticket(ticket) == Some(TicketState::Waiting);
            let first = self.numbers.iter().find(|(_, ticket)| present(ticket));
            rule!(
                first == Some((&admitted.number, &admitted.ticket)),
                "number {} is admitted before {first:?}",
                admitted.number
            );
            self.tickets.insert(admitted.ticket, TicketState::Admitted);
            self.deadlines.insert(admitted.ticket, event.enter_by);
            self.serving_number = self.serving_number.max(admitted.number);
        }
        rule!(event.enter_by == event.at.plus_s(self.policy.enter_within_s), "another time to enter");
        rule!(event.serving_number == self.serving_number, "serving number {}", event.serving_number);
        let taken = self.in_window();
        rule!(taken <= self.policy.capacity, "{taken} in the window for {}", self.policy.capacity);
        Ok(())
    }

    fn in_window(&self) -> u32 {
        let takes = |state: &&TicketState| matches!(state, TicketState::Admitted | TicketState::Inside);
        u32::try_from(self.tickets.values().filter(takes).count()).unwrap()
    }

    fn missed(&mut self, event: &AdmissionsExpired) -> Result<(), String> {
        let away = event.away.iter().map(|ticket| (ticket, TicketState::Away));
        for (ticket, state) in away.chain(event.spent.iter().map(|ticket| (ticket, TicketState::Spent))) {
            let was = self.ticket(ticket);
            rule!(was == Some(TicketState::Admitted), "{was:?} missed an admission");
            rule!(event.at >= self.deadlines[ticket], "an admission expired early");
            let misses = self.misses.entry(*ticket).or_default();
            let keeps = *misses < self.policy.misses;
            rule!(keeps == (state == TicketState::Away), "{state:?} after {misses} misses");
            *misses += 1;
            self.tickets.insert(*ticket, state);
            self.deadlines.remove(ticket);
        }
        Ok(())
    }

    fn visits_ended(&mut self, event: &VisitsEnded, timer: bool) -> Result<(), String> {
        for visit in &event.visits {
            rule!(self.inside(&visit.ticket), "a visit ended that was none");
            let due = event.at >= self.deadlines[&visit.ticket];
            rule!(due || !timer, "a visit ended early");
            self.end(visit.ticket, visit.state)?;
        }
        Ok(())
    }

    fn end(&mut self, ticket: Ticket, state: TicketState) -> Result<(), String> {
        let was = self.ticket(&ticket);
        rule!(was.is_some_and(|was| !was.is_final()) && state.is_final(), "{was:?} became {state:?}");
        self.tickets.insert(ticket, state);
        self.deadlines.remove(&ticket);
        Ok(())
    }

    /// A visit never ends before its last live hold, nor earlier than it was told.
    fn leave_by(&mut self, ticket: Ticket, leave_by: Timestamp, expires_at: Timestamp) -> Result<(), String> {
        let told = self.deadlines.insert(ticket, leave_by);
        rule!(told == Some(leave_by) || leave_by == expires_at, "a visit's end moved without a reason");
        rule!(told.is_some_and(|told| told <= leave_by), "a visit's end came closer");
        rule!(expires_at <= leave_by, "a hold outlives the visit");
        Ok(())
    }
}
