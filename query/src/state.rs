//! What the routes of queries need.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;
use usher_events::ids::{OpeningId, ShowingId};
use usher_events::log::Partition;
use usher_events::partition::partition_of;
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::auth::Keys;
use usher_http::etag;
use usher_http::problem::Problem;
use usher_projector::booking::BookingReader;
use usher_projector::projection::Announcer;
use usher_projector::queue::QueueReader;
use usher_projector::store::ViewError;

use crate::cache::Cache;
use crate::draw::Trees;

/// The settings of queries.
#[derive(Debug, Clone, Copy)]
pub struct QueryConfig {
    /// How many partitions the log has.
    pub partitions: u32,
    /// How long `?after=` waits at most.
    pub after_timeout: Duration,
    /// How many callers may wait at once.
    pub after_waiters: usize,
}

/// What is kept of an opening.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Document {
    Status,
    Seats(ShowingId),
}

/// A document ready to send: the same bytes for everyone.
#[derive(Debug)]
pub(crate) struct Ready {
    /// None: there is no such thing.
    pub(crate) body: Option<Bytes>,
    pub(crate) etag: HeaderValue,
}

/// What the routes of queries need. Cheap to clone.
#[derive(Clone)]
pub struct QueryState {
    pub(crate) queues: Arc<dyn QueueReader>,
    pub(crate) bookings: Arc<dyn BookingReader>,
    pub(crate) announcer: Announcer,
    pub(crate) keys: Keys,
    pub(crate) config: QueryConfig,
    pub(crate) waiters: Arc<Semaphore>,
    pub(crate) documents: Arc<Cache<Document, Ready>>,
    pub(crate) trees: Arc<Cache<(), Trees>>,
}

impl QueryState {
    /// Queries of these views; what is cached is refreshed when `announcer`
    /// says that a view changed. Needs a tokio runtime.
    pub fn new(
        queues: Arc<dyn QueueReader>,
        bookings: Arc<dyn BookingReader>,
        announcer: Announcer,
        keys: Keys,
        config: QueryConfig,
    ) -> Self {
        let documents = Arc::new(Cache::<Document, Ready>::default());
        let (cached, mut changes) = (Arc::clone(&documents), announcer.listen());
        tokio::spawn(async move {
            use tokio::sync::broadcast::error::RecvError;
            loop {
                match changes.recv().await {
                    Ok(changed) => changed.openings.iter().for_each(|opening| cached.changed(opening)),
                    // Missed notices are made up for by each answer's short life.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        let waiters = Arc::new(Semaphore::new(config.after_waiters));
        let trees = Arc::new(Cache::default());
        Self { queues, bookings, announcer, keys, config, waiters, documents, trees }
    }

    pub(crate) fn partition_of(&self, opening: &OpeningId) -> Partition {
        partition_of(opening, self.config.partitions)
    }
}

/// A view that cannot be read, as its caller hears of it.
pub(crate) fn away(error: ViewError) -> Problem {
    // That a store is away is said once, by whoever watches it, not per query.
    tracing::debug!(%error, "a query could not be answered");
    Problem::unavailable("view-unavailable", format!("the {} cannot be read now", error.view))
}

/// 404: not by `as_of`.
pub(crate) fn missing(what: &str, partition: Partition, position: Offset) -> Problem {
    Problem::not_found(format!("there is no such {what}, as of this answer"))
        .with("as_of", AsOf::one(partition, position))
}

/// A JSON answer.
pub(crate) fn json(answer: &impl Serialize) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(256);
    serde_json::to_writer(&mut body, answer).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A document with its ETag; 304 when the caller has it.
pub(crate) fn document(
    ready: &Ready,
    body: &Bytes,
    headers: &HeaderMap,
    cache_control: &'static str,
) -> Response {
    let known = etag::matches(headers, &ready.etag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(body.clone()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    answer.insert(header::ETAG, ready.etag.clone());
    response
}

impl Ready {
    /// A document of these bytes; the ETag is made from them.
    pub(crate) fn of(body: Option<Bytes>) -> Self {
        let etag = etag::of(body.as_deref().unwrap_or_default());
        Self { body, etag }
    }
}
