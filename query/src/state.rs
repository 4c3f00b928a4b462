//! What the routes of queries need.

use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use usher_events::ids::{OpeningId, PlanName, ShowingId};
use usher_events::log::Partition;
use usher_events::partition::partition_of;
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::auth::Keys;
use usher_http::problem::Problem;
use usher_projector::booking::BookingReader;
use usher_projector::projection::Announcer;
use usher_projector::queue::QueueReader;
use usher_projector::store::{Changed, ViewError};

use crate::answer::Ready;
use crate::cache::{Cache, Slot};
use crate::draw::Cohorts;
use crate::openings::Listed;
use crate::places::Places;
use crate::seats::Shown;
use crate::status::{Line, Status};
use crate::updates::Hub;

/// The settings of queries.
#[derive(Debug, Clone, Copy)]
pub struct QueryConfig {
    /// How many partitions the log has.
    pub partitions: u32,
    /// How long `?after=` waits at most.
    pub after_timeout: Duration,
    /// How many callers may wait at once.
    pub after_waiters: usize,
    /// How many may listen to server-sent events at once.
    pub updates_connections: usize,
}

/// What is kept of an opening, ready to send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Document {
    Draw,
    Plan(PlanName),
}

/// What the routes of queries need. Cheap to clone.
#[derive(Clone)]
pub struct QueryState(pub(crate) Arc<Parts>);

/// What there is once, however many requests are under way.
pub struct Parts {
    pub(crate) queues: Arc<dyn QueueReader>,
    pub(crate) bookings: Arc<dyn BookingReader>,
    pub(crate) announcer: Announcer,
    pub(crate) keys: Keys,
    pub(crate) config: QueryConfig,
    pub(crate) waiters: Arc<Semaphore>,
    pub(crate) queue_places: Places,
    pub(crate) booking_places: Places,
    pub(crate) lines: Cache<(), Line>,
    pub(crate) statuses: Cache<(), Status>,
    pub(crate) documents: Cache<Document, Ready>,
    pub(crate) seats: Cache<ShowingId, Option<Shown>>,
    pub(crate) list: Slot<Listed>,
    pub(crate) cohorts: Cohorts,
    pub(crate) updates: Hub,
}

impl Deref for QueryState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl QueryState {
    /// Queries of these views; what is cached is refreshed when `announcer`
    /// says that a view changed. Server-sent events end with `stop`. Needs a
    /// tokio runtime.
    pub fn new(
        queues: Arc<dyn QueueReader>,
        bookings: Arc<dyn BookingReader>,
        announcer: Announcer,
        keys: Keys,
        config: QueryConfig,
        stop: CancellationToken,
    ) -> Self {
        let state = Self(Arc::new(Parts {
            queues,
            bookings,
            keys,
            config,
            waiters: Arc::new(Semaphore::new(config.after_waiters)),
            queue_places: Places::new(config.partitions),
            booking_places: Places::new(config.partitions),
            lines: Cache::default(),
            statuses: Cache::default(),
            documents: Cache::default(),
            seats: Cache::default(),
            list: Slot::default(),
            cohorts: Cohorts::default(),
            updates: Hub::new(config.updates_connections, stop),
            announcer: announcer.clone(),
        }));
        tokio::spawn(refresh(Arc::downgrade(&state.0), announcer.listen()));
        state
    }

    pub(crate) fn partition_of(&self, opening: &OpeningId) -> Partition {
        partition_of(opening, self.config.partitions)
    }
}

/// Notes what changed, as long as there are queries to answer.
async fn refresh(parts: Weak<Parts>, mut changes: Receiver<Arc<Changed>>) {
    loop {
        let changed = match changes.recv().await {
            Ok(changed) => changed,
            // Missed notices are made up for by each answer's short life.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(parts) = parts.upgrade() else { return };
        for opening in &changed.openings {
            // What others are made of comes first.
            parts.lines.changed(opening);
            parts.seats.changed(opening);
            parts.statuses.changed(opening);
            parts.documents.changed(opening);
            parts.updates.changed(opening);
        }
        parts.list.changed();
    }
}

/// A view that cannot be read, as its caller hears of it.
///
/// That a store is away is told in the log by what watches it, and not again
/// by each query.
pub(crate) fn away(error: ViewError) -> Problem {
    tracing::debug!(%error, "a query could not be answered");
    Problem::unavailable("view-unavailable", format!("the {} cannot be read now", error.view))
}

/// 404: not by `as_of`.
pub(crate) fn missing(what: &str, partition: Partition, position: Offset) -> Problem {
    Problem::not_found(format!("there is no such {what}, as of this answer"))
        .with("as_of", AsOf::one(partition, position))
}
