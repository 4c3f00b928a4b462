//! Views, the events that feed them, and the routes over them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use bytes::Bytes;
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use usher_events::event::Event;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::partition::partition_of;
use usher_events::time::Timestamp;
use usher_http::as_of::AsOf;
use usher_http::auth::{KeyConfig, KeyKind, Keys, Scope};
use usher_http::description::check::{Answered, Description};
use usher_http::server::{Limits, layered};
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::projection::Announcer;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::{Batch, Changed, Claim, Located, Place, Store};
use usher_query::{QueryConfig, QueryState, router};

use crate::calls::{Answer, Call, MERCHANT, OPERATOR, OTHER_OPERATOR, WRITER};
use crate::listener::Listener;

pub(crate) const PARTITIONS: u32 = 4;
/// The opening of most tests.
pub(crate) const PREMIERE: &str = "/v1/openings/premiere";

/// Both views, the routes over them, and how far the log is.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) description: Description,
    pub(crate) announcer: Announcer,
    /// Told when the instance ends.
    pub(crate) stop: CancellationToken,
    queues: MemoryQueues,
    bookings: MemoryBookings,
    /// By partition: the place of the queue view, and of the booking view.
    places: Mutex<Vec<[Place; 2]>>,
}

/// The settings of most tests.
pub(crate) fn config() -> QueryConfig {
    QueryConfig {
        partitions: PARTITIONS,
        after_timeout: Duration::from_secs(20),
        after_waiters: 100,
        updates_connections: 1_000,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: QueryConfig) -> Self {
        let (queues, bookings) = (MemoryQueues::new(PARTITIONS), MemoryBookings::new(PARTITIONS));
        let (announcer, stop) = (Announcer::default(), CancellationToken::new());
        let (reader, seats) = (Arc::new(queues.clone()), Arc::new(bookings.clone()));
        let state = QueryState::new(reader, seats, announcer.clone(), keys(), config, stop.clone());
        let (routes, openapi) = router(state);
        let limits = Limits { body_bytes: 1_024, timeout: Duration::from_secs(60) };
        let places = Mutex::new(vec![[Place::default(); 2]; PARTITIONS as usize]);
        let (router, description) = (layered(routes, limits), Description::new(&openapi));
        Self { router, description, announcer, stop, queues, bookings, places }
    }

    /// One in which this happened to the premiere.
    pub(crate) async fn after(events: impl IntoIterator<Item = Event>) -> Self {
        let world = Self::new();
        world.happen("premiere", events).await;
        world
    }

    /// What happened, in both views; the `as_of` of what has seen it.
    pub(crate) async fn happen(&self, opening: &str, events: impl IntoIterator<Item = Event>) -> String {
        let events: Vec<Event> = events.into_iter().collect();
        self.project(&self.bookings, 1, opening, &events, None).await;
        self.project(&self.queues, 0, opening, &events, None).await
    }

    /// The same, and the key of this name caused it.
    pub(crate) async fn happen_by(&self, operator: &str, opening: &str, events: &[Event]) -> String {
        self.project(&self.bookings, 1, opening, events, Some(operator)).await;
        self.project(&self.queues, 0, opening, events, Some(operator)).await
    }

    /// The same, but the view of seats is behind.
    pub(crate) async fn happen_in_queue(&self, opening: &str, events: &[Event]) -> String {
        self.project(&self.queues, 0, opening, events, None).await
    }

    /// The view of seats has this now.
    pub(crate) async fn happen_in_booking(&self, opening: &str, events: &[Event]) -> String {
        self.project(&self.bookings, 1, opening, events, None).await
    }

    /// A writer claimed the opening's partition.
    pub(crate) fn claimed(&self, opening: &str, at: Timestamp) {
        let (partition, mut places) = (partition(opening), self.places.lock().unwrap());
        for place in &mut places[partition as usize] {
            place.claim = Some(Claim { offset: place.position, at });
        }
    }

    async fn project(
        &self,
        store: &dyn Store,
        view: usize,
        opening: &str,
        events: &[Event],
        operator: Option<&str>,
    ) -> String {
        let (partition, opening) = (partition(opening), OpeningId::new(opening).unwrap());
        for event in events {
            let before = self.places.lock().unwrap()[partition as usize][view];
            let follows = store.place(partition).await.unwrap();
            let located = Located {
                offset: before.position,
                opening: opening.clone(),
                event: event.clone(),
                operator: operator.map(Box::from),
                before,
            };
            let to = located.after();
            store.apply(&Batch { partition, follows, to, events: vec![located] }).await.unwrap();
            self.places.lock().unwrap()[partition as usize][view] = to;
        }
        let position = self.places.lock().unwrap()[partition as usize][view].position;
        self.announcer.announce(Changed { partition, position, openings: vec![opening] });
        AsOf::one(partition, position).to_string()
    }

    /// Sends a request, and compares the answer with the description.
    pub(crate) async fn send(&self, call: &Call) -> Answer {
        let response = self.router.clone().oneshot(call.request()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, bytes, body };
        self.check(call, &answer);
        answer
    }

    /// Listens to what changes.
    pub(crate) async fn listen(&self, call: &Call) -> Listener {
        let response = self.router.clone().oneshot(call.request()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = Bytes::new();
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, bytes, body: Value::Null };
        self.check(call, &answer);
        assert_eq!(answer.header("content-type"), "text/event-stream");
        Listener::new(body)
    }

    #[track_caller]
    fn check(&self, call: &Call, answer: &Answer) {
        let answered = Answered {
            method: "GET",
            path: call.path.split('?').next().unwrap(),
            status: answer.status,
            media_type: answer.header(header::CONTENT_TYPE.as_str()),
            body: &answer.body,
        };
        self.description.check(&answered).unwrap_or_else(|fault| panic!("{fault}"));
    }

    /// The answer to a question after which the view has `after`.
    pub(crate) async fn get_after(&self, path: &str, after: &str) -> Value {
        let separator = if path.contains('?') { '&' } else { '?' };
        self.send(&crate::calls::get(format!("{path}{separator}after={after}"))).await.expect(200)
    }
}

pub(crate) fn partition(opening: &str) -> Partition {
    partition_of(&OpeningId::new(opening).unwrap(), PARTITIONS)
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("this is never so");
}

fn keys() -> Keys {
    let key = |name, kind, text: &str| Keys::hashed(name, kind, &SecretString::from(text)).unwrap();
    Keys::new(vec![
        key("box-office", KeyKind::Operator, OPERATOR),
        key("till", KeyKind::Merchant, MERCHANT),
        KeyConfig { prefixes: vec!["play-".to_owned()], ..key("theatre", KeyKind::Operator, OTHER_OPERATOR) },
        KeyConfig { scopes: vec![Scope::Write], ..key("robot", KeyKind::Operator, WRITER) },
    ])
    .unwrap()
}
