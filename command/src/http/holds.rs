//! Holding seats, extending and releasing.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use usher_events::ids::{ExtensionId, HoldId, OpeningId, SeatId, ShowingId};
use usher_http::body::{IdempotencyKey, Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::Holder;
use super::description::HoldAnswer;
use super::tickets::Nothing;
use super::{CommandState, answer};
use crate::opening::{Best, Command, Relax};

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(hold, swap, release)).routes(routes!(extend))
}

/// Which seats to hold.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct HoldBody {
    /// Of which showing.
    #[schema(value_type = String, example = "gangnam-1-1900")]
    showing: ShowingId,
    /// Which seats, by `seat_guid`; or `best`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["G7", "G8"]))]
    seats: Option<Vec<SeatId>>,
    /// The best free seats instead: near the middle and two thirds back.
    /// Wheelchair and companion places are among them with `wheelchair` alone:
    /// then one place for it, and the other seats with that one.
    #[serde(default)]
    best: Option<BestBody>,
    /// Whether somebody who sits there comes in a wheelchair. Where the
    /// opening's rules keep wheelchair places, only then they may be held.
    #[serde(default)]
    #[schema(required = false)]
    wheelchair: bool,
}

/// Seats by what they should be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BestBody {
    /// How many.
    #[schema(minimum = 1, example = 2)]
    count: u32,
    /// All of them in this category; none: in any.
    #[serde(default)]
    #[schema(example = "Prime")]
    category: Option<String>,
    /// How far they may be from what people like: `nothing` (the default) is
    /// side by side in one row with no single free seat left beside them;
    /// `single` lets one be left; `split` lets them be in two neighbouring
    /// rows, too, one part behind the other.
    #[serde(default)]
    #[schema(value_type = String, required = false, pattern = "^(nothing|single|split)$", example = "nothing")]
    relax: Relax,
}

/// Hold seats: all of them or none. An operator holds for the house: any free seats, its own
/// among them, without a visit.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/holds/{hold}", tag = "seats",
    security(("visitor" = []), ("pass" = []), ("operator" = [])),
    params(("opening" = String, Path), ("hold" = uuid::Uuid, Path, description = "Made by the client")),
    request_body = HoldBody,
    responses(
        (status = 201, description = "Held", body = HoldAnswer),
        (status = 200, description = "Was held by the same request before; the hold as it is now"),
        (status = 403, description = "Problem `not-inside`"),
        (status = 401, description = "Problem `pass-refused` with a reason: expired, audience, unknown-key, signature, algorithm, issuer or malformed"),
        (status = 404, description = "Problem `unknown-opening`, `unknown-ticket` or `unknown-showing`"),
        (status = 409, description = "Problem `seats-taken` names each seat and why (held, booked, blocked, not_for_you), and the nearest `alternative` of the same size or null; `place-rule` names the `rule` (no_single_seat, wheelchair_kept, companion_with_wheelchair, house_kept), the `seats` that it is about and the `alternative`; `no-such-choice` when there are no such best seats, with `free` and the relaxation that `would_do`; `too-many-seats`; `id-in-use`; `wrong-state`"),
        (status = 410, description = "Problem `gone`: the visit is over"),
        (status = 422, description = "Problem `unknown-seats` names them; `id-reused`")
    )
)]
async fn hold(
    State(state): State<CommandState>,
    Path((opening, hold)): Path<(OpeningId, HoldId)>,
    Holder { ticket, actor }: Holder,
    Json(body): Json<HoldBody>,
) -> Result<Response, Problem> {
    let HoldBody { showing, seats, best, wheelchair } = body;
    let command = match (seats, best) {
        (Some(seats), None) => Command::Hold { hold, ticket, showing, seats, wheelchair },
        (None, Some(BestBody { count, category, relax })) => {
            Command::HoldBest { hold, ticket, showing, best: Best { count, category, relax, wheelchair } }
        }
        _ => return Err(Problem::invalid("seats", "expected `seats` or `best`, and not both")),
    };
    state.decide(opening, None, actor, command).await
}

/// Which seats a hold shall have.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SwapBody {
    /// All of them, by `seat_guid`; seats that it has already may be among them.
    #[schema(value_type = Vec<String>, example = json!(["G8", "G9"]))]
    seats: Vec<SeatId>,
    /// As for a new hold.
    #[serde(default)]
    #[schema(required = false)]
    wheelchair: bool,
}

/// Swap a hold's seats for others of the same showing, in one step: when one
/// of them is not free, the hold keeps the seats that it has.
#[utoipa::path(
    patch, path = "/v1/openings/{opening}/holds/{hold}", tag = "seats",
    security(("visitor" = []), ("pass" = []), ("operator" = [])),
    params(
        ("opening" = String, Path), ("hold" = uuid::Uuid, Path),
        ("Idempotency-Key" = uuid::Uuid, Header)
    ),
    request_body = SwapBody,
    responses(
        (status = 200, description = "Swapped, now or before; the hold as it is now", body = HoldAnswer),
        (status = 403, description = "Problem `not-inside`"),
        (status = 401, description = "Problem `pass-refused` with a reason: expired, audience, unknown-key, signature, algorithm, issuer or malformed"),
        (status = 404, description = "Problem `unknown-opening`, or `unknown-hold`, also when it is another visitor's"),
        (status = 409, description = "Problem `seats-taken`, `place-rule` or `too-many-seats` as for a new hold; `hold-over`; `hold-booked`; `id-in-use`; `wrong-state`"),
        (status = 410, description = "Problem `gone`: the visit is over"),
        (status = 422, description = "Problem `unknown-seats` names them; `id-reused`")
    )
)]
async fn swap(
    State(state): State<CommandState>,
    Path((opening, hold)): Path<(OpeningId, HoldId)>,
    Holder { ticket, actor }: Holder,
    IdempotencyKey(id): IdempotencyKey,
    Json(body): Json<SwapBody>,
) -> Result<Response, Problem> {
    let SwapBody { seats, wheelchair } = body;
    let command = Command::Swap { hold, ticket, seats, wheelchair };
    answer::as_change(state.decide(opening, Some(id), actor, command).await)
}

/// Release a hold.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/holds/{hold}", tag = "seats",
    security(("visitor" = []), ("pass" = []), ("operator" = [])),
    params(("opening" = String, Path), ("hold" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "Released, now or before; the hold as it is now", body = HoldAnswer),
        (status = 401, description = "Problem `pass-refused` with a reason: expired, audience, unknown-key, signature, algorithm, issuer or malformed"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-hold`, also when it is another visitor's"),
        (status = 409, description = "Problem `hold-booked`")
    )
)]
async fn release(
    State(state): State<CommandState>,
    Path((opening, hold)): Path<(OpeningId, HoldId)>,
    Holder { ticket, actor }: Holder,
) -> Result<Response, Problem> {
    answer::as_change(state.decide(opening, None, actor, Command::Release { hold, ticket }).await)
}

/// Make a hold last longer, as often as the policy lets it.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/holds/{hold}/extensions/{extension}", tag = "seats",
    security(("visitor" = []), ("pass" = []), ("operator" = [])),
    params(
        ("opening" = String, Path), ("hold" = uuid::Uuid, Path),
        ("extension" = uuid::Uuid, Path, description = "Made by the client")
    ),
    request_body = Nothing,
    responses(
        (status = 201, description = "Extended; the hold as it is now", body = HoldAnswer),
        (status = 200, description = "Was extended by the same request before"),
        (status = 401, description = "Problem `pass-refused` with a reason: expired, audience, unknown-key, signature, algorithm, issuer or malformed"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-hold`, also when it is another visitor's"),
        (status = 409, description = "Problem `no-more-extensions`, `hold-over`, `hold-booked` or `id-in-use`"),
        (status = 422, description = "Problem `id-reused`")
    )
)]
async fn extend(
    State(state): State<CommandState>,
    Path((opening, hold, extension)): Path<(OpeningId, HoldId, ExtensionId)>,
    Holder { ticket, actor }: Holder,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    state.decide(opening, None, actor, Command::Extend { hold, ticket, extension }).await
}
