//! What a writer's memory grows by for each visitor who waits.
//!
//! `cargo bench --bench memory`. Resident memory, as the system counts it,
//! before and after a million visitors join an open opening. The partition
//! keeps a confirmed and a working copy of it; both are counted.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use std::time::Duration;

use shared::driver::Driver;
use shared::stage::{join, schedule};
use shared::{Limit, from_environment, tell};
use usher_events::policy::Policy;

/// A line of /proc/self/status, in bytes.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find(|found| found.starts_with(line)).unwrap();
    found.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

fn main() {
    let visitors = from_environment("USHER_BENCH_VISITORS", 1_000_000);
    let mut driver = Driver::new(None);
    let policy = Policy { capacity: 1, ..Policy::default() };
    let (opening, now) = (driver.opening.clone(), driver.now);
    driver.submit(schedule(&opening, now, Duration::from_secs(1), policy));
    driver.settle();
    driver.wait_ms(1_000);
    let before = status("VmRSS");
    for i in 0..visitors {
        driver.submit(join(&opening, i));
        if i % 1_000 == 999 {
            driver.settle();
        }
    }
    driver.settle();
    assert_eq!((driver.refused, driver.partition.in_flight()), (0, 0));
    let queue = driver.state().openings[&opening].opening.queue();
    assert!(u64::from(queue.present()) >= visitors - 1);
    let grown = |line| (status(line).saturating_sub(before)) as f64 / visitors as f64;
    println!("  at its peak: {:.0} bytes", grown("VmHWM"));
    tell("memory of the writer per waiting visitor", grown("VmRSS"), " bytes", Limit::AtMost(200.0));
}
