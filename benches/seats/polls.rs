//! The seat map, polled.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::header;
use bytes::Bytes;

use super::exchange::Connection;
use super::shared::doors::{self, run, serving, usher_with};
use super::shared::{Limit, Pairs, ROUNDS, from_environment};

const CONNECTIONS: usize = 64;
const SEATS: usize = 1_000;
const MAP: &str = "/showings/evening/seats";
/// Where the bare server finds the bytes that ours answers with.
const BYTES: &str = "USHER_BENCH_BYTES";

pub(crate) async fn serve_bare(address: SocketAddr) {
    let bytes = Bytes::from(std::fs::read(std::env::var(BYTES).unwrap()).unwrap());
    let answer = move || {
        let bytes = bytes.clone();
        async move { ([(header::CONTENT_TYPE, "application/json"), (header::ETAG, "\"1\"")], bytes) }
    };
    let path = "/v1/openings/{opening}/showings/{showing}/seats";
    doors::serve_bare(address, axum::Router::new().route(path, axum::routing::get(answer))).await;
}

/// Prints how many polls were answered in a second.
pub(crate) async fn load(address: SocketAddr) {
    let took = Duration::from_secs(from_environment("USHER_BENCH_SECONDS", 5));
    let begun = Instant::now();
    let poller = |_| {
        tokio::spawn(async move {
            let (mut connection, mut polled) = (Connection::new(address).await, 0_u64);
            while begun.elapsed() < took {
                assert_eq!(connection.ask("GET", MAP, "", "").await, 200);
                polled += 1;
            }
            polled
        })
    };
    let pollers: Vec<_> = (0..CONNECTIONS).map(poller).collect();
    let mut polled = 0;
    for poller in pollers {
        polled += poller.await.unwrap();
    }
    println!("{}", polled as f64 / begun.elapsed().as_secs_f64());
}

pub(crate) fn measure() {
    let what = format!("polls of a map of {SEATS} seats against a bare GET of the same bytes");
    let mut pairs = Pairs::new(&what, "per second");
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let ours = usher_with(directory.path(), &super::opening(SEATS, 1));
        let map = doors::get(&format!("http://{}/v1/openings/premiere-2026{MAP}", ours.1));
        let file = directory.path().join("map.json");
        std::fs::write(&file, &map).unwrap();
        let theirs = serving("bare-map", &[(BYTES, file.to_str().unwrap())]);
        pairs.add(run("poll", ours.1)[0], run("poll", theirs.1)[0]);
    }
    pairs.tell(Limit::AtLeast(0.7));
}
