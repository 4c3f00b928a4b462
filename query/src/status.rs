//! An opening's status: the one document that a million pollers share.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use serde::Serialize;
use usher_events::event::TicketState;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::plan::Showing;
use usher_events::policy::Payment;
use usher_events::record::Offset;
use usher_events::time::{Timestamp, rfc3339};
use usher_http::as_of::AsOf;
use usher_http::problem::Problem;
use usher_projector::booking::{SeatCounts, SeatState};
use usher_projector::queue::{OpeningState, OpeningStatus};
use utoipa::ToSchema;

use crate::answer::Ready;
use crate::cache::{Kept, Wanted};
use crate::pace::Pace;
use crate::state::{QueryState, away};

/// Who asks later adds so much at random, so that not all come at once.
pub(crate) const POLL_JITTER: f64 = 0.25;

/// An opening's line, as the queue view has it.
#[derive(Debug)]
pub(crate) struct Line {
    /// None: there is no such opening.
    pub(crate) status: Option<OpeningStatus>,
    /// How fast it moves, if it does.
    pub(crate) pace: Option<Pace>,
}

/// The status document.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) ready: Ready,
    /// A hash of what it says: another moment is nothing new.
    pub(crate) content: u64,
}

/// A screening.
#[derive(Serialize, ToSchema)]
struct ShowingDocument {
    #[schema(example = "gangnam-1-1900")]
    showing: String,
    #[schema(example = "Lumen Gangnam, hall 1, 19:00")]
    title: String,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-02T10:00:00Z")]
    starts_at: Timestamp,
    /// Its hall's plan.
    #[schema(example = "gangnam-1")]
    plan: String,
}

/// How many seats there are, over all showings.
#[derive(Serialize, ToSchema)]
struct SeatCountsDocument {
    #[schema(example = 812)]
    free: u64,
    #[schema(example = 64)]
    held: u64,
    #[schema(example = 120)]
    booked: u64,
}

/// What admissions are limited by.
#[derive(Serialize, ToSchema)]
struct Rate {
    /// The most admissions a minute; null: only the capacity limits.
    #[schema(required = true, example = 600)]
    limit_per_minute: Option<u32>,
    /// How many may be admitted or inside at once.
    #[schema(example = 200)]
    capacity: u32,
    /// Admissions of the last five minutes in which there were some.
    #[schema(example = 2950)]
    admitted_in_last_5_min: u32,
}

/// What estimates are made of.
///
/// Somebody with `n` present visitors ahead is admitted after about
/// `(n + 1) / per_minute` minutes.
#[derive(Serialize, ToSchema)]
struct Estimate {
    /// `measured`: the admissions of the last minutes; `policy`: what the
    /// rules allow, as long as too few are measured.
    #[schema(example = "measured")]
    basis: &'static str,
    /// How long was measured, in seconds.
    #[schema(example = 290)]
    measured_s: u32,
    /// Admissions in that time.
    #[schema(example = 2950)]
    admitted: u32,
    /// Admissions a minute.
    #[schema(example = 610.3)]
    per_minute: f64,
    /// The same if it goes as slowly as what was measured varies.
    #[schema(example = 585.0)]
    slowest_per_minute: f64,
    /// The same if it goes as fast; null: nothing limits it.
    #[schema(required = true, example = 635.7)]
    fastest_per_minute: Option<f64>,
}

/// What a visitor may do in the seat window.
#[derive(Serialize, ToSchema)]
struct Rules {
    /// `merchant`: the merchant confirms a hold, after it has the money;
    /// `none`: the visitor does, and nothing is paid.
    #[schema(value_type = String, example = "merchant")]
    payment: Payment,
    /// The most seats that one visitor may hold and have booked.
    #[schema(example = 4)]
    max_seats: u32,
    /// How many times one hold may be extended.
    #[schema(example = 1)]
    max_extensions: u32,
}

/// An opening's status: the same bytes for everyone who asks within a second.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusDocument<'a> {
    #[schema(value_type = String, example = "concert-2026")]
    opening: &'a OpeningId,
    /// scheduled, drawing, open, paused, draining or closed.
    #[schema(value_type = String, example = "open")]
    state: OpeningState,
    #[schema(example = "Northern Lights: the concert film")]
    title: &'a str,
    /// When the lobby closes and the opening opens.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:00:00Z")]
    opens_at: Timestamp,
    /// When it starts to drain by itself.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required = true, example = json!(null))]
    drains_at: Option<Timestamp>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T15:00:00Z")]
    closes_at: Timestamp,
    /// The greatest number admitted so far: whoever is at or below it asks
    /// for their own ticket.
    #[schema(example = 1250)]
    serving_number: u32,
    #[schema(example = 0)]
    lobby: u32,
    #[schema(example = 8640)]
    waiting: u32,
    #[schema(example = 120)]
    away: u32,
    #[schema(example = 12)]
    admitted: u32,
    #[schema(example = 188)]
    inside: u32,
    #[schema(example = 900)]
    done: u32,
    #[schema(example = 100)]
    left: u32,
    #[schema(example = 50)]
    spent: u32,
    seats: SeatCountsDocument,
    rules: Rules,
    rate: Rate,
    /// Null while nobody is admitted.
    #[schema(required = true)]
    estimate: Option<Estimate>,
    /// The operator's word to everybody.
    #[schema(required = true, example = json!(null))]
    message: Option<&'a str>,
    showings: Vec<ShowingDocument>,
    /// When to ask again, in milliseconds: longer the more people wait.
    #[schema(example = 10_640)]
    poll_after_ms: u32,
    /// How much of `poll_after_ms` each client adds at random, from 0 to this
    /// part of it. It is the client's, as everyone gets the same bytes.
    #[schema(example = 0.25)]
    poll_jitter: f64,
    /// The server's clock when this was made: at most a second before it was
    /// sent, and longer ago only by what caches between add (`Age`).
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:04:32.118Z")]
    server_time: Timestamp,
    #[schema(value_type = String, example = "3.1042")]
    as_of: AsOf,
}

/// How long somebody waits before they ask again: two seconds, longer the
/// more are ahead of them, at most 30.
pub(crate) fn poll_after_ms(ahead: u32) -> u32 {
    2_000 + (ahead / 10).min(28_000)
}

/// What a status is made of, beside the queue view.
struct Halls {
    counts: SeatCounts,
    showings: Vec<Showing>,
}

fn document<'a>(
    opening: &'a OpeningId,
    status: &'a OpeningStatus,
    pace: Option<&Pace>,
    halls: Halls,
) -> StatusDocument<'a> {
    let seats = |state| halls.counts.get(&state).copied().unwrap_or(0);
    let count = |state| status.count(state);
    StatusDocument {
        opening,
        state: status.state,
        title: &status.title,
        opens_at: status.opens_at,
        drains_at: status.drains_at,
        closes_at: status.closes_at,
        serving_number: status.serving_number,
        lobby: count(TicketState::Lobby),
        waiting: count(TicketState::Waiting),
        away: count(TicketState::Away),
        admitted: count(TicketState::Admitted),
        inside: count(TicketState::Inside),
        done: count(TicketState::Done),
        left: count(TicketState::Left),
        spent: count(TicketState::Spent),
        seats: SeatCountsDocument {
            free: seats(SeatState::Free),
            held: seats(SeatState::Held),
            booked: seats(SeatState::Booked),
        },
        rules: Rules {
            payment: status.policy.payment,
            max_seats: status.policy.max_seats,
            max_extensions: status.policy.max_extensions,
        },
        rate: Rate {
            limit_per_minute: status.policy.admissions_per_minute,
            capacity: status.policy.capacity,
            admitted_in_last_5_min: status.outflow.values().sum(),
        },
        estimate: pace.map(estimate),
        message: status.message.as_deref(),
        showings: halls.showings.into_iter().map(showing).collect(),
        poll_after_ms: poll_after_ms(count(TicketState::Waiting) + count(TicketState::Lobby)),
        poll_jitter: POLL_JITTER,
        server_time: Timestamp::default(),
        as_of: AsOf::default(),
    }
}

impl Status {
    fn missing() -> Self {
        Self { ready: Ready::missing(), content: 0 }
    }

    fn of(mut document: StatusDocument<'_>, as_of: AsOf) -> Result<Self, Problem> {
        let content = serde_json::to_vec(&document).map_err(Problem::internal)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&content);
        (document.server_time, document.as_of) = (Timestamp::now(), as_of);
        Ok(Self { ready: Ready::of(&document)?, content: hasher.finish() })
    }
}

fn showing(showing: Showing) -> ShowingDocument {
    ShowingDocument {
        showing: showing.showing.to_string(),
        title: showing.title,
        starts_at: showing.starts_at,
        plan: showing.plan.to_string(),
    }
}

fn estimate(pace: &Pace) -> Estimate {
    let speed = pace.speed();
    let rounded = |per_s: f64| (per_s * 600.0).round() / 10.0;
    Estimate {
        basis: pace.basis(),
        measured_s: pace.measured_s(),
        admitted: pace.admitted(),
        per_minute: rounded(speed.expected),
        slowest_per_minute: rounded(speed.slowest),
        fastest_per_minute: speed.fastest.map(rounded),
    }
}

impl QueryState {
    /// An opening's line, true of `wanted`.
    pub(crate) async fn line(
        &self,
        opening: &OpeningId,
        partition: Partition,
        wanted: Wanted,
    ) -> Result<Arc<Kept<Line>>, Problem> {
        let read = |_| async {
            let found = self.queues.status(opening, partition).await.map_err(away)?;
            let pace = found.value.as_ref().and_then(|status| Pace::of(status, Timestamp::now()));
            Ok((Line { status: found.value, pace }, found.position))
        };
        self.lines.get(opening, (), wanted, read).await
    }

    async fn read_status(
        &self,
        opening: &OpeningId,
        partition: Partition,
        at_least: Offset,
    ) -> Result<(Status, Offset), Problem> {
        let line = self.line(opening, partition, Wanted::newest(at_least)).await?;
        let Some(status) = &line.value.status else { return Ok((Status::missing(), line.position)) };
        let counts = self.bookings.counts(opening, partition).await.map_err(away)?;
        let showings = self.bookings.showings(opening, partition).await.map_err(away)?;
        let position = line.position.min(counts.position).min(showings.position);
        let halls = Halls { counts: counts.value, showings: showings.value };
        let document = document(opening, status, line.value.pace.as_ref(), halls);
        Ok((Status::of(document, AsOf::one(partition, position))?, position))
    }

    /// The status document, true of `wanted`.
    pub(crate) async fn status(
        &self,
        opening: &OpeningId,
        partition: Partition,
        wanted: Wanted,
    ) -> Result<Arc<Kept<Status>>, Problem> {
        let read = |_| self.read_status(opening, partition, wanted.at_least);
        self.statuses.get(opening, (), wanted, read).await
    }
}
