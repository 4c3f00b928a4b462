//! Parts that several roles are made of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_command::draw_keys::DrawKeys;
use usher_command::http::{CommandState, JoinRates};
use usher_command::writer::WriterConfig;
use usher_http::auth::{KeyConfig, KeyKind, Keys};
use usher_http::pass::{self, PassKeyError, PassKeys};
use usher_http::peer::Proxies;
use usher_http::server::{self, Limits, Operations, Readiness};
use utoipa::openapi::OpenApi;

use crate::beacons::Beacons;
use crate::config::Config;
use crate::roles::RoleError;

/// Buckets of request times, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// How long requests under way may take after the role was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Where the role listens; the default differs by role.
pub(crate) async fn listen(config: &Config, default_port: u16) -> Result<TcpListener, RoleError> {
    let configured = config.http.listen.trim();
    let address =
        if configured.is_empty() { format!("127.0.0.1:{default_port}") } else { configured.to_owned() };
    TcpListener::bind(&address)
        .await
        .map_err(|error| RoleError::Setting(format!("http.listen: {address}: {error}")))
}

/// Where other instances reach this one, as far as is known.
pub(crate) fn advertised(config: &Config, listening: SocketAddr) -> String {
    match config.http.advertise.trim() {
        "" => format!("http://{listening}"),
        given => given.to_owned(),
    }
}

/// The same for a role that others do reach: it must be an address.
pub(crate) fn reachable(config: &Config, listening: SocketAddr) -> Result<String, RoleError> {
    let wrong =
        |why: String| Err(RoleError::Setting(format!("http.advertise (USHER_HTTP__ADVERTISE): {why}")));
    let address = advertised(config, listening);
    if config.http.advertise.trim().is_empty() && listening.ip().is_unspecified() {
        return wrong(format!("needed, since others cannot reach this instance at {listening}"));
    }
    let plain = address.parse::<axum::http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some()
            && uri.path() == "/"
            && uri.query().is_none()
    });
    if plain { Ok(address) } else { wrong(format!("`{address}` is not like http://10.0.0.7:8081")) }
}

/// Starts collecting metrics.
pub(crate) fn metrics() -> Result<PrometheusHandle, RoleError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|error| RoleError::Other(error.to_string()))?;
    let handle = builder.install_recorder().map_err(|error| RoleError::Other(error.to_string()))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// The configured API keys, those given in clear hashed; `more` are added.
pub(crate) fn keys(config: &Config, more: Vec<KeyConfig>) -> Result<Keys, RoleError> {
    let mut keys = config.auth.keys.clone();
    let given = [
        ("operator", KeyKind::Operator, &config.auth.operator_key),
        ("merchant", KeyKind::Merchant, &config.auth.merchant_key),
    ];
    for (name, kind, key) in given {
        if !key.expose_secret().is_empty() {
            keys.push(
                Keys::hashed(name, kind, key)
                    .map_err(|error| RoleError::Setting(format!("auth: {error}")))?,
            );
        }
    }
    keys.extend(more);
    Keys::new(keys).map_err(|error| RoleError::Setting(format!("auth: {error}")))
}

/// The draw's key ring: as configured, and if none is, `made`.
pub(crate) fn draw_keys(config: &Config, made: Option<SecretString>) -> Result<Arc<DrawKeys>, RoleError> {
    let configured = config.draw.keys.iter().map(|key| (key.id.clone(), key.secret.clone()));
    let made = made.map(|secret| ("local".to_owned(), secret));
    let ring = DrawKeys::new(configured.chain(made).collect());
    ring.map(Arc::new).map_err(|error| RoleError::Setting(format!("draw.keys: {error}")))
}

/// The key ring of passes: as configured, and if none is, `made`.
pub(crate) fn passes(config: &Config, made: Option<SecretString>) -> Result<Arc<PassKeys>, RoleError> {
    let wrong = |error: PassKeyError| RoleError::Setting(format!("pass.keys: {error}"));
    let mut keys: Vec<_> = config.pass.keys.iter().map(|key| (key.id.clone(), key.secret.clone())).collect();
    if let Some(secret) = made {
        keys.push((pass::id_of(&secret).map_err(wrong)?, secret));
    }
    PassKeys::new(&config.pass.issuer, keys).map(Arc::new).map_err(wrong)
}

/// How many joins are taken.
pub(crate) fn join_rates(config: &Config) -> Result<Arc<JoinRates>, RoleError> {
    let limits = &config.limits;
    let proxies = Proxies::new(&limits.trusted_proxies)
        .map_err(|error| RoleError::Setting(format!("limits.trusted_proxies: {error}")))?;
    let (address, opening) = (limits.joins_per_address_per_minute, limits.joins_per_opening_per_second);
    Ok(Arc::new(JoinRates::new(address, opening, proxies)))
}

/// The writers' settings.
pub(crate) fn writer_config(config: &Config, address: String, draw_keys: Arc<DrawKeys>) -> WriterConfig {
    WriterConfig {
        max_in_flight: config.writer.max_in_flight,
        mailbox: config.writer.mailbox,
        patience: Duration::from_millis(config.writer.patience_ms),
        ..WriterConfig::new(config.log.partitions, address, draw_keys)
    }
}

/// Looks after draws that wait for a beacon's round, until told to stop.
pub(crate) fn look_after_beacons(
    config: &Config,
    state: CommandState,
    stop: CancellationToken,
) -> Result<(), RoleError> {
    let beacons = Beacons::new(state, &config.draw.beacon_url)
        .map_err(|error| RoleError::Setting(format!("draw.beacon_url: {error}")))?;
    tokio::spawn(beacons.run(stop));
    Ok(())
}

/// Everything around the role's own routes.
pub(crate) struct Surroundings {
    pub(crate) readiness: Readiness,
    pub(crate) metrics: PrometheusHandle,
}

/// Serves the role's routes until it is told to stop.
pub(crate) async fn serve(
    config: &Config,
    listener: TcpListener,
    routes: Router,
    openapi: OpenApi,
    surroundings: Surroundings,
    stop: CancellationToken,
) -> Result<(), RoleError> {
    let openapi = describe(openapi).to_json().map_err(|error| RoleError::Other(error.to_string()))?;
    let Surroundings { readiness, metrics } = surroundings;
    let operations = Operations { readiness: readiness.clone(), metrics, openapi: openapi.into() };
    let limits = Limits {
        body_bytes: config.http.max_body_bytes,
        timeout: Duration::from_secs(config.http.timeout_s),
    };
    let router = server::layered(routes.merge(server::operations(operations)), limits);
    info!(address = %listener.local_addr()?, "listening");
    let stopping = stop.clone();
    let draining = async move {
        stopping.cancelled().await;
        readiness.set("serving", Err("stopping".to_owned()));
    };
    let serving = server::serve(listener, router, draining);
    tokio::select! {
        served = serving => Ok(served?),
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => {
            warn!(waited_s = DRAIN.as_secs(), "requests that were still under way are cut off");
            Ok(())
        }
    }
}

fn describe(mut openapi: OpenApi) -> OpenApi {
    openapi.info.title = "usher".to_owned();
    openapi.info.version = env!("CARGO_PKG_VERSION").to_owned();
    openapi.info.description = Some(
        "Queues and seats for ticket openings. Errors are RFC 9457 problem documents whose `type` is \
         `urn:usher:problem:` and the name given with each route. Visitors authorize with their secret, \
         operators and merchants with a key, both as `Authorization: Bearer`."
            .to_owned(),
    );
    openapi
}
