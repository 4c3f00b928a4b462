//! The servers that the distributed roles need.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use usher_command::writer::{self, StartError};
use usher_events::log::kafka::{AdminFault, KafkaConfig, Severity, TopicFacts, check_topic};
use usher_events::log::{Log, ReadError};
use usher_http::server::Readiness;
use usher_projector::places;
use usher_projector::queue::redis::{self, RedisQueues};
use usher_projector::store::Store;

use crate::config::{Config, ConfigError};
use crate::roles::RoleError;

/// How often to look whether a server is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How Kafka is reached.
pub(crate) fn kafka(config: &Config) -> Result<KafkaConfig, RoleError> {
    if config.kafka.brokers.is_empty() {
        return Err(ConfigError::Missing("kafka.brokers", "KAFKA__BROKERS").into());
    }
    let kafka = &config.kafka;
    Ok(KafkaConfig {
        topic: kafka.topic.clone(),
        dead_letter_topic: kafka.dead_letter_topic.clone(),
        partitions: config.log.partitions,
        replicas: u32::try_from(kafka.replication).ok().filter(|replicas| *replicas > 0),
        message_timeout: Duration::from_millis(kafka.message_timeout_ms.into()),
        owners_group: kafka.group.clone(),
        owners_session: Duration::from_millis(kafka.session_timeout_ms.into()),
        ..KafkaConfig::new(&kafka.brokers)
    })
}

/// A client for Redis.
pub(crate) fn redis_client(config: &Config) -> Result<::redis::Client, RoleError> {
    let url = config.redis.url.expose_secret();
    if url.is_empty() {
        return Err(ConfigError::Missing("redis.url", "REDIS__URL").into());
    }
    redis::client(url).map_err(|error| RoleError::Setting(format!("redis.url: {error}")))
}

/// The queue views in Redis.
pub(crate) fn queues(config: &Config) -> Result<RedisQueues, RoleError> {
    RedisQueues::new(redis_client(config)?, &config.redis.prefix)
        .map_err(|error| RoleError::Setting(format!("redis.url: {error}")))
}

/// The database.
pub(crate) fn postgres(config: &Config) -> Result<PgPool, RoleError> {
    let url = config.postgres.url.expose_secret();
    if url.is_empty() {
        return Err(ConfigError::Missing("postgres.url", "POSTGRES__URL").into());
    }
    places::pool(url, config.postgres.max_connections)
        .map_err(|error| RoleError::Setting(format!("postgres.url: {error}")))
}

/// Waits until the topic is there and fit for the log. None: told to stop.
///
/// Kafka being away, or the topic not made yet, is waited for; a topic with
/// settings that could lose records is refused.
pub(crate) async fn wait_for_topic(
    kafka: &KafkaConfig,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<Option<TopicFacts>, RoleError> {
    let mut told = String::new();
    loop {
        match check_topic(kafka).await {
            Ok(facts) => {
                readiness.set("kafka", Ok(()));
                return Ok(Some(facts));
            }
            Err(AdminFault::Unfit { faults, .. }) => {
                let unfit = faults.iter().filter(|fault| fault.severity == Severity::Refuse);
                let named: Vec<String> = unfit.map(ToString::to_string).collect();
                return Err(RoleError::Other(format!(
                    "the topic `{}` is not fit: {}",
                    kafka.topic,
                    named.join("; ")
                )));
            }
            Err(fault) => {
                let reason = fault.to_string();
                readiness.set("kafka", Err(reason.clone()));
                if told != reason {
                    warn!(reason, "waiting for Kafka and its topic (`usher migrate` makes it)");
                    told = reason;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// Checks that the log was made with as many partitions as configured. A log
/// that cannot be read now is waited for. False: told to stop.
pub(crate) async fn check_partition_count(
    log: &Arc<dyn Log>,
    configured: u32,
    stop: &CancellationToken,
) -> Result<bool, RoleError> {
    let mut told = false;
    loop {
        match writer::check_partition_count(&**log, configured).await {
            Ok(()) => return Ok(true),
            Err(StartError::Read(ReadError::Retryable(reason))) if told => debug!(reason, "trying on"),
            Err(StartError::Read(ReadError::Retryable(reason))) => {
                warn!(reason, "the log cannot be read; trying on");
                told = true;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return Ok(false),
        }
    }
}

/// Notes in `readiness`, from now on, whether the log can be reached.
pub(crate) fn watch_log(log: Arc<dyn Log>, readiness: Readiness, stop: CancellationToken) {
    watch("kafka", readiness, stop, move || {
        let log = Arc::clone(&log);
        async move { log.end(0).await.map(drop).map_err(|error| error.to_string()) }
    });
}

/// Notes in `readiness`, from now on, whether a view's store can be reached.
pub(crate) fn watch_store(
    part: &'static str,
    store: Arc<dyn Store>,
    readiness: Readiness,
    stop: CancellationToken,
) {
    watch(part, readiness, stop, move || {
        let store = Arc::clone(&store);
        async move { store.place(0).await.map(drop).map_err(|error| error.to_string()) }
    });
}

fn watch<F>(
    part: &'static str,
    readiness: Readiness,
    stop: CancellationToken,
    look: impl Fn() -> F + Send + 'static,
) where
    F: Future<Output = Result<(), String>> + Send,
{
    readiness.set(part, Err("not reached yet".to_owned()));
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut well = None;
        loop {
            let looked = look().await;
            if well != Some(looked.is_ok()) {
                match &looked {
                    Ok(()) => info!(part, "reached"),
                    Err(reason) => warn!(part, reason, "cannot be reached; trying on"),
                }
                well = Some(looked.is_ok());
            }
            readiness.set(part, looked);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }));
}
