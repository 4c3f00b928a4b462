//! Booking views in Postgres.

mod read;
mod write;

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgPool;

use super::rows::Rows;
use crate::places::Places;
use crate::store::Batch;
use crate::tables::{Fault, Tables};

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
}

#[async_trait]
impl Tables for PostgresBookings {
    fn places(&self) -> &Places {
        &self.places
    }

    async fn write(&self, connection: &mut PgConnection, batch: &Batch) -> Result<(), Fault> {
        write::all(connection, Rows::of(&batch.events)).await
    }
}
