//! Every refusal as a problem document, in one place.

use std::time::Duration;

use axum::http::StatusCode;
use usher_http::as_of::AsOf;
use usher_http::problem::Problem;

use crate::claims::{ClaimRefused, NoSubject};
use crate::opening::{Refusal, Resource};

/// The problem that tells a refusal, with the facts that a program needs.
pub(super) fn of_refusal(refusal: &Refusal) -> Problem {
    let (status, title) = status_and_title(refusal);
    let problem = Problem::new(status, refusal.kind(), title).detail(refusal.to_string());
    match refusal {
        Refusal::UnknownShowing { showing } => problem.with("showing", showing),
        Refusal::UnknownSeats { showing, seats } => problem.with("showing", showing).with("seats", seats),
        Refusal::Invalid { field, .. } => problem.with("field", field),
        Refusal::WrongState { state } => problem.with("state", state),
        Refusal::AlreadyServed { state } => problem.with("state", state),
        Refusal::Full { max_tickets } | Refusal::TooManyTickets { max_tickets } => {
            problem.with("max_tickets", max_tickets)
        }
        Refusal::TooLarge { max_bytes } => problem.with("max_bytes", max_bytes),
        Refusal::NotYourTurn { state, number, position, serving_number } => problem
            .with("state", state)
            .with("number", number)
            .with("position", position)
            .with("serving_number", serving_number)
            .retry_after(Duration::from_secs(2)),
        Refusal::Gone { state } | Refusal::NotInside { state } => problem.with("state", state),
        Refusal::NothingToAdmit { free_slots, present } => {
            problem.with("free_slots", free_slots).with("present", present)
        }
        Refusal::SeatsTaken { showing, conflicts, alternative } => {
            problem.with("showing", showing).with("seats", conflicts).with("alternative", alternative)
        }
        Refusal::PlaceRule { showing, rule, seats, alternative } => problem
            .with("showing", showing)
            .with("rule", rule)
            .with("seats", seats)
            .with("alternative", alternative),
        Refusal::NoSuchChoice { showing, count, free, would_do } => problem
            .with("showing", showing)
            .with("count", count)
            .with("free", free)
            .with("would_do", would_do),
        Refusal::TooManySeats { max_seats, held, booked } => {
            problem.with("max_seats", max_seats).with("held", held).with("booked", booked)
        }
        Refusal::HoldOver { hold, expired_at } => {
            problem.with("hold", hold).with("expired_at", expired_at.map(|at| at.to_rfc3339()))
        }
        Refusal::HoldBooked { hold } => problem.with("hold", hold),
        Refusal::NoMoreExtensions { max_extensions } => problem.with("max_extensions", max_extensions),
        Refusal::UnknownOpening
        | Refusal::UnknownPlan
        | Refusal::UnknownTicket
        | Refusal::UnknownHold
        | Refusal::UnknownBooking
        | Refusal::IdReused
        | Refusal::IdInUse
        | Refusal::LobbyClosed
        | Refusal::NoBeacon
        | Refusal::ClaimNeeded
        | Refusal::InsideElsewhere
        | Refusal::MerchantConfirms
        | Refusal::WrongSeed
        | Refusal::NotDue => problem,
    }
}

fn status_and_title(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::UnknownOpening => (StatusCode::NOT_FOUND, "There is no such opening"),
        Refusal::UnknownPlan => (StatusCode::NOT_FOUND, "There is no such plan"),
        Refusal::UnknownShowing { .. } => (StatusCode::NOT_FOUND, "There is no such showing"),
        Refusal::UnknownSeats { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "There are no such seats"),
        Refusal::UnknownTicket => (StatusCode::NOT_FOUND, "There is no such ticket"),
        Refusal::UnknownHold => (StatusCode::NOT_FOUND, "There is no such hold"),
        Refusal::UnknownBooking => (StatusCode::NOT_FOUND, "There is no such booking"),
        Refusal::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "A field has a value that cannot be"),
        Refusal::IdReused => (StatusCode::UNPROCESSABLE_ENTITY, "The id came with other content before"),
        Refusal::IdInUse => (StatusCode::CONFLICT, "The id is in use"),
        Refusal::WrongState { .. } => (StatusCode::CONFLICT, "The opening's state does not allow this"),
        Refusal::LobbyClosed => (StatusCode::CONFLICT, "The lobby is closed"),
        Refusal::NoBeacon => (StatusCode::CONFLICT, "The draw takes no beacon"),
        Refusal::ClaimNeeded => (StatusCode::FORBIDDEN, "An entry claim is needed"),
        Refusal::InsideElsewhere => (StatusCode::CONFLICT, "The person is inside with another ticket"),
        Refusal::AlreadyServed { .. } => (StatusCode::CONFLICT, "The person had their turn"),
        Refusal::TooManyTickets { .. } => (StatusCode::CONFLICT, "The person has had too many tickets"),
        Refusal::Full { .. } => (StatusCode::CONFLICT, "The opening is full"),
        Refusal::NotYourTurn { .. } => (StatusCode::FORBIDDEN, "It is not this visitor's turn"),
        Refusal::Gone { .. } => (StatusCode::GONE, "The place is used up"),
        Refusal::NotInside { .. } => (StatusCode::FORBIDDEN, "The visitor is not in the seat window"),
        Refusal::NothingToAdmit { .. } => (StatusCode::CONFLICT, "Nobody can be admitted now"),
        Refusal::SeatsTaken { .. } => (StatusCode::CONFLICT, "Not every seat is free"),
        Refusal::PlaceRule { .. } => (StatusCode::CONFLICT, "A rule about seats does not allow this"),
        Refusal::NoSuchChoice { .. } => (StatusCode::CONFLICT, "No free seats are as they were asked for"),
        Refusal::TooManySeats { .. } => (StatusCode::CONFLICT, "More seats than one visitor may have"),
        Refusal::HoldOver { .. } => (StatusCode::CONFLICT, "The hold is over"),
        Refusal::HoldBooked { .. } => (StatusCode::CONFLICT, "The hold is booked"),
        Refusal::NoMoreExtensions { .. } => (StatusCode::CONFLICT, "The hold cannot be extended again"),
        Refusal::MerchantConfirms => (StatusCode::FORBIDDEN, "The merchant confirms"),
        Refusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
        Refusal::WrongSeed | Refusal::NotDue => (StatusCode::CONFLICT, "This cannot be decided now"),
    }
}

/// A payment that became no booking: the money must go back.
pub(super) fn refund_due(refund: &Resource, as_of: AsOf) -> Problem {
    let problem = Problem::new(StatusCode::CONFLICT, "refund-due", "The payment cannot become a booking");
    let problem = problem.with("as_of", as_of);
    match refund {
        Resource::Refund { booking, hold, payment_reference, reason } => problem
            .with("booking", booking)
            .with("hold", hold)
            .with("payment_reference", payment_reference)
            .with("reason", reason),
        _ => problem,
    }
}

/// It is not known whether the command was done.
pub(super) fn outcome_unknown() -> Problem {
    Problem::unavailable("outcome-unknown", "it may or may not have been done: repeat it with the same id")
}

/// The partition moved to another instance while the command waited.
pub(super) fn owner_changed() -> Problem {
    Problem::unavailable(
        "owner-changed",
        "another instance answers for this opening now: repeat it with the same id",
    )
}

/// The mailbox is full.
pub(super) fn overloaded() -> Problem {
    Problem::unavailable("overloaded", "too many commands wait for this opening")
}

/// The owner does not answer.
pub(super) fn owner_unreachable() -> Problem {
    Problem::unavailable(
        "owner-unreachable",
        "the instance that answers for this opening cannot be reached: repeat with the same id",
    )
}

/// An entry claim that is not taken, or cannot be checked now.
pub(super) fn claim_refused(refused: ClaimRefused) -> Problem {
    if refused == ClaimRefused::KeysUnreadable {
        return claims_unavailable();
    }
    Problem::new(StatusCode::FORBIDDEN, "claim-refused", "The entry claim is not taken")
        .with("reason", refused.to_string())
}

/// A person whom nobody can name any more, or now.
pub(super) fn no_subject(missing: NoSubject) -> Problem {
    match missing {
        NoSubject::Destroyed => {
            Problem::new(StatusCode::GONE, "subjects-destroyed", "The opening knows nobody any more")
                .detail("what tells its visitors apart was destroyed; nobody joins with a claim any more")
        }
        NoSubject::Store(fault) => {
            tracing::error!(%fault, "claims cannot be taken now");
            claims_unavailable()
        }
    }
}

fn claims_unavailable() -> Problem {
    Problem::unavailable("claims-unavailable", "entry claims cannot be checked now")
}
