//! Subject keys in Postgres: one store for all instances.

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use usher_events::ids::OpeningId;

use super::subject_keys::{Kept, StoreFault, SubjectKey, SubjectKeyStore};

/// The table `usher_subjects.keys`, made by `usher migrate`.
#[derive(Debug, Clone)]
pub struct PostgresKeys {
    pool: PgPool,
}

impl PostgresKeys {
    /// Keys in the database of `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

fn fault(error: impl std::fmt::Display) -> StoreFault {
    StoreFault(error.to_string())
}

#[async_trait]
impl SubjectKeyStore for PostgresKeys {
    async fn key(&self, opening: &OpeningId) -> Result<Kept, StoreFault> {
        const READ: &str = "SELECT key FROM usher_subjects.keys WHERE opening = $1";
        let read = || sqlx::query_scalar::<_, Option<Vec<u8>>>(READ).bind(opening.as_str());
        let found = match read().fetch_optional(&self.pool).await.map_err(fault)? {
            Some(found) => found,
            None => {
                let made = SubjectKey::random();
                sqlx::query(
                    "INSERT INTO usher_subjects.keys (opening, key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                )
                .bind(opening.as_str())
                .bind(&made.bytes()[..])
                .execute(&self.pool)
                .await
                .map_err(fault)?;
                // Whoever made it first, this is it.
                read().fetch_one(&self.pool).await.map_err(fault)?
            }
        };
        let Some(bytes) = found else { return Ok(Kept::Destroyed) };
        let bytes = bytes.try_into().map_err(|_| fault("a key of another length"))?;
        Ok(Kept::Key(SubjectKey::new(bytes)))
    }

    async fn destroy(&self, opening: &OpeningId) -> Result<bool, StoreFault> {
        let destroyed = sqlx::query(
            "UPDATE usher_subjects.keys SET key = NULL, destroyed_at = now()
             WHERE opening = $1 AND key IS NOT NULL",
        )
        .bind(opening.as_str())
        .execute(&self.pool)
        .await
        .map_err(fault)?
        .rows_affected()
            > 0;
        if destroyed {
            // The old row goes from the table's file, too. What write-ahead
            // logs and backups hold goes when they do.
            sqlx::query("VACUUM usher_subjects.keys").execute(&self.pool).await.map_err(fault)?;
        }
        Ok(destroyed)
    }

    async fn openings(&self) -> Result<Vec<OpeningId>, StoreFault> {
        let names = sqlx::query_scalar::<_, String>(
            "SELECT opening FROM usher_subjects.keys WHERE key IS NOT NULL ORDER BY opening",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(fault)?;
        Ok(names.iter().filter_map(|name| OpeningId::new(name).ok()).collect())
    }
}
