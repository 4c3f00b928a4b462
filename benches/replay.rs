//! Replaying a log into the aggregate: reading, judging, decoding, folding.
//!
//! `cargo bench --bench replay`. The log is an embedded one on disk, and is
//! read as a follower reads it. Visitors of the whole opening:
//! `USHER_BENCH_VISITORS`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::driver::Driver;
use shared::stage::{join, request, schedule, ticket};
use shared::{Limit, ROUNDS, from_environment, median, tell};
use usher_command::opening::{Command, Schedule};
use usher_command::writer::PartitionState;
use usher_events::event::TicketState;
use usher_events::ids::{Actor, BookingId, HoldId, PaymentReference, PlanName, SeatId, ShowingId};
use usher_events::log::Log;
use usher_events::log::embedded::EmbeddedLog;
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use uuid::Uuid;

const SEATS: u64 = 500;
const AT_ONCE: u64 = 1_000;

/// Only joins.
fn joins(driver: &mut Driver, visitors: u64) {
    let (opening, now) = (driver.opening.clone(), driver.now);
    driver.submit(schedule(&opening, now, Duration::from_secs(1_000), Policy::default()));
    for i in 0..visitors {
        driver.submit(join(&opening, i));
        if i % AT_ONCE == 0 {
            driver.settle();
        }
    }
    driver.settle();
}

/// A hall for each of the showings that the visitors' seats need.
fn with_seats(schedule: &mut Schedule, visitors: u64) {
    let row: Vec<_> = (0..SEATS).map(|i| serde_json::json!({"seat_guid": format!("row-a-{i}")})).collect();
    let seating = serde_json::json!({"seating": {"name": "Hall", "zones": [{"rows": [{"seats": row}]}]}});
    let (hall, plan): (_, Plan) = (PlanName::new("hall").unwrap(), serde_json::from_value(seating).unwrap());
    let showing = |i| Showing {
        showing: ShowingId::new(&format!("evening-{i}")).unwrap(),
        title: "Evening".to_owned(),
        starts_at: schedule.closes_at,
        plan: hall.clone(),
    };
    schedule.showings = (0..visitors.div_ceil(SEATS)).map(showing).collect();
    schedule.plans = [(hall, plan)].into();
}

/// All join the lobby and are drawn; then everyone enters, holds a seat and
/// books it.
fn whole(driver: &mut Driver, visitors: u64) {
    let (opening, now) = (driver.opening.clone(), driver.now);
    let policy = Policy { capacity: 4_000, ..Policy::default() };
    let mut scheduling = schedule(&opening, now, Duration::from_secs(1_000), policy);
    if let Command::Schedule(schedule) = &mut scheduling.command {
        with_seats(schedule, visitors);
    }
    driver.submit(scheduling);
    for i in 0..visitors {
        driver.submit(join(&opening, i));
        if i % AT_ONCE == 0 {
            driver.settle();
        }
    }
    driver.settle();
    driver.wait_ms(1_000_000);
    let mut inside: Vec<u64> = Vec::new();
    let mut left: Vec<u64> = (0..visitors).collect();
    while !left.is_empty() {
        driver.wait_ms(100);
        let queue = driver.state().openings[&opening].opening.queue();
        left.retain(|i| {
            let admitted = matches!(queue.ticket(&ticket(*i)), Some((TicketState::Admitted, _)));
            if admitted {
                inside.push(*i);
            }
            !admitted
        });
        for some in inside.chunks(AT_ONCE as usize / 3) {
            some.iter().for_each(|i| visit(driver, *i));
            driver.settle();
        }
        inside.clear();
    }
    assert_eq!(driver.refused, 0);
}

fn visit(driver: &mut Driver, i: u64) {
    let (opening, ticket) = (driver.opening.clone(), ticket(i));
    let hold = HoldId(Uuid::from_u128(u128::from(i) * 2 + 1));
    let commands = [
        Command::Enter { ticket },
        Command::Hold {
            hold,
            ticket,
            showing: ShowingId::new(&format!("evening-{}", i / SEATS)).unwrap(),
            wheelchair: false,
            seats: vec![SeatId::new(&format!("row-a-{}", i % SEATS)).unwrap()],
        },
        Command::Confirm {
            booking: BookingId(Uuid::from_u128(u128::from(i) * 2 + 2)),
            hold,
            payment_reference: PaymentReference::new(&format!("payment-{i}")).unwrap(),
        },
    ];
    for command in commands {
        let actor = match command {
            Command::Confirm { .. } => Actor::Merchant("till".into()),
            _ => Actor::Visitor(ticket),
        };
        driver.submit(request(&opening, actor, command));
    }
}

/// Writes a history to a file; how many records that makes.
fn write(file: &Path, play: impl FnOnce(&mut Driver)) -> u64 {
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(file, 1).unwrap());
    let mut driver = Driver::new(Some(log));
    play(&mut driver);
    driver.state().position
}

/// Replays a file into the aggregate; events per second.
async fn replay(file: &Path, end: u64) -> f64 {
    let log = EmbeddedLog::open(file, 1).unwrap();
    let begun = Instant::now();
    let mut state = PartitionState::default();
    let mut reader = log.read(0, 0);
    while state.position < end {
        for stored in reader.next().await.unwrap() {
            state.fold(stored).unwrap();
        }
    }
    let took = begun.elapsed();
    assert_eq!(state.voids, 0);
    end as f64 / took.as_secs_f64()
}

fn main() {
    let visitors = from_environment("USHER_BENCH_VISITORS", 250_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (of_joins, of_all) = (directory.path().join("joins.redb"), directory.path().join("all.redb"));
    let logs = [
        ("replay of joins", write(&of_joins, |driver| joins(driver, visitors * 4)), of_joins),
        ("replay of a whole opening", write(&of_all, |driver| whole(driver, visitors)), of_all),
    ];
    let mut rates = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for ((what, events, file), rates) in logs.iter().zip(&mut rates) {
            let rate = runtime.block_on(replay(file, *events));
            println!("  {what}: {events} events, {rate:.0} per second");
            rates.push(rate);
        }
    }
    for ((what, ..), rates) in logs.iter().zip(rates) {
        tell(what, median(rates) / 1e6, " million events per second", Limit::AtLeast(1.0));
    }
}
