//! How long a writer takes to decide on the best seats, in a hall of 1,000
//! seats of which half are taken one by one, which is the hardest way.
//!
//! `cargo bench -p usher-command --bench best`

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use usher_command::opening::{Best, Command, Decision, Fact, Opening, Refusal, Relax, Request};
use usher_events::draw::merkle_root;
use usher_events::event::*;
use usher_events::ids::{Actor, CommandId, Hash, HoldId, PlanName, SeatId, ShowingId, Ticket};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

const ROWS: usize = 25;
const SEATS_PER_ROW: usize = 40;
const HALLS: u64 = 40;
const ROUNDS: usize = 50;
const ANN: Ticket = Ticket([1; 32]);
const BEN: Ticket = Ticket([2; 32]);

fn plan() -> Plan {
    let seat = |row: usize, n: usize| {
        let x = n * 22
            + if n < 10 {
                0
            } else if n < 30 {
                40
            } else {
                80
            };
        json!({"seat_guid": format!("{row}-{n}"), "position": {"x": x, "y": 0}})
    };
    let row = |row: usize| {
        let seats: Vec<_> = (0..SEATS_PER_ROW).map(|n| seat(row, n)).collect();
        json!({"row_number": row.to_string(), "position": {"x": 0, "y": row * 30}, "seats": seats})
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    serde_json::from_value(json!({"seating": {"name": "Hall", "zones": [{"rows": rows}]}})).unwrap()
}

fn showing() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

/// A hall with half of its seats taken; Ann is inside.
fn half_taken(seed: u64) -> Opening {
    let (plan, at) = (plan(), Timestamp(1));
    let mut seats: Vec<SeatId> = plan.seating.seats().map(|seat| seat.seat_guid.clone()).collect();
    seats.shuffle(&mut StdRng::seed_from_u64(seed));
    seats.truncate(ROWS * SEATS_PER_ROW / 2);
    let name = PlanName::new("hall").unwrap();
    let (expires_at, leave_by) = (Timestamp(1_000_000), Timestamp(1_000_000));
    let joined = |ticket, number| VisitorJoined { at, ticket, number: Some(number), subject: None };
    let events: Vec<Event> = vec![
        OpeningScheduled {
            at,
            title: "The premiere".to_owned(),
            opens_at: at,
            drains_at: None,
            closes_at: Timestamp(1_000_000),
            policy: Policy { max_seats: 20, ..Policy::default() },
            seed_commitment: Hash::default(),
            draw_key_id: "key".to_owned(),
            beacon: None,
            plans: [(name.clone(), plan)].into(),
            showings: vec![Showing { showing: showing(), title: String::new(), starts_at: at, plan: name }],
        }
        .into(),
        LobbyClosed { at, cohort_root: merkle_root(&[]), count: 0 }.into(),
        DrawHeld { at, seed: Hash::default(), beacon: None, order_root: merkle_root(&[]) }.into(),
        OpeningOpened { at }.into(),
        joined(ANN, 1).into(),
        joined(BEN, 2).into(),
        VisitorEntered { at, ticket: ANN, leave_by }.into(),
        VisitorEntered { at, ticket: BEN, leave_by }.into(),
        SeatsHeld {
            at,
            hold: HoldId(Uuid::nil()),
            ticket: BEN,
            showing: showing(),
            seats,
            expires_at,
            leave_by,
        }
        .into(),
    ];
    let mut opening = Opening::default();
    for (n, event) in (1..).zip(events) {
        let command_id = CommandId(Uuid::from_u128(n));
        opening.fold(&Fact { command_id, digest: Hash::default(), event, numbering: None });
    }
    opening
}

fn asked(count: u32, relax: Relax) -> Request {
    let best = Best { count, category: None, relax, wheelchair: false };
    let hold = HoldId(Uuid::from_u128(1_000));
    let command = Command::HoldBest { hold, ticket: ANN, showing: showing(), best };
    Request {
        id: CommandId(hold.0),
        digest: Hash::default(),
        actor: Actor::Visitor(ANN),
        now: Timestamp(2),
        command,
    }
}

/// The time that deciding on `request` takes, in microseconds, sorted.
fn times(halls: &[Opening], request: &Request, random: &mut StdRng) -> (Vec<f64>, usize) {
    let (mut times, mut held) = (Vec::new(), 0);
    for _ in 0..halls.len() * ROUNDS {
        let opening = &halls[random.random_range(0..halls.len())];
        let started = Instant::now();
        let decided = black_box(opening).decide(black_box(request));
        times.push(started.elapsed().as_secs_f64() * 1e6);
        match decided {
            Ok(Decision::Accepted(_)) => held += 1,
            Err(Refusal::NoSuchChoice { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    times.sort_by(f64::total_cmp);
    (times, held)
}

fn main() {
    let halls: Vec<Opening> = (0..HALLS).map(half_taken).collect();
    let mut random = StdRng::seed_from_u64(7);
    println!("seats  relax      median µs   p99 µs   found");
    for count in [1, 2, 4, 8, 20] {
        for relax in [Relax::Nothing, Relax::Single, Relax::Split] {
            let (times, held) = times(&halls, &asked(count, relax), &mut random);
            let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            let found = held * 100 / times.len();
            println!("{count:5}  {:8}  {median:10.1} {p99:8.1}  {found:5} %", format!("{relax:?}"));
        }
    }
}
