//! Holds and bookings: for their visitor, the merchant and the operator.

use std::fmt;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference, SeatId, ShowingId};
use usher_events::reference::{BookingReference, InvalidReference};
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::booking::{BookingState, HoldState};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::answer::json;
use crate::state::{QueryState, away, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(hold)).routes(routes!(booking))
}

/// A hold as it is now.
#[derive(Serialize, ToSchema)]
struct HoldDocument {
    #[schema(value_type = uuid::Uuid)]
    hold: HoldId,
    /// live, released, expired or booked.
    #[schema(value_type = String, example = "live")]
    state: HoldState,
    #[schema(value_type = String, example = "gangnam-1-1900")]
    showing: ShowingId,
    #[schema(value_type = Vec<String>, example = json!(["G7", "G8"]))]
    seats: Vec<SeatId>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:15:00Z")]
    expires_at: Timestamp,
    /// The booking that it became; null before.
    #[schema(value_type = Option<uuid::Uuid>, required = true, example = json!(null))]
    booking: Option<BookingId>,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// A hold. Others than its visitor, the merchant and the operator get a 404.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/holds/{hold}", tag = "seats",
    security((), ("visitor" = []), ("merchant" = []), ("operator" = [])),
    params(
        ("opening" = String, Path), ("hold" = uuid::Uuid, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "As it is now", body = HoldDocument),
        (status = 404, description = "Problem `not-found`: no such hold for you by `as_of`")
    )
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
        booking: view.booking,
        as_of: AsOf::one(partition, found.position),
    })
}

/// A booking as it is now.
#[derive(Serialize, ToSchema)]
struct BookingDocument {
    #[schema(value_type = uuid::Uuid)]
    booking: BookingId,
    /// booked or cancelled.
    #[schema(value_type = String, example = "booked")]
    state: BookingState,
    /// The hold that became it.
    #[schema(value_type = uuid::Uuid)]
    hold: HoldId,
    #[schema(value_type = String, example = "gangnam-1-1900")]
    showing: ShowingId,
    /// Those that are still booked.
    #[schema(value_type = Vec<String>, example = json!(["G7", "G8"]))]
    seats: Vec<SeatId>,
    #[schema(value_type = String, example = "payment-4711")]
    payment_reference: PaymentReference,
    /// What people read out, with a check letter; unique in the opening.
    #[schema(required = true, example = "K7M-4QXA")]
    reference: Option<String>,
    /// Whether the payment came after the hold's end.
    late: bool,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// A booking's id, or what people call it.
#[derive(Debug)]
enum Called {
    Id(BookingId),
    Reference(BookingReference),
}

struct CalledVisitor;

impl Visitor<'_> for CalledVisitor {
    type Value = Called;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID, or a reference like K7M-4QXA")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Called, E> {
        if let Ok(id) = text.parse() {
            return Ok(Called::Id(BookingId(id)));
        }
        text.parse().map(Called::Reference).map_err(|wrong| match wrong {
            InvalidReference::Letters => E::custom("expected a UUID, or a reference like K7M-4QXA"),
            InvalidReference::Check => E::custom(wrong),
        })
    }
}

// A fault that the visitor tells names the parameter.
impl<'de> Deserialize<'de> for Called {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CalledVisitor)
    }
}

/// A booking, by its id or by its reference. Others than its visitor, the merchant and the operator get a 404.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/bookings/{booking}", tag = "seats",
    security((), ("visitor" = []), ("merchant" = []), ("operator" = [])),
    params(
        ("opening" = String, Path), ("booking" = String, Path, description = "Its UUID, or its reference, e.g. `K7M-4QXA`, as people write it"),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "As it is now", body = BookingDocument),
        (status = 404, description = "Problem `not-found`: no such booking for you by `as_of`")
    )
)]
async fn booking(
    State(state): State<QueryState>,
    Path((opening, called)): Path<(OpeningId, Called)>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.keys.caller(&headers)?;
    let (partition, _) = after.wait(&state, &opening, Views::Booking).await?;
    let found = match &called {
        Called::Id(booking) => state.bookings.booking(&opening, partition, *booking).await,
        Called::Reference(reference) => state.bookings.booking_called(&opening, partition, reference).await,
    };
    let found = found.map_err(away)?;
    let readable = found.value.filter(|view| caller.may_read(&opening, &view.ticket));
    let Some(view) = readable else { return Err(missing("booking", partition, found.position)) };
    json(&BookingDocument {
        booking: view.booking,
        state: view.state,
        hold: view.hold,
        showing: view.showing,
        seats: view.seats,
        payment_reference: view.payment_reference,
        reference: view.reference,
        late: view.late,
        as_of: AsOf::one(partition, found.position),
    })
}
