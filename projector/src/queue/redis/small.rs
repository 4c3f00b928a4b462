//! Small changes: many events in one script.

use ::redis::AsyncCommands;
use usher_events::ids::OpeningId;
use usher_events::record::Offset;

use super::super::QueueStep;
use super::encode::{Group, Joining};
use super::{Applied, Keys, RedisQueues, away, broken, poison};
use crate::store::{Located, StoreError};

/// What the script of joins answers when it cannot tell what they change.
const MIXED: &str = "MIXED";

impl RedisQueues {
    /// Applies those events that are not before `position`.
    pub(super) async fn apply_from(
        &self,
        opening: &OpeningId,
        events: &[&Located],
        mut position: Offset,
    ) -> Result<Applied, StoreError> {
        let first = events.partition_point(|located| located.offset < position);
        let mut group: Option<Group<'_>> = None;
        for located in &events[first..] {
            let Some(step) = QueueStep::of(located) else { continue };
            let large = !matches!(step, QueueStep::Small { .. });
            if let Some(full) = group.take_if(|group| large || group.is_full()) {
                match self.apply_group(opening, &full, position).await? {
                    Applied::Through(through) => position = through,
                    stored @ Applied::Stored(_) => return Ok(stored),
                }
            }
            if large {
                match self.apply_large(opening, located, step, position).await? {
                    Applied::Through(through) => position = through,
                    stored @ Applied::Stored(_) => return Ok(stored),
                }
                continue;
            }
            match &mut group {
                Some(group) => group.events.push(located),
                None => group = Some(Group::of(located)),
            }
            if let Some(group) = &mut group {
                group.add(step).map_err(|error| poison(located, error))?;
            }
        }
        match group {
            Some(group) => self.apply_group(opening, &group, position).await,
            None => Ok(Applied::Through(position)),
        }
    }

    /// Applies a group; when something in it is poison, one event after the
    /// other up to that one.
    async fn apply_group(
        &self,
        opening: &OpeningId,
        group: &Group<'_>,
        follows: Offset,
    ) -> Result<Applied, StoreError> {
        match self.run_step(opening, group, follows).await {
            Err(StoreError::Poison { .. }) if group.events.len() > 1 => {
                let mut position = follows;
                for located in &group.events {
                    let mut single = Group::of(located);
                    let step = QueueStep::of(located).ok_or_else(|| broken("a step that is none"))?;
                    single.add(step).map_err(|error| poison(located, error))?;
                    match self.run_step(opening, &single, position).await? {
                        Applied::Through(through) => position = through,
                        stored @ Applied::Stored(_) => return Ok(stored),
                    }
                }
                Ok(Applied::Through(position))
            }
            other => other,
        }
    }

    /// Runs the step's script.
    pub(super) async fn run_step(
        &self,
        opening: &OpeningId,
        group: &Group<'_>,
        follows: Offset,
    ) -> Result<Applied, StoreError> {
        let (Some(first), Some(last)) = (group.events.first(), group.events.last()) else {
            return Ok(Applied::Through(follows));
        };
        if group.begins {
            // Beside the step, as it is not the opening's own key; twice is once.
            let added = self.connection.clone().sadd(self.openings_key(), opening.as_str()).await;
            let () = added.map_err(away)?;
        }
        let (keys, after) = (self.keys(opening), last.after());
        let place = serde_json::to_string(&after).map_err(broken)?;
        if let Some(joins) = group.joins() {
            let answer = self.run_joins(&keys, follows, after.position, &place, &joins).await?;
            if answer != MIXED {
                return Applied::of(&answer, first, after.position);
            }
        }
        let mut invocation = self.scripts.step.prepare_invoke();
        for key in [keys.status, keys.tickets, keys.present, keys.moved_from, keys.moved_to, keys.outflow] {
            invocation.key(key);
        }
        invocation.arg(follows).arg(after.position).arg(place).arg(u8::from(group.begins));
        invocation.arg(&group.packed[..]);
        for argument in &group.arguments {
            invocation.arg(argument);
        }
        let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
        Applied::of(&answer, first, after.position)
    }

    /// Runs the script of a step that is joins and nothing else.
    async fn run_joins(
        &self,
        keys: &Keys,
        follows: Offset,
        position: Offset,
        place: &str,
        joins: &[Joining<'_>],
    ) -> Result<String, StoreError> {
        let least = joins.iter().map(|join| join.number).min().unwrap_or(0);
        let mut invocation = self.scripts.join.prepare_invoke();
        invocation.key(&keys.status).key(&keys.tickets).key(&keys.present);
        invocation.arg(follows).arg(position).arg(place).arg(least).arg(joins.len());
        for join in joins {
            invocation.arg(join.ticket).arg(&join.entry);
        }
        for join in joins.iter().filter(|join| join.number > 0) {
            invocation.arg(join.number).arg(&join.entry[2..]);
        }
        invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)
    }
}
