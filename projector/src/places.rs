//! Places, stops and acts of projections in Postgres.

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{Postgres, Row, Transaction};
use std::time::Duration;
use usher_events::log::Partition;
use usher_events::tenure::Cursor;
use usher_events::time::Timestamp;

use crate::store::{ACTS_LISTED, Act, Batch, Claim, Place, Skip, Stop, StoreError, ViewError};

/// The tables, made by `usher migrate`.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// Makes the tables of the views, or brings them up to date. Several at once
/// are fine: they wait for each other.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATIONS.run(pool).await
}

/// A pool of at most `connections` to the database at `url`; connects when
/// it is needed. No statement takes longer than half a minute, and no
/// transaction is left open for longer than a minute.
pub fn pool(url: &str, connections: u32) -> Result<PgPool, sqlx::Error> {
    let limits = [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "60s")];
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(5));
    Ok(pool.connect_lazy_with(options.options(limits)))
}

pub(crate) fn away(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(format!("Postgres: {error}"))
}

pub(crate) fn unreadable(error: sqlx::Error) -> ViewError {
    ViewError { view: "booking view", reason: format!("Postgres: {error}") }
}

/// 64 bits without a sign as the database keeps them.
pub(crate) fn signed(value: u64) -> i64 {
    value.cast_signed()
}

pub(crate) fn unsigned(value: i64) -> u64 {
    value.cast_unsigned()
}

/// A projection's places in Postgres.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) pool: PgPool,
    pub(crate) projection: &'static str,
}

fn place(row: &PgRow) -> Result<Place, sqlx::Error> {
    let claim_offset: Option<i64> = row.try_get("claim_offset")?;
    let claim_at: Option<i64> = row.try_get("claim_at")?;
    let claim = claim_offset.zip(claim_at);
    Ok(Place {
        position: unsigned(row.try_get("position")?),
        cursor: Cursor {
            tenure: unsigned(row.try_get("tenure")?),
            n: unsigned(row.try_get("n")?),
            open: row.try_get("open")?,
            ..Cursor::default()
        },
        claim: claim.map(|(offset, at)| Claim { offset: unsigned(offset), at: Timestamp(at) }),
    })
}

fn number(partition: Partition) -> i32 {
    partition.cast_signed()
}

impl Places {
    pub(crate) async fn get(&self, partition: Partition) -> Result<Place, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM places WHERE projection = $1 AND partition = $2");
        let row = query.bind(self.projection).bind(number(partition)).fetch_optional(&self.pool).await?;
        row.as_ref().map_or(Ok(Place::default()), place)
    }

    /// Begins a step: moves the place, which also locks it, or refuses.
    pub(crate) async fn begin(&self, batch: &Batch) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(away)?;
        if batch.follows.position == 0 {
            let insert = "INSERT INTO places (projection, partition, position) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert).bind(self.projection).bind(number(batch.partition));
            insert.execute(&mut *transaction).await.map_err(away)?;
        }
        let update = sqlx::query(
            "UPDATE places SET position = $4, tenure = $5, n = $6, open = $7, claim_offset = $8, claim_at = $9
             WHERE projection = $1 AND partition = $2 AND position = $3",
        );
        let to = &batch.to;
        let update = update
            .bind(self.projection)
            .bind(number(batch.partition))
            .bind(signed(batch.follows.position))
            .bind(signed(to.position))
            .bind(signed(to.cursor.tenure))
            .bind(signed(to.cursor.n))
            .bind(to.cursor.open)
            .bind(to.claim.map(|claim| signed(claim.offset)))
            .bind(to.claim.map(|claim| claim.at.0));
        let moved = update.execute(&mut *transaction).await.map_err(away)?;
        if moved.rows_affected() == 1 { Ok(transaction) } else { Err(StoreError::Refused) }
    }

    pub(crate) async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO stops (projection, partition, at_offset, reason, stopped_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (projection, partition) DO UPDATE
             SET at_offset = excluded.at_offset, reason = excluded.reason, stopped_at = excluded.stopped_at",
        );
        let insert = insert
            .bind(self.projection)
            .bind(number(partition))
            .bind(signed(stop.offset))
            .bind(&stop.reason)
            .bind(stop.at.0);
        insert.execute(&self.pool).await.map_err(away)?;
        Ok(())
    }

    pub(crate) async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        let query = sqlx::query(
            "SELECT at_offset, reason, stopped_at FROM stops WHERE projection = $1 AND partition = $2",
        );
        let query = query.bind(self.projection).bind(number(partition));
        let row = query.fetch_optional(&self.pool).await.map_err(away)?;
        let stop = |row: PgRow| -> Result<Stop, sqlx::Error> {
            Ok(Stop {
                offset: unsigned(row.try_get("at_offset")?),
                reason: row.try_get("reason")?,
                at: Timestamp(row.try_get("stopped_at")?),
            })
        };
        row.map(stop).transpose().map_err(away)
    }

    pub(crate) async fn go_on(
        &self,
        partition: Partition,
        skip: Option<&Skip>,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut transaction = match skip {
            Some(Skip { follows, to }) => {
                self.begin(&Batch { partition, follows: *follows, to: *to, events: Vec::new() }).await?
            }
            None => self.pool.begin().await.map_err(away)?,
        };
        let delete =
            sqlx::query("DELETE FROM stops WHERE projection = $1 AND partition = $2 AND at_offset = $3");
        let delete = delete.bind(self.projection).bind(number(partition)).bind(signed(act.offset));
        if delete.execute(&mut *transaction).await.map_err(away)?.rows_affected() == 0 {
            return Err(StoreError::Refused);
        }
        let insert = sqlx::query(
            "INSERT INTO acts (projection, partition, what, at_offset, by_whom, reason, acted_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        let insert = insert
            .bind(self.projection)
            .bind(number(partition))
            .bind(&act.what)
            .bind(signed(act.offset))
            .bind(&act.by)
            .bind(&act.reason)
            .bind(act.at.0);
        insert.execute(&mut *transaction).await.map_err(away)?;
        transaction.commit().await.map_err(away)
    }

    /// The newest acts, newest first.
    pub(crate) async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        let query = sqlx::query(
            "SELECT what, at_offset, by_whom, reason, acted_at FROM acts
             WHERE projection = $1 AND partition = $2 ORDER BY id DESC LIMIT $3",
        );
        let query = query.bind(self.projection).bind(number(partition)).bind(ACTS_LISTED as i64);
        let act = |row: PgRow| -> Result<Act, sqlx::Error> {
            Ok(Act {
                what: row.try_get("what")?,
                offset: unsigned(row.try_get("at_offset")?),
                by: row.try_get("by_whom")?,
                reason: row.try_get("reason")?,
                at: Timestamp(row.try_get("acted_at")?),
            })
        };
        let rows = query.fetch_all(&self.pool).await.map_err(away)?;
        rows.into_iter().map(act).collect::<Result<_, _>>().map_err(away)
    }
}
