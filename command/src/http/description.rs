//! What the OpenAPI document says beside the routes themselves: the answers'
//! shapes, who may call, and the problems that every route may have.

// These only describe: what is sent is `crate::opening::Resource`.
#![allow(dead_code, reason = "never made; a test compares them with what is sent")]

use usher_http::description::{self, Common};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

/// An opening as it is now.
#[derive(ToSchema)]
pub(super) struct OpeningAnswer {
    #[schema(example = "concert-2026")]
    opening: String,
    /// scheduled, drawing, open, paused, draining or closed.
    #[schema(example = "scheduled")]
    state: String,
    #[schema(example = "Northern Lights: the concert film")]
    title: String,
    #[schema(format = DateTime, example = "2026-03-01T11:00:00Z")]
    opens_at: String,
    /// When it starts to drain by itself.
    #[schema(format = DateTime, required = true, example = json!(null))]
    drains_at: Option<String>,
    #[schema(format = DateTime, required = true, example = "2026-03-01T15:00:00Z")]
    closes_at: Option<String>,
    /// A word to everybody.
    #[schema(required = true, example = json!(null))]
    message: Option<String>,
    /// The rules in force.
    #[schema(example = json!({
        "capacity": 200, "admissions_per_minute": 600, "enter_within_s": 120, "stay_for_s": 600,
        "hold_for_s": 300, "max_extensions": 1, "max_seats": 4, "payment": "merchant",
        "late_payment_grace_s": 600, "away_after_s": 600, "misses": 1, "max_tickets": 2_000_000
    }))]
    policy: serde_json::Map<String, serde_json::Value>,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// A plan that is there now.
#[derive(ToSchema)]
pub(super) struct PlanAnswer {
    #[schema(example = "gangnam-1")]
    plan: String,
    /// How many seats it has.
    #[schema(example = 320)]
    seats: u32,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// A showing that is there now.
#[derive(ToSchema)]
pub(super) struct ShowingAnswer {
    #[schema(example = "gangnam-1-1900")]
    showing: String,
    #[schema(example = "gangnam-1")]
    plan: String,
    /// How many seats it has.
    #[schema(example = 320)]
    seats: u32,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// How many were admitted.
#[derive(ToSchema)]
pub(super) struct AdmissionAnswer {
    admission: uuid::Uuid,
    #[schema(example = 50)]
    count: u32,
    /// The greatest number admitted so far.
    #[schema(example = 1250)]
    serving_number: u32,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// A ticket as it is now.
#[derive(ToSchema)]
pub(super) struct TicketAnswer {
    #[schema(example = "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc")]
    ticket: String,
    /// lobby, waiting, away, admitted, inside, done, left or spent.
    #[schema(example = "waiting")]
    state: String,
    /// The rank in line; none in the lobby.
    #[schema(required = true, example = 1251)]
    number: Option<u32>,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// What became of heartbeats that came together.
#[derive(ToSchema)]
pub(super) struct HeardTogetherAnswer {
    #[schema(example = json!([
        { "heard": "here", "state": "waiting", "next_in_s": 40, "as_of": "3.1042" },
        { "heard": "unknown-ticket", "as_of": "3.1042" }
    ]))]
    answers: Vec<HeardAnswer>,
}

/// What became of one of them.
#[derive(ToSchema)]
pub(super) struct HeardAnswer {
    /// here, gone, unknown-ticket, unknown-opening, elsewhere or no-secret.
    #[schema(example = "here")]
    heard: String,
    #[schema(example = "waiting")]
    state: Option<String>,
    /// In how many seconds to say it again.
    #[schema(example = 40)]
    next_in_s: Option<u32>,
    #[schema(example = "3.1042")]
    as_of: Option<String>,
}

/// When to say again that the visitor is there.
#[derive(ToSchema)]
pub(super) struct PresenceAnswer {
    #[schema(example = "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc")]
    ticket: String,
    #[schema(example = "waiting")]
    state: String,
    /// In how many seconds to say it again.
    #[schema(example = 40)]
    next_in_s: u32,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// A visit of the seat window.
#[derive(ToSchema)]
pub(super) struct EntryAnswer {
    #[schema(example = "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc")]
    ticket: String,
    #[schema(example = "inside")]
    state: String,
    /// Until when; later while a hold lasts longer. None once the visit is over.
    #[schema(format = DateTime, required = true, example = "2026-03-01T11:20:00Z")]
    leave_by: Option<String>,
    /// The most seats that the visitor may hold and have booked.
    #[schema(example = 4)]
    max_seats: u32,
    /// Shows a booking site that the visitor is inside, for a minute at most:
    /// a JWT with `iss`, `aud` (the opening), `sub` (the ticket), `max_seats`,
    /// `iat`, `exp` and `jti`. Only when entering.
    #[schema(example = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3Mi...")]
    pass: Option<String>,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// A JSON Web Key Set (RFC 7517).
#[derive(ToSchema)]
pub(super) struct KeySetAnswer {
    #[schema(value_type = Vec<serde_json::Map<String, serde_json::Value>>, example = json!([{
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "2026-a",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    }]))]
    keys: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// A hold as it is now.
#[derive(ToSchema)]
pub(super) struct HoldAnswer {
    hold: uuid::Uuid,
    /// live, released, expired or booked.
    #[schema(example = "live")]
    state: String,
    #[schema(example = "gangnam-1-1900")]
    showing: String,
    #[schema(example = json!(["G7", "G8"]))]
    seats: Vec<String>,
    #[schema(format = DateTime, example = "2026-03-01T11:15:00Z")]
    expires_at: String,
    /// Which extension was asked for, if one was.
    extension: Option<uuid::Uuid>,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// A booking as it is now.
#[derive(ToSchema)]
pub(super) struct BookingAnswer {
    booking: uuid::Uuid,
    /// booked or cancelled.
    #[schema(example = "booked")]
    state: String,
    hold: uuid::Uuid,
    #[schema(example = "gangnam-1-1900")]
    showing: String,
    /// Those that are still booked.
    #[schema(example = json!(["G7", "G8"]))]
    seats: Vec<String>,
    #[schema(example = "payment-4711")]
    payment_reference: String,
    /// What people read out, with a check letter; unique in the opening.
    #[schema(required = true, example = "K7M-4QXA")]
    reference: Option<String>,
    /// Whether the payment came after the hold's end.
    late: bool,
    #[schema(example = "3.1042")]
    as_of: String,
}

/// The problems that routes have for what they are, not for what they do.
const COMMON: Common = Common {
    any: &[
        ("400", "Problem `malformed` names the parameter or what is wrong with the JSON"),
        (
            "503",
            "Problem `overloaded`, `outcome-unknown`, `owner-changed` or `owner-unreachable`: repeat with the \
             same id, not before `Retry-After`",
        ),
    ],
    with_credentials: &[
        ("401", "Problem `unauthorized`: no credentials, or unknown ones"),
        ("403", "Problem `forbidden`: others may, these credentials may not"),
    ],
    with_body: &[
        ("413", "Problem `too-large`"),
        ("415", "Problem `unsupported-media-type`"),
        ("422", "Problem `invalid` names the field"),
    ],
};

/// Completes what the routes say of themselves.
pub(super) fn complete(openapi: &mut OpenApi) {
    description::complete(openapi, &COMMON);
}
