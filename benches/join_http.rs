//! `PUT` join over HTTP, durable on the embedded log, against a bare handler.
//!
//! `cargo bench --bench join_http`. Ours is the binary's `serve` as it ships:
//! projections run beside it. The bare one parses the same JSON and answers
//! the same JSON. Both, and the load, are processes of their own. Seconds of
//! each measurement: `USHER_BENCH_SECONDS`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use axum::extract::{Json, Path};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::doors::{load, measure, my_part, serve_bare, serving, usher};
use shared::{Limit, Pairs, ROUNDS};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize)]
struct Answer {
    ticket: String,
    state: &'static str,
    number: Option<u32>,
    as_of: &'static str,
}

async fn answer(
    Path((_, ticket)): Path<(String, String)>,
    Json(Nothing {}): Json<Nothing>,
) -> (StatusCode, Json<Answer>) {
    (StatusCode::CREATED, Json(Answer { ticket, state: "lobby", number: None, as_of: "11.123456" }))
}

fn main() {
    if let Some((part, address)) = my_part() {
        if part == "load" {
            return load(address);
        }
        let routes =
            axum::Router::new().route("/v1/openings/{opening}/tickets/{ticket}", axum::routing::put(answer));
        return tokio::runtime::Runtime::new().unwrap().block_on(serve_bare(address, routes));
    }
    for (connections, limit) in [(64, 0.5), (512, 0.6)] {
        let what = format!("joins over HTTP against a bare handler, {connections} connections");
        let mut pairs = Pairs::new(&what, "per second");
        for _ in 0..ROUNDS {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let ours = usher(directory.path(), "2099-01-01T10:00:00Z", "2099-01-02T10:00:00Z");
            let theirs = serving("bare", &[]);
            pairs.add(measure(ours.1, connections).per_second, measure(theirs.1, connections).per_second);
        }
        pairs.tell(Limit::AtLeast(limit));
    }
}
