//! Who sends a command. Known before its body is read, so that a stranger's
//! body costs nothing.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use usher_events::ids::{Actor, OpeningId, Ticket};
use usher_events::time::Timestamp;
use usher_http::auth::{self, Caller};
use usher_http::body::Path;
use usher_http::pass;
use usher_http::problem::Problem;

use super::CommandState;

#[derive(Deserialize)]
struct InOpening {
    opening: OpeningId,
}

async fn caller_in(parts: &mut Parts, state: &CommandState) -> Result<(Caller, OpeningId), Problem> {
    let Path(InOpening { opening }) = Path::from_request_parts(parts, state).await?;
    Ok((state.keys.caller(&parts.headers)?, opening))
}

/// The operator who may manage the opening in the path.
pub(super) struct Operator(pub(super) Actor);

impl FromRequestParts<CommandState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &CommandState) -> Result<Self, Problem> {
        let (caller, opening) = caller_in(parts, state).await?;
        Ok(Self(caller.operator(&opening)?))
    }
}

/// Who pays: the merchant of the opening in the path, or a visitor, or an
/// operator; whether these may is the opening's to say.
pub(super) struct Payer(pub(super) Actor);

impl FromRequestParts<CommandState> for Payer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &CommandState) -> Result<Self, Problem> {
        let (caller, opening) = caller_in(parts, state).await?;
        match caller {
            Caller::Visitor(_) => Ok(Self(caller.visitor()?.1)),
            Caller::Operator(_) => Ok(Self(caller.operator(&opening)?)),
            _ => Ok(Self(caller.merchant(&opening)?)),
        }
    }
}

/// Who takes bookings back: the merchant or the operator of the opening in
/// the path.
pub(super) struct Seller(pub(super) Actor);

impl FromRequestParts<CommandState> for Seller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &CommandState) -> Result<Self, Problem> {
        let (caller, opening) = caller_in(parts, state).await?;
        match caller {
            Caller::Operator { .. } => Ok(Self(caller.operator(&opening)?)),
            _ => Ok(Self(caller.merchant(&opening)?)),
        }
    }
}

/// Who holds seats in the opening in the path: the visitor by their secret, or
/// by the pass that they got at its entry; an operator for the house.
pub(super) struct Holder {
    pub(super) ticket: Ticket,
    pub(super) actor: Actor,
}

impl FromRequestParts<CommandState> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &CommandState) -> Result<Self, Problem> {
        let Path(InOpening { opening }) = Path::from_request_parts(parts, state).await?;
        if let Some(pass) = auth::credential(&parts.headers)?.filter(|shown| pass::is_meant(shown)) {
            let ticket = state.passes.verify(pass, &opening, Timestamp::now())?.sub;
            return Ok(Self { ticket, actor: Actor::Visitor(ticket) });
        }
        let caller = state.keys.caller(&parts.headers)?;
        if let Caller::Operator(_) = caller {
            return Ok(Self { ticket: Ticket::HOUSE, actor: caller.operator(&opening)? });
        }
        let (ticket, actor) = caller.visitor()?;
        Ok(Self { ticket, actor })
    }
}

#[derive(Deserialize)]
struct OfTicket {
    ticket: Ticket,
}

/// The visitor to whom the ticket in the path belongs.
pub(super) struct Owner(pub(super) Actor);

impl FromRequestParts<CommandState> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &CommandState) -> Result<Self, Problem> {
        let Path(OfTicket { ticket }) = Path::from_request_parts(parts, state).await?;
        Ok(Self(state.keys.caller(&parts.headers)?.visitor_of(&ticket)?))
    }
}
