//! Reading queue views from Redis, each answer in one round trip.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ::redis::{AsyncCommands, FromRedisValue, Pipeline, RedisError, ScriptInvocation, ServerErrorKind};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use usher_events::event::TicketState;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::log::Partition;
use usher_events::record::Offset;

use super::super::{DrawView, OpeningStatus, QueueReader, TicketView};
use super::place::parsed;
use super::{RedisQueues, encode, unreadable};
use crate::store::{AsOf, Claim, Place, ViewError};

fn broken(what: &str) -> ViewError {
    ViewError { view: "queue view", reason: format!("Redis: {what}") }
}

/// How far an answer is: the later of the opening's and its partition's place.
struct Reached {
    position: Offset,
    claim: Option<Claim>,
}

impl Reached {
    fn of(partition: &StoredPlace, opening: &StoredPlace) -> Result<Self, ViewError> {
        let later = if opening.position > partition.position { opening } else { partition };
        let place = parsed(later.place.as_deref()).map_err(unreadable)?;
        Ok(Self { position: place.position, claim: place.claim })
    }

    fn with<T>(self, value: T) -> AsOf<T> {
        AsOf { position: self.position, claim: self.claim, value }
    }
}

/// A place as it is stored, not parsed yet.
struct StoredPlace {
    position: Offset,
    place: Option<String>,
}

impl RedisQueues {
    /// Runs a script after reading the partition's place, in one round trip:
    /// in this order the answer has at least what the place says.
    async fn after_place<T: FromRedisValue>(
        &self,
        invocation: &ScriptInvocation<'_>,
        partition: Partition,
    ) -> Result<(StoredPlace, T), ViewError> {
        type Place = (Option<Offset>, Option<String>);
        let mut pipeline = Pipeline::new();
        pipeline.hmget(self.place_key(partition), &["position", "place"]).invoke_script(invocation);
        let mut connection = self.connection.clone();
        let answer: Result<(Place, T), RedisError> = pipeline.query_async(&mut connection).await;
        let ((position, place), value) = match answer {
            // A server that was started anew forgot its scripts.
            Err(error) if is_unknown_script(&error) => {
                invocation.load_async(&mut connection).await.map_err(unreadable)?;
                pipeline.query_async(&mut connection).await.map_err(unreadable)?
            }
            answer => answer.map_err(unreadable)?,
        };
        Ok((StoredPlace { position: position.unwrap_or(0), place }, value))
    }

    async fn read_draw(&self, opening: &OpeningId) -> Result<Option<DrawView>, ViewError> {
        let draw: Option<String> =
            self.connection.clone().hget(self.keys(opening).status, "draw").await.map_err(unreadable)?;
        let draw = draw.map(|draw| serde_json::from_str(&draw)).transpose();
        draw.map_err(|_| broken("a draw is unreadable"))
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ::redis::ErrorKind::Server(ServerErrorKind::NoScript)
        // Inside a pipeline's failure only the text says so.
        || error.to_string().to_ascii_lowercase().contains("noscript")
}

fn field<T: DeserializeOwned + Default>(
    fields: &HashMap<String, String>,
    name: &str,
) -> Result<T, ViewError> {
    let broken = |_| broken(&format!("the status's `{name}` is unreadable"));
    fields.get(name).map_or(Ok(T::default()), |text| serde_json::from_str(text).map_err(broken))
}

fn status(fields: &HashMap<String, String>, outflow: BTreeMap<i64, u32>) -> Result<OpeningStatus, ViewError> {
    let count = |(name, count): (&String, &String)| {
        let letter = *name.strip_prefix("n:")?.as_bytes().first()?;
        Some((encode::state(letter)?, count.parse().ok().filter(|count| *count > 0)?))
    };
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
        counts: fields.iter().filter_map(count).collect(),
        outflow,
    })
}

/// A ticket's part of the script's answer.
type Found = (String, u32, i64, Vec<u8>, Vec<u8>, Vec<u8>);

fn view((state, number, ahead, deadline, from, to): Found) -> Result<TicketView, ViewError> {
    let state = state.bytes().next().and_then(encode::state);
    let state = state.ok_or_else(|| broken("a ticket's state is unknown"))?;
    let timed = matches!(state, TicketState::Admitted | TicketState::Inside);
    Ok(TicketView {
        state,
        number: (number > 0).then_some(number),
        ahead: u32::try_from(ahead).ok(),
        deadline: timed.then(|| encode::deadline(&deadline).unwrap_or_default()),
        moved_from: from.try_into().ok().map(Ticket),
        moved_to: to.try_into().ok().map(Ticket),
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
        type Answer = (HashMap<String, String>, BTreeMap<i64, u32>);
        let keys = self.keys(opening);
        let mut invocation = self.scripts.status.key(keys.status);
        invocation.key(keys.outflow);
        let (place, (mut fields, outflow)): (StoredPlace, Answer) =
            self.after_place(&invocation, partition).await?;
        let own = StoredPlace { position: field(&fields, "position")?, place: fields.remove("place") };
        let value = if own.position > 0 { Some(status(&fields, outflow)?) } else { None };
        Ok(Reached::of(&place, &own)?.with(value))
    }

    async fn ticket(
        &self,
        opening: &OpeningId,
        partition: Partition,
        ticket: &Ticket,
    ) -> Result<AsOf<Option<TicketView>>, ViewError> {
        let keys = self.keys(opening);
        let mut invocation = self.scripts.ticket.key(keys.status);
        invocation.key(keys.tickets).key(keys.present).key(keys.moved_from).key(keys.moved_to);
        invocation.arg(&ticket.0[..]);
        let (place, answer): (StoredPlace, Vec<::redis::Value>) =
            self.after_place(&invocation, partition).await?;
        let unreadable = |_| broken("a ticket's answer is unreadable");
        let mut answer = answer;
        let found = if answer.len() > 2 { Some(answer.split_off(2)) } else { None };
        let (position, own): (Offset, String) =
            ::redis::from_redis_value(::redis::Value::Array(answer)).map_err(unreadable)?;
        let own = StoredPlace { position, place: Some(own) };
        let value = match found {
            Some(found) => {
                let found = ::redis::from_redis_value(::redis::Value::Array(found)).map_err(unreadable)?;
                Some(view(found)?)
            }
            None => None,
        };
        Ok(Reached::of(&place, &own)?.with(value))
    }

    async fn cohort(&self, opening: &OpeningId) -> Result<Arc<[Ticket]>, ViewError> {
        let draw = self.read_draw(opening).await?;
        let count = draw.and_then(|draw| draw.count).unwrap_or(0);
        let list = self.list(&self.keys(opening).cohort, count as usize).await;
        list.map(Arc::from).map_err(unreadable)
    }

    async fn order(&self, opening: &OpeningId) -> Result<Arc<[Ticket]>, ViewError> {
        let draw = self.read_draw(opening).await?;
        let count = draw.filter(|draw| draw.seed.is_some()).and_then(|draw| draw.count).unwrap_or(0);
        let list = self.list(&self.keys(opening).order, count as usize).await;
        list.map(Arc::from).map_err(unreadable)
    }

    async fn reached(&self, partition: Partition) -> Result<Place, ViewError> {
        self.read_place(partition).await.map_err(unreadable)
    }
}
