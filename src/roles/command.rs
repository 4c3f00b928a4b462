//! Deciding commands, over Kafka.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_command::claims::Claims;
use usher_command::http::{CommandState, Forwarder};
use usher_command::writer::{WriterThreads, Writers};
use usher_events::log::Log;
use usher_events::log::kafka::{KafkaLog, Suggestions};
use usher_http::server::Readiness;

use super::parts::{self, Surroundings};
use super::{RoleError, servers, subjects};
use crate::config::Config;

/// How often to look whether all parts are well.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long handing over may take when told to stop.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(20);

/// Runs until told to stop.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> Result<(), RoleError> {
    let kafka = servers::kafka(&config)?;
    let draw_keys = parts::draw_keys(&config, None)?;
    let passes = parts::passes(&config, None)?;
    let keys = parts::keys(&config, Vec::new())?;
    let listener = parts::listen(&config, 8081).await?;
    let address = parts::reachable(&config, listener.local_addr()?)?;
    let metrics = parts::metrics()?;
    let readiness = Readiness::default();
    readiness.set("writer", Err("not following the log yet".to_owned()));

    let log: Arc<dyn Log> =
        Arc::new(KafkaLog::new(kafka.clone()).map_err(|error| RoleError::Other(error.to_string()))?);
    let writer_config = parts::writer_config(&config, address, Arc::clone(&draw_keys));
    let writers = Arc::new(WriterThreads::start(writer_config, Arc::clone(&log))?);
    let claims = claims(&config, writers.writers(), stop.clone()).await?;
    let join_rates = parts::join_rates(&config)?;
    let state = CommandState { writers: writers.writers(), keys, draw_keys, passes, claims, join_rates };
    parts::look_after_beacons(&config, state.clone(), stop.clone())?;
    let forwarder = Forwarder::new(Duration::from_millis(config.writer.patience_ms + 2_000));
    let (routes, openapi) = usher_command::http::router(state, Some(forwarder));

    let ownership =
        spawn_ownership(kafka, Arc::clone(&log), Arc::clone(&writers), readiness.clone(), stop.clone());
    let surroundings = Surroundings { readiness, metrics };
    let served = parts::serve(&config, listener, routes, openapi, surroundings, stop.clone()).await;
    stop.cancel();
    let owned = ownership.await.map_err(|error| RoleError::Other(error.to_string()))?;
    let handed_over = tokio::task::spawn_blocking(move || match Arc::try_unwrap(writers) {
        Ok(writers) => writers.stop(),
        Err(_) => warn!("the writers are still in use; their partitions are taken over by others"),
    });
    if tokio::time::timeout(HAND_OVER_WITHIN, handed_over).await.is_err() {
        warn!("what is in flight was not acknowledged in time; others take the partitions over");
    }
    // Only now, so that whoever takes them over does not wait for us.
    if let Ok(Some(suggestions)) = owned {
        tokio::task::spawn_blocking(move || suggestions.leave())
            .await
            .map_err(|error| RoleError::Other(error.to_string()))?;
        info!("stopped: everything that was answered is in the log");
        return served;
    }
    owned.and(served)
}

/// What claims are checked with. Their subjects' keys are in the database; it
/// is needed only where claims are taken.
async fn claims(
    config: &Config,
    writers: Writers,
    stop: CancellationToken,
) -> Result<Arc<Claims>, RoleError> {
    if config.claims.issuers.is_empty() && config.postgres.url.expose_secret().is_empty() {
        return Ok(Arc::new(Claims::none()));
    }
    let store = subjects::in_database(config)?;
    let claims = subjects::claims(config, &store).await?;
    subjects::watch(config, store, writers, stop);
    Ok(claims)
}

type Owned = Result<Option<Suggestions>, RoleError>;

/// Waits for the topic, then owns what the group suggests, until told to stop.
fn spawn_ownership(
    kafka: usher_events::log::kafka::KafkaConfig,
    log: Arc<dyn Log>,
    writers: Arc<WriterThreads>,
    readiness: Readiness,
    stop: CancellationToken,
) -> JoinHandle<Owned> {
    tokio::spawn(async move {
        let owned = own(&kafka, &log, &writers, &readiness, &stop).await;
        // What must not be served must not seem to be: the role ends.
        stop.cancel();
        owned
    })
}

async fn own(
    kafka: &usher_events::log::kafka::KafkaConfig,
    log: &Arc<dyn Log>,
    writers: &WriterThreads,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Owned {
    if servers::wait_for_topic(kafka, readiness, stop).await?.is_none() {
        return Ok(None);
    }
    if !servers::check_partition_count(log, kafka.partitions, stop).await? {
        return Ok(None);
    }
    servers::watch_log(Arc::clone(log), readiness.clone(), stop.clone());
    let suggestions = Suggestions::join(kafka).map_err(|error| RoleError::Other(error.to_string()))?;
    let mut suggested = suggestions.watch();
    let mut owned = Vec::new();
    while !stop.is_cancelled() {
        let wanted: Vec<u32> = suggested.borrow_and_update().iter().copied().collect();
        writers.want(&wanted);
        loop {
            let owns = writers.writers().owned_partitions();
            if owns != owned {
                info!(partitions = ?owns, "this instance decides for these partitions now");
                owned = owns;
            }
            let settled = if !writers.caught_up() {
                Err("reading the log".to_owned())
            } else if !writers.writers().settled() {
                Err("some partitions have no owner yet".to_owned())
            } else {
                Ok(())
            };
            readiness.set("writer", settled);
            tokio::select! {
                changed = suggested.changed() => {
                    if changed.is_err() {
                        return Err(RoleError::Other("the group of owners has ended".to_owned()));
                    }
                    break;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => break,
            }
        }
    }
    Ok(Some(suggestions))
}
