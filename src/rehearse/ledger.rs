//! What visitors were told, so that it can be looked up in the log.

use std::fmt;

use usher_events::time::Timestamp;

use super::ask::{Eta, Kind};

/// The most broken promises that are kept; all are counted.
const KEPT: usize = 1_000;

/// A success that was told to a visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Acknowledged {
    Joined,
    /// Their number.
    Numbered(u32),
    Entered,
    Held {
        seats: Box<[Box<str>]>,
    },
    Released,
    Booked {
        seats: Box<[Box<str>]>,
    },
    Left,
}

/// Something that a visitor saw and that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Promise {
    NumberChanged { before: u32, now: u32 },
    TicketForgotten { kind: Kind },
    HoldForgotten,
    AnsweredOtherwise { kind: Kind, answer: String },
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NumberChanged { before, now } => write!(f, "was number {before}, and is number {now}"),
            Self::TicketForgotten { kind } => {
                write!(f, "had joined, and was unknown at `{}`", kind.name())
            }
            Self::HoldForgotten => f.write_str("held seats, and the hold was unknown when it was paid"),
            Self::AnsweredOtherwise { kind, answer } => {
                write!(f, "repeated `{}` after its success, and was told {answer}", kind.name())
            }
        }
    }
}

/// What one visitor was told of their turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) visitor: u32,
    /// When, in milliseconds from the beginning.
    pub(super) told_ms: u64,
    pub(super) expected: Timestamp,
    pub(super) early: Timestamp,
    pub(super) late: Timestamp,
}

impl Estimate {
    pub(super) fn of(visitor: u32, told_ms: u64, eta: Eta) -> Self {
        Self { visitor, told_ms, expected: eta.expected, early: eta.early, late: eta.late }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) acknowledged: Vec<(u32, Acknowledged)>,
    pub(super) estimates: Vec<Estimate>,
    /// When visitors knew that it was their turn, from the beginning on.
    pub(super) turns: Vec<(u32, u64)>,
    /// The first ones.
    pub(super) promises: Vec<(u32, Promise)>,
    pub(super) promises_broken: u64,
}

impl Ledger {
    pub(super) fn note(&mut self, visitor: u32, what: Acknowledged) {
        self.acknowledged.push((visitor, what));
    }

    pub(super) fn turn_known(&mut self, visitor: u32, now: u64) {
        self.turns.push((visitor, now));
    }

    pub(super) fn broken(&mut self, visitor: u32, promise: Promise) {
        self.promises_broken += 1;
        if self.promises.len() < KEPT {
            self.promises.push((visitor, promise));
        }
    }
}
