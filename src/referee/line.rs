//! Whose turn it was, and how many were let in.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};
use usher_events::event::{DrawHeld, Event, TicketMoved, TicketState, VisitorsAdmitted};
use usher_events::ids::{Hash, Ticket};

use super::{Broken, Totals};

/// Where one ticket stands; 0 is no number.
#[derive(Debug, Clone, Copy)]
struct Place {
    state: TicketState,
    number: u32,
}

/// One opening's line, as the events tell it.
#[derive(Debug, Default)]
pub(super) struct Line {
    places: HashMap<Ticket, Place>,
    /// The numbers of those who wait and are present.
    present: BTreeSet<u32>,
    given: BTreeSet<u32>,
    /// How many are admitted or inside.
    taken: u32,
    capacity: u32,
    cohort: Vec<Ticket>,
    cohort_root: Hash,
    /// Who took whose place over before the draw.
    moved: HashMap<Ticket, Ticket>,
}

fn takes_a_slot(state: TicketState) -> bool {
    matches!(state, TicketState::Admitted | TicketState::Inside)
}

impl Line {
    fn state(&self, ticket: &Ticket) -> Option<TicketState> {
        self.places.get(ticket).map(|place| place.state)
    }

    /// Notes what a ticket is from now on.
    fn becomes(&mut self, ticket: Ticket, state: TicketState, totals: &mut Totals) {
        let place = self.places.entry(ticket).or_insert(Place { state: TicketState::Lobby, number: 0 });
        let (before, number) = (place.state, place.number);
        let waits = matches!(state, TicketState::Lobby | TicketState::Waiting);
        let state = match number {
            _ if !waits => state,
            0 => TicketState::Lobby,
            _ => TicketState::Waiting,
        };
        place.state = state;
        self.taken = self.taken + u32::from(takes_a_slot(state)) - u32::from(takes_a_slot(before));
        if state == TicketState::Waiting {
            self.present.insert(number);
        } else {
            self.present.remove(&number);
        }
        totals.ended += u64::from(state.is_final() && !before.is_final());
    }

    fn all_become(&mut self, tickets: &[Ticket], state: TicketState, totals: &mut Totals) {
        for ticket in tickets {
            self.becomes(*ticket, state, totals);
        }
    }

    /// Gives a ticket its number; who is in the lobby waits from now on.
    fn number(&mut self, ticket: Ticket, number: u32, totals: &mut Totals) {
        let Some(place) = self.places.get_mut(&ticket) else { return };
        place.number = number;
        let state = place.state;
        self.becomes(ticket, state, totals);
    }

    fn give(&mut self, number: u32, broken: &mut Vec<Broken>) {
        if !self.given.insert(number) {
            broken.push(Broken::NumberTwice { number });
        }
    }

    pub(super) fn see(&mut self, event: &Event, totals: &mut Totals, broken: &mut Vec<Broken>) {
        match event {
            Event::OpeningScheduled(event) => self.capacity = event.policy.capacity,
            Event::PolicyChanged(event) => self.capacity = event.policy.capacity,
            Event::VisitorJoined(event) => {
                totals.joined += 1;
                self.becomes(event.ticket, TicketState::Lobby, totals);
                if let Some(number) = event.number {
                    self.give(number, broken);
                    self.number(event.ticket, number, totals);
                }
            }
            Event::TicketMoved(event) => self.moved(event, totals),
            Event::LobbyClosed(event) => {
                let lobby = self.places.iter().filter(|(_, place)| place.number == 0);
                let staying = lobby.filter(|(_, place)| !place.state.is_final());
                self.cohort = staying.map(|(ticket, _)| *ticket).collect();
                self.cohort_root = event.cohort_root;
            }
            Event::DrawHeld(event) => self.drawn(event, totals, broken),
            Event::VisitorsAdmitted(event) => self.admitted(event, totals, broken),
            Event::AdmissionsExpired(event) => {
                totals.missed += (event.away.len() + event.spent.len()) as u64;
                self.all_become(&event.away, TicketState::Away, totals);
                self.all_become(&event.spent, TicketState::Spent, totals);
            }
            Event::VisitorsWentAway(event) => {
                totals.went_away += event.tickets.len() as u64;
                self.all_become(&event.tickets, TicketState::Away, totals);
            }
            Event::VisitorsReturned(event) => {
                totals.returned += event.tickets.len() as u64;
                self.all_become(&event.tickets, TicketState::Waiting, totals);
            }
            Event::VisitorEntered(event) => {
                totals.entered += 1;
                let (ticket, state) = (event.ticket, self.state(&event.ticket));
                if state != Some(TicketState::Admitted) {
                    broken.push(Broken::EnteredUnasked { ticket, state });
                }
                self.becomes(ticket, TicketState::Inside, totals);
            }
            Event::VisitorLeft(event) => self.becomes(event.ticket, event.state, totals),
            Event::VisitsEnded(event) => {
                for visit in &event.visits {
                    self.becomes(visit.ticket, visit.state, totals);
                }
            }
            Event::BookingConfirmed(event) if event.visit_ended => {
                self.becomes(event.ticket, TicketState::Done, totals);
            }
            _ => {}
        }
    }

    fn moved(&mut self, event: &TicketMoved, totals: &mut Totals) {
        self.becomes(event.from, TicketState::Left, totals);
        self.moved.insert(event.from, event.to);
        self.becomes(event.to, event.state, totals);
        if let Some(number) = event.number {
            self.number(event.to, number, totals);
        }
    }

    /// The cohort is numbered by the published rule: sorted by
    /// `SHA-256(seed || cohort_root || beacon || ticket)`.
    fn drawn(&mut self, event: &DrawHeld, totals: &mut Totals, broken: &mut Vec<Broken>) {
        let mut drawn: Vec<([u8; 32], Ticket)> = Vec::with_capacity(self.cohort.len());
        for ticket in std::mem::take(&mut self.cohort) {
            let mut hash = Sha256::new();
            hash.update(event.seed.0);
            hash.update(self.cohort_root.0);
            if let Some(beacon) = &event.beacon {
                hash.update(beacon.randomness.0);
            }
            hash.update(ticket.0);
            drawn.push((hash.finalize().into(), ticket));
        }
        drawn.sort_unstable();
        for (number, (_, ticket)) in (1..).zip(drawn) {
            self.give(number, broken);
            self.number(ticket, number, totals);
            let mut owner = ticket;
            // At most all moves: a log that moves in circles must not hang us.
            for _ in 0..self.moved.len() {
                owner = self.moved.get(&owner).copied().unwrap_or(owner);
            }
            if owner != ticket {
                self.number(owner, number, totals);
            }
        }
    }

    fn admitted(&mut self, event: &VisitorsAdmitted, totals: &mut Totals, broken: &mut Vec<Broken>) {
        for admitted in &event.admitted {
            totals.admitted += 1;
            let (ticket, told) = (admitted.ticket, admitted.number);
            let number = self.places.get(&ticket).map_or(0, |place| place.number);
            match self.state(&ticket) {
                Some(TicketState::Waiting) if number != told => {
                    broken.push(Broken::WrongNumber { ticket, told, number });
                }
                Some(TicketState::Waiting) => {}
                state => broken.push(Broken::NotInLine { ticket, state }),
            }
            if let Some(first) = self.present.first().copied().filter(|first| *first < number) {
                broken.push(Broken::Inversion { admitted: number, first });
            }
            self.becomes(ticket, TicketState::Admitted, totals);
        }
        if self.taken > self.capacity {
            broken.push(Broken::OverCapacity { taken: self.taken, capacity: self.capacity });
        }
        totals.most_in_window = totals.most_in_window.max(self.taken);
    }
}
