//! Joining, leaving, presence, entering.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use usher_events::ids::{Actor, Hash, OpeningId, Ticket};
use usher_events::time::Timestamp;
use usher_http::body::{Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::callers::Owner;
use super::description::{EntryAnswer, PresenceAnswer, TicketAnswer};
use super::heartbeats::{self, Heard};
use super::relay::Relay;
use super::{CommandState, answer, problems};
use crate::opening::{Command, Refusal};
use crate::writer::Reply;

/// The route of joining.
pub(super) const PATH: &str = "/v1/openings/{opening}/tickets/{ticket}";

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(join, leave))
        .routes(routes!(presence))
        .routes(routes!(enter, leave_window))
}

/// A body with nothing in it: `{}` and none are both fine.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub(super) struct Nothing {}

/// What a visitor may have to show to join.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
struct JoinBody {
    /// An entry claim, where the policy's `join` is `claim`: a JWT signed by
    /// the booking frontend (EdDSA or RS256) with `iss`, `aud`, `sub` and
    /// `exp`. Elsewhere it is checked and not kept.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    claim: Option<SecretString>,
}

/// Join the queue.
///
/// The ticket is the lower-case hexadecimal SHA-256 of the visitor's secret
/// of 32 random bytes. The same ticket again answers with what it is now.
///
/// Where the policy asks for claims, each person has one place: another ticket
/// with a claim of the same person takes the place over, number and all, and
/// the earlier ticket has left.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/tickets/{ticket}", tag = "queue",
    params(("opening" = String, Path), ("ticket" = String, Path)),
    request_body = JoinBody,
    responses(
        (status = 201, description = "Joined; no number yet in the lobby", body = TicketAnswer),
        (status = 200, description = "Had joined before; the ticket as it is now"),
        (status = 403, description = "Problem `claim-needed`; `claim-refused` with a reason: malformed, algorithm, issuer, unknown-key, signature, audience, expired, not-yet-valid or subject"),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `full` or `wrong-state`; `inside-elsewhere`, `already-served` with the state of the person's ticket, or `too-many-tickets`"),
        (status = 410, description = "Problem `subjects-destroyed`: the opening is long over"),
        (status = 429, description = "Problem `too-many-joins`: from one address, or into one opening; `RateLimit` headers say the limit"),
        (status = 503, description = "Problem `claims-unavailable`")
    )
)]
async fn join(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Json(body): Json<JoinBody>,
) -> Result<Response, Problem> {
    let actor = Actor::Visitor(ticket);
    let command = match body.claim {
        Some(claim) => match subject_of(&state, &opening, ticket, claim).await? {
            Joined::As(subject) => Command::JoinAs { ticket, subject },
            Joined::Answered(response) => return Ok(response),
        },
        None => Command::Join { ticket },
    };
    state.decide(opening, None, actor, command).await
}

/// What a claim led to.
enum Joined {
    /// Its person joins as this subject.
    As(Hash),
    /// The opening asks for no claim, or takes nobody: it has answered.
    Answered(Response),
}

/// Makes a subject of a claim's person. The opening is asked first whether it
/// wants one at all, unless it is known to: no key is made for an opening that
/// does not exist, or keeps no subjects.
async fn subject_of(
    state: &CommandState,
    opening: &OpeningId,
    ticket: Ticket,
    claim: SecretString,
) -> Result<Joined, Problem> {
    let person = state.claims.verify(claim.expose_secret(), opening, Timestamp::now()).await;
    let person = person.map_err(problems::claim_refused)?;
    if let Some(subject) = state.claims.known_subject(opening, &person) {
        return Ok(Joined::As(subject));
    }
    let without = Command::Join { ticket };
    let reply = state.ask(opening, None, Actor::Visitor(ticket), without).await?;
    match reply {
        Ok(Reply::Refused { refusal, .. }) if *refusal == Refusal::ClaimNeeded => {
            let subject = state.claims.subject(opening, &person).await;
            subject.map(Joined::As).map_err(problems::no_subject)
        }
        reply => {
            let partition = state.writers.partition_of(opening);
            answer::respond(opening, partition, reply).map(Joined::Answered)
        }
    }
}

/// Leave for good.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/tickets/{ticket}", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    responses(
        (status = 200, description = "Left; the ticket as it is now", body = TicketAnswer),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`")
    )
)]
async fn leave(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Owner(actor): Owner,
) -> Result<Response, Problem> {
    answer::as_change(state.decide(opening, None, actor, Command::Leave { ticket }).await)
}

/// Say that the visitor is there.
///
/// To be said again after `next_in_s` seconds, which grow with the distance
/// to the front. Who is silent three times as long, and at most the policy's
/// `away_after_s`, is away: skipped at admissions, with the place kept. Who
/// was away is back in their old place a moment after they are heard of; the
/// answer says `away` once more, and to come again soon. Joining and every
/// command with the visitor's secret count, too. It is no command: it needs no
/// key and may be repeated.
#[utoipa::path(
    post, path = "/v1/openings/{opening}/tickets/{ticket}/presence", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    request_body = Nothing,
    responses(
        (status = 200, description = "Noted; the ticket's state by the log", body = PresenceAnswer),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`"),
        (status = 410, description = "Problem `gone`: the ticket is done, left or spent")
    )
)]
async fn presence(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    relay: Option<Extension<Relay>>,
    Owner(_actor): Owner,
    headers: HeaderMap,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    let heard = match (heartbeats::heard(&state.writers, &opening, &ticket), relay) {
        (Heard::Elsewhere, Some(Extension(relay))) => relay.tell(&state.writers, opening, &headers).await?,
        (heard, _) => heard,
    };
    heartbeats::respond(&ticket, heard)
}

/// Enter the seat window.
///
/// The pass shows a booking site that the visitor is inside; it is good for a
/// minute at most and never beyond the visit, and asking again while inside
/// gives a fresh one. Sites check it by the keys at `/.well-known/jwks.json`.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/tickets/{ticket}/entry", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    request_body = Nothing,
    responses(
        (status = 201, description = "Entered", body = EntryAnswer),
        (status = 200, description = "Is inside already; with a fresh pass"),
        (status = 403, description = "Problem `not-your-turn` with state, number, position and serving number"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`"),
        (status = 409, description = "Problem `wrong-state`: the opening is closed"),
        (status = 410, description = "Problem `gone`: the visit is over")
    )
)]
async fn enter(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Owner(actor): Owner,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response, Problem> {
    let partition = state.writers.partition_of(&opening);
    let reply = state.ask(&opening, None, actor, Command::Enter { ticket }).await?;
    answer::admit(&state.passes, &opening, partition, reply)
}

/// Leave the seat window; live holds are released.
#[utoipa::path(
    delete, path = "/v1/openings/{opening}/tickets/{ticket}/entry", tag = "queue",
    security(("visitor" = [])),
    params(("opening" = String, Path), ("ticket" = String, Path)),
    responses(
        (status = 200, description = "Left the seat window, now or before", body = EntryAnswer),
        (status = 403, description = "Problem `not-inside`"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-ticket`")
    )
)]
async fn leave_window(
    State(state): State<CommandState>,
    Path((opening, ticket)): Path<(OpeningId, Ticket)>,
    Owner(actor): Owner,
) -> Result<Response, Problem> {
    answer::as_change(state.decide(opening, None, actor, Command::LeaveWindow { ticket }).await)
}
