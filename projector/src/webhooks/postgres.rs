//! The outbox in Postgres, for any number of couriers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Postgres, Row, Transaction};
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::PROJECTION;
use super::message::{Message, Order, addressed};
use super::outbox::{Failure, Line, LineState, Outbox, OutboxError};
use super::receiver::Receiver;
use crate::places::{Places, signed, unsigned};
use crate::store::{Batch, Located};
use crate::tables::{Fault, Tables};

/// The outbox in Postgres. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresOutbox {
    places: Places,
    receivers: Arc<Vec<Receiver>>,
    /// Since when each receiver is known.
    known: Arc<RwLock<HashMap<String, Timestamp>>>,
}

fn away(error: sqlx::Error) -> OutboxError {
    OutboxError::Unavailable(format!("Postgres: {error}"))
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// A value as its JSON name, and back.
fn name(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}

fn named<T: DeserializeOwned>(name: String) -> Result<T, sqlx::Error> {
    serde_json::from_value(Value::String(name)).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn message(row: &PgRow) -> Result<Message, sqlx::Error> {
    let number = |value: i32| u32::try_from(value).unwrap_or_default();
    Ok(Message {
        order: Order { offset: unsigned(row.try_get("at_offset")?), part: number(row.try_get("part")?) },
        id: row.try_get("id")?,
        kind: named(row.try_get("kind")?)?,
        body: row.try_get("body")?,
        since: Timestamp(row.try_get("since")?),
        attempts: number(row.try_get("attempts")?),
        refusals: number(row.try_get("refusals")?),
        fault: row.try_get("fault")?,
    })
}

impl PostgresOutbox {
    /// The outbox in the database of `pool`, whose tables are there, for what
    /// these receivers are to be told.
    pub fn new(pool: PgPool, receivers: Arc<Vec<Receiver>>) -> Self {
        Self { places: Places { pool, projection: PROJECTION }, receivers, known: Arc::default() }
    }

    /// Locks a line for whoever has its lease.
    async fn begin(&self, line: &Line) -> Result<Transaction<'static, Postgres>, OutboxError> {
        let mut transaction = self.places.pool.begin().await.map_err(away)?;
        let lock = sqlx::query(
            "SELECT FROM usher_webhooks.lines WHERE receiver = $1 AND opening = $2 AND lease = $3 FOR UPDATE",
        );
        let lock = lock.bind(&line.receiver).bind(line.opening.as_str()).bind(line.lease);
        let locked = lock.fetch_optional(&mut *transaction).await.map_err(away)?;
        locked.map(|_| transaction).ok_or(OutboxError::Lost)
    }

    /// Keeps a failure with its message.
    async fn note(
        transaction: &mut PgConnection,
        line: &Line,
        message: &Message,
        failure: &Failure,
        dead: bool,
    ) -> Result<(), OutboxError> {
        let update = sqlx::query(
            "UPDATE usher_webhooks.messages
             SET attempts = attempts + 1, refusals = refusals + $5::int, fault = $6,
                 died_at = CASE WHEN $7 THEN now() END
             WHERE receiver = $1 AND opening = $2 AND at_offset = $3 AND part = $4",
        );
        let update = update
            .bind(&line.receiver)
            .bind(line.opening.as_str())
            .bind(signed(message.order.offset))
            .bind(message.order.part.cast_signed())
            .bind(i32::from(failure.refused))
            .bind(&failure.fault)
            .bind(dead);
        update.execute(transaction).await.map(drop).map_err(away)
    }

    async fn extend(
        mut transaction: Transaction<'static, Postgres>,
        line: &Line,
        lease: Duration,
    ) -> Result<(), OutboxError> {
        let update = sqlx::query(
            "UPDATE usher_webhooks.lines SET leased_until = now() + make_interval(secs => $3)
             WHERE receiver = $1 AND opening = $2",
        );
        let update = update.bind(&line.receiver).bind(line.opening.as_str()).bind(seconds(lease));
        update.execute(&mut *transaction).await.map_err(away)?;
        transaction.commit().await.map_err(away)
    }

    async fn end_lease(
        mut transaction: Transaction<'static, Postgres>,
        line: &Line,
        again_in: Duration,
    ) -> Result<(), OutboxError> {
        let update = sqlx::query(
            "UPDATE usher_webhooks.lines
             SET lease = NULL, leased_until = NULL, due_at = now() + make_interval(secs => $3)
             WHERE receiver = $1 AND opening = $2",
        );
        let update = update.bind(&line.receiver).bind(line.opening.as_str()).bind(seconds(again_in));
        update.execute(&mut *transaction).await.map_err(away)?;
        transaction.commit().await.map_err(away)
    }

    async fn messages(
        &self,
        receiver: &str,
        opening: &OpeningId,
        dead: bool,
        most: usize,
    ) -> Result<Vec<Message>, OutboxError> {
        let query = sqlx::query(
            "SELECT * FROM usher_webhooks.messages
             WHERE receiver = $1 AND opening = $2 AND (died_at IS NOT NULL) = $3
             ORDER BY at_offset, part LIMIT $4",
        );
        let query = query.bind(receiver).bind(opening.as_str()).bind(dead).bind(most as i64);
        let rows = query.fetch_all(&self.places.pool).await.map_err(away)?;
        rows.iter().map(message).collect::<Result<_, _>>().map_err(away)
    }
}

#[async_trait]
impl Tables for PostgresOutbox {
    fn places(&self) -> &Places {
        &self.places
    }

    async fn write(&self, connection: &mut PgConnection, batch: &Batch) -> Result<(), Fault> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_known = |receiver: &str, located: &Located| {
            known.get(receiver).is_some_and(|since| located.event.at() >= *since)
        };
        let (mut receivers, mut openings, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut parts, mut ids, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bodies, mut times) = (Vec::new(), Vec::new());
        for told in addressed(&self.receivers, &batch.events, is_known) {
            receivers.push(told.receiver);
            openings.push(told.opening.as_str().to_owned());
            offsets.push(signed(told.message.order.offset));
            parts.push(told.message.order.part.cast_signed());
            ids.push(told.message.id);
            kinds.push(name(&told.message.kind)?);
            bodies.push(told.message.body);
            times.push(told.message.since.0);
        }
        if ids.is_empty() {
            return Ok(());
        }
        let lines = sqlx::query(
            "INSERT INTO usher_webhooks.lines (receiver, opening)
             SELECT DISTINCT * FROM UNNEST($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
        );
        lines.bind(&receivers).bind(&openings).execute(&mut *connection).await?;
        // Views that are made again, with this projection's place among them,
        // do not tell anybody anything again.
        let insert = sqlx::query(
            "INSERT INTO usher_webhooks.messages (receiver, opening, at_offset, part, id, kind, body, since)
             SELECT told.* FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::int[],
                                       $5::text[], $6::text[], $7::text[], $8::bigint[])
                  AS told (receiver, opening, at_offset, part, id, kind, body, since)
             JOIN usher_webhooks.lines USING (receiver, opening)
             WHERE told.at_offset > lines.written_to",
        );
        let insert = insert.bind(&receivers).bind(&openings).bind(&offsets).bind(&parts);
        insert.bind(&ids).bind(&kinds).bind(&bodies).bind(&times).execute(&mut *connection).await?;
        let written = sqlx::query(
            "UPDATE usher_webhooks.lines SET written_to = greatest(written_to, told.last)
             FROM (SELECT receiver, opening, max(at_offset) AS last
                   FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS told (receiver, opening, at_offset)
                   GROUP BY receiver, opening) AS told
             WHERE lines.receiver = told.receiver AND lines.opening = told.opening",
        );
        written.bind(&receivers).bind(&openings).bind(&offsets).execute(connection).await?;
        Ok(())
    }
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn know(&self, receivers: &[String]) -> Result<(), OutboxError> {
        let insert = sqlx::query(
            "INSERT INTO usher_webhooks.receivers (name, since) SELECT name, $2 FROM UNNEST($1::text[]) name
             ON CONFLICT DO NOTHING",
        );
        let insert = insert.bind(receivers).bind(Timestamp::now().0);
        insert.execute(&self.places.pool).await.map_err(away)?;
        let rows = sqlx::query("SELECT name, since FROM usher_webhooks.receivers");
        let rows = rows.fetch_all(&self.places.pool).await.map_err(away)?;
        let since = |row: &PgRow| Ok((row.try_get("name")?, Timestamp(row.try_get("since")?)));
        let known: Result<_, sqlx::Error> = rows.iter().map(since).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.map_err(away)?;
        Ok(())
    }

    async fn take(&self, receiver: &str, most: usize, lease: Duration) -> Result<Vec<Line>, OutboxError> {
        let token = Uuid::new_v4();
        let update = sqlx::query(
            "UPDATE usher_webhooks.lines SET lease = $3, leased_until = now() + make_interval(secs => $4)
             WHERE receiver = $1 AND opening IN (
                 SELECT opening FROM usher_webhooks.lines due
                 WHERE receiver = $1 AND due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
                 AND EXISTS (SELECT FROM usher_webhooks.messages waiting
                             WHERE waiting.receiver = due.receiver AND waiting.opening = due.opening
                             AND waiting.died_at IS NULL)
                 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
             RETURNING opening",
        );
        let update = update.bind(receiver).bind(most as i64).bind(token).bind(seconds(lease));
        let rows = update.fetch_all(&self.places.pool).await.map_err(away)?;
        let line = |row: &PgRow| -> Result<Line, sqlx::Error> {
            let opening = named(row.try_get("opening")?)?;
            Ok(Line { receiver: receiver.to_owned(), opening, lease: token })
        };
        rows.iter().map(line).collect::<Result<_, _>>().map_err(away)
    }

    async fn next(&self, line: &Line, most: usize) -> Result<Vec<Message>, OutboxError> {
        self.messages(&line.receiver, &line.opening, false, most).await
    }

    async fn delivered(&self, line: &Line, message: &Message, lease: Duration) -> Result<(), OutboxError> {
        let mut transaction = self.begin(line).await?;
        let delete = sqlx::query(
            "DELETE FROM usher_webhooks.messages
             WHERE receiver = $1 AND opening = $2 AND at_offset = $3 AND part = $4",
        );
        let delete = delete
            .bind(&line.receiver)
            .bind(line.opening.as_str())
            .bind(signed(message.order.offset))
            .bind(message.order.part.cast_signed());
        delete.execute(&mut *transaction).await.map_err(away)?;
        Self::extend(transaction, line, lease).await
    }

    async fn failed(
        &self,
        line: &Line,
        message: &Message,
        failure: &Failure,
        again_in: Duration,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.begin(line).await?;
        Self::note(&mut transaction, line, message, failure, false).await?;
        Self::end_lease(transaction, line, again_in).await
    }

    async fn bury(
        &self,
        line: &Line,
        message: &Message,
        failure: &Failure,
        lease: Duration,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.begin(line).await?;
        Self::note(&mut transaction, line, message, failure, true).await?;
        Self::extend(transaction, line, lease).await
    }

    async fn give_back(&self, line: &Line) -> Result<(), OutboxError> {
        let transaction = self.begin(line).await?;
        Self::end_lease(transaction, line, Duration::ZERO).await
    }

    async fn lines(&self, opening: &OpeningId) -> Result<Vec<LineState>, OutboxError> {
        let query = sqlx::query(
            "SELECT receiver, count(*) FILTER (WHERE died_at IS NULL) AS waiting,
                    count(*) FILTER (WHERE died_at IS NOT NULL) AS dead
             FROM usher_webhooks.messages WHERE opening = $1 GROUP BY receiver",
        );
        let rows = query.bind(opening.as_str()).fetch_all(&self.places.pool).await.map_err(away)?;
        let counts = |row: &PgRow| -> Result<(String, (u64, u64)), sqlx::Error> {
            Ok((
                row.try_get("receiver")?,
                (unsigned(row.try_get("waiting")?), unsigned(row.try_get("dead")?)),
            ))
        };
        let counts: Result<HashMap<_, _>, _> = rows.iter().map(counts).collect();
        let counts = counts.map_err(away)?;
        let mut lines = Vec::with_capacity(self.receivers.len());
        for Receiver { name, .. } in &*self.receivers {
            let (waiting, dead_count) = counts.get(name).copied().unwrap_or_default();
            let next = self.messages(name, opening, false, 1).await?.pop();
            let dead = self.messages(name, opening, true, LineState::DEAD_LISTED).await?;
            lines.push(LineState { receiver: name.clone(), waiting, next, dead, dead_count });
        }
        Ok(lines)
    }

    async fn redrive(&self, receiver: &str, opening: &OpeningId) -> Result<u64, OutboxError> {
        let mut transaction = self.places.pool.begin().await.map_err(away)?;
        let revive = sqlx::query(
            "UPDATE usher_webhooks.messages SET died_at = NULL, since = $3, attempts = 0, refusals = 0
             WHERE receiver = $1 AND opening = $2 AND died_at IS NOT NULL",
        );
        let revive = revive.bind(receiver).bind(opening.as_str()).bind(Timestamp::now().0);
        let revived = revive.execute(&mut *transaction).await.map_err(away)?.rows_affected();
        let due = sqlx::query(
            "UPDATE usher_webhooks.lines SET due_at = now() WHERE receiver = $1 AND opening = $2 AND due_at > now()",
        );
        due.bind(receiver).bind(opening.as_str()).execute(&mut *transaction).await.map_err(away)?;
        transaction.commit().await.map_err(away)?;
        Ok(revived)
    }
}
