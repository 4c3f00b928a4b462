//! Checks from the log alone, by code that shares nothing with the writer's,
//! that nobody was let in before their turn, that the seat window was never
//! overfull, and that no seat was kept for two.
//!
//! Feed it the valid records' events in order; it remembers what broke.

mod line;
mod seats;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use usher_events::event::{Event, TicketState};
use usher_events::ids::{HoldId, OpeningId, SeatId, ShowingId, Ticket};
use usher_events::record::Offset;

use line::Line;
use seats::Seats;

/// The most violations that are kept; all are counted.
const KEPT: usize = 1_000;

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where in the partition.
    pub offset: Offset,
    /// In which opening.
    pub opening: OpeningId,
    /// What broke.
    pub broken: Broken,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}, opening {}: {}", self.offset, self.opening, self.broken)
    }
}

/// What can break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the message says what each is")]
pub enum Broken {
    #[error("number {admitted} was admitted before {first}, who was present")]
    Inversion { admitted: u32, first: u32 },
    #[error("ticket {ticket} was admitted while it was {state:?}")]
    NotInLine { ticket: Ticket, state: Option<TicketState> },
    #[error("ticket {ticket} was admitted as number {told}, and has number {number}")]
    WrongNumber { ticket: Ticket, told: u32, number: u32 },
    #[error("{taken} were admitted or inside, and the capacity was {capacity}")]
    OverCapacity { taken: u32, capacity: u32 },
    #[error("ticket {ticket} entered while it was {state:?}")]
    EnteredUnasked { ticket: Ticket, state: Option<TicketState> },
    #[error("number {number} was given twice")]
    NumberTwice { number: u32 },
    #[error("seat {seat} of {showing} was given to hold {hold} while {other} had it")]
    SeatTwice { showing: ShowingId, seat: SeatId, hold: HoldId, other: HoldId },
    #[error("seat {seat} of {showing} was given back by hold {hold}, which had it not")]
    NotTheirs { showing: ShowingId, seat: SeatId, hold: HoldId },
}

/// What happened in all openings together, for a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Tickets that joined.
    pub joined: u64,
    /// Admissions, those that came again included.
    pub admitted: u64,
    /// Visits begun.
    pub entered: u64,
    /// Admissions that were missed.
    pub missed: u64,
    /// Times that somebody fell silent.
    pub went_away: u64,
    /// Times that somebody was back.
    pub returned: u64,
    /// Tickets that were given up or used up: left, done, spent.
    pub ended: u64,
    /// The most that were admitted or inside at once, in one opening.
    pub most_in_window: u32,
    /// Seats put into a hold.
    pub held: u64,
    /// Seats booked.
    pub booked: u64,
}

/// Watches any number of openings.
#[derive(Debug, Default)]
pub struct Referee {
    openings: HashMap<OpeningId, (Line, Seats)>,
    totals: Totals,
    violations: Vec<Violation>,
    broken: u64,
}

impl Referee {
    /// Takes note of the next event of `opening`, which stands at `offset`.
    pub fn see(&mut self, offset: Offset, opening: &OpeningId, event: &Event) {
        if !self.openings.contains_key(opening) {
            self.openings.insert(opening.clone(), Default::default());
        }
        let Some((line, seats)) = self.openings.get_mut(opening) else { return };
        let mut broken = Vec::new();
        line.see(event, &mut self.totals, &mut broken);
        seats.see(event, &mut self.totals, &mut broken);
        self.broken += broken.len() as u64;
        let room = KEPT - self.violations.len();
        let violation = |broken| Violation { offset, opening: opening.clone(), broken };
        self.violations.extend(broken.into_iter().take(room).map(violation));
    }

    /// The first violations, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How many violations there were.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// What happened.
    pub fn totals(&self) -> Totals {
        self.totals
    }
}
