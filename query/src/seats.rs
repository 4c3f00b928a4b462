//! The seat map of a showing, and the halls.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use usher_events::ids::{OpeningId, PlanName, SeatId, ShowingId};
use usher_events::log::Partition;
use usher_events::plan::{Plan, SeatDetails, Seating};
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::body::{Path, Query};
use usher_http::problem::Problem;
use usher_projector::booking::{SeatChanges, SeatMap, SeatState, SeatView};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::after::{After, Views};
use crate::answer::Ready;
use crate::cache::{Kept, Wanted};
use crate::state::{Document, QueryState, away, missing};

pub(crate) fn routes() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new().routes(routes!(seats)).routes(routes!(plan))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatsQuery {
    since: Option<u64>,
    #[serde(default)]
    compact: bool,
    after: Option<AsOf>,
}

/// A seat.
#[derive(Serialize, ToSchema)]
struct SeatDocument<'a> {
    /// Its `seat_guid`.
    #[schema(value_type = String, example = "G7")]
    seat: &'a SeatId,
    /// free, held, booked or blocked.
    #[schema(value_type = String, example = "held")]
    state: SeatState,
}

/// The seats of a showing, or those of them that changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeatsDocument<'a> {
    #[schema(value_type = String, example = "gangnam-1-1900")]
    showing: &'a ShowingId,
    /// Counts the changes: `?since=` this tells what changes from here on.
    #[schema(example = 417)]
    version: u64,
    /// The version that the changes follow; not in a whole map.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 411)]
    since: Option<u64>,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
    /// Not in a compact map.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<SeatDocument<'static>>>)]
    seats: Option<&'a RawValue>,
    /// In a compact map alone: a letter for each seat of the plan, in the
    /// order of their `seat_guid`s as UTF-8 bytes: `f` free, `h` held, `b`
    /// booked, `x` blocked. 50 kB for 50,000 seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ffhhbbbfx")]
    states: Option<&'a str>,
}

/// What a map's answers are made of, written when they are first asked for.
#[derive(Debug, Default)]
struct Written {
    seats: OnceLock<Box<RawValue>>,
    states: OnceLock<String>,
}

/// The seats of a showing as they were read.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) map: Arc<SeatMap>,
    as_of: AsOf,
    /// The same for as long as the version is.
    written: Arc<Written>,
    whole: OnceLock<Ready>,
    compact: OnceLock<Ready>,
}

/// What `once` holds; if nothing yet, what `make` makes. Two who come at once
/// may both make it.
fn once<T>(once: &OnceLock<T>, make: impl FnOnce() -> Result<T, Problem>) -> Result<&T, Problem> {
    if let Some(made) = once.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(once.get_or_init(|| made))
}

impl Shown {
    fn new(map: Arc<SeatMap>, old: Option<&Self>, as_of: AsOf) -> Self {
        let old = old.filter(|old| old.map.version == map.version);
        let written = old.map(|old| Arc::clone(&old.written)).unwrap_or_default();
        Self { map, as_of, written, whole: OnceLock::new(), compact: OnceLock::new() }
    }

    fn whole(&self, showing: &ShowingId) -> Result<&Ready, Problem> {
        let (version, as_of) = (self.map.version, self.as_of.clone());
        once(&self.whole, || {
            let seats = once(&self.written.seats, || written(&self.map.seats))?;
            let document =
                SeatsDocument { showing, version, since: None, as_of, seats: Some(seats), states: None };
            Ready::weakly(&document, &(showing, version))
        })
    }

    fn compact(&self, showing: &ShowingId) -> Result<&Ready, Problem> {
        let (version, as_of) = (self.map.version, self.as_of.clone());
        once(&self.compact, || {
            let letters = self.map.seats.iter();
            let states = self.written.states.get_or_init(|| letters.map(|seat| letter(seat.state)).collect());
            let document =
                SeatsDocument { showing, version, since: None, as_of, seats: None, states: Some(states) };
            Ready::weakly(&document, &(showing, version, "compact"))
        })
    }
}

fn letter(state: SeatState) -> char {
    match state {
        SeatState::Free => 'f',
        SeatState::Held => 'h',
        SeatState::Booked => 'b',
        SeatState::Blocked => 'x',
    }
}

fn written<'a>(seats: impl IntoIterator<Item = &'a SeatView>) -> Result<Box<RawValue>, Problem> {
    let seats = seats.into_iter().map(|seat| SeatDocument { seat: &seat.seat, state: seat.state });
    let seats: Vec<_> = seats.collect();
    serde_json::value::to_raw_value(&seats).map_err(Problem::internal)
}

/// What changed in a showing after version `since`.
pub(crate) fn changes_since(
    showing: &ShowingId,
    map: &SeatMap,
    since: u64,
    as_of: AsOf,
) -> Result<Ready, Problem> {
    let changed = map.seats.iter().filter(|seat| seat.version > since);
    let (seats, version) = (written(changed)?, map.version);
    let document =
        SeatsDocument { showing, version, since: Some(since), as_of, seats: Some(&seats), states: None };
    Ready::weakly(&document, &(showing, version, since))
}

/// That nothing changed after `version`.
pub(crate) fn no_changes(showing: &ShowingId, version: u64, as_of: AsOf) -> Result<Ready, Problem> {
    let seats = written([])?;
    let document =
        SeatsDocument { showing, version, since: Some(version), as_of, seats: Some(&seats), states: None };
    Ready::weakly(&document, &(showing, version, version))
}

/// The map after these changes.
fn changed(map: &Arc<SeatMap>, changes: SeatChanges) -> Arc<SeatMap> {
    if changes.version == map.version {
        return Arc::clone(map);
    }
    let mut seats = map.seats.clone();
    for change in changes.seats {
        match seats.binary_search_by(|seat| seat.seat.cmp(&change.seat)) {
            Ok(at) => seats[at] = change,
            Err(at) => seats.insert(at, change),
        }
    }
    Arc::new(SeatMap { version: changes.version, seats })
}

impl QueryState {
    /// The seats of a showing, true of `wanted`; none when there is no such
    /// showing. Only what changed is read again.
    pub(crate) async fn seats(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
        wanted: Wanted,
    ) -> Result<Arc<Kept<Option<Shown>>>, Problem> {
        let read = |kept: Option<Arc<Kept<Option<Shown>>>>| async move {
            let old = kept.as_ref().and_then(|kept| kept.value.as_ref());
            self.read_seats(opening, partition, showing, old).await
        };
        self.seats.get(opening, showing.clone(), wanted, read).await
    }

    async fn read_seats(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
        old: Option<&Shown>,
    ) -> Result<(Option<Shown>, Offset), Problem> {
        if let Some(Shown { map, .. }) = old {
            let found =
                self.bookings.changes(opening, partition, showing, map.version).await.map_err(away)?;
            if let Some(changes) = found.value {
                let as_of = AsOf::one(partition, found.position);
                return Ok((Some(Shown::new(changed(map, changes), old, as_of)), found.position));
            }
        }
        let found = self.bookings.seats(opening, partition, showing).await.map_err(away)?;
        let as_of = AsOf::one(partition, found.position);
        Ok((found.value.map(|map| Shown::new(Arc::new(map), None, as_of)), found.position))
    }
}

/// The seats of a showing; with `since`, those that changed after that
/// version, whichever it was: a seat keeps the version that changed it last,
/// so that no gap is too large. With `compact`, a letter for each seat.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/showings/{showing}/seats", tag = "seats",
    params(
        ("opening" = String, Path), ("showing" = String, Path),
        ("since" = Option<u64>, Query, description = "A `version` of an earlier answer"),
        ("compact" = Option<bool>, Query, description = "`true`: the whole map as `states`, a letter for each seat"),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "As they are now", body = SeatsDocument<'static>),
        (status = 304, description = "Not modified"),
        (status = 422, description = "Problem `invalid`: `since` with `compact`"),
        (status = 404, description = "Problem `not-found`: no such showing, or it never had version `since`, by `as_of`")
    )
)]
async fn seats(
    State(state): State<QueryState>,
    Path((opening, showing)): Path<(OpeningId, ShowingId)>,
    Query(SeatsQuery { since, compact, after }): Query<SeatsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if compact && since.is_some() {
        return Err(Problem::invalid("compact", "changes have one form: ask for them without `compact`"));
    }
    let (partition, at_least) = After::new(after).wait(&state, &opening, Views::Booking).await?;
    let kept = state.seats(&opening, partition, &showing, Wanted::at(at_least)).await?;
    let not_there = |what| missing(what, partition, kept.position);
    let shown = kept.value.as_ref().ok_or_else(|| not_there("showing"))?;
    let answer = match since {
        None if compact => shown.compact(&showing)?.answer(&headers),
        None => shown.whole(&showing)?.answer(&headers),
        Some(since) if since <= shown.map.version => {
            let as_of = AsOf::one(partition, kept.position);
            changes_since(&showing, &shown.map, since, as_of)?.answer(&headers)
        }
        Some(_) => None,
    };
    answer.ok_or_else(|| not_there("version of the showing"))
}

/// A hall.
#[derive(Serialize, ToSchema)]
struct PlanDocument<'a> {
    #[schema(value_type = String, example = "gangnam-1")]
    plan: &'a PlanName,
    /// In pretix's seating-plan format.
    #[schema(value_type = Map<String, Value>, example = json!({"name": "Lumen Gangnam, hall 1", "zones": []}))]
    seating: &'a Seating,
    /// Kinds, blocked seats, seats that are sold later, and prices.
    #[schema(value_type = Map<String, Value>, example = json!({"kinds": {"G8": "companion"}}))]
    details: &'a SeatDetails,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

fn render_plan(name: &PlanName, plan: &Plan, as_of: AsOf) -> Result<Ready, Problem> {
    let Plan { seating, details } = plan;
    Ready::weakly(&PlanDocument { plan: name, seating, details, as_of }, plan)
}

/// A hall: its seating plan, kinds of seats and prices. It never changes.
#[utoipa::path(
    get, path = "/v1/openings/{opening}/plans/{plan}", tag = "seats",
    params(
        ("opening" = String, Path), ("plan" = String, Path),
        ("after" = Option<String>, Query, description = "An `as_of`: wait until the answer has it")
    ),
    responses(
        (status = 200, description = "As it was added", body = PlanDocument<'static>),
        (status = 304, description = "Not modified"),
        (status = 404, description = "Problem `not-found`: no such plan by `as_of`")
    )
)]
async fn plan(
    State(state): State<QueryState>,
    Path((opening, plan)): Path<(OpeningId, PlanName)>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (partition, at_least) = after.wait(&state, &opening, Views::Booking).await?;
    let read = |_| async {
        let found = state.bookings.plan(&opening, partition, &plan).await.map_err(away)?;
        let as_of = AsOf::one(partition, found.position);
        let ready = found.value.map(|body| render_plan(&plan, &body, as_of));
        Ok::<_, Problem>((ready.unwrap_or_else(|| Ok(Ready::missing()))?, found.position))
    };
    let document = Document::Plan(plan.clone());
    let kept = state.documents.get(&opening, document, Wanted::at(at_least), read).await?;
    kept.value.answer(&headers).ok_or_else(|| missing("plan", partition, kept.position))
}
