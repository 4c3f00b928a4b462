//! What analysts ask, in Postgres: the schema `analytics`, a projection of
//! its own. `migrations/0004_analytics.sql` says what its views mean.

mod analyst;
mod facts;
mod rows;

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use crate::places::Places;
use crate::store::Batch;
use crate::tables::{Fault, Tables};

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
impl Tables for PostgresAnalytics {
    fn places(&self) -> &Places {
        &self.places
    }

    async fn write(&self, connection: &mut PgConnection, batch: &Batch) -> Result<(), Fault> {
        Ok(rows::write(connection, batch, Facts::of(batch)).await?)
    }
}
