//! Queue views in Redis.
//!
//! Every opening's keys share a hash tag, and each change of an opening names
//! the position that it follows, in the same script. A partition's place may
//! lag behind its openings': what is read again then changes nothing.

mod encode;
mod large;
mod notices;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{AsyncCommands, Client, Pipeline, RedisError, Script};
use async_trait::async_trait;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;

use super::{QueueStep, StatusPatch};
use crate::store::{Act, Batch, Located, Place, Skip, Stop, Store, StoreError, ViewError};

pub use notices::{listen, publish};

/// How long one answer of Redis may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The scripts; each is sent once and then known by its hash.
#[derive(Debug)]
struct Scripts {
    step: Script,
    flip: Script,
    place: Script,
    ticket: Script,
    status: Script,
}

/// Queue views in Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisQueues {
    connection: ConnectionManager,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
    /// The position of each opening, as it was last stored from here.
    positions: Arc<Mutex<HashMap<OpeningId, Offset>>>,
}

impl std::fmt::Debug for RedisQueues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisQueues").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A client for the server at `url`.
pub fn client(url: &str) -> Result<Client, RedisError> {
    Client::open(url)
}

fn away(error: RedisError) -> StoreError {
    StoreError::Unavailable(format!("Redis: {error}"))
}

fn unreadable(error: RedisError) -> ViewError {
    ViewError { view: "queue view", reason: format!("Redis: {error}") }
}

impl RedisQueues {
    /// Views in the server of `client`, under keys that begin with `prefix`.
    /// Connects when it is needed, and again when the connection is lost.
    pub fn new(client: Client, prefix: &str) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_max_delay(Duration::from_secs(1));
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        let scripts = Scripts {
            step: Script::new(include_str!("redis/step.lua")),
            flip: Script::new(include_str!("redis/flip.lua")),
            place: Script::new(include_str!("redis/place.lua")),
            ticket: Script::new(include_str!("redis/ticket.lua")),
            status: Script::new(include_str!("redis/status.lua")),
        };
        let positions = Arc::default();
        Ok(Self { connection, prefix: prefix.into(), scripts: Arc::new(scripts), positions })
    }

    fn key(&self, opening: &OpeningId) -> String {
        format!("{}:{{{opening}}}", self.prefix)
    }

    fn place_key(&self, partition: Partition) -> String {
        format!("{}:place:{partition}", self.prefix)
    }

    fn openings_key(&self) -> String {
        format!("{}:openings", self.prefix)
    }

    /// The position of `opening` as it is stored.
    async fn stored(&self, opening: &OpeningId) -> Result<Offset, StoreError> {
        let stored: Option<Offset> =
            self.connection.clone().hget(self.key(opening), "position").await.map_err(away)?;
        Ok(stored.unwrap_or(0))
    }

    fn known(&self, opening: &OpeningId) -> Option<Offset> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).get(opening).copied()
    }

    fn note(&self, opening: &OpeningId, position: Offset) {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).insert(opening.clone(), position);
    }

    fn forget(&self) {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Applies the events of one opening, from its stored position on.
    async fn apply_opening(&self, opening: &OpeningId, events: &[&Located]) -> Result<(), StoreError> {
        let mut position = match self.known(opening) {
            Some(position) => position,
            None => self.stored(opening).await?,
        };
        // Twice: a stored position that is further on is not an error, the
        // events before it are applied already.
        for _ in 0..2 {
            match self.apply_from(opening, events, position).await? {
                Applied::Through(position) => {
                    self.note(opening, position);
                    return Ok(());
                }
                Applied::Stored(stored) if stored > position => position = stored,
                Applied::Stored(_) => break,
            }
        }
        Err(StoreError::Refused)
    }

    async fn apply_from(
        &self,
        opening: &OpeningId,
        events: &[&Located],
        mut position: Offset,
    ) -> Result<Applied, StoreError> {
        let mut small: Vec<(&Located, QueueStep)> = Vec::new();
        let from = position;
        for located in events.iter().filter(|located| located.offset >= from) {
            match QueueStep::of(located) {
                Some(step @ QueueStep::Small { .. }) => small.push((located, step)),
                Some(step) => {
                    match self.apply_small(opening, &std::mem::take(&mut small), position).await? {
                        Applied::Through(through) => position = through,
                        stored @ Applied::Stored(_) => return Ok(stored),
                    }
                    match self.apply_large(opening, located, step, position).await? {
                        Applied::Through(through) => position = through,
                        stored @ Applied::Stored(_) => return Ok(stored),
                    }
                }
                None => {}
            }
        }
        self.apply_small(opening, &small, position).await
    }

    async fn apply_small(
        &self,
        opening: &OpeningId,
        steps: &[(&Located, QueueStep)],
        follows: Offset,
    ) -> Result<Applied, StoreError> {
        let (Some((first, _)), Some((last, _))) = (steps.first(), steps.last()) else {
            return Ok(Applied::Through(follows));
        };
        let to = last.offset + 1;
        let begins = |step: &QueueStep| {
            matches!(step, QueueStep::Small { status: Some(StatusPatch::Scheduled(_)), .. })
        };
        if steps.iter().any(|(_, step)| begins(step)) {
            // Beside the step, as it is not the opening's own key; twice is once.
            let added = self.connection.clone().sadd(self.openings_key(), opening.as_str()).await;
            let () = added.map_err(away)?;
        }
        let mut invocation = self.scripts.step.key(self.key(opening));
        invocation.arg(follows).arg(to);
        for (_, step) in steps {
            encode::step(step, &mut invocation).map_err(|error| poison(first, error.to_string()))?;
        }
        let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
        Applied::of(&answer, to).ok_or_else(|| poison(first, "the opening was never scheduled".to_owned()))
    }
}

fn poison(located: &Located, reason: String) -> StoreError {
    StoreError::Poison { offset: located.offset, reason }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    /// It is applied; the opening's position now.
    Through(Offset),
    /// It is not: this position is stored.
    Stored(Offset),
}

impl Applied {
    /// A script's answer; none when the opening is unknown.
    fn of(answer: &str, to: Offset) -> Option<Self> {
        match answer {
            "OK" => Some(Self::Through(to)),
            other => other.parse().ok().map(Self::Stored),
        }
    }
}

#[async_trait]
impl Store for RedisQueues {
    fn projection(&self) -> &'static str {
        "queue"
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.read_place(partition).await.map_err(away)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut by_opening: BTreeMap<&OpeningId, Vec<&Located>> = BTreeMap::new();
        for located in &batch.events {
            by_opening.entry(&located.opening).or_default().push(located);
        }
        let steps = by_opening.iter().map(|(opening, events)| self.apply_opening(opening, events));
        let applied = futures::future::try_join_all(steps).await;
        if let Err(error) = applied {
            self.forget();
            return Err(error);
        }
        let place =
            serde_json::to_string(&batch.to).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut invocation = self.scripts.place.key(self.place_key(batch.partition));
        invocation.arg(batch.follows.position).arg(batch.to.position).arg(place);
        let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
        if answer == "OK" {
            return Ok(());
        }
        self.forget();
        Err(StoreError::Refused)
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        let stop = serde_json::to_string(stop).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.connection.clone().hset(self.place_key(partition), "stop", stop).await.map_err(away)
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        let stop: Option<String> =
            self.connection.clone().hget(self.place_key(partition), "stop").await.map_err(away)?;
        let unknown =
            |error: serde_json::Error| StoreError::Unavailable(format!("the stop is unreadable: {error}"));
        stop.map(|stop| serde_json::from_str(&stop)).transpose().map_err(unknown)
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        let json = |text: Result<String, serde_json::Error>| {
            text.map_err(|error| StoreError::Unavailable(error.to_string()))
        };
        if self.stopped(partition).await?.is_none_or(|stop| stop.offset != act.offset) {
            return Err(StoreError::Refused);
        }
        let key = self.place_key(partition);
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        if let Some(Skip { to, .. }) = skip {
            pipeline.hset(&key, "position", to.position).ignore();
            pipeline.hset(&key, "place", json(serde_json::to_string(&to))?).ignore();
        }
        pipeline.hdel(&key, "stop").ignore();
        pipeline
            .lpush(format!("{}:acts:{partition}", self.prefix), json(serde_json::to_string(act))?)
            .ignore();
        self.forget();
        pipeline.query_async(&mut self.connection.clone()).await.map_err(away)
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        let key = format!("{}:acts:{partition}", self.prefix);
        let acts: Vec<String> = self.connection.clone().lrange(key, 0, 99).await.map_err(away)?;
        Ok(acts.iter().filter_map(|act| serde_json::from_str(act).ok()).collect())
    }
}
