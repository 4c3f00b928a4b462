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

/// A database of a test, for what is there once in each; removed by
/// [`PostgresDatabase::remove`].
pub(crate) struct PostgresDatabase {
    pub(crate) name: String,
    outside: PgPool,
    pub(crate) pool: PgPool,
}

impl PostgresDatabase {
    /// With the tables, made anew.
    pub(crate) async fn new() -> Self {
        let database = Self::empty().await;
        places::migrate(&database.pool).await.unwrap();
        database
    }

    pub(crate) async fn empty() -> Self {
        let url = address("USHER_POSTGRES__URL");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let outside = places::pool(&url, 1).unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&outside).await.unwrap();
        let (base, _) = url.rsplit_once('/').unwrap();
        let pool = places::pool(&format!("{base}/{name}"), 4).unwrap();
        Self { name, outside, pool }
    }

    /// Connections of the role `role`, which is given a password.
    pub(crate) async fn as_role(&self, role: &str) -> PgPool {
        let give = format!("ALTER ROLE {role} PASSWORD 'given'");
        sqlx::query(sqlx::AssertSqlSafe(give)).execute(&self.pool).await.unwrap();
        let options = sqlx::postgres::PgConnectOptions::new().username(role).password("given");
        let known = self.pool.connect_options();
        let options = options.host(known.get_host()).port(known.get_port()).database(&self.name);
        sqlx::postgres::PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        self.pool.close().await;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&self.outside).await.unwrap();
        self.outside.close().await;
    }
}
