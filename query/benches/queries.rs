//! How many queries a second are answered, against a bare axum GET that
//! answers the same bytes: the same client, the same machine, the same run.
//!
//! `cargo bench -p usher-query --bench queries`; with `USHER_REDIS__URL` set,
//! e.g. through `compose/stack run --`, positions from Redis as well.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

mod feed;
mod load;
mod pen;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use usher_http::auth::Keys;
use usher_http::server::{Limits, layered, serve};
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::projection::Announcer;
use usher_projector::queue::QueueReader;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::queue::redis::{self, RedisQueues};
use usher_query::{QueryConfig, QueryState, router};

use feed::{Feed, WAITING};
use load::Load;
use pen::{OPENING, PARTITIONS};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each; the median counts.
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(3);
/// Different requests of a kind.
const ASKED: usize = 4_096;

fn main() {
    PrometheusBuilder::new().install_recorder().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let feed = Feed::new();
    let bookings = MemoryBookings::new(PARTITIONS);
    feed.fill(&bookings).await;
    let queues = MemoryQueues::new(PARTITIONS);
    feed.fill(&queues).await;
    println!("{WAITING} drawn and waiting");
    let routes = routes(Arc::new(queues), &bookings);
    let status = vec![format!("/v1/openings/{OPENING}")];
    compare("status from memory", Some(0.8), &routes, &status).await;
    compare("position from memory", Some(0.8), &routes, &feed.tickets(ASKED, "")).await;
    let begun = Instant::now();
    answer(&routes, &feed.tickets(1, "/proof")[0]).await;
    println!("first proof of {WAITING}: {:.2} s, both trees are built", begun.elapsed().as_secs_f64());
    compare("proof from memory", None, &routes, &feed.tickets(ASKED, "/proof")).await;

    let Ok(url) = std::env::var("USHER_REDIS__URL") else {
        println!("USHER_REDIS__URL is not set: nothing from Redis");
        return;
    };
    let prefix = format!("bench-{}", std::process::id());
    let queues = RedisQueues::new(redis::client(&url).unwrap(), &prefix).unwrap();
    let begun = Instant::now();
    feed.fill(&queues).await;
    println!("{WAITING} are in Redis after {:.1} s", begun.elapsed().as_secs_f64());
    let routes = self::routes(Arc::new(queues), &bookings);
    compare("status from Redis", None, &routes, &status).await;
    compare("position from Redis", Some(0.4), &routes, &feed.tickets(ASKED, "")).await;
}

fn routes(queues: Arc<dyn QueueReader>, bookings: &MemoryBookings) -> Router {
    let config = QueryConfig {
        partitions: PARTITIONS,
        after_timeout: Duration::from_secs(5),
        after_waiters: 1_000,
        updates_connections: 1_000,
    };
    let (announcer, stop) = (Announcer::default(), CancellationToken::new());
    let state = QueryState::new(queues, Arc::new(bookings.clone()), announcer, Keys::default(), config, stop);
    router(state).0
}

async fn answer(routes: &Router, path: &str) -> Bytes {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.into_body().collect().await.unwrap().to_bytes()
}

/// The same answer without a question.
fn bare(answer: Bytes) -> Router {
    let handler = move || async move {
        let mut response = Response::new(Body::from(answer));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    Router::new().route("/bare", get(handler))
}

async fn serving(router: Router) -> (std::net::SocketAddr, CancellationToken) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(serve(listener, router, stop.clone().cancelled_owned()));
    (address, stop)
}

/// Answers a second of a bare GET, of the routes alone, and as they are
/// served, in turn; the last is to be at least `limit` of the first.
async fn compare(what: &str, limit: Option<f64>, routes: &Router, paths: &[String]) {
    let limits = Limits { body_bytes: 1_024, timeout: Duration::from_secs(30) };
    let body = answer(routes, &paths[0]).await;
    let bytes = body.len();
    let kinds = [
        ("bare", bare(body), vec!["/bare".to_owned()]),
        ("routes", routes.clone(), paths.to_vec()),
        ("served", layered(routes.clone(), limits), paths.to_vec()),
    ];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (rates, (_, router, paths)) in rates.iter_mut().zip(&kinds) {
            let (address, stop) = serving(router.clone()).await;
            rates.push(Load::new(address, paths).run(ROUND).await);
            stop.cancel();
        }
    }
    let [bare, alone, served] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    let verdict = match limit {
        Some(limit) if served / bare >= limit => format!(", at least {limit}: met"),
        Some(limit) => format!(", at least {limit}: MISSED"),
        None => String::new(),
    };
    println!(
        "{what} ({bytes} bytes): bare {bare:.0}/s, routes {alone:.0}/s = {:.2}, as served {served:.0}/s = {:.2}{verdict}",
        alone / bare,
        served / bare
    );
}
