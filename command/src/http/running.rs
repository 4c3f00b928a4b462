//! Managing an opening that runs: its states, a word to everybody, and
//! admissions by hand.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use usher_events::ids::{AdmissionId, CommandId, OpeningId};
use usher_http::body::{IdempotencyKey, Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::Operator;
use super::description::{AdmissionAnswer, OpeningAnswer};
use super::tickets::Nothing;
use super::{CommandState, answer};
use crate::opening::Command;

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(drain))
        .routes(routes!(close))
        .routes(routes!(set_message))
        .routes(routes!(admit))
}

macro_rules! state_change {
    ($(#[$doc:meta])* $name:ident, $path:literal, $command:expr) => {
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "openings",
            security(("operator" = [])),
            params(("opening" = String, Path), ("Idempotency-Key" = uuid::Uuid, Header)),
            request_body = Nothing,
            responses(
                (status = 200, description = "It is so, now or before; the opening", body = OpeningAnswer),
                (status = 404, description = "Problem `unknown-opening`"),
                (status = 409, description = "Problem `wrong-state`"),
                (status = 422, description = "Problem `id-reused`")
            )
        )]
        async fn $name(
            State(state): State<CommandState>,
            Path(opening): Path<OpeningId>,
            Operator(actor): Operator,
            IdempotencyKey(id): IdempotencyKey,
            Json(Nothing {}): Json<Nothing>,
        ) -> Result<Response, Problem> {
            answer::as_change(state.decide(opening, Some(id), actor, $command).await)
        }
    };
}

state_change!(
    /// Stop admissions.
    pause, "/v1/openings/{opening}/pause", Command::Pause
);
state_change!(
    /// Go on with admissions.
    resume, "/v1/openings/{opening}/resume", Command::Resume
);
state_change!(
    /// Take no new joins; who is in line is served.
    drain, "/v1/openings/{opening}/drain", Command::Drain
);
state_change!(
    /// Close for good; live holds may finish.
    close, "/v1/openings/{opening}/close", Command::Close
);

/// A word to everybody.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageBody {
    /// What people read; null takes it away.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, example = "The doors open a little later")]
    message: Option<String>,
}

/// Say something to everybody.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/message", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path)),
    request_body = MessageBody,
    responses(
        (status = 200, description = "The opening with its message", body = OpeningAnswer),
        (status = 404, description = "Problem `unknown-opening`")
    )
)]
async fn set_message(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    Operator(actor): Operator,
    Json(body): Json<MessageBody>,
) -> Result<Response, Problem> {
    // Without a client's id each setting is a command of its own; setting
    // what is set already changes nothing.
    let id = Some(CommandId(uuid::Uuid::new_v4()));
    answer::as_change(state.decide(opening, id, actor, Command::SetMessage { message: body.message }).await)
}

/// How many to admit.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AdmissionBody {
    /// 1 to 4,096.
    #[schema(minimum = 1, maximum = 4_096, example = 50)]
    count: u32,
}

/// Admit by hand, ignoring the rate, never the capacity.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/admissions/{admission}", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path), ("admission" = uuid::Uuid, Path, description = "Made by the client")),
    request_body = AdmissionBody,
    responses(
        (status = 201, description = "Admitted; perhaps fewer than asked for", body = AdmissionAnswer),
        (status = 200, description = "Were admitted by the same request before"),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `nothing-to-admit` with free slots and present visitors; `wrong-state`"),
        (status = 422, description = "Problem `id-reused`")
    )
)]
async fn admit(
    State(state): State<CommandState>,
    Path((opening, admission)): Path<(OpeningId, AdmissionId)>,
    Operator(actor): Operator,
    Json(body): Json<AdmissionBody>,
) -> Result<Response, Problem> {
    state.decide(opening, None, actor, Command::AdmitByHand { admission, count: body.count }).await
}
