//! Everything in one process: embedded log, views in memory.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tracing::info;
use usher_command::http::CommandState;
use usher_command::writer::{self, WriterThreads};
use usher_events::ids::{Hash, OpeningId};
use usher_events::log::Log;
use usher_events::log::embedded::{EmbeddedLog, OpenError};
use usher_events::time::Timestamp;
use usher_http::auth::{self, KeyConfig, KeyKind, Keys};
use usher_http::server::Readiness;
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::dead_letter::{DeadLetters, Logged};
use usher_projector::projection::{Announcer, Projections};
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::Store;
use usher_query::{QueryConfig, QueryState};

use super::RoleError;
use super::gate::Gate;
use super::parts::{self, Surroundings};
use super::subjects;
use super::webhooks::Webhooks;
use crate::config::Config;
use crate::sample::sample_opening;

/// How often to look whether all parts are well.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs until told to stop.
pub(crate) async fn run(config: Config, sample: bool, stop: CancellationToken) -> Result<(), RoleError> {
    let partitions = config.log.partitions;
    let dir = config.data.dir.clone();
    // What is wrong in the settings is said before anything is touched.
    parts::keys(&config, Vec::new())?;
    let listener = parts::listen(&config, 8080).await?;
    let metrics = parts::metrics()?;
    let log = open(&dir, partitions)?;
    writer::check_partition_count(&*log, partitions).await?;
    let made = if config.draw.keys.is_empty() { Some(kept_secret(&dir.join("draw.key"))?) } else { None };
    let draw_keys = parts::draw_keys(&config, made)?;
    let made = if config.pass.keys.is_empty() { Some(kept_secret(&dir.join("pass.key"))?) } else { None };
    let passes = parts::passes(&config, made)?;
    let subject_keys = subjects::in_directory(&dir);
    let claims = subjects::claims(&config, &subject_keys).await?;
    let keys = keys(&config, &dir)?;
    let webhooks = Webhooks::in_directory(&config, &dir)?;

    let address = parts::advertised(&config, listener.local_addr()?);
    let writer_config = parts::writer_config(&config, address, Arc::clone(&draw_keys));
    let writers = WriterThreads::start(writer_config, Arc::clone(&log))?;
    writers.want(&(0..partitions).collect::<Vec<_>>());
    let (queues, bookings) = (MemoryQueues::new(partitions), MemoryBookings::new(partitions));
    let announcer = Announcer::default();
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(queues.clone()), Arc::new(bookings.clone())];
    if let Some(webhooks) = &webhooks {
        stores.push(webhooks.store());
        webhooks.know(&stop).await;
    }
    let letters: Arc<dyn DeadLetters> = Arc::new(Logged);
    let projections = Projections::start(&log, partitions, stores, &letters, &announcer);

    let join_rates = parts::join_rates(&config)?;
    let state = CommandState {
        writers: writers.writers(),
        keys: keys.clone(),
        draw_keys,
        passes,
        claims,
        join_rates,
    };
    subjects::watch(&config, subject_keys, writers.writers(), stop.clone());
    parts::look_after_beacons(&config, state.clone(), stop.clone())?;
    let telling = webhooks.as_ref().map(|webhooks| webhooks.send(&stop)).transpose()?;
    let (of_webhooks, described) = webhooks.map(|webhooks| webhooks.routes(keys.clone())).unwrap_or_default();
    let (commands, mut openapi) = usher_command::http::router(state.clone(), None);
    let query_config = QueryConfig {
        partitions,
        after_timeout: Duration::from_millis(config.query.after_timeout_ms),
        after_waiters: config.query.after_waiters,
        updates_connections: config.query.updates_connections,
    };
    let (queues, bookings) = (Arc::new(queues), Arc::new(bookings));
    let views = QueryState::new(queues, bookings, announcer, keys, query_config, stop.clone());
    let (queries, of_queries) = usher_query::router(views);
    openapi.merge(of_queries);
    openapi.merge(described);

    let start = Start { readiness: Readiness::default(), gate: Gate::default() };
    let routes = start.gate(commands.merge(queries).merge(of_webhooks)).merge(crate::pages::router());
    let surroundings = Surroundings { readiness: start.readiness.clone(), metrics };
    let serving = parts::serve(&config, listener, routes, openapi, surroundings, stop.clone());
    let starting = async {
        let all = || writers.writers().owned() == partitions as usize && projections.caught_up();
        let started = stop.run_until_cancelled(start.finish(all, sample.then_some(&state))).await;
        if let Some(Err(error)) = started {
            stop.cancel();
            return Err(error);
        }
        Ok(())
    };
    let (served, started) = tokio::join!(serving, starting);

    projections.stop().await;
    if let Some(telling) = telling {
        telling.wait().await;
    }
    tokio::task::spawn_blocking(move || writers.stop())
        .await
        .map_err(|error| RoleError::Other(error.to_string()))?;
    served.and(started)?;
    info!("stopped: everything that was answered is in the log");
    Ok(())
}

/// Opens the log in `dir`, which is made where it is not.
fn open(dir: &Path, partitions: u32) -> Result<Arc<dyn Log>, RoleError> {
    fs::create_dir_all(dir).map_err(|error| {
        RoleError::Setting(format!("data.dir: {} cannot be made: {error}", dir.display()))
    })?;
    let opened = EmbeddedLog::open(&dir.join("log.redb"), partitions);
    let log = opened.map_err(|error| match error {
        OpenError::Locked(_) => RoleError::Log(error, "stop it, or set another data.dir (USHER_DATA__DIR)"),
        _ => RoleError::Log(error, "nothing in it was changed"),
    })?;
    Ok(Arc::new(log))
}

/// The time until everything in the log is read.
#[derive(Clone)]
struct Start {
    readiness: Readiness,
    gate: Gate,
}

impl Start {
    /// Keeps `routes` closed until the start is finished.
    fn gate(&self, routes: Router) -> Router {
        self.readiness.set("log", Err("is being read".to_owned()));
        routes.layer(self.gate.clone())
    }

    /// Waits until `all` is read, adds the sample if it is wanted, and opens.
    async fn finish(&self, all: impl Fn() -> bool, sample: Option<&CommandState>) -> Result<(), RoleError> {
        while !all() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if let Some(state) = sample {
            add_sample(state).await?;
        }
        self.gate.open();
        self.readiness.set("log", Ok(()));
        info!("ready");
        Ok(())
    }
}

/// A secret of this data directory, made at the first start.
fn kept_secret(file: &Path) -> Result<SecretString, RoleError> {
    if !file.exists() {
        write_private(file, &auth::mint())?;
        info!(file = %file.display(), "made a secret key");
    }
    Ok(SecretString::from(fs::read_to_string(file)?.trim().to_owned()))
}

/// The configured keys; with no operator's among them, the one made at the
/// first start, of which only the hash is kept.
fn keys(config: &Config, dir: &Path) -> Result<Keys, RoleError> {
    let configured = parts::keys(config, Vec::new())?;
    if configured.has_operator() {
        return Ok(configured);
    }
    let file = dir.join("operator.sha256");
    let sha256: Hash = if file.exists() {
        let text = fs::read_to_string(&file)?;
        let unreadable = |error| RoleError::Setting(format!("{}: {error}", file.display()));
        text.trim().parse().map_err(unreadable)?
    } else {
        let (key, made) = auth::mint_key("operator", KeyKind::Operator);
        write_private(&file, &made.sha256.to_string())?;
        let key = key.expose_secret();
        crate::cli::say(&format!("operator key (shown this once, only its hash is kept): {key}\n"));
        made.sha256
    };
    let (scopes, prefixes) = (Vec::new(), Vec::new());
    let made = KeyConfig { name: "operator".to_owned(), kind: KeyKind::Operator, sha256, scopes, prefixes };
    parts::keys(config, vec![made])
}

fn write_private(file: &Path, text: &str) -> Result<(), RoleError> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

/// Schedules the sample opening under the first name that is free.
async fn add_sample(state: &CommandState) -> Result<(), RoleError> {
    let body = sample_opening(Timestamp::now());
    for i in 1..=1_000 {
        let name = if i == 1 { "concert".to_owned() } else { format!("concert-{i}") };
        let opening = OpeningId::new(&name).map_err(|error| RoleError::Other(error.to_string()))?;
        if usher_command::http::schedule_as("sample", state, &opening, &body)
            .await
            .map_err(|problem| RoleError::Other(format!("the sample opening: {problem:?}")))?
        {
            info!(
                opening = name,
                opens_at = body["opens_at"].as_str(),
                "the sample opening opens in half a minute"
            );
            return Ok(());
        }
    }
    Err(RoleError::Other("there are a thousand sample openings already".to_owned()))
}
