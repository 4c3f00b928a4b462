//! Managing openings.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use usher_events::event::Beacon;
use usher_events::ids::{AdmissionId, OpeningId, PlanName, ShowingId};
use usher_events::plan::{Plan, SeatDetails, Seating, Showing};
use usher_events::policy::Policy;
use usher_events::time::{Timestamp, rfc3339};
use usher_http::body::{IdempotencyKey, Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tickets::Nothing;
use super::{CommandState, answer};
use crate::opening::{Command, Schedule, schedule_id};

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(schedule, reschedule))
        .routes(routes!(change_policy))
        .routes(routes!(add_plan))
        .routes(routes!(add_showing))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(drain))
        .routes(routes!(close))
        .routes(routes!(set_message))
        .routes(routes!(admit))
}

/// A new opening.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    /// What people read.
    title: String,
    /// When the lobby closes and the opening opens.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opens_at: Timestamp,
    /// When it starts to drain by itself.
    #[serde(default, with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    drains_at: Option<Timestamp>,
    /// When it closes.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    closes_at: Timestamp,
    /// Not supported yet.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    beacon: Option<Beacon>,
    /// The rules; what is not named has its default.
    #[serde(default)]
    #[schema(value_type = Object)]
    policy: Policy,
    /// Halls by name, in pretix's seating-plan format.
    #[serde(default)]
    #[schema(value_type = Object)]
    plans: BTreeMap<PlanName, Seating>,
    /// Kinds, blocked seats and prices, by plan.
    #[serde(default)]
    #[schema(value_type = Object)]
    details: BTreeMap<PlanName, SeatDetails>,
    /// The showings.
    #[serde(default)]
    showings: Vec<ShowingBody>,
}

/// A showing.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ShowingBody {
    /// Its id.
    #[schema(value_type = String)]
    showing: ShowingId,
    /// What people read.
    title: String,
    /// When it starts.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// Its hall's plan.
    #[schema(value_type = String)]
    plan: PlanName,
}

/// What a showing says of itself.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ShowingFields {
    /// What people read.
    title: String,
    /// When it starts.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// Its hall's plan.
    #[schema(value_type = String)]
    plan: PlanName,
}

impl ShowingBody {
    fn showing(self) -> Showing {
        Showing { showing: self.showing, title: self.title, starts_at: self.starts_at, plan: self.plan }
    }
}

impl ShowingFields {
    fn named(self, showing: ShowingId) -> Showing {
        Showing { showing, title: self.title, starts_at: self.starts_at, plan: self.plan }
    }
}

/// Schedules an opening on behalf of this process itself; false when its id
/// is taken.
pub async fn schedule_as(
    name: &'static str,
    state: &CommandState,
    opening: &OpeningId,
    body: &serde_json::Value,
) -> Result<bool, Problem> {
    let body: ScheduleBody = usher_http::body::parse(body.to_string().as_bytes())?;
    let actor = usher_events::ids::Actor::Operator(name.into());
    match schedule_body(state, opening.clone(), actor, body).await {
        Ok(response) => Ok(response.status() == axum::http::StatusCode::CREATED),
        Err(problem) if problem.kind() == "id-reused" => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// Schedule an opening.
#[utoipa::path(
    put, path = "/v1/openings/{opening}", tag = "openings",
    params(("opening" = String, Path, description = "`[a-z0-9][a-z0-9-]{0,63}`, never reused")),
    request_body = ScheduleBody,
    responses(
        (status = 201, description = "Scheduled; the opening"),
        (status = 200, description = "Was scheduled by the same request before"),
        (status = 422, description = "Problem `invalid` names the field; `id-reused`")
    )
)]
async fn schedule(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    headers: HeaderMap,
    Json(body): Json<ScheduleBody>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    schedule_body(&state, opening, actor, body).await
}

async fn schedule_body(
    state: &CommandState,
    opening: OpeningId,
    actor: usher_events::ids::Actor,
    body: ScheduleBody,
) -> Result<Response, Problem> {
    if body.beacon.is_some() {
        return Err(Problem::invalid("beacon", "draws with a beacon are not supported yet"));
    }
    let mut details = body.details;
    let with_details = |(name, seating): (PlanName, Seating)| {
        let details = details.remove(&name).unwrap_or_default();
        (name, Plan { seating, details })
    };
    let plans = body.plans.into_iter().map(with_details).collect();
    if let Some(name) = details.keys().next() {
        return Err(Problem::invalid(&format!("details.{name}"), "there is no such plan"));
    }
    let id = schedule_id(&opening);
    let (draw_key_id, seed_commitment) = state.draw_keys.commit(&opening, id).map_err(Problem::internal)?;
    let schedule = Schedule {
        title: body.title,
        opens_at: body.opens_at,
        drains_at: body.drains_at,
        closes_at: body.closes_at,
        policy: body.policy,
        beacon: None,
        plans,
        showings: body.showings.into_iter().map(ShowingBody::showing).collect(),
        seed_commitment,
        draw_key_id,
    };
    state.decide(opening, Some(id), actor, Command::Schedule(Box::new(schedule))).await
}

/// What to change of an opening; what is not named stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RescheduleBody {
    /// What people read.
    title: Option<String>,
    /// When the lobby closes; until it has closed.
    #[serde(default, with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    opens_at: Option<Timestamp>,
    /// When it starts to drain by itself; null: not by itself.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>, format = DateTime)]
    drains_at: Option<Option<Timestamp>>,
    /// When it closes.
    #[serde(default, with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    closes_at: Option<Timestamp>,
}

/// Tells a field that is null from one that is not there.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    rfc3339::option::deserialize(deserializer).map(Some)
}

/// Change title or times.
#[utoipa::path(
    patch, path = "/v1/openings/{opening}", tag = "openings",
    params(("opening" = String, Path), ("Idempotency-Key" = uuid::Uuid, Header)),
    request_body = RescheduleBody,
    responses((status = 200, description = "The opening"), (status = 409, description = "Problem `lobby-closed`"))
)]
async fn reschedule(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    IdempotencyKey(id): IdempotencyKey,
    headers: HeaderMap,
    Json(body): Json<RescheduleBody>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    let RescheduleBody { title, opens_at, drains_at, closes_at } = body;
    let command = Command::Reschedule { title, opens_at, drains_at, closes_at };
    answer::as_change(state.decide(opening, Some(id), actor, command).await)
}

/// Change the rules by a JSON merge patch.
#[utoipa::path(
    patch, path = "/v1/openings/{opening}/policy", tag = "openings",
    params(("opening" = String, Path), ("Idempotency-Key" = uuid::Uuid, Header)),
    request_body = Object,
    responses((status = 200, description = "The opening with its rules"), (status = 422, description = "Problem `invalid` names the field"))
)]
async fn change_policy(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    IdempotencyKey(id): IdempotencyKey,
    headers: HeaderMap,
    Json(patch): Json<serde_json::Value>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    answer::as_change(state.decide(opening, Some(id), actor, Command::ChangePolicy { patch }).await)
}

/// One more plan.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// The hall, in pretix's seating-plan format.
    #[schema(value_type = Object)]
    seating: Seating,
    /// Kinds, blocked seats and prices.
    #[serde(default)]
    #[schema(value_type = Object)]
    details: SeatDetails,
}

/// Add a plan.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/plans/{plan}", tag = "openings",
    params(("opening" = String, Path), ("plan" = String, Path)),
    request_body = PlanBody,
    responses((status = 201, description = "Added"), (status = 422, description = "Problem `invalid` names the path in the plan"))
)]
async fn add_plan(
    State(state): State<CommandState>,
    Path((opening, name)): Path<(OpeningId, PlanName)>,
    headers: HeaderMap,
    Json(body): Json<PlanBody>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    let plan = Box::new(Plan { seating: body.seating, details: body.details });
    state.decide(opening, None, actor, Command::AddPlan { name, plan }).await
}

/// Add a showing.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/showings/{showing}", tag = "openings",
    params(("opening" = String, Path), ("showing" = String, Path)),
    request_body = ShowingFields,
    responses((status = 201, description = "Added"), (status = 404, description = "Problem `unknown-plan`"))
)]
async fn add_showing(
    State(state): State<CommandState>,
    Path((opening, showing)): Path<(OpeningId, ShowingId)>,
    headers: HeaderMap,
    Json(body): Json<ShowingFields>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    state.decide(opening, None, actor, Command::AddShowing { showing: body.named(showing) }).await
}

macro_rules! state_change {
    ($(#[$doc:meta])* $name:ident, $path:literal, $command:expr) => {
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "openings",
            params(("opening" = String, Path), ("Idempotency-Key" = uuid::Uuid, Header)),
            request_body = Nothing,
            responses((status = 200, description = "The opening"), (status = 409, description = "Problem `wrong-state`"))
        )]
        async fn $name(
            State(state): State<CommandState>,
            Path(opening): Path<OpeningId>,
            IdempotencyKey(id): IdempotencyKey,
            headers: HeaderMap,
            Json(Nothing {}): Json<Nothing>,
        ) -> Result<Response, Problem> {
            let actor = state.caller(&headers)?.operator(&opening)?;
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
    message: Option<String>,
}

/// Say something to everybody.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/message", tag = "openings",
    params(("opening" = String, Path)),
    request_body = MessageBody,
    responses((status = 200, description = "The opening with its message"))
)]
async fn set_message(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    headers: HeaderMap,
    Json(body): Json<MessageBody>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    // Without a client's id each setting is a command of its own; setting
    // what is set already changes nothing.
    let id = Some(usher_events::ids::CommandId(uuid::Uuid::new_v4()));
    answer::as_change(state.decide(opening, id, actor, Command::SetMessage { message: body.message }).await)
}

/// How many to admit.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AdmissionBody {
    /// 1 to 4,096.
    count: u32,
}

/// Admit by hand, ignoring the rate, never the capacity.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/admissions/{admission}", tag = "openings",
    params(("opening" = String, Path), ("admission" = uuid::Uuid, Path)),
    request_body = AdmissionBody,
    responses((status = 201, description = "Admitted: `{admission, count, serving_number, as_of}`"), (status = 409, description = "Problem `nothing-to-admit`"))
)]
async fn admit(
    State(state): State<CommandState>,
    Path((opening, admission)): Path<(OpeningId, AdmissionId)>,
    headers: HeaderMap,
    Json(body): Json<AdmissionBody>,
) -> Result<Response, Problem> {
    let actor = state.caller(&headers)?.operator(&opening)?;
    state.decide(opening, None, actor, Command::AdmitByHand { admission, count: body.count }).await
}
