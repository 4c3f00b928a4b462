//! Views in Postgres as projections write them: each step in one transaction
//! with its place.

use async_trait::async_trait;
use sqlx::PgConnection;
use usher_events::log::Partition;

use crate::places::{Places, away};
use crate::store::{Act, Batch, Place, Skip, Stop, Store, StoreError};

/// Why rows could not be written.
#[derive(Debug)]
pub(crate) enum Fault {
    Database(sqlx::Error),
    /// A row that an event changes is not there.
    Missing(String),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Missing(error.to_string())
    }
}

/// The tables of one view.
#[async_trait]
pub(crate) trait Tables: Send + Sync + 'static {
    /// Where the view's places are.
    fn places(&self) -> &Places;

    /// Writes what `batch` says; the transaction is the caller's.
    async fn write(&self, connection: &mut PgConnection, batch: &Batch) -> Result<(), Fault>;
}

async fn apply_at_once(tables: &impl Tables, batch: &Batch) -> Result<(), StoreError> {
    let mut transaction = tables.places().begin(batch).await?;
    tables.write(&mut transaction, batch).await.map_err(|fault| match fault {
        Fault::Database(error) if is_ours(&error) => poison(batch, error.to_string()),
        Fault::Database(error) => away(error),
        Fault::Missing(what) => poison(batch, what),
    })?;
    transaction.commit().await.map_err(away)
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
impl<T: Tables> Store for T {
    fn projection(&self) -> &'static str {
        self.places().projection
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.places().get(partition).await.map_err(away)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        match apply_at_once(self, batch).await {
            // One of many is poison: apply them one by one, up to it.
            Err(StoreError::Poison { .. }) if batch.events.len() > 1 => {
                for single in batch.singles() {
                    apply_at_once(self, &single).await?;
                }
                Ok(())
            }
            other => other,
        }
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.places().stop(partition, stop).await
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.places().stopped(partition).await
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        self.places().go_on(partition, skip, act).await
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        self.places().acts(partition).await
    }
}
