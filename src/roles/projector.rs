//! Keeping the views in Redis and Postgres up to date with the log.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;
use usher_events::log::Log;
use usher_events::log::kafka::{self, KafkaLog};
use usher_http::server::Readiness;
use usher_projector::analytics::PostgresAnalytics;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::dead_letter::{DeadLetter, DeadLetters};
use usher_projector::history::PostgresHistory;
use usher_projector::projection::{self, Announcer, Projections};
use usher_projector::queue::redis;
use usher_projector::store::{Store, StoreError};

use super::parts::{self, Surroundings};
use super::webhooks::Webhooks;
use super::{RoleError, servers};
use crate::cli::{self, ProjectorAct};
use crate::config::Config;

/// Dead letters go to a topic of their own.
struct Topic(kafka::DeadLetters);

#[async_trait]
impl DeadLetters for Topic {
    async fn put(&self, letter: &DeadLetter) -> Result<(), String> {
        let letter = kafka::DeadLetter {
            projection: letter.projection.to_owned(),
            partition: letter.partition,
            offset: letter.record.offset,
            reason: letter.reason.clone(),
            record: letter.record.record.clone(),
        };
        self.0.append(&letter).await.map(drop).map_err(|error| error.to_string())
    }
}

fn stores(config: &Config, webhooks: Option<&Webhooks>) -> Result<Vec<Arc<dyn Store>>, RoleError> {
    let pool = servers::postgres(config)?;
    let mut stores: Vec<Arc<dyn Store>> = vec![
        Arc::new(servers::queues(config)?),
        Arc::new(PostgresBookings::new(pool.clone())),
        Arc::new(PostgresHistory::new(pool.clone())),
        Arc::new(PostgresAnalytics::new(pool)),
    ];
    stores.extend(webhooks.map(Webhooks::store));
    Ok(stores)
}

/// Runs until told to stop.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> Result<(), RoleError> {
    let kafka = servers::kafka(&config)?;
    let webhooks = Webhooks::in_database(&config)?;
    let stores = stores(&config, webhooks.as_ref())?;
    let queues = servers::queues(&config)?;
    let keys = parts::keys(&config, Vec::new())?;
    let listener = parts::listen(&config, 8083).await?;
    let metrics = parts::metrics()?;
    let readiness = Readiness::default();
    servers::watch_store("redis", Arc::clone(&stores[0]), readiness.clone(), stop.clone());
    servers::watch_store("postgres", Arc::clone(&stores[1]), readiness.clone(), stop.clone());

    let (looking, waiting) = (readiness.clone(), stop.clone());
    let telling = webhooks.clone();
    let projecting = tokio::spawn(async move {
        let projected = project(&kafka, stores, telling, queues, &looking, &waiting).await;
        waiting.cancel();
        projected
    });
    let surroundings = Surroundings { readiness, metrics };
    let (routes, openapi) = webhooks.map(|webhooks| webhooks.routes(keys)).unwrap_or_default();
    let served = parts::serve(&config, listener, routes, openapi, surroundings, stop.clone()).await;
    stop.cancel();
    projecting.await.map_err(|error| RoleError::Other(error.to_string()))??;
    info!("stopped");
    served
}

async fn project(
    kafka: &kafka::KafkaConfig,
    stores: Vec<Arc<dyn Store>>,
    webhooks: Option<Webhooks>,
    queues: redis::RedisQueues,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<(), RoleError> {
    if servers::wait_for_topic(kafka, readiness, stop).await?.is_none() {
        return Ok(());
    }
    let other = |error: kafka::ConfigFault| RoleError::Other(error.to_string());
    let log: Arc<dyn Log> = Arc::new(KafkaLog::new(kafka.clone()).map_err(other)?);
    if !servers::check_partition_count(&log, kafka.partitions, stop).await? {
        return Ok(());
    }
    servers::watch_log(Arc::clone(&log), readiness.clone(), stop.clone());
    let letters: Arc<dyn DeadLetters> =
        Arc::new(Topic(kafka::DeadLetters::new(kafka.clone()).map_err(other)?));
    if let Some(webhooks) = &webhooks
        && !webhooks.know(stop).await
    {
        return Ok(());
    }
    let announcer = Announcer::default();
    let publishing = tokio::spawn(redis::publish(queues, announcer.clone()));
    let projections = Projections::start(&log, kafka.partitions, stores, &letters, &announcer);
    let telling = webhooks.map(|webhooks| webhooks.send(stop)).transpose()?;
    stop.cancelled().await;
    projections.stop().await;
    if let Some(telling) = telling {
        telling.wait().await;
    }
    publishing.abort();
    Ok(())
}

/// Inspects, resumes or skips.
pub(crate) async fn act(config: Config, act: ProjectorAct) -> Result<(), RoleError> {
    let stores = stores(&config, Webhooks::in_database(&config)?.as_ref())?;
    let failed = |error: StoreError| match error {
        StoreError::Refused => RoleError::Other("the projection has not stopped there".to_owned()),
        error => RoleError::Other(error.to_string()),
    };
    match act {
        ProjectorAct::Inspect => {
            for store in &stores {
                for partition in 0..config.log.partitions {
                    let place = store.place(partition).await.map_err(failed)?;
                    let stop = store.stopped(partition).await.map_err(failed)?;
                    let line = json!({
                        "projection": store.projection(),
                        "partition": partition,
                        "position": place.position,
                        "stopped": stop.map(|stop| json!({
                            "offset": stop.offset, "reason": stop.reason, "since": stop.at.to_rfc3339(),
                        })),
                    });
                    cli::say(&format!("{line}\n"));
                }
            }
            Ok(())
        }
        ProjectorAct::Resume { projection, partition, by } => {
            let store = named(&stores, &projection)?;
            match projection::resume(&**store, partition, &by).await.map_err(failed)? {
                Some(stop) => cli::say(&format!(
                    "{projection} of partition {partition} tries offset {} again\n",
                    stop.offset
                )),
                None => cli::say(&format!("{projection} of partition {partition} has not stopped\n")),
            };
            Ok(())
        }
        ProjectorAct::Skip { projection, partition, offset, by, reason } => {
            let store = named(&stores, &projection)?;
            let kafka = servers::kafka(&config)?;
            let log = KafkaLog::new(kafka).map_err(|error| RoleError::Other(error.to_string()))?;
            projection::skip(&log, &**store, partition, offset, &by, &reason).await.map_err(failed)?;
            info!(projection, partition, offset, by, reason, "a record was skipped");
            cli::say(&format!("{projection} of partition {partition} goes on after offset {offset}\n"));
            Ok(())
        }
    }
}

fn named<'a>(stores: &'a [Arc<dyn Store>], projection: &str) -> Result<&'a Arc<dyn Store>, RoleError> {
    let found = stores.iter().find(|store| store.projection() == projection);
    found.ok_or_else(|| {
        let known: Vec<_> = stores.iter().map(|store| store.projection()).collect();
        RoleError::Setting(format!("--projection: expected one of {}", known.join(", ")))
    })
}
