//! Confirming and cancelling bookings.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference};
use usher_http::auth::Caller;
use usher_http::body::{Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{CommandState, answer};
use crate::opening::Command;

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(confirm, cancel))
}

/// Which hold was paid for, and by which payment.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BookingBody {
    /// The hold.
    #[schema(value_type = uuid::Uuid)]
    hold: HoldId,
    /// The merchant's payment, opaque: `[A-Za-z0-9._-]{1,128}`.
    #[schema(value_type = String, example = "payment-4711")]
    payment_reference: PaymentReference,
}

/// Settle the payment of a hold: it is booked, or a refund is due.
///
/// A payment is known by hold and reference and is settled once, for good;
/// any repeat, under any booking id, gets the same result.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/bookings/{booking}", tag = "seats",
    params(("opening" = String, Path), ("booking" = uuid::Uuid, Path, description = "Made by the client")),
    request_body = BookingBody,
    responses(
        (status = 201, description = "Booked: `{booking, state, hold, showing, seats, payment_reference, late, as_of}`"),
        (status = 200, description = "Was booked before; the booking as it is now"),
        (status = 403, description = "Problem `merchant-confirms`"),
        (status = 404, description = "Problem `unknown-hold`; final"),
        (status = 409, description = "Problem `refund-due` with the reason; final")
    )
)]
async fn confirm(
    State(state): State<CommandState>,
    Path((opening, booking)): Path<(OpeningId, BookingId)>,
    headers: HeaderMap,
    Json(body): Json<BookingBody>,
) -> Result<Response, Problem> {
    let actor = match state.caller(&headers)? {
        caller @ Caller::Visitor(_) => caller.visitor()?.1,
        caller => caller.merchant(&opening)?,
    };
    let command = Command::Confirm { booking, hold: body.hold, payment_reference: body.payment_reference };
    state.decide(opening, None, actor, command).await
}

/// Cancel a booking; its seats are free again.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/bookings/{booking}", tag = "seats",
    params(("opening" = String, Path), ("booking" = uuid::Uuid, Path)),
    responses((status = 200, description = "Cancelled; the booking as it is now"), (status = 404, description = "Problem `unknown-booking`"))
)]
async fn cancel(
    State(state): State<CommandState>,
    Path((opening, booking)): Path<(OpeningId, BookingId)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.caller(&headers)?;
    let actor = match caller {
        Caller::Operator { .. } => caller.operator(&opening)?,
        _ => caller.merchant(&opening)?,
    };
    answer::as_change(state.decide(opening, None, actor, Command::Cancel { booking }).await)
}
