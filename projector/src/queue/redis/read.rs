//! Reading queue views from Redis, each answer in one script.

use std::collections::{BTreeMap, HashMap};

use ::redis::{AsyncCommands, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::log::Partition;
use usher_events::record::Offset;

use super::super::{OpeningStatus, QueueReader, TicketView};
use super::encode::{self, Entry};
use super::{RedisQueues, unreadable};
use crate::store::{AsOf, Place, ViewError};

fn broken(what: &str) -> ViewError {
    ViewError { view: "queue view", reason: format!("Redis: {what}") }
}

fn parsed(text: Option<String>) -> RedisResult<Place> {
    let broken = |_| RedisError::from((::redis::ErrorKind::Parse, "the place is unreadable"));
    text.map_or(Ok(Place::default()), |text| serde_json::from_str(&text).map_err(broken))
}

impl RedisQueues {
    pub(super) async fn read_place(&self, partition: Partition) -> RedisResult<Place> {
        parsed(self.connection.clone().hget(self.place_key(partition), "place").await?)
    }

    /// Runs a script for `opening` and reads the partition's place, in one
    /// round trip. The position is the later of both: the place may lag.
    async fn with_place<T: FromRedisValue>(
        &self,
        script: &::redis::Script,
        opening: &OpeningId,
        partition: Partition,
        argument: &[u8],
    ) -> Result<(Place, T), ViewError> {
        let mut invocation = script.key(self.key(opening));
        invocation.arg(argument);
        for again in [true, false] {
            let mut pipeline = Pipeline::new();
            pipeline.hget(self.place_key(partition), "place").invoke_script(&invocation);
            match pipeline.query_async(&mut self.connection.clone()).await {
                Ok((place, value)) => return Ok((parsed(place).map_err(unreadable)?, value)),
                Err(error) if again && is_unknown_script(&error) => {
                    invocation.load_async(&mut self.connection.clone()).await.map_err(unreadable)?;
                }
                Err(error) => return Err(unreadable(error)),
            }
        }
        Err(broken("the script is not kept"))
    }
}

fn field<T: DeserializeOwned + Default>(
    fields: &HashMap<String, String>,
    name: &str,
) -> Result<T, ViewError> {
    let broken = |_| broken(&format!("the status's `{name}` is unreadable"));
    fields.get(name).map_or(Ok(T::default()), |text| serde_json::from_str(text).map_err(broken))
}

fn status(
    fields: &HashMap<String, String>,
    counts: &HashMap<String, u32>,
    outflow: BTreeMap<i64, u32>,
) -> Result<OpeningStatus, ViewError> {
    let counts = counts.iter().filter_map(|(letter, count)| Some((encode::state(letter)?, *count)));
    Ok(OpeningStatus {
        title: field(fields, "title")?,
        state: field(fields, "state")?,
        opens_at: field(fields, "opens_at")?,
        drains_at: field(fields, "drains_at")?,
        closes_at: field(fields, "closes_at")?,
        policy: field(fields, "policy")?,
        message: field(fields, "message")?,
        serving_number: field(fields, "serving_number")?,
        draw: field(fields, "draw")?,
        counts: counts.collect(),
        outflow,
    })
}

#[async_trait]
impl QueueReader for RedisQueues {
    async fn openings(&self) -> Result<Vec<OpeningId>, ViewError> {
        let names: Vec<String> =
            self.connection.clone().smembers(self.openings_key()).await.map_err(unreadable)?;
        let mut openings: Vec<OpeningId> =
            names.iter().filter_map(|name| OpeningId::new(name).ok()).collect();
        openings.sort_unstable();
        Ok(openings)
    }

    async fn status(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Option<OpeningStatus>>, ViewError> {
        type Answer = (HashMap<String, String>, HashMap<String, u32>, BTreeMap<i64, u32>);
        let (place, (fields, counts, outflow)): (Place, Answer) =
            self.with_place(&self.scripts.status, opening, partition, &[]).await?;
        let position: Offset = field(&fields, "position")?;
        let value =
            if fields.contains_key("title") { Some(status(&fields, &counts, outflow)?) } else { None };
        Ok(AsOf { position: position.max(place.position), claim: place.claim, value })
    }

    async fn ticket(
        &self,
        opening: &OpeningId,
        partition: Partition,
        ticket: &Ticket,
    ) -> Result<AsOf<Option<TicketView>>, ViewError> {
        let (place, answer): (Place, Vec<Value>) =
            self.with_place(&self.scripts.ticket, opening, partition, &ticket.0).await?;
        let mut answer = answer.into_iter();
        let position: Offset =
            answer.next().and_then(|value| ::redis::from_redis_value(value).ok()).unwrap_or(0);
        let position = position.max(place.position);
        let Some(entry) = answer.next() else {
            return Ok(AsOf { position, claim: place.claim, value: None });
        };
        let entry: String = ::redis::from_redis_value(entry).map_err(|_| broken("a ticket is unreadable"))?;
        let entry = Entry::parse(&entry).ok_or_else(|| broken("a ticket is unreadable"))?;
        let ahead: i64 = answer.next().and_then(|value| ::redis::from_redis_value(value).ok()).unwrap_or(-1);
        let from: Vec<u8> =
            answer.next().and_then(|value| ::redis::from_redis_value(value).ok()).unwrap_or_default();
        let timed = matches!(
            entry.state,
            usher_events::event::TicketState::Admitted | usher_events::event::TicketState::Inside
        );
        let value = Some(TicketView {
            state: entry.state,
            number: entry.number,
            ahead: u32::try_from(ahead).ok(),
            deadline: entry.deadline.filter(|_| timed),
            moved_from: from.try_into().ok().map(Ticket),
            moved_to: None,
        });
        Ok(AsOf { position, claim: place.claim, value })
    }

    async fn cohort(&self, opening: &OpeningId) -> Result<Vec<Ticket>, ViewError> {
        self.list(&self.key(opening), "cohort").await.map_err(unreadable)
    }

    async fn order(&self, opening: &OpeningId) -> Result<Vec<Ticket>, ViewError> {
        self.list(&self.key(opening), "order").await.map_err(unreadable)
    }

    async fn reached(&self, partition: Partition) -> Result<Place, ViewError> {
        self.read_place(partition).await.map_err(unreadable)
    }
}

/// Whether the server does not keep the script; inside a pipeline's failure
/// only the text says so.
fn is_unknown_script(error: &RedisError) -> bool {
    error.to_string().to_ascii_lowercase().contains("noscript")
}
