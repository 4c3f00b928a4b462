//! Redis and Postgres, a corner of its own for each test.

use sqlx::postgres::PgPool;
use usher_projector::places;
use usher_projector::queue::redis::{self, RedisQueues};
use uuid::Uuid;

fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run through compose/stack run"))
}

/// Keys of a test in Redis, removed afterwards.
pub(crate) struct RedisCorner {
    prefix: String,
    client: ::redis::Client,
}

impl RedisCorner {
    pub(crate) fn new() -> Self {
        let client = redis::client(&address("USHER_REDIS__URL")).unwrap();
        Self { prefix: format!("test-{}", Uuid::new_v4().simple()), client }
    }

    /// A projector's or a query's own connection to the same views.
    pub(crate) fn queues(&self) -> RedisQueues {
        RedisQueues::new(self.client(), &self.prefix).unwrap()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn client(&self) -> ::redis::Client {
        self.client.clone()
    }

    /// The names of all keys.
    pub(crate) fn keys(&self, connection: &mut ::redis::Connection) -> Vec<Vec<u8>> {
        ::redis::cmd("KEYS").arg(format!("{}*", self.prefix)).query(connection).unwrap()
    }
}

impl Drop for RedisCorner {
    fn drop(&mut self) {
        let Ok(mut connection) = self.client().get_connection() else { return };
        for key in self.keys(&mut connection) {
            drop(::redis::cmd("UNLINK").arg(key).query::<()>(&mut connection));
        }
    }
}

/// A schema of a test in Postgres, removed by [`PostgresCorner::remove`].
pub(crate) struct PostgresCorner {
    schema: String,
    url: String,
    pub(crate) pool: PgPool,
}

impl PostgresCorner {
    /// The tables, made anew.
    pub(crate) async fn new() -> Self {
        let schema = format!("test_{}", Uuid::new_v4().simple());
        let url = address("USHER_POSTGRES__URL");
        let outside = places::pool(&url, 1).unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&outside).await.unwrap();
        outside.close().await;
        let url = format!("{url}?options[search_path]={schema}");
        let pool = places::pool(&url, 4).unwrap();
        places::migrate(&pool).await.unwrap();
        Self { schema, url, pool }
    }

    /// Another process's connections.
    pub(crate) fn other_pool(&self) -> PgPool {
        places::pool(&self.url, 2).unwrap()
    }

    pub(crate) async fn remove(self) {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&self.pool).await.unwrap();
        self.pool.close().await;
    }
}
