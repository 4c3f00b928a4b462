//! Large changes: written in chunks where nobody sees them, then shown at once.
//!
//! What is written in advance follows from the log alone and is the same
//! whoever writes it, so that it may be written twice, or by two at once, and
//! what a crash leaves behind is the beginning of the next attempt. Each chunk
//! names the position that the step follows: nobody writes after the step.

use std::collections::HashMap;

use ::redis::AsyncCommands;
use usher_events::draw::drawn_order;
use usher_events::event::BeaconValue;
use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_events::record::Offset;

use super::super::{DrawView, OpeningState, QueueStep};
use super::encode::{self, Field, Group, field};
use super::{Applied, Keys, RedisQueues, away, broken, poison};
use crate::store::{Located, StoreError};

/// Tickets that one script numbers.
const NUMBER_CHUNK: usize = 1_000;
/// Tickets that one scan asks for.
const SCAN_CHUNK: usize = 4_000;
/// Tickets of a list that are written or read at once.
const LIST_CHUNK: usize = 32_768;

/// A ticket with its entry.
type Scanned = (Vec<u8>, Vec<u8>);

/// Ends a large change early: another position is stored.
enum Early {
    Stored(Offset),
    Failed(StoreError),
}

impl From<StoreError> for Early {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Where a large change belongs.
struct Site<'a> {
    opening: &'a OpeningId,
    located: &'a Located,
    follows: Offset,
    keys: Keys,
}

impl RedisQueues {
    pub(super) async fn apply_large(
        &self,
        opening: &OpeningId,
        located: &Located,
        step: QueueStep,
        follows: Offset,
    ) -> Result<Applied, StoreError> {
        let site = Site { opening, located, follows, keys: self.keys(opening) };
        let applied = match step {
            QueueStep::LobbyClosed { cohort_root, count } => {
                self.close_lobby(&site, cohort_root, count).await
            }
            QueueStep::DrawHeld { seed, beacon, order_root } => {
                self.hold_draw(&site, seed, beacon, order_root).await
            }
            QueueStep::Small { .. } => Ok(Applied::Through(follows)),
        };
        match applied {
            Ok(applied) => Ok(applied),
            Err(Early::Stored(stored)) => Ok(Applied::Stored(stored)),
            Err(Early::Failed(error)) => Err(error),
        }
    }

    /// Lists the cohort, then closes the lobby.
    async fn close_lobby(&self, site: &Site<'_>, cohort_root: Hash, count: u32) -> Result<Applied, Early> {
        let mut draw = self.draw(site).await?;
        let cohort = self.lobby(&site.keys).await?;
        if cohort.len() != count as usize {
            let reason = format!("the cohort has {} tickets, not {count}", cohort.len());
            return Err(self.poison_unless_elsewhere(site, reason).await?);
        }
        self.write_list(site, &site.keys.cohort, &cohort).await?;
        draw.cohort_root = Some(cohort_root);
        draw.count = Some(count);
        let state = encoded(site, "state", &OpeningState::Drawing)?;
        let fields = [state, encoded(site, "draw", &draw)?, ("cohort_count", count.to_string())];
        self.finish(site, fields, false).await
    }

    /// Numbers everybody and lists the order, then holds the draw.
    async fn hold_draw(
        &self,
        site: &Site<'_>,
        seed: Hash,
        beacon: Option<BeaconValue>,
        order_root: Hash,
    ) -> Result<Applied, Early> {
        let mut draw = self.draw(site).await?;
        let (Some(root), Some(count)) = (draw.cohort_root, draw.count) else {
            return Err(poison(site.located, "a draw before the lobby closed").into());
        };
        let cohort = self.list(&site.keys.cohort, count as usize).await.map_err(away)?;
        let randomness = beacon.as_ref().map(|value| value.randomness);
        // A million hashes take a second: not on the threads that answer.
        let drawn =
            tokio::task::spawn_blocking(move || drawn_order(&seed, &root, randomness.as_ref(), &cohort));
        let order = drawn.await.map_err(broken)?;
        self.write_list(site, &site.keys.order, &order).await?;
        self.number_all(site, &order).await?;
        draw.seed = Some(seed);
        draw.beacon_value = beacon;
        draw.order_root = Some(order_root);
        self.finish(site, [encoded(site, "draw", &draw)?], true).await
    }

    /// The one step that shows all that was written in advance.
    async fn finish(
        &self,
        site: &Site<'_>,
        fields: impl IntoIterator<Item = Field>,
        drawn: bool,
    ) -> Result<Applied, Early> {
        let mut group = Group::of(site.located);
        group.set(fields);
        if drawn {
            group.show_numbers();
        }
        Ok(self.run_step(site.opening, &group, site.follows).await?)
    }

    /// What was read in several steps may be wrong only because another
    /// projector was faster.
    async fn poison_unless_elsewhere(&self, site: &Site<'_>, reason: String) -> Result<Early, Early> {
        let position: Option<Offset> =
            self.connection.clone().hget(&site.keys.status, "position").await.map_err(away)?;
        Ok(match position.unwrap_or(0) {
            stored if stored == site.follows => poison(site.located, reason).into(),
            stored => Early::Stored(stored),
        })
    }

    /// Gives the drawn numbers, following places that were taken over.
    async fn number_all(&self, site: &Site<'_>, order: &[Ticket]) -> Result<(), Early> {
        let moved: HashMap<Vec<u8>, Vec<u8>> =
            self.connection.clone().hgetall(&site.keys.moved_to).await.map_err(away)?;
        let owner_of = |drawn: &Ticket| {
            let mut owner = moved.get(&drawn.0[..])?;
            while let Some(next) = moved.get(owner) {
                owner = next;
            }
            Some(owner)
        };
        let mut numbered = Vec::with_capacity(order.len());
        for (number, drawn) in (1u32..).zip(order) {
            let owner = owner_of(drawn).and_then(|owner| <[u8; 32]>::try_from(&owner[..]).ok());
            numbered.extend([Some(drawn.0), owner].into_iter().flatten().map(|ticket| (ticket, number)));
        }
        for chunk in numbered.chunks(NUMBER_CHUNK) {
            let mut packed = Vec::with_capacity(chunk.len() * 36);
            for (ticket, number) in chunk {
                packed.extend(ticket);
                packed.extend(number.to_be_bytes());
            }
            let keys = &site.keys;
            let mut invocation = self.scripts.number.key(&keys.status);
            invocation.key(&keys.tickets).key(&keys.present).arg(site.follows).arg(packed);
            let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
            unless_stored(&answer, site)?;
        }
        Ok(())
    }

    /// The tickets without a number that are not final, in ascending order.
    async fn lobby(&self, keys: &Keys) -> Result<Vec<Ticket>, StoreError> {
        let (mut cursor, mut lobby) = (0u64, Vec::new());
        loop {
            let mut scan = ::redis::cmd("HSCAN");
            scan.arg(&keys.tickets).arg(cursor).arg("COUNT").arg(SCAN_CHUNK);
            let (next, found): (u64, Vec<Scanned>) =
                scan.query_async(&mut self.connection.clone()).await.map_err(away)?;
            for (ticket, entry) in found {
                let ticket = ticket.try_into().map_err(|_| broken("a ticket has not 32 bytes"))?;
                let (state, number) =
                    encode::state_and_number(&entry).ok_or_else(|| broken("an entry is unreadable"))?;
                if number == 0 && !state.is_final() {
                    lobby.push(Ticket(ticket));
                }
            }
            cursor = next;
            if cursor == 0 {
                // A scan may name a field twice.
                lobby.sort_unstable();
                lobby.dedup();
                return Ok(lobby);
            }
        }
    }

    async fn write_list(&self, site: &Site<'_>, key: &str, tickets: &[Ticket]) -> Result<(), Early> {
        for (part, chunk) in tickets.chunks(LIST_CHUNK).enumerate() {
            let mut invocation = self.scripts.list.key(&site.keys.status);
            invocation.key(key).arg(site.follows).arg(part * LIST_CHUNK * 32).arg(encode::list(chunk));
            let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
            unless_stored(&answer, site)?;
        }
        Ok(())
    }

    /// The first `count` tickets of a list.
    pub(super) async fn list(&self, key: &str, count: usize) -> ::redis::RedisResult<Vec<Ticket>> {
        let mut tickets = Vec::with_capacity(count);
        while tickets.len() < count {
            let (first, last) = (tickets.len(), count.min(tickets.len() + LIST_CHUNK));
            let range = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
            let bytes: Vec<u8> =
                self.connection.clone().getrange(key, range(first * 32), range(last * 32) - 1).await?;
            let (read, _) = bytes.as_chunks::<32>();
            tickets.extend(read.iter().map(|ticket| Ticket(*ticket)));
            if tickets.len() < last {
                return Err((::redis::ErrorKind::Parse, "a list is shorter than it should be").into());
            }
        }
        Ok(tickets)
    }

    async fn draw(&self, site: &Site<'_>) -> Result<DrawView, StoreError> {
        let draw: Option<String> =
            self.connection.clone().hget(&site.keys.status, "draw").await.map_err(away)?;
        let draw = draw.ok_or_else(|| poison(site.located, "the opening was never scheduled"))?;
        serde_json::from_str(&draw).map_err(broken)
    }
}

/// A chunk's answer: it is written, or something is otherwise than thought.
fn unless_stored(answer: &str, site: &Site<'_>) -> Result<(), Early> {
    match Applied::of(answer, site.located, site.follows)? {
        Applied::Through(_) => Ok(()),
        Applied::Stored(stored) => Err(Early::Stored(stored)),
    }
}

fn encoded(site: &Site<'_>, name: &'static str, value: &impl serde::Serialize) -> Result<Field, StoreError> {
    field(name, value).map_err(|error| poison(site.located, error))
}
