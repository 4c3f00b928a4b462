//! Queue views in Redis.
//!
//! Every opening's keys share a hash tag, and each change of an opening names
//! the position that it follows, in the same script. A partition's place lags
//! behind its openings': what is read again then changes nothing.
//!
//! With the place, the position of each changed opening is kept. A server
//! that lost an opening's newest steps but not its partition's place, or the
//! other way round, is so found out, and those steps are read again.

mod encode;
mod large;
mod notices;
mod place;
mod read;
mod small;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError, Script};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;

use crate::store::{Act, Batch, Located, Place, Skip, Stop, Store, StoreError, ViewError};

pub use notices::{listen, publish};

/// How long one answer of Redis may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How many openings of a batch are under way at once.
const OPENINGS_AT_ONCE: usize = 32;

/// The scripts; each is sent once and then known by its hash.
#[derive(Debug)]
struct Scripts {
    step: Script,
    join: Script,
    number: Script,
    list: Script,
    place: Script,
    act: Script,
    ticket: Script,
    status: Script,
}

/// The keys of one opening.
#[derive(Debug)]
struct Keys {
    status: String,
    tickets: String,
    present: String,
    moved_from: String,
    moved_to: String,
    outflow: String,
    cohort: String,
    order: String,
}

/// Queue views in Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisQueues {
    connection: ConnectionManager,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
    /// The position of each opening, as this process last knew it.
    positions: Arc<Mutex<HashMap<Partition, HashMap<OpeningId, Offset>>>>,
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

fn broken(what: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("Redis: {what}"))
}

fn poison(located: &Located, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Poison { offset: located.offset, reason: reason.to_string() }
}

impl RedisQueues {
    /// Views in the server of `client`, under keys that begin with `prefix`.
    /// Connects when it is needed, and again when the connection is lost.
    pub fn new(client: Client, prefix: &str) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_max_delay(Duration::from_secs(1));
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        let scripts = Scripts {
            step: Script::new(include_str!("redis/step.lua")),
            join: Script::new(include_str!("redis/join.lua")),
            number: Script::new(include_str!("redis/number.lua")),
            list: Script::new(include_str!("redis/list.lua")),
            place: Script::new(include_str!("redis/place.lua")),
            act: Script::new(include_str!("redis/act.lua")),
            ticket: Script::new(include_str!("redis/ticket.lua")),
            status: Script::new(include_str!("redis/status.lua")),
        };
        let positions = Arc::default();
        Ok(Self { connection, prefix: prefix.into(), scripts: Arc::new(scripts), positions })
    }

    fn keys(&self, opening: &OpeningId) -> Keys {
        let key = |what: &str| format!("{}:{{{opening}}}:{what}", self.prefix);
        Keys {
            status: key("status"),
            tickets: key("tickets"),
            present: key("present"),
            moved_from: key("moved-from"),
            moved_to: key("moved-to"),
            outflow: key("outflow"),
            cohort: key("cohort"),
            order: key("order"),
        }
    }

    fn known(&self, partition: Partition, opening: &OpeningId) -> Offset {
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.get(&partition).and_then(|known| known.get(opening)).copied().unwrap_or(0)
    }

    fn note(&self, partition: Partition, positions: Vec<(OpeningId, Offset)>) {
        let mut known = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(partition).or_default().extend(positions);
    }

    /// Nothing that was known of a partition's openings may be so any more.
    fn forget(&self, partition: Partition) {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// Applies the events of one opening from its position on; its position
    /// after them.
    async fn apply_opening(
        &self,
        partition: Partition,
        opening: &OpeningId,
        events: Vec<&Located>,
    ) -> Result<(OpeningId, Offset), StoreError> {
        let mut position = self.known(partition, opening);
        loop {
            match self.apply_from(opening, &events, position).await? {
                Applied::Through(position) => return Ok((opening.clone(), position)),
                // Another projector was here: what it applied is applied.
                Applied::Stored(stored) if stored > position => position = stored,
                Applied::Stored(_) => return Err(StoreError::Refused),
            }
        }
    }
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
    /// A script's answer to a step of `located` that leads to `to`.
    fn of(answer: &str, located: &Located, to: Offset) -> Result<Self, StoreError> {
        match answer {
            "OK" => Ok(Self::Through(to)),
            other => match other.strip_prefix("POISON ") {
                Some(reason) => Err(poison(located, reason)),
                None => other.parse().map(Self::Stored).map_err(|_| broken(other)),
            },
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

    async fn recover(&self, partition: Partition) -> Result<Place, StoreError> {
        self.recover_place(partition).await
    }

    async fn position(&self, partition: Partition) -> Result<Offset, StoreError> {
        self.read_position(partition).await.map_err(away)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut by_opening: HashMap<&OpeningId, Vec<&Located>> = HashMap::new();
        for located in &batch.events {
            by_opening.entry(&located.opening).or_default().push(located);
        }
        let mut steps = Vec::with_capacity(by_opening.len());
        for (opening, events) in by_opening {
            steps.push(self.apply_opening(batch.partition, opening, events));
        }
        let applied = stream::iter(steps).buffer_unordered(OPENINGS_AT_ONCE);
        let positions: Vec<(OpeningId, Offset)> = applied.try_collect().await?;
        self.move_place(batch, &positions).await?;
        self.note(batch.partition, positions);
        Ok(())
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.keep_stop(partition, stop).await
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.read_stop(partition).await
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        self.keep_act(partition, skip, act).await
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        self.read_acts(partition).await
    }
}

fn unreadable(error: RedisError) -> ViewError {
    ViewError { view: "queue view", reason: format!("Redis: {error}") }
}
