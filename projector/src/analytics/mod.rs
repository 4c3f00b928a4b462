//! What analysts ask, in Postgres: the schema `analytics`, a projection of
//! its own. `migrations/0004_analytics.sql` says what its views mean.

mod analyst;
mod facts;
mod rows;

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use usher_events::log::Partition;

use crate::places::{Places, away};
use crate::store::{Act, Batch, Place, Skip, Stop, Store, StoreError};

pub use analyst::{ANALYST, AnalystError, let_analyst_in};
use facts::Facts;

/// The analysts' tables in Postgres. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresAnalytics {
    places: Places,
}

impl PostgresAnalytics {
    /// The tables in the database of `pool`, which are there.
    pub fn new(pool: PgPool) -> Self {
        Self { places: Places { pool, projection: "analytics" } }
    }
}

#[async_trait]
impl Store for PostgresAnalytics {
    fn projection(&self) -> &'static str {
        "analytics"
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.places.get(partition).await.map_err(away)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let facts = Facts::of(batch);
        let mut transaction = self.places.begin(batch).await?;
        rows::write(&mut transaction, batch, &facts).await.map_err(away)?;
        transaction.commit().await.map_err(away)
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
