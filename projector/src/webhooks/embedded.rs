//! The outbox in one file, for one process: redb underneath.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::PROJECTION;
use super::message::{Addressed, Message, Order, addressed};
use super::outbox::{Failure, Line, LineState, Outbox, OutboxError};
use super::receiver::Receiver;
use crate::stops::Stops;
use crate::store::{Act, Batch, Located, Place, Skip, Stop, Store, StoreError};

/// partition -> its place, as JSON.
const PLACES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("places");
/// receiver -> since when it is known, in milliseconds since the epoch.
const RECEIVERS: TableDefinition<'_, &str, i64> = TableDefinition::new("receivers");
/// (receiver, opening, offset, part) -> the message, as JSON.
const MESSAGES: TableDefinition<'_, (&str, &str, u64, u32), &[u8]> = TableDefinition::new("messages");
/// How much of the file may be kept in memory.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// A message as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    message: Message,
    dead: bool,
}

/// What is known of a line beside its messages; a restart forgets it, and
/// sends what waits at once.
#[derive(Debug)]
struct Leased {
    due_at: Instant,
    lease: Option<Uuid>,
    waiting: u64,
    dead: u64,
}

impl Leased {
    /// The next one in line became a dead letter.
    fn bury_one(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.dead += 1;
    }
}

impl Default for Leased {
    fn default() -> Self {
        Self { due_at: Instant::now(), lease: None, waiting: 0, dead: 0 }
    }
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<(String, OpeningId), Leased>,
    known: HashMap<String, Timestamp>,
    stops: HashMap<Partition, Stops>,
}

/// The outbox in one file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EmbeddedOutbox {
    database: Arc<Database>,
    receivers: Arc<Vec<Receiver>>,
    state: Arc<Mutex<State>>,
}

fn away(error: impl Into<redb::Error>) -> OutboxError {
    OutboxError::Unavailable(error.into().to_string())
}

fn stored(error: OutboxError) -> StoreError {
    match error {
        OutboxError::Lost => StoreError::Refused,
        OutboxError::Unavailable(reason) => StoreError::Unavailable(reason),
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, OutboxError> {
    serde_json::to_vec(value).map_err(|error| OutboxError::Unavailable(error.to_string()))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, OutboxError> {
    serde_json::from_slice(bytes).map_err(|error| OutboxError::Unavailable(error.to_string()))
}

/// What a line's messages have before their order.
fn key<'a>(receiver: &'a str, opening: &'a OpeningId, order: Order) -> (&'a str, &'a str, u64, u32) {
    (receiver, opening.as_str(), order.offset, order.part)
}

const FIRST: Order = Order { offset: 0, part: 0 };
const LAST: Order = Order { offset: u64::MAX, part: u32::MAX };

impl EmbeddedOutbox {
    /// Opens the outbox in `file`, or makes it, for what these receivers are
    /// to be told.
    ///
    /// # Errors
    /// The file cannot be opened, or is damaged.
    pub fn open(file: &Path, receivers: Arc<Vec<Receiver>>) -> Result<Self, OutboxError> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(file).map_err(away)?;
        let mut state = State::default();
        let transaction = database.begin_write().map_err(away)?;
        {
            transaction.open_table(PLACES).map_err(away)?;
            transaction.open_table(RECEIVERS).map_err(away)?;
            let messages = transaction.open_table(MESSAGES).map_err(away)?;
            for entry in messages.iter().map_err(away)? {
                let (key, kept) = entry.map_err(away)?;
                let (receiver, opening, _, _) = key.value();
                let opening =
                    OpeningId::new(opening).map_err(|error| OutboxError::Unavailable(error.to_string()))?;
                let line = state.lines.entry((receiver.to_owned(), opening)).or_default();
                let dead = from_json::<Kept>(kept.value())?.dead;
                *(if dead { &mut line.dead } else { &mut line.waiting }) += 1;
            }
        }
        transaction.commit().map_err(away)?;
        Ok(Self { database: Arc::new(database), receivers, state: Arc::new(Mutex::new(state)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&own)).await;
        done.unwrap_or_else(|error| Err(OutboxError::Unavailable(error.to_string())))
    }

    fn place_of(&self, partition: Partition) -> Result<Place, OutboxError> {
        let transaction = self.database.begin_read().map_err(away)?;
        let places = transaction.open_table(PLACES).map_err(away)?;
        let place = places.get(partition).map_err(away)?;
        place.map_or(Ok(Place::default()), |place| from_json(place.value()))
    }

    /// Moves a place, with what its step tells.
    fn step(
        &self,
        partition: Partition,
        follows: Place,
        to: Place,
        told: Vec<Addressed>,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin_write().map_err(away)?;
        if told.is_empty() {
            // Lost with the process, it is read again: nobody is told of it.
            transaction.set_durability(Durability::None).map_err(away)?;
        }
        {
            let mut places = transaction.open_table(PLACES).map_err(away)?;
            let stored: Option<Place> =
                places.get(partition).map_err(away)?.map(|place| from_json(place.value())).transpose()?;
            if stored.unwrap_or_default().position != follows.position {
                return Err(OutboxError::Lost);
            }
            places.insert(partition, to_json(&to)?.as_slice()).map_err(away)?;
            let mut messages = transaction.open_table(MESSAGES).map_err(away)?;
            for Addressed { receiver, opening, message } in &told {
                let kept = to_json(&Kept { message: message.clone(), dead: false })?;
                messages.insert(key(receiver, opening, message.order), kept.as_slice()).map_err(away)?;
            }
        }
        transaction.commit().map_err(away)?;
        let mut state = self.state();
        for Addressed { receiver, opening, .. } in told {
            state.lines.entry((receiver, opening)).or_default().waiting += 1;
        }
        Ok(())
    }

    /// Changes the messages of a line that is leased, durably, and then what
    /// is known of it.
    async fn with_line(
        &self,
        line: &Line,
        change: impl FnOnce(&WriteTransaction) -> Result<(), OutboxError> + Send + 'static,
        then: impl FnOnce(&mut Leased) + Send + 'static,
    ) -> Result<(), OutboxError> {
        let line = line.clone();
        self.blocking(move |own| {
            let key = (line.receiver.clone(), line.opening.clone());
            let leased =
                |state: &State| state.lines.get(&key).and_then(|known| known.lease) == Some(line.lease);
            if !leased(&own.state()) {
                return Err(OutboxError::Lost);
            }
            let transaction = own.database.begin_write().map_err(away)?;
            change(&transaction)?;
            transaction.commit().map_err(away)?;
            if let Some(known) = own.state().lines.get_mut(&key) {
                then(known);
            }
            Ok(())
        })
        .await
    }

    /// A line's messages, dead or not, in order, at most `most`.
    fn messages(
        &self,
        receiver: &str,
        opening: &OpeningId,
        dead: bool,
        most: usize,
    ) -> Result<Vec<Message>, OutboxError> {
        let transaction = self.database.begin_read().map_err(away)?;
        let table = transaction.open_table(MESSAGES).map_err(away)?;
        let range =
            table.range(key(receiver, opening, FIRST)..=key(receiver, opening, LAST)).map_err(away)?;
        let mut found = Vec::new();
        for entry in range {
            let kept: Kept = from_json(entry.map_err(away)?.1.value())?;
            if kept.dead == dead {
                found.push(kept.message);
            }
            if found.len() == most {
                break;
            }
        }
        Ok(found)
    }

    fn line_state(&self, receiver: &str, opening: &OpeningId) -> Result<LineState, OutboxError> {
        let key = (receiver.to_owned(), opening.clone());
        let counts = self.state().lines.get(&key).map(|leased| (leased.waiting, leased.dead));
        let (waiting, dead_count) = counts.unwrap_or_default();
        let next = self.messages(receiver, opening, false, 1)?.pop();
        let dead = self.messages(receiver, opening, true, LineState::DEAD_LISTED)?;
        Ok(LineState { receiver: receiver.to_owned(), waiting, next, dead, dead_count })
    }
}

/// Keeps a failure with its message.
fn note(
    line: &Line,
    message: &Message,
    failure: &Failure,
    dead: bool,
) -> impl FnOnce(&WriteTransaction) -> Result<(), OutboxError> + Send + use<> {
    let (line, mut message) = (line.clone(), message.clone());
    message.attempts += 1;
    message.refusals += u32::from(failure.refused);
    message.fault = Some(failure.fault.clone());
    move |transaction| {
        let mut table = transaction.open_table(MESSAGES).map_err(away)?;
        let order = message.order;
        let kept = to_json(&Kept { message, dead })?;
        table.insert(key(&line.receiver, &line.opening, order), kept.as_slice()).map_err(away)?;
        Ok(())
    }
}

#[async_trait]
impl Store for EmbeddedOutbox {
    fn projection(&self) -> &'static str {
        PROJECTION
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.blocking(move |own| own.place_of(partition)).await.map_err(stored)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let told = {
            let state = self.state();
            let is_known = |receiver: &str, located: &Located| {
                state.known.get(receiver).is_some_and(|since| located.event.at() >= *since)
            };
            addressed(&self.receivers, &batch.events, is_known)
        };
        let (partition, follows, to) = (batch.partition, batch.follows, batch.to);
        self.blocking(move |own| own.step(partition, follows, to, told)).await.map_err(stored)
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.state().stops.entry(partition).or_default().stop = Some(stop.clone());
        Ok(())
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        Ok(self.state().stops.get(&partition).and_then(|stops| stops.stop.clone()))
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        let mut place = self.place(partition).await?;
        self.state().stops.entry(partition).or_default().go_on(&mut place, skip, act)?;
        let Some(Skip { follows, to }) = skip.copied() else { return Ok(()) };
        self.blocking(move |own| own.step(partition, follows, to, Vec::new())).await.map_err(stored)
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        Ok(self.state().stops.get(&partition).map(Stops::acts).unwrap_or_default())
    }
}

#[async_trait]
impl Outbox for EmbeddedOutbox {
    async fn know(&self, receivers: &[String]) -> Result<(), OutboxError> {
        let receivers = receivers.to_vec();
        self.blocking(move |own| {
            let transaction = own.database.begin_write().map_err(away)?;
            let mut known = HashMap::new();
            {
                let mut table = transaction.open_table(RECEIVERS).map_err(away)?;
                for receiver in receivers {
                    let since = table.get(receiver.as_str()).map_err(away)?.map(|since| since.value());
                    let since = since.unwrap_or(Timestamp::now().0);
                    table.insert(receiver.as_str(), since).map_err(away)?;
                    known.insert(receiver, Timestamp(since));
                }
            }
            transaction.commit().map_err(away)?;
            own.state().known = known;
            Ok(())
        })
        .await
    }

    /// The lease lasts until it is given back: there is one process, and its
    /// end is the lease's.
    async fn take(&self, receiver: &str, most: usize, _: Duration) -> Result<Vec<Line>, OutboxError> {
        let (now, mut state) = (Instant::now(), self.state());
        let due = |leased: &Leased| leased.waiting > 0 && leased.lease.is_none() && leased.due_at <= now;
        let lines = state.lines.iter_mut().filter(|((owner, _), leased)| owner == receiver && due(leased));
        let mut lines: Vec<_> = lines.collect();
        lines.sort_by_key(|(_, leased)| leased.due_at);
        let taken = lines.into_iter().take(most).map(|((_, opening), leased)| {
            let lease = Uuid::new_v4();
            leased.lease = Some(lease);
            Line { receiver: receiver.to_owned(), opening: opening.clone(), lease }
        });
        Ok(taken.collect())
    }

    async fn next(&self, line: &Line, most: usize) -> Result<Vec<Message>, OutboxError> {
        let line = line.clone();
        self.blocking(move |own| own.messages(&line.receiver, &line.opening, false, most)).await
    }

    async fn delivered(&self, line: &Line, message: &Message, _: Duration) -> Result<(), OutboxError> {
        let (named, order) = (line.clone(), message.order);
        let forget = move |transaction: &WriteTransaction| {
            let mut table = transaction.open_table(MESSAGES).map_err(away)?;
            table.remove(key(&named.receiver, &named.opening, order)).map_err(away)?;
            Ok(())
        };
        self.with_line(line, forget, |leased| leased.waiting = leased.waiting.saturating_sub(1)).await
    }

    async fn failed(
        &self,
        line: &Line,
        message: &Message,
        failure: &Failure,
        again_in: Duration,
    ) -> Result<(), OutboxError> {
        let give_back = move |leased: &mut Leased| {
            leased.lease = None;
            leased.due_at = Instant::now() + again_in;
        };
        self.with_line(line, note(line, message, failure, false), give_back).await
    }

    async fn bury(
        &self,
        line: &Line,
        message: &Message,
        failure: &Failure,
        _: Duration,
    ) -> Result<(), OutboxError> {
        self.with_line(line, note(line, message, failure, true), Leased::bury_one).await
    }

    async fn give_back(&self, line: &Line) -> Result<(), OutboxError> {
        let mut state = self.state();
        let leased = state.lines.get_mut(&(line.receiver.clone(), line.opening.clone()));
        let leased = leased.filter(|leased| leased.lease == Some(line.lease)).ok_or(OutboxError::Lost)?;
        leased.lease = None;
        leased.due_at = Instant::now();
        Ok(())
    }

    async fn lines(&self, opening: &OpeningId) -> Result<Vec<LineState>, OutboxError> {
        let opening = opening.clone();
        self.blocking(move |own| {
            own.receivers.iter().map(|receiver| own.line_state(&receiver.name, &opening)).collect()
        })
        .await
    }

    async fn redrive(&self, receiver: &str, opening: &OpeningId) -> Result<u64, OutboxError> {
        let (receiver, opening) = (receiver.to_owned(), opening.clone());
        self.blocking(move |own| {
            let dead = own.messages(&receiver, &opening, true, usize::MAX)?;
            let transaction = own.database.begin_write().map_err(away)?;
            {
                let mut table = transaction.open_table(MESSAGES).map_err(away)?;
                for message in &dead {
                    let again =
                        Message { since: Timestamp::now(), attempts: 0, refusals: 0, ..message.clone() };
                    let kept = to_json(&Kept { message: again, dead: false })?;
                    table.insert(key(&receiver, &opening, message.order), kept.as_slice()).map_err(away)?;
                }
            }
            transaction.commit().map_err(away)?;
            let mut state = own.state();
            let leased = state.lines.entry((receiver, opening)).or_default();
            leased.waiting += dead.len() as u64;
            leased.dead = leased.dead.saturating_sub(dead.len() as u64);
            leased.due_at = leased.due_at.min(Instant::now());
            Ok(dead.len() as u64)
        })
        .await
    }
}
