//! Holds and bookings: for their visitor, the merchant and the operator.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference, SeatId, ShowingId};
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::booking::{BookingState, HoldState};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::state::{QueryState, away, json, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(hold)).routes(routes!(booking))
}

#[derive(Serialize)]
struct HoldDocument {
    hold: HoldId,
    state: HoldState,
    showing: ShowingId,
    seats: Vec<SeatId>,
    #[serde(with = "rfc3339")]
    expires_at: Timestamp,
    as_of: AsOf,
}

/// A hold. Others than its visitor, the merchant and the operator get a 404.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/holds/{hold}", tag = "seats",
    params(("opening" = String, Path), ("hold" = uuid::Uuid, Path), ("after" = Option<String>, Query)),
    responses((status = 200, description = "`{hold, state, showing, seats, expires_at, as_of}`"), (status = 404, description = "No such hold for you by `as_of`"))
)]
async fn hold(
    State(state): State<QueryState>,
    Path((opening, hold)): Path<(OpeningId, HoldId)>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.keys.caller(&headers)?;
    let (partition, _) = after.wait(&state, &opening, Views::Booking).await?;
    let found = state.bookings.hold(&opening, partition, hold).await.map_err(away)?;
    let readable = found.value.filter(|view| caller.may_read(&opening, &view.ticket));
    let Some(view) = readable else { return Err(missing("hold", partition, found.position)) };
    json(&HoldDocument {
        hold,
        state: view.state,
        showing: view.showing,
        seats: view.seats,
        expires_at: view.expires_at.falls(found.claim),
        as_of: AsOf::one(partition, found.position),
    })
}

#[derive(Serialize)]
struct BookingDocument {
    booking: BookingId,
    state: BookingState,
    hold: HoldId,
    showing: ShowingId,
    seats: Vec<SeatId>,
    payment_reference: PaymentReference,
    late: bool,
    as_of: AsOf,
}

/// A booking. Others than its visitor, the merchant and the operator get a 404.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/bookings/{booking}", tag = "seats",
    params(("opening" = String, Path), ("booking" = uuid::Uuid, Path), ("after" = Option<String>, Query)),
    responses((status = 200, description = "`{booking, state, hold, showing, seats, payment_reference, late, as_of}`"), (status = 404, description = "No such booking for you by `as_of`"))
)]
async fn booking(
    State(state): State<QueryState>,
    Path((opening, booking)): Path<(OpeningId, BookingId)>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.keys.caller(&headers)?;
    let (partition, _) = after.wait(&state, &opening, Views::Booking).await?;
    let found = state.bookings.booking(&opening, partition, booking).await.map_err(away)?;
    let readable = found.value.filter(|view| caller.may_read(&opening, &view.ticket));
    let Some(view) = readable else { return Err(missing("booking", partition, found.position)) };
    json(&BookingDocument {
        booking,
        state: view.state,
        hold: view.hold,
        showing: view.showing,
        seats: view.seats,
        payment_reference: view.payment_reference,
        late: view.late,
        as_of: AsOf::one(partition, found.position),
    })
}
