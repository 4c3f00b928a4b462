//! Why a command is refused, with the facts that a program needs.

use serde::Serialize;
use usher_events::event::TicketState;
use usher_events::ids::{HoldId, SeatId, ShowingId};
use usher_events::time::Timestamp;

use super::OpeningState;
use super::choosing::{PlaceRule, Relax};

/// Why a seat cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatProblem {
    /// Someone holds it.
    Held,
    /// It is booked.
    Booked,
    /// It is not sold.
    Blocked,
    /// A rule keeps it for others.
    NotForYou,
}

/// A seat that cannot be held, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatConflict {
    /// Which seat.
    pub seat: SeatId,
    /// Why.
    pub why: SeatProblem,
}

/// Why a command is refused. Nothing was changed, and the same command may be
/// accepted later.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named as in the events, which document them")]
pub enum Refusal {
    #[error("there is no such opening")]
    UnknownOpening,
    #[error("there is no such plan")]
    UnknownPlan,
    #[error("there is no such showing")]
    UnknownShowing { showing: ShowingId },
    #[error("the showing has no such seats")]
    UnknownSeats { showing: ShowingId, seats: Vec<SeatId> },
    #[error("there is no such ticket in this opening")]
    UnknownTicket,
    #[error("there is no such hold")]
    UnknownHold,
    #[error("there is no such booking")]
    UnknownBooking,
    #[error("`{field}`: {problem}")]
    Invalid { field: String, problem: String },
    #[error("the same id came with other content before")]
    IdReused,
    #[error("the id is another visitor's")]
    IdInUse,
    #[error("the opening is {state}", state = .state.as_str())]
    WrongState { state: OpeningState },
    #[error("the lobby is closed: the time of opening cannot change any more")]
    LobbyClosed,
    #[error("the opening's draw takes no beacon")]
    NoBeacon,
    #[error("this opening asks for an entry claim")]
    ClaimNeeded,
    #[error("the person is in the seat window with another ticket")]
    InsideElsewhere,
    #[error("the person had their turn in this opening")]
    AlreadyServed { state: TicketState },
    #[error("the person has had as many tickets of this opening as anyone gets")]
    TooManyTickets { max_tickets: u32 },
    #[error("the opening has as many tickets as it takes")]
    Full { max_tickets: u32 },
    #[error("it is not this visitor's turn")]
    NotYourTurn { state: TicketState, number: Option<u32>, position: Option<u32>, serving_number: u32 },
    #[error("the ticket's place is used up")]
    Gone { state: TicketState },
    #[error("the visitor is not in the seat window")]
    NotInside { state: TicketState },
    #[error("nobody can be admitted now")]
    NothingToAdmit { free_slots: u32, present: u32 },
    #[error("not every seat is free")]
    SeatsTaken { showing: ShowingId, conflicts: Vec<SeatConflict>, alternative: Option<Vec<SeatId>> },
    #[error("{}", .rule.says())]
    PlaceRule { showing: ShowingId, rule: PlaceRule, seats: Vec<SeatId>, alternative: Option<Vec<SeatId>> },
    #[error("no free seats are as they were asked for")]
    NoSuchChoice { showing: ShowingId, count: u32, free: u32, would_do: Option<Relax> },
    #[error("more seats than one visitor may have")]
    TooManySeats { max_seats: u32, held: u32, booked: u32 },
    #[error("the hold is over")]
    HoldOver { hold: HoldId, expired_at: Option<Timestamp> },
    #[error("the hold is booked; cancel the booking instead")]
    HoldBooked { hold: HoldId },
    #[error("the hold was extended as often as it may be")]
    NoMoreExtensions { max_extensions: u32 },
    #[error("payments of this opening are confirmed by the merchant")]
    MerchantConfirms,
    #[error("what happened would be larger than a record may be, which is {max_bytes} bytes")]
    TooLarge { max_bytes: usize },
    #[error("the seed does not open the draw's commitment")]
    WrongSeed,
    #[error("the timer is not due")]
    NotDue,
}

impl Refusal {
    /// The problem's stable type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownOpening => "unknown-opening",
            Self::UnknownPlan => "unknown-plan",
            Self::UnknownShowing { .. } => "unknown-showing",
            Self::UnknownSeats { .. } => "unknown-seats",
            Self::UnknownTicket => "unknown-ticket",
            Self::UnknownHold => "unknown-hold",
            Self::UnknownBooking => "unknown-booking",
            Self::Invalid { .. } => "invalid",
            Self::IdReused => "id-reused",
            Self::IdInUse => "id-in-use",
            Self::WrongState { .. } => "wrong-state",
            Self::LobbyClosed => "lobby-closed",
            Self::NoBeacon => "no-beacon",
            Self::ClaimNeeded => "claim-needed",
            Self::InsideElsewhere => "inside-elsewhere",
            Self::AlreadyServed { .. } => "already-served",
            Self::TooManyTickets { .. } => "too-many-tickets",
            Self::Full { .. } => "full",
            Self::NotYourTurn { .. } => "not-your-turn",
            Self::Gone { .. } => "gone",
            Self::NotInside { .. } => "not-inside",
            Self::NothingToAdmit { .. } => "nothing-to-admit",
            Self::SeatsTaken { .. } => "seats-taken",
            Self::PlaceRule { .. } => "place-rule",
            Self::NoSuchChoice { .. } => "no-such-choice",
            Self::TooManySeats { .. } => "too-many-seats",
            Self::HoldOver { .. } => "hold-over",
            Self::HoldBooked { .. } => "hold-booked",
            Self::NoMoreExtensions { .. } => "no-more-extensions",
            Self::MerchantConfirms => "merchant-confirms",
            Self::TooLarge { .. } => "too-large",
            Self::WrongSeed => "wrong-seed",
            Self::NotDue => "not-due",
        }
    }

    /// The seats that were refused because they are taken, for analysts.
    pub fn seats(&self) -> impl Iterator<Item = (&ShowingId, &SeatId)> {
        let taken = match self {
            Self::SeatsTaken { showing, conflicts, .. } => Some((showing, conflicts)),
            _ => None,
        };
        taken
            .into_iter()
            .flat_map(|(showing, seats)| seats.iter().map(move |conflict| (showing, &conflict.seat)))
    }

    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }
}
