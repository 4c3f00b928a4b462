//! What a million visitors' heartbeats cost, paced by the server.
//!
//! `cargo bench --bench presence` starts `usher serve` and puts a line of
//! visitors before it, who say that they are there whenever they were told
//! to. Measured is the processor time of the server's process alone, less what it
//! takes when nobody says anything: with the heartbeats together, as another
//! instance sends them on, and each as a request of its own. Then as many as it
//! can take, against a bare axum handler with the same answer.
//!
//! Sizes: `USHER_BENCH_VISITORS` (1,000,000), `USHER_BENCH_SECONDS` (30).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod crowd;
mod lane;
mod server;

use std::time::{Duration, Instant};

use crowd::{Crowd, Way};
use server::Server;

/// The most that it may cost, in cores.
const LIMIT: f64 = 0.1;
/// The longest silences that are tried, in seconds: the default, and a short one.
const AWAY_AFTER_S: [u32; 2] = [600, 120];

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

fn main() {
    if std::env::args().any(|argument| argument == server::BARE) {
        return server::be_bare();
    }
    let visitors = from_environment("USHER_BENCH_VISITORS", 1_000_000);
    let seconds = Duration::from_secs(from_environment("USHER_BENCH_SECONDS", 30).into());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let within = runtime.block_on(measure(visitors, seconds));
    println!("{}", if within { "within the limit" } else { "OVER THE LIMIT" });
    std::process::exit(i32::from(!within));
}

async fn measure(visitors: u32, seconds: Duration) -> bool {
    let usher = Server::usher().await;
    let begun = Instant::now();
    let mut crowd = Crowd::join(&usher, visitors).await;
    println!("{visitors} visitors in line after {:.0?}; {} MB", begun.elapsed(), usher.memory_mb());
    let idle = usher.cores(seconds / 3).await;
    println!("with nobody saying anything: {:.3} of a core", idle);
    let mut within = true;
    for away_after_s in AWAY_AFTER_S {
        usher.away_after(away_after_s).await;
        for way in [Way::Together, Way::Alone] {
            crowd.learn(&usher, Way::Together).await;
            let before = usher.cpu();
            let paced = crowd.beat(&usher, way, seconds).await;
            let cores = (usher.cpu() - before).as_secs_f64() / paced.lasted.as_secs_f64() - idle;
            let a_second = paced.heard as f64 / paced.lasted.as_secs_f64();
            println!(
                "away after {away_after_s} s, {way:?}: {a_second:.0} heartbeats/s cost {cores:.3} of a core \
                 ({:.2} us each), limit {LIMIT}",
                cores / a_second * 1e6
            );
            assert_eq!(paced.failed, 0, "every heartbeat is answered");
            // Where each comes alone is for one instance with all the visitors.
            within &= way == Way::Alone || cores <= LIMIT;
        }
    }
    println!("away by the log: {}", crowd.away);
    saturate(&usher, &crowd, seconds / 3).await;
    within
}

/// As many as it can take, one request each, turn by turn with a bare handler.
async fn saturate(usher: &Server, crowd: &Crowd, seconds: Duration) {
    let bare = Server::bare().await;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (server, rates) in [usher, &bare].into_iter().zip(&mut rates) {
            let before = server.cpu();
            let answered = crowd.hammer(server, seconds).await as f64;
            let used = (server.cpu() - before).as_secs_f64();
            rates.push((answered / seconds.as_secs_f64(), used / answered * 1e6));
        }
    }
    let [ours, bare] = rates.map(|mut all| {
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all[all.len() / 2]
    });
    println!(
        "at saturation, alone: {:.0}/s at {:.1} us of the processor; a bare handler {:.0}/s at {:.1} us; \
         ratio {:.2}",
        ours.0,
        ours.1,
        bare.0,
        bare.1,
        ours.0 / bare.0
    );
}
