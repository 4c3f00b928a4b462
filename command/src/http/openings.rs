//! Scheduling openings, and changing what was scheduled.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use usher_events::event::Beacon;
use usher_events::ids::{Actor, OpeningId, PlanName, ShowingId};
use usher_events::plan::{Plan, SeatDetails, Seating, Showing};
use usher_events::policy::{Join, Policy};
use usher_events::time::{Timestamp, rfc3339};
use usher_http::body::{IdempotencyKey, Json, Path};
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::beacon::NamedBeacon;
use super::callers::Operator;
use super::description::{OpeningAnswer, PlanAnswer, ShowingAnswer};
use super::{CommandState, answer, problems};
use crate::opening::{Command, Schedule, schedule_id};

pub(super) fn routes() -> OpenApiRouter<CommandState> {
    OpenApiRouter::new()
        .routes(routes!(schedule, reschedule))
        .routes(routes!(change_policy))
        .routes(routes!(add_plan))
        .routes(routes!(add_showing))
}

/// A new opening.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    /// What people read.
    #[schema(example = "Northern Lights: the concert film")]
    title: String,
    /// When the lobby closes and the opening opens.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:00:00Z")]
    opens_at: Timestamp,
    /// When it starts to drain by itself.
    #[serde(default, with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    drains_at: Option<Timestamp>,
    /// When it closes.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T15:00:00Z")]
    closes_at: Timestamp,
    /// The public randomness that the draw waits for, if it does; it cannot
    /// be named later, or changed.
    #[serde(default)]
    beacon: Option<NamedBeacon>,
    /// The rules; what is not named has its default.
    #[serde(default)]
    #[schema(value_type = Map<String, Value>, example = json!({"capacity": 200, "payment": "merchant"}))]
    policy: Policy,
    /// Halls by name, in pretix's seating-plan format.
    #[serde(default)]
    #[schema(value_type = Map<String, Value>, example = json!({"gangnam-1": {
        "name": "Lumen Gangnam, hall 1",
        "categories": [{"name": "Prime", "color": "#b45309"}],
        "zones": [{"name": "Floor", "position": {"x": 0, "y": 0}, "rows": [{
            "row_number": "G", "position": {"x": 0, "y": 0},
            "seats": [
                {"seat_guid": "G7", "seat_number": "7", "position": {"x": 0, "y": 0}, "category": "Prime"},
                {"seat_guid": "G8", "seat_number": "8", "position": {"x": 25, "y": 0}, "category": "Prime"}
            ]
        }]}],
        "size": {"width": 100, "height": 100}
    }}))]
    plans: BTreeMap<PlanName, Seating>,
    /// By plan: kinds (`wheelchair`, `companion`, `restricted_view`, `house`: only an operator may hold those), `blocked` seats
    /// with a reason, `opens_at` of seats that are sold later, and prices.
    #[serde(default)]
    #[schema(value_type = Map<String, Value>, example = json!({"gangnam-1": {
        "kinds": {"G8": "companion"}, "blocked": {},
        "category_prices": {"Prime": {"amount": 27000, "currency": "KRW"}}, "seat_prices": {}
    }}))]
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
    #[schema(value_type = String, example = "gangnam-1-1900")]
    showing: ShowingId,
    /// What people read.
    #[schema(example = "Lumen Gangnam, hall 1, 19:00")]
    title: String,
    /// When it starts.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-02T10:00:00Z")]
    starts_at: Timestamp,
    /// Its hall's plan.
    #[schema(value_type = String, example = "gangnam-1")]
    plan: PlanName,
}

/// What a showing says of itself.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ShowingFields {
    /// What people read.
    #[schema(example = "Lumen Gangnam, hall 1, 19:00")]
    title: String,
    /// When it starts.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-02T10:00:00Z")]
    starts_at: Timestamp,
    /// Its hall's plan.
    #[schema(value_type = String, example = "gangnam-1")]
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
    body: &Value,
) -> Result<bool, Problem> {
    let body: ScheduleBody = usher_http::body::parse(body.to_string().as_bytes())?;
    let actor = Actor::Operator(name.into());
    match schedule_body(state, opening.clone(), actor, body).await {
        Ok(response) if response.status().is_success() => Ok(response.status() == StatusCode::CREATED),
        Ok(_) => Err(problems::owner_changed()),
        Err(problem) if problem.kind() == "id-reused" => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// Schedule an opening.
#[utoipa::path(
    put, path = "/v1/openings/{opening}", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path, description = "`[a-z0-9][a-z0-9-]{0,63}`, never reused")),
    request_body = ScheduleBody,
    responses(
        (status = 201, description = "Scheduled", body = OpeningAnswer),
        (status = 200, description = "Was scheduled by the same request before; the opening as it is now"),
        (status = 422, description = "Problem `id-reused`: the id is another opening's")
    )
)]
async fn schedule(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    Operator(actor): Operator,
    Json(body): Json<ScheduleBody>,
) -> Result<Response, Problem> {
    schedule_body(&state, opening, actor, body).await
}

async fn schedule_body(
    state: &CommandState,
    opening: OpeningId,
    actor: Actor,
    body: ScheduleBody,
) -> Result<Response, Problem> {
    let mut details = body.details;
    let with_details = |(name, seating): (PlanName, Seating)| {
        let details = details.remove(&name).unwrap_or_default();
        (name, Plan { seating, details })
    };
    let plans = body.plans.into_iter().map(with_details).collect();
    if let Some(name) = details.keys().next() {
        return Err(Problem::invalid(&format!("details.{name}"), "there is no such plan"));
    }
    check_join(state, body.policy.join)?;
    let id = schedule_id(&opening);
    let (draw_key_id, seed_commitment) = state.draw_keys.commit(&opening, id).map_err(Problem::internal)?;
    let schedule = Schedule {
        title: body.title,
        opens_at: body.opens_at,
        drains_at: body.drains_at,
        closes_at: body.closes_at,
        policy: body.policy,
        beacon: body.beacon.map(Beacon::from),
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
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = String, required = false)]
    title: Option<String>,
    /// When the lobby closes; until it has closed.
    #[serde(default, deserialize_with = "named_time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    opens_at: Option<Timestamp>,
    /// When it starts to drain by itself; null: not by itself.
    #[serde(default, deserialize_with = "named_time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    drains_at: Option<Option<Timestamp>>,
    /// When it closes.
    #[serde(default, deserialize_with = "named_time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    closes_at: Option<Timestamp>,
}

// A field that is null is told from one that is not there: what cannot be
// null is refused, not left as it is.

fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

fn named_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    rfc3339::deserialize(deserializer).map(Some)
}

fn named_time_or_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Timestamp>>, D::Error> {
    rfc3339::option::deserialize(deserializer).map(Some)
}

/// Change title or times.
#[utoipa::path(
    patch, path = "/v1/openings/{opening}", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path), ("Idempotency-Key" = uuid::Uuid, Header)),
    request_body = RescheduleBody,
    responses(
        (status = 200, description = "The opening as it is now", body = OpeningAnswer),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `lobby-closed` or `wrong-state`"),
        (status = 422, description = "Problem `id-reused`")
    )
)]
async fn reschedule(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    Operator(actor): Operator,
    IdempotencyKey(id): IdempotencyKey,
    Json(body): Json<RescheduleBody>,
) -> Result<Response, Problem> {
    let RescheduleBody { title, opens_at, drains_at, closes_at } = body;
    let command = Command::Reschedule { title, opens_at, drains_at, closes_at };
    answer::as_change(state.decide(opening, Some(id), actor, command).await)
}

/// Change the rules by a JSON merge patch.
#[utoipa::path(
    patch, path = "/v1/openings/{opening}/policy", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path), ("Idempotency-Key" = uuid::Uuid, Header)),
    request_body(
        content = Object, description = "The rules that change; null brings a rule's default back",
        example = json!({"capacity": 300, "admissions_per_minute": null})
    ),
    responses(
        (status = 200, description = "The opening with its rules", body = OpeningAnswer),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `wrong-state`: the opening is closed"),
        (status = 422, description = "Problem `id-reused`")
    )
)]
async fn change_policy(
    State(state): State<CommandState>,
    Path(opening): Path<OpeningId>,
    Operator(actor): Operator,
    IdempotencyKey(id): IdempotencyKey,
    Json(patch): Json<Value>,
) -> Result<Response, Problem> {
    check_patch(&patch)?;
    if patch["join"] == "claim" {
        check_join(&state, Join::Claim)?;
    }
    answer::as_change(state.decide(opening, Some(id), actor, Command::ChangePolicy { patch }).await)
}

/// Nobody could join where claims are asked for and none is taken.
fn check_join(state: &CommandState, join: Join) -> Result<(), Problem> {
    if join == Join::Claim && !state.claims.are_taken() {
        return Err(Problem::invalid("policy.join", "no issuer of claims is configured (`claims.issuers`)"));
    }
    Ok(())
}

/// Every field of the patch is one of a policy's and has its type; whether the
/// values fit is the aggregate's to say.
fn check_patch(patch: &Value) -> Result<(), Problem> {
    let Value::Object(changes) = patch else {
        return Err(Problem::invalid("policy", "expected an object with the rules to change"));
    };
    // Null brings a default back; any value of the field will do here. Who may
    // join is not written when it is anyone.
    let any = Policy { join: Join::Claim, ..Policy::default() };
    let defaults = serde_json::to_value(any).map_err(Problem::internal)?;
    for (field, value) in changes {
        let value = if value.is_null() { defaults.get(field).unwrap_or(value) } else { value };
        let alone = Map::from_iter([(field.clone(), value.clone())]);
        if let Err(error) = serde_json::from_value::<Policy>(Value::Object(alone)) {
            return Err(Problem::invalid(&format!("policy.{field}"), error.to_string()));
        }
    }
    Ok(())
}

/// One more plan.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// The hall, in pretix's seating-plan format.
    #[schema(value_type = Map<String, Value>, example = json!({
        "name": "Lumen Gangnam, hall 2", "categories": [],
        "zones": [{"name": "Floor", "position": {"x": 0, "y": 0}, "rows": [{
            "row_number": "A", "position": {"x": 0, "y": 0}, "seats": [{"seat_guid": "A1"}]
        }]}]
    }))]
    seating: Seating,
    /// Kinds (`wheelchair`, `companion`, `restricted_view`, `house`: only an operator may hold those), `blocked` seats
    /// with a reason, `opens_at` of seats that are sold later, and prices.
    #[serde(default)]
    #[schema(value_type = Map<String, Value>, example = json!({"blocked": {"A1": "a pillar"}}))]
    details: SeatDetails,
}

/// Add a plan.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/plans/{plan}", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path), ("plan" = String, Path)),
    request_body = PlanBody,
    responses(
        (status = 201, description = "Added", body = PlanAnswer),
        (status = 200, description = "Was added by the same request before"),
        (status = 404, description = "Problem `unknown-opening`"),
        (status = 409, description = "Problem `wrong-state`: the opening is closed"),
        (status = 422, description = "Problem `id-reused`: a plan never changes")
    )
)]
async fn add_plan(
    State(state): State<CommandState>,
    Path((opening, name)): Path<(OpeningId, PlanName)>,
    Operator(actor): Operator,
    Json(body): Json<PlanBody>,
) -> Result<Response, Problem> {
    let plan = Box::new(Plan { seating: body.seating, details: body.details });
    state.decide(opening, None, actor, Command::AddPlan { name, plan }).await
}

/// Add a showing.
#[utoipa::path(
    put, path = "/v1/openings/{opening}/showings/{showing}", tag = "openings",
    security(("operator" = [])),
    params(("opening" = String, Path), ("showing" = String, Path)),
    request_body = ShowingFields,
    responses(
        (status = 201, description = "Added", body = ShowingAnswer),
        (status = 200, description = "Was added by the same request before"),
        (status = 404, description = "Problem `unknown-opening` or `unknown-plan`"),
        (status = 409, description = "Problem `wrong-state`: the opening is closed"),
        (status = 422, description = "Problem `id-reused`: a showing never changes")
    )
)]
async fn add_showing(
    State(state): State<CommandState>,
    Path((opening, showing)): Path<(OpeningId, ShowingId)>,
    Operator(actor): Operator,
    Json(body): Json<ShowingFields>,
) -> Result<Response, Problem> {
    state.decide(opening, None, actor, Command::AddShowing { showing: body.named(showing) }).await
}
