//! Joins of an open opening, durable, against a plain waiting room on Redis.
//!
//! `cargo bench --bench redis_room`, with `redis-server` on the path. The plain
//! room is what many write first: a script that does INCR and ZADD, on a Redis
//! that syncs each write (`appendfsync always`), behind a bare axum handler
//! that answers the same JSON. Ours is the binary's `serve` as it ships, on
//! the embedded log. All, and the load, are processes of their own, on one
//! file system. Seconds of each measurement: `USHER_BENCH_SECONDS`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use shared::doors::{
    Joins, Process, free_address, load, measure, my_part, serve_bare, serving, usher, wait_until_open,
};
use shared::{Limit, Pairs, ROUNDS};
use usher_events::time::Timestamp;

/// Where the plain room's Redis is.
const REDIS: &str = "USHER_BENCH_REDIS";

/// A repeated join keeps its number.
const JOIN: &str = "
    local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
    if known then return tonumber(known) end
    local number = redis.call('INCR', KEYS[1])
    redis.call('ZADD', KEYS[2], number, ARGV[1])
    return number";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize)]
struct Answer {
    ticket: String,
    state: &'static str,
    number: u32,
    as_of: &'static str,
}

struct Room {
    connection: MultiplexedConnection,
    join: redis::Script,
}

async fn join(
    State(room): State<Arc<Room>>,
    Path((opening, ticket)): Path<(String, String)>,
    Json(Nothing {}): Json<Nothing>,
) -> (StatusCode, Json<Answer>) {
    let mut connection = room.connection.clone();
    let mut join = room.join.key(format!("{opening}:last"));
    join.key(format!("{opening}:line")).arg(&ticket);
    let number = join.invoke_async(&mut connection).await.unwrap();
    (StatusCode::CREATED, Json(Answer { ticket, state: "waiting", number, as_of: "11.123456" }))
}

async fn serve_plain(address: SocketAddr) {
    let client = redis::Client::open(std::env::var(REDIS).unwrap()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let room = Arc::new(Room { connection, join: redis::Script::new(JOIN) });
    let routes = axum::Router::new()
        .route("/v1/openings/{opening}/tickets/{ticket}", axum::routing::put(join))
        .with_state(room);
    serve_bare(address, routes).await;
}

/// A Redis that has a join on the disk before it answers.
fn redis_server(directory: &FilePath) -> (Process, String) {
    let address = free_address();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]).arg("--dir").arg(directory);
    let process = Process(command.stdout(Stdio::null()).spawn().expect("redis-server is installed"));
    let begun = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "redis-server does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
    (process, format!("redis://{address}/"))
}

fn main() {
    if let Some((part, address)) = my_part() {
        if part == "load" {
            return load(address);
        }
        return tokio::runtime::Runtime::new().unwrap().block_on(serve_plain(address));
    }
    for connections in [64, 512] {
        let what = format!("joins against a plain room on Redis, {connections} connections");
        let mut rates = Pairs::new(&what, "per second");
        let mut tails = Pairs::new(&format!("p99 of {what}"), "us");
        for _ in 0..ROUNDS {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let (ours, theirs) = both(directory.path(), connections);
            rates.add(ours.per_second, theirs.per_second);
            tails.add(ours.p99_us, theirs.p99_us);
        }
        rates.tell(Limit::AtLeast(1.0));
        tails.tell(Limit::AtMost(1.0));
    }
}

/// One after the other; the one not measured is stopped.
fn both(directory: &FilePath, connections: u64) -> (Joins, Joins) {
    let ours = {
        let opens_at = Timestamp::now() + Duration::from_secs(1);
        let closes_at = opens_at + Duration::from_secs(86_400);
        let (_usher, address) = usher(directory, &opens_at.to_string(), &closes_at.to_string());
        wait_until_open(address);
        measure(address, connections)
    };
    let (_redis, url) = redis_server(directory);
    let (_room, address) = serving("plain", &[(REDIS, &url)]);
    (ours, measure(address, connections))
}
