//! Large changes: built in chunks where nobody sees them, then shown at once.

use std::collections::HashMap;

use ::redis::{AsyncCommands, Pipeline, RedisResult};
use usher_events::draw::drawn_order;
use usher_events::event::{BeaconValue, TicketState};
use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_events::record::Offset;

use super::super::{DrawView, OpeningState, QueueStep, resting};
use super::encode::{Entry, letter};
use super::{Applied, RedisQueues, away, poison};
use crate::store::{Located, StoreError};

/// Tickets in one chunk.
const CHUNK: usize = 4_096;

/// The fields of the status that a large change sets.
type Fields = Vec<(&'static str, String)>;

impl RedisQueues {
    pub(super) async fn apply_large(
        &self,
        opening: &OpeningId,
        located: &Located,
        step: QueueStep,
        follows: Offset,
    ) -> Result<Applied, StoreError> {
        let stored = self.stored(opening).await?;
        if stored != follows {
            return Ok(Applied::Stored(stored));
        }
        // Two projectors may build at once: each builds its own.
        let built = format!("{}-{:016x}", located.offset, unique());
        let key = self.key(opening);
        self.connection.clone().sadd::<_, _, ()>(format!("{key}:built"), &built).await.map_err(away)?;
        let (generation, fields) = match step {
            QueueStep::LobbyClosed { cohort_root, count } => {
                let fields = self.close_lobby(located, &key, &built, cohort_root, count).await?;
                ("", fields)
            }
            QueueStep::DrawHeld { seed, beacon, order_root } => {
                let fields = self.hold_draw(located, &key, &built, seed, beacon, order_root).await?;
                (built.as_str(), fields)
            }
            QueueStep::Small { .. } => return Ok(Applied::Through(follows)),
        };
        let to = located.offset + 1;
        let mut invocation = self.scripts.flip.key(&key);
        invocation.arg(follows).arg(to).arg(generation);
        for (field, value) in fields {
            invocation.arg(field).arg(value);
        }
        let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
        Applied::of(&answer, to).ok_or_else(|| poison(located, answer))
    }

    /// Writes the cohort down; its list is named in the status afterwards.
    async fn close_lobby(
        &self,
        located: &Located,
        key: &str,
        built: &str,
        cohort_root: Hash,
        count: u32,
    ) -> Result<Fields, StoreError> {
        let mut draw = self.draw(located, key).await?;
        let tickets = self.all_tickets(key).await.map_err(away)?;
        let in_lobby = |entry: &Entry| entry.number.is_none() && !entry.state.is_final();
        let mut cohort: Vec<Ticket> =
            tickets.iter().filter(|(_, entry)| in_lobby(entry)).map(|(ticket, _)| *ticket).collect();
        cohort.sort_unstable();
        if cohort.len() != count as usize {
            return Err(poison(located, format!("the cohort has {} tickets, not {count}", cohort.len())));
        }
        self.write_list(key, built, &cohort).await.map_err(away)?;
        draw.cohort_root = Some(cohort_root);
        draw.count = Some(count);
        let fields = [
            ("state", json(&OpeningState::Drawing)),
            ("draw", json(&draw)),
            ("cohort", Ok(built.to_owned())),
        ];
        filled(located, fields)
    }

    /// Numbers everybody in a new generation; the order is its list.
    async fn hold_draw(
        &self,
        located: &Located,
        key: &str,
        built: &str,
        seed: Hash,
        beacon: Option<BeaconValue>,
        order_root: Hash,
    ) -> Result<Fields, StoreError> {
        let mut draw = self.draw(located, key).await?;
        let root =
            draw.cohort_root.ok_or_else(|| poison(located, "a draw before the lobby closed".to_owned()))?;
        let cohort = self.list(key, "cohort").await.map_err(away)?;
        let randomness = beacon.as_ref().map(|value| value.randomness);
        // A million hashes take a second: not on the threads that answer.
        let drawn =
            tokio::task::spawn_blocking(move || drawn_order(&seed, &root, randomness.as_ref(), &cohort));
        let order = drawn.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.write_list(key, built, &order).await.map_err(away)?;
        self.number_all(key, built, &order).await.map_err(away)?;
        draw.seed = Some(seed);
        draw.beacon_value = beacon;
        draw.order_root = Some(order_root);
        filled(located, [("draw", json(&draw)), ("order", Ok(built.to_owned()))])
    }

    async fn number_all(&self, key: &str, built: &str, order: &[Ticket]) -> RedisResult<()> {
        let mut tickets: HashMap<Ticket, Entry> = self.all_tickets(key).await?.into_iter().collect();
        let moved: HashMap<Vec<u8>, Vec<u8>> =
            self.connection.clone().hgetall(format!("{key}:moved")).await?;
        let moved_to: HashMap<Vec<u8>, Vec<u8>> = moved.into_iter().map(|(to, from)| (from, to)).collect();
        for (number, drawn) in (1..).zip(order) {
            let mut owner = drawn.0.to_vec();
            while let Some(next) = moved_to.get(&owner) {
                owner.clone_from(next);
            }
            let owner = owner.try_into().map_or(*drawn, Ticket);
            for ticket in [*drawn, owner] {
                if let Some(entry) = tickets.get_mut(&ticket) {
                    entry.number = Some(number);
                    entry.state = resting(entry.state, number);
                }
            }
        }
        let mut counts: HashMap<&'static str, u32> = HashMap::new();
        let all: Vec<(Ticket, Entry)> = tickets.into_iter().collect();
        for chunk in all.chunks(CHUNK) {
            let mut pipeline = Pipeline::new();
            let mut hash = ::redis::cmd("HSET");
            hash.arg(format!("{key}:t:{built}"));
            let mut line = ::redis::cmd("ZADD");
            line.arg(format!("{key}:w:{built}"));
            let mut waiting = 0;
            for (ticket, entry) in chunk {
                hash.arg(&ticket.0[..]).arg(entry.write());
                *counts.entry(letter(entry.state)).or_default() += 1;
                if let (TicketState::Waiting, Some(number)) = (entry.state, entry.number) {
                    line.arg(number).arg(&ticket.0[..]);
                    waiting += 1;
                }
            }
            pipeline.add_command(hash).ignore();
            if waiting > 0 {
                pipeline.add_command(line).ignore();
            }
            pipeline.query_async::<()>(&mut self.connection.clone()).await?;
        }
        let counts: Vec<(&str, u32)> = counts.into_iter().collect();
        if counts.is_empty() {
            return Ok(());
        }
        self.connection.clone().hset_multiple(format!("{key}:c:{built}"), &counts).await
    }

    /// Every ticket of the generation that is seen now.
    async fn all_tickets(&self, key: &str) -> RedisResult<Vec<(Ticket, Entry)>> {
        let generation: Option<String> = self.connection.clone().hget(key, "gen").await?;
        let tickets = format!("{key}:t:{}", generation.as_deref().unwrap_or("0"));
        let (mut cursor, mut all) = (0u64, Vec::new());
        loop {
            let mut scan = ::redis::cmd("HSCAN");
            scan.arg(&tickets).arg(cursor).arg("COUNT").arg(CHUNK);
            let (next, found): (u64, Vec<(Vec<u8>, String)>) =
                scan.query_async(&mut self.connection.clone()).await?;
            for (ticket, entry) in found {
                if let (Ok(ticket), Some(entry)) = (ticket.try_into(), Entry::parse(&entry)) {
                    all.push((Ticket(ticket), entry));
                }
            }
            cursor = next;
            if cursor == 0 {
                // A scan may name a field twice; nothing changes meanwhile.
                all.sort_unstable_by_key(|(ticket, _)| *ticket);
                all.dedup_by_key(|(ticket, _)| *ticket);
                return Ok(all);
            }
        }
    }

    /// Writes tickets as one string of 32 bytes each.
    async fn write_list(&self, key: &str, built: &str, tickets: &[Ticket]) -> RedisResult<()> {
        let list = format!("{key}:l:{built}");
        for chunk in tickets.chunks(CHUNK * 8) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|ticket| ticket.0).collect();
            self.connection.clone().append::<_, _, ()>(&list, bytes).await?;
        }
        Ok(())
    }

    /// The list that the status names in `field`.
    pub(super) async fn list(&self, key: &str, field: &str) -> RedisResult<Vec<Ticket>> {
        let mut connection = self.connection.clone();
        let Some(built): Option<String> = connection.hget(key, field).await? else { return Ok(Vec::new()) };
        let bytes: Vec<u8> =
            connection.get::<_, Option<Vec<u8>>>(format!("{key}:l:{built}")).await?.unwrap_or_default();
        let (tickets, _) = bytes.as_chunks::<32>();
        Ok(tickets.iter().map(|ticket| Ticket(*ticket)).collect())
    }

    async fn draw(&self, located: &Located, key: &str) -> Result<DrawView, StoreError> {
        let draw: Option<String> = self.connection.clone().hget(key, "draw").await.map_err(away)?;
        let draw = draw.ok_or_else(|| poison(located, "the opening was never scheduled".to_owned()))?;
        serde_json::from_str(&draw).map_err(|error| poison(located, error.to_string()))
    }
}

fn json<T: serde::Serialize>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

fn filled<const N: usize>(
    located: &Located,
    fields: [(&'static str, serde_json::Result<String>); N],
) -> Result<Fields, StoreError> {
    let filled = fields.into_iter().map(|(field, value)| value.map(|value| (field, value)));
    filled.collect::<serde_json::Result<_>>().map_err(|error| poison(located, error.to_string()))
}

/// A number that no other builder has.
fn unique() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}
