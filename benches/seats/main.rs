//! What holds, seat maps and their changes cost over HTTP, on `usher serve` as
//! it ships.
//!
//! `cargo bench --bench seats`: holds of seats that nobody else wants, durable,
//! against a bare axum handler with the same JSON; 500 visitors for one seat;
//! the map of 1,000 seats against a bare GET of the same bytes; and how soon
//! 5,000 listeners see a hold. Servers and load are processes of their own.
//! Seconds of each measurement: `USHER_BENCH_SECONDS`; listeners:
//! `USHER_BENCH_LISTENERS`; one of them alone: `USHER_BENCH_ONLY=holds`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod contest;
mod exchange;
mod feed;
mod holds;
mod polls;
#[path = "../shared/mod.rs"]
mod shared;

use std::net::SocketAddr;

use serde_json::{Value, json};
use shared::doors::my_part;

/// An opening that is open, with so many seats of one showing.
fn opening(seats: usize, capacity: usize) -> Value {
    let seat = |i: usize| json!({"seat_guid": exchange::seat(i), "category": "All"});
    let numbers: Vec<usize> = (0..seats).collect();
    let rows: Vec<Value> = numbers
        .chunks(25)
        .map(|row| json!({"seats": row.iter().map(|i| seat(*i)).collect::<Vec<_>>()}))
        .collect();
    json!({
        "title": "The premiere", "opens_at": "2026-01-01T10:00:00Z", "closes_at": "2099-01-02T10:00:00Z",
        "policy": {
            "capacity": capacity, "max_seats": 100, "stay_for_s": 3_600, "hold_for_s": 3_600,
            "enter_within_s": 3_600, "payment": "none",
        },
        "plans": {"hall": {"name": "Hall", "categories": [{"name": "All"}], "zones": [{"rows": rows}]}},
        "showings": [{
            "showing": "evening", "title": "Evening", "starts_at": "2099-01-01T20:00:00Z", "plan": "hall",
        }],
    })
}

fn play(part: &str, address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match part {
            "bare-holds" => holds::serve_bare(address).await,
            "bare-map" => polls::serve_bare(address).await,
            "hold" => holds::load(address, true).await,
            "hold-bare" => holds::load(address, false).await,
            "contest" => contest::load(address).await,
            "poll" => polls::load(address).await,
            "listen" => feed::load(address).await,
            part => panic!("no part is called {part}"),
        }
    });
}

fn main() {
    if let Some((part, address)) = my_part() {
        return play(&part, address);
    }
    let only = std::env::var("USHER_BENCH_ONLY").ok();
    let all: [(&str, fn()); 4] = [
        ("holds", holds::measure),
        ("contest", contest::measure),
        ("polls", polls::measure),
        ("feed", feed::measure),
    ];
    for (name, measure) in all {
        if only.as_deref().is_none_or(|only| only == name) {
            measure();
        }
    }
}
