//! Heartbeats of visitors, as their owner hears them: one from the visitor,
//! or many that another instance collected.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use usher_events::event::TicketState;
use usher_events::ids::{OpeningId, Ticket};
use usher_http::as_of::AsOf;
use usher_http::auth;
use usher_http::body::Json;
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::description::HeardTogetherAnswer;
use super::{CommandState, problems};
use crate::opening::Refusal;
use crate::presence::Here;
use crate::writer::Writers;

/// The most heartbeats that come together: all of them fit into a small body.
pub(super) const MOST: usize = 256;
/// Where heartbeats that were collected go.
pub(super) const PATH: &str = "/v1/heartbeats";

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(hear_together))
}

/// What became of a heartbeat; also what instances tell each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "heard", rename_all = "kebab-case")]
pub(super) enum Heard {
    /// It was heard.
    Here { state: TicketState, next_in_s: u32, as_of: AsOf },
    /// The ticket is done, left or spent.
    Gone { state: TicketState, as_of: AsOf },
    /// The opening has no such ticket.
    UnknownTicket { as_of: AsOf },
    /// There is no such opening.
    UnknownOpening { as_of: AsOf },
    /// Another instance owns the opening's partition, or nobody does yet.
    Elsewhere,
    /// The secret is none.
    NoSecret,
}

/// A heartbeat as it is passed on, with what its visitor showed.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeat {
    #[schema(value_type = String, example = "concert-2026")]
    pub(super) opening: OpeningId,
    /// The visitor's secret.
    #[schema(example = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")]
    pub(super) secret: String,
}

/// Heartbeats that come together.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeats {
    /// At most 256.
    #[schema(max_items = 256, example = json!([
        { "opening": "concert-2026", "secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" }
    ]))]
    pub(super) heartbeats: Vec<Heartbeat>,
}

/// What became of each, in the same order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeardTogether {
    pub(super) answers: Vec<Heard>,
}

/// Hears a visitor, if this instance owns the opening's partition.
pub(super) fn heard(writers: &Writers, opening: &OpeningId, ticket: &Ticket) -> Heard {
    let Some((position, heard)) = writers.heartbeat(opening, ticket) else { return Heard::Elsewhere };
    let as_of = AsOf::one(writers.partition_of(opening), position);
    match heard {
        Ok(Here { state, next_in_s }) => Heard::Here { state, next_in_s, as_of },
        Err(Refusal::Gone { state }) => Heard::Gone { state, as_of },
        Err(Refusal::UnknownOpening) => Heard::UnknownOpening { as_of },
        Err(_) => Heard::UnknownTicket { as_of },
    }
}

/// Hear the visitors whose heartbeats another instance collected.
///
/// For instances among themselves: one that does not own an opening's
/// partition collects heartbeats for a moment and sends them on together.
/// Anyone may send some: each secret shows for itself who is there, and this
/// grants nothing that `presence` of that ticket does not. It is not sent on.
#[utoipa::path(
    post, path = "/v1/heartbeats", tag = "between instances",
    request_body = Heartbeats,
    responses(
        (status = 200, description = "What became of each, in order", body = HeardTogetherAnswer),
        (status = 422, description = "More than 256")
    )
)]
async fn hear_together(
    State(state): State<CommandState>,
    Json(Heartbeats { heartbeats }): Json<Heartbeats>,
) -> Result<axum::Json<HeardTogether>, Problem> {
    if heartbeats.len() > MOST {
        return Err(Problem::invalid("heartbeats", format!("more than {MOST}")));
    }
    let hear = |heartbeat: Heartbeat| match auth::secret(&heartbeat.secret) {
        Some(secret) => heard(&state.writers, &heartbeat.opening, &Ticket::of_secret(&secret)),
        None => Heard::NoSecret,
    };
    Ok(axum::Json(HeardTogether { answers: heartbeats.into_iter().map(hear).collect() }))
}

#[derive(Serialize)]
struct Answer<'a> {
    ticket: &'a Ticket,
    state: TicketState,
    next_in_s: u32,
    as_of: AsOf,
}

/// What the visitor is told.
pub(super) fn respond(ticket: &Ticket, heard: Heard) -> Result<Response, Problem> {
    let refused = |refusal, as_of: AsOf| Err(problems::of_refusal(&refusal).with("as_of", as_of));
    match heard {
        Heard::Here { state, next_in_s, as_of } => {
            let answer = Answer { ticket, state, next_in_s, as_of };
            Ok((StatusCode::OK, axum::Json(answer)).into_response())
        }
        Heard::Gone { state, as_of } => refused(Refusal::Gone { state }, as_of),
        Heard::UnknownTicket { as_of } => refused(Refusal::UnknownTicket, as_of),
        Heard::UnknownOpening { as_of } => refused(Refusal::UnknownOpening, as_of),
        Heard::Elsewhere => Err(problems::owner_changed()),
        Heard::NoSecret => Err(Problem::unauthorized("expected the visitor's secret")),
    }
}
