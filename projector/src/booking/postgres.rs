//! Booking views in Postgres.

mod read;
mod write;

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use usher_events::log::Partition;

use super::rows::Rows;
use crate::places::{Places, away};
use crate::store::{Act, Batch, Place, Skip, Stop, Store, StoreError};

/// Booking views in Postgres. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresBookings {
    places: Places,
}

impl PostgresBookings {
    /// Views in the database of `pool`, whose tables are there.
    pub fn new(pool: PgPool) -> Self {
        Self { places: Places { pool, projection: "booking" } }
    }

    async fn apply_at_once(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut transaction = self.places.begin(batch).await?;
        let rows = Rows::of(&batch.events);
        write::all(&mut transaction, rows).await.map_err(|fault| match fault {
            write::Fault::Database(error) if is_ours(&error) => poison(batch, error.to_string()),
            write::Fault::Database(error) => away(error),
            write::Fault::Missing(what) => poison(batch, what),
        })?;
        transaction.commit().await.map_err(away)
    }
}

/// Whether the database says that the data are wrong, and not that it is away.
fn is_ours(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

fn poison(batch: &Batch, reason: String) -> StoreError {
    let offset = batch.events.first().map_or(batch.follows.position, |located| located.offset);
    StoreError::Poison { offset, reason }
}

#[async_trait]
impl Store for PostgresBookings {
    fn projection(&self) -> &'static str {
        "booking"
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.places.get(partition).await.map_err(away)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        match self.apply_at_once(batch).await {
            // One of many is poison: apply them one by one, up to it.
            Err(StoreError::Poison { .. }) if batch.events.len() > 1 => {
                for single in batch.singles() {
                    self.apply_at_once(&single).await?;
                }
                Ok(())
            }
            other => other,
        }
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.places.stop(partition, stop).await
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.places.stopped(partition).await
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        self.places.go_on(partition, skip, act).await
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        self.places.acts(partition).await
    }
}
