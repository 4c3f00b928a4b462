//! The beacon's round: verified here, so that the writer's thread need not.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use usher_events::event::{Beacon, BeaconValue};
use usher_events::ids::{Actor, Hash, OpeningId};
use usher_events::time::{Timestamp, rfc3339};
use usher_http::body::{Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::Operator;
use super::description::OpeningAnswer;
use super::{CommandState, answer};
use crate::opening::Command;
use crate::quicknet;

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new().routes(routes!(bring))
}

/// The public randomness that the draw waits for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedBeacon {
    /// `drand-quicknet`.
    #[schema(example = "drand-quicknet")]
    source: String,
    /// The round that is taken, and no other.
    #[schema(example = 26_500_000)]
    round: u64,
    /// When that round comes out; after the opening opens.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:29:24Z")]
    round_at: Timestamp,
}

impl From<NamedBeacon> for Beacon {
    fn from(NamedBeacon { source, round, round_at }: NamedBeacon) -> Self {
        Self { source, round, round_at }
    }
}

/// A round as drand's relays answer it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Which round; the one that was named.
    #[schema(example = 1000)]
    pub round: u64,
    /// Its signature: 96 hexadecimal digits.
    #[schema(
        example = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
    )]
    pub signature: String,
    /// SHA-256 of the signature; may be left out.
    #[serde(default)]
    #[schema(
        value_type = Option<String>,
        example = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd"
    )]
    pub randomness: Option<Hash>,
}

impl Round {
    /// The beacon's value, if the signature is the round's.
    fn verified(&self) -> Result<BeaconValue, Problem> {
        let not_the_rounds = |error: quicknet::NotTheRounds| Problem::invalid("signature", error.to_string());
        let bytes: [u8; quicknet::SIGNATURE_BYTES] = const_hex::decode_to_array(&self.signature)
            .map_err(|_| Problem::invalid("signature", "expected 96 hexadecimal digits"))?;
        let randomness = quicknet::verify(self.round, &bytes).map_err(not_the_rounds)?;
        if self.randomness.is_some_and(|given| given != randomness) {
            return Err(Problem::invalid("randomness", "this is not the SHA-256 of the signature"));
        }
        let (source, signature) = (quicknet::SOURCE.to_owned(), const_hex::encode(bytes));
        Ok(BeaconValue { source, round: self.round, randomness, signature })
    }
}

/// Bring the beacon's round.
///
/// The draw is held with it at once. Only the round that was named when the
/// opening was scheduled is taken, and only with its signature, which anyone
/// can verify; so it does not matter who brings it.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/beacon", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path)),
    request_body = Round,
    responses(
        (status = 200, description = "The draw has it, now or before; the opening", body = OpeningAnswer),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `no-beacon`: none was named; `wrong-state`: the lobby is not closed yet, or the opening is over")
    )
)]
async fn bring(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    Operator(actor): Operator,
    Json(round): Json<Round>,
) -> Result<Response, Problem> {
    bring_round(&state, opening, actor, &round).await
}

/// Brings the beacon's round on behalf of this process itself.
pub async fn bring_beacon_as(
    name: &'static str,
    state: &CommandState,
    opening: &OpeningId,
    round: &Round,
) -> Result<(), Problem> {
    bring_round(state, opening.clone(), Actor::Timer(name), round).await.map(drop)
}

async fn bring_round(
    state: &CommandState,
    opening: OpeningId,
    actor: Actor,
    round: &Round,
) -> Result<Response, Problem> {
    let command = Command::BringBeacon { beacon: round.verified()?, drawn: None };
    answer::as_change(state.decide(opening, None, actor, command).await)
}
