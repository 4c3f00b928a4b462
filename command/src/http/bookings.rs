//! Confirming and cancelling bookings.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference, SeatId};
use usher_http::body::{Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::{Payer, Seller};
use super::description::BookingAnswer;
use super::{CommandState, answer};
use crate::opening::Command;

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(confirm, cancel)).routes(routes!(cancel_seat))
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
/// any repeat, under any booking id, gets the same result. Visitors may where
/// the policy says that nothing is paid, operators for what the house holds.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/bookings/{booking}", tag = "seats",
    security(("merchant" = []), ("visitor" = []), ("operator" = [])),
    params(("opening" = String, Path), ("booking" = uuid::Uuid, Path, description = "Made by the client")),
    request_body = BookingBody,
    responses(
        (status = 201, description = "Booked", body = BookingAnswer),
        (status = 200, description = "Was booked before; the booking as it is now"),
        (status = 403, description = "Problem `merchant-confirms`"),
        (status = 404, description = "Problem `unknown-opening`; `unknown-hold`, also when it is another visitor's, is final"),
        (status = 409, description = "Problem `refund-due` with booking, hold, payment reference and reason; final. `id-in-use`"),
        (status = 422, description = "Problem `id-reused`")
    )
)]
async fn confirm(
    State(state): State<CommandState>,
    Path((opening, booking)): Path<(OpeningId, BookingId)>,
    Payer(actor): Payer,
    Json(body): Json<BookingBody>,
) -> Result<Response, Problem> {
    let command = Command::Confirm { booking, hold: body.hold, payment_reference: body.payment_reference };
    state.decide(opening, None, actor, command).await
}

/// Cancel a booking; its seats are free again.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/bookings/{booking}", tag = "seats",
    security(("merchant" = []), ("operator" = [])),
    params(("opening" = String, Path), ("booking" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "Cancelled, now or before; the booking as it is now", body = BookingAnswer),
        (status = 404, description = "Problem `unknown-opening` or `unknown-booking`")
    )
)]
async fn cancel(
    State(state): State<CommandState>,
    Path((opening, booking)): Path<(OpeningId, BookingId)>,
    Seller(actor): Seller,
) -> Result<Response, Problem> {
    answer::as_change(state.decide(opening, None, actor, Command::Cancel { booking, seat: None }).await)
}

/// Cancel one seat of a booking; the others stay booked.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/bookings/{booking}/seats/{seat}", tag = "seats",
    security(("merchant" = []), ("operator" = [])),
    params(("opening" = String, Path), ("booking" = uuid::Uuid, Path), ("seat" = String, Path)),
    responses(
        (status = 200, description = "Cancelled, now or before; the booking as it is now", body = BookingAnswer),
        (status = 404, description = "Problem `unknown-opening` or `unknown-booking`"),
        (status = 422, description = "Problem `unknown-seats`: never of this booking")
    )
)]
async fn cancel_seat(
    State(state): State<CommandState>,
    Path((opening, booking, seat)): Path<(OpeningId, BookingId, SeatId)>,
    Seller(actor): Seller,
) -> Result<Response, Problem> {
    let command = Command::Cancel { booking, seat: Some(seat) };
    answer::as_change(state.decide(opening, None, actor, command).await)
}
