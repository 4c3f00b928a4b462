//! Answering queries from Redis and Postgres.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;
use usher_http::server::Readiness;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::projection::Announcer;
use usher_projector::queue::redis;
use usher_query::{QueryConfig, QueryState};

use super::parts::{self, Surroundings};
use super::{RoleError, servers};
use crate::config::Config;

/// Runs until told to stop.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> Result<(), RoleError> {
    let queues = servers::queues(&config)?;
    let bookings = PostgresBookings::new(servers::postgres(&config)?);
    let keys = parts::keys(&config, Vec::new())?;
    let listener = parts::listen(&config, 8082).await?;
    let metrics = parts::metrics()?;
    let readiness = Readiness::default();
    servers::watch_store("redis", Arc::new(queues.clone()), readiness.clone(), stop.clone());
    servers::watch_store("postgres", Arc::new(bookings.clone()), readiness.clone(), stop.clone());
    let announcer = Announcer::default();
    let client = servers::redis_client(&config)?;
    let listening = tokio::spawn(redis::listen(client, config.redis.prefix.clone(), announcer.clone()));
    let query_config = QueryConfig {
        partitions: config.log.partitions,
        after_timeout: Duration::from_millis(config.query.after_timeout_ms),
        after_waiters: config.query.after_waiters,
        updates_connections: config.query.updates_connections,
    };
    let state =
        QueryState::new(Arc::new(queues), Arc::new(bookings), announcer, keys, query_config, stop.clone());
    let (routes, openapi) = usher_query::router(state);
    let routes = routes.merge(crate::pages::router());
    let surroundings = Surroundings { readiness, metrics };
    let served = parts::serve(&config, listener, routes, openapi, surroundings, stop).await;
    listening.abort();
    info!("stopped");
    served
}
