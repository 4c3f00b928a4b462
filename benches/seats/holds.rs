//! Holds of seats that nobody else wants.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{Json, Path};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::exchange::{Connection, Visitor, seat};
use super::shared::doors::{self, run, serving, usher_with};
use super::shared::{Limit, Pairs, ROUNDS, from_environment};

const CONNECTIONS: usize = 64;
/// How many visitors come over each connection, with as many seats each as the
/// policy lets them hold.
const VISITORS: usize = 15;
const SEATS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    showing: String,
    seats: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    hold: Uuid,
    state: &'static str,
    showing: String,
    seats: Vec<String>,
    expires_at: &'static str,
    as_of: &'static str,
}

async fn answer(
    Path((_, hold)): Path<(String, Uuid)>,
    Json(Body { showing, seats }): Json<Body>,
) -> (StatusCode, Json<Answer>) {
    let (expires_at, as_of) = ("2026-03-01T11:02:00.123Z", "11.123456");
    (StatusCode::CREATED, Json(Answer { hold, state: "live", showing, seats, expires_at, as_of }))
}

pub(crate) async fn serve_bare(address: SocketAddr) {
    let routes = axum::Router::new().route("/v1/openings/{opening}/holds/{hold}", axum::routing::put(answer));
    doors::serve_bare(address, routes).await;
}

/// Prints how many holds there were in a second. Who are `inside` must have
/// entered before.
pub(crate) async fn load(address: SocketAddr, inside: bool) {
    let took = Duration::from_secs(from_environment("USHER_BENCH_SECONDS", 5));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::new(address).await;
        let visitors: Vec<Visitor> = (0..VISITORS).map(|_| Visitor::new()).collect();
        for visitor in visitors.iter().filter(|_| inside) {
            visitor.enter(&mut connection).await;
        }
        connections.push((connection, visitors));
    }
    let begun = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(c, (mut connection, visitors))| {
            tokio::spawn(async move {
                let mut held = 0;
                while held < VISITORS * SEATS && begun.elapsed() < took {
                    let hold = format!("/holds/{}", Uuid::new_v4());
                    let name = seat(c * VISITORS * SEATS + held);
                    let body = format!(r#"{{"showing":"evening","seats":["{name}"]}}"#);
                    let status = connection.ask("PUT", &hold, &visitors[held / SEATS].secret, &body).await;
                    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&connection.answer));
                    held += 1;
                }
                held
            })
        })
        .collect();
    let mut held = 0;
    for task in tasks {
        held += task.await.unwrap();
    }
    println!("{}", held as f64 / begun.elapsed().as_secs_f64());
}

pub(crate) fn measure() {
    let what = format!("holds over HTTP against a bare handler, {CONNECTIONS} connections");
    let mut pairs = Pairs::new(&what, "per second");
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let body = super::opening(CONNECTIONS * VISITORS * SEATS, CONNECTIONS * VISITORS);
        let ours = usher_with(directory.path(), &body);
        let theirs = serving("bare-holds", &[]);
        pairs.add(run("hold", ours.1)[0], run("hold-bare", theirs.1)[0]);
    }
    pairs.tell(Limit::AtLeast(0.4));
}
