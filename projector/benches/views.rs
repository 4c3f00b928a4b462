//! How fast views are built and asked, against the bare servers.
//!
//! `cargo bench -p usher-projector --bench views`, with Redis and Postgres in
//! the environment (`compose/stack run`). Sizes: `USHER_BENCH_VISITORS`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgPoolCopyExt;
use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::{
    BookingConfirmed, DrawHeld, Event, LobbyClosed, OpeningScheduled, SeatsHeld, VisitorJoined, WriterClaimed,
};
use usher_events::ids::{
    BookingId, CommandId, Hash, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::record::{Headers, Record, StoredRecord, encode};
use usher_events::time::Timestamp;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::judge::judge;
use usher_projector::places;
use usher_projector::queue::QueueReader;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::queue::redis::{self, RedisQueues};
use usher_projector::store::{Place, Store};
use uuid::Uuid;

const STEP: usize = 4_096;
const SEED: Hash = Hash([7; 32]);

fn records(events: impl IntoIterator<Item = Event>) -> Vec<StoredRecord> {
    let claimed =
        WriterClaimed { at: Timestamp(0), address: String::new(), version: String::new(), partitions: 1 };
    let all = std::iter::once(Event::from(claimed)).chain(events);
    let opening = OpeningId::new("premiere").unwrap();
    let record = |(n, event): (u64, Event)| StoredRecord {
        offset: n,
        appended_at: Timestamp(0),
        record: Record {
            key: (n > 0).then(|| opening.clone()),
            value: encode(&event).unwrap(),
            headers: Headers {
                tenure: 1,
                n,
                seq: n,
                command_id: CommandId(Uuid::nil()),
                digest: Hash::default(),
                actor: "timer:bench".into(),
                chain: Hash::default(),
            },
        },
    };
    (0..).zip(all).map(record).collect()
}

fn ticket(number: u32) -> Ticket {
    use sha2::Digest;
    Ticket(sha2::Sha256::digest(number.to_be_bytes()).into())
}

fn scheduled(seats: usize) -> Event {
    let row: Vec<_> = (0..seats).map(|i| serde_json::json!({"seat_guid": format!("S{i}")})).collect();
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "seating": {"name": "Hall", "zones": [{"rows": [{"seats": row}]}]}
    }))
    .unwrap();
    OpeningScheduled {
        at: Timestamp(0),
        title: "The premiere".to_owned(),
        opens_at: Timestamp(1),
        drains_at: None,
        closes_at: Timestamp(2),
        policy: Policy::default(),
        seed_commitment: commitment(&SEED),
        draw_key_id: "key".to_owned(),
        beacon: None,
        plans: [(PlanName::new("hall").unwrap(), plan)].into(),
        showings: vec![Showing {
            showing: ShowingId::new("evening").unwrap(),
            title: "Evening".to_owned(),
            starts_at: Timestamp(3),
            plan: PlanName::new("hall").unwrap(),
        }],
    }
    .into()
}

fn joined(number: u32, known: bool) -> Event {
    let number_told = known.then_some(number);
    VisitorJoined { at: Timestamp(1), ticket: ticket(number), number: number_told, subject: None }.into()
}

async fn project(store: &dyn Store, records: &[StoredRecord]) -> Duration {
    let started = Instant::now();
    let mut place = Place::default();
    for part in records.chunks(STEP) {
        let judged = judge(0, place, part);
        store.apply(&judged.batch).await.unwrap();
        place = judged.batch.to;
    }
    started.elapsed()
}

fn drawn_lobby(visitors: u32) -> Vec<StoredRecord> {
    let mut cohort: Vec<Ticket> = (1..=visitors).map(ticket).collect();
    cohort.sort_unstable();
    let root = merkle_root(&cohort);
    let order = drawn_order(&SEED, &root, None, &cohort);
    let closed = LobbyClosed { at: Timestamp(2), cohort_root: root, count: visitors };
    let held = DrawHeld { at: Timestamp(3), seed: SEED, beacon: None, order_root: merkle_root(&order) };
    let joins = (1..=visitors).map(|number| joined(number, false));
    records(std::iter::once(scheduled(1)).chain(joins).chain([closed.into(), held.into()]))
}

fn in_line(visitors: u32) -> Vec<StoredRecord> {
    let closed = LobbyClosed { at: Timestamp(2), cohort_root: merkle_root(&[]), count: 0 };
    let held = DrawHeld { at: Timestamp(3), seed: SEED, beacon: None, order_root: merkle_root(&[]) };
    let joins = (1..=visitors).map(|number| joined(number, true));
    records([scheduled(1), closed.into(), held.into()].into_iter().chain(joins))
}

fn rate(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}

/// How many answers a second, from so many callers at once.
async fn positions(view: Arc<dyn QueueReader>, visitors: u32) -> f64 {
    let (callers, each) = (64u32, 2_000u32);
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let view = Arc::clone(&view);
            tokio::spawn(async move {
                let opening = OpeningId::new("premiere").unwrap();
                for i in 0..each {
                    let number = (caller * each + i) * 7_919 % visitors + 1;
                    let found = view.ticket(&opening, 0, &ticket(number)).await.unwrap();
                    assert!(found.value.unwrap().ahead.is_some());
                }
            })
        })
        .collect();
    futures::future::join_all(tasks).await;
    rate(callers * each, started.elapsed())
}

async fn queues(visitors: u32) {
    let client = redis::client(&std::env::var("USHER_REDIS__URL").unwrap()).unwrap();
    for (name, records) in [("in line", in_line(visitors)), ("from the lobby, drawn", drawn_lobby(visitors))]
    {
        let memory = MemoryQueues::new(1);
        let took = project(&memory, &records).await;
        println!("memory: {visitors} {name}: {took:.2?}, {:.0} events/s", rate(visitors, took));
        println!("memory: {:.0} positions/s", positions(Arc::new(memory), visitors).await);

        let prefix = format!("bench-{}", Uuid::new_v4().simple());
        let queues = RedisQueues::new(client.clone(), &prefix).unwrap();
        let took = project(&queues, &records).await;
        println!("redis: {visitors} {name}: {took:.2?}, {:.0} events/s", rate(visitors, took));
        println!("redis: {:.0} positions/s", positions(Arc::new(queues), visitors).await);
        let mut connection = client.get_connection().unwrap();
        let keys: Vec<Vec<u8>> =
            ::redis::cmd("KEYS").arg(format!("{prefix}*")).query(&mut connection).unwrap();
        ::redis::cmd("UNLINK").arg(keys).query::<()>(&mut connection).unwrap();
    }
}

fn sold(bookings: u32) -> Vec<StoredRecord> {
    let showing = ShowingId::new("evening").unwrap();
    let seat = |i: u32| vec![SeatId::new(&format!("S{i}")).unwrap()];
    let events = (0..bookings).flat_map(|i| {
        let (hold, at) = (HoldId(Uuid::from_u128(u128::from(i) + 1)), Timestamp(5));
        let held = SeatsHeld {
            at,
            hold,
            ticket: ticket(i),
            showing: showing.clone(),
            seats: seat(i),
            expires_at: at,
            leave_by: at,
        };
        let booked = BookingConfirmed {
            at,
            booking: BookingId(Uuid::from_u128(u128::from(i) + 1)),
            hold,
            ticket: ticket(i),
            showing: showing.clone(),
            seats: seat(i),
            payment_reference: PaymentReference::new(&format!("pay-{i}")).unwrap(),
            late: false,
            visit_ended: true,
            reference: None,
        };
        [Event::from(held), Event::from(booked)]
    });
    records(std::iter::once(scheduled(bookings as usize)).chain(events))
}

async fn bookings(count: u32) {
    let url = std::env::var("USHER_POSTGRES__URL").unwrap();
    let schema = format!("bench_{}", Uuid::new_v4().simple());
    let outside = places::pool(&url, 2).unwrap();
    let run = async |sql: String| sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&outside).await.unwrap();
    run(format!("CREATE SCHEMA {schema}")).await;
    let pool = places::pool(&format!("{url}?options[search_path]={schema}"), 4).unwrap();
    places::migrate(&pool).await.unwrap();
    let records = sold(count);
    let store = PostgresBookings::new(pool.clone());
    let (first, rest) = records.split_at(2);
    project(&store, first).await;
    let started = Instant::now();
    let mut place = store.place(0).await.unwrap();
    for part in rest.chunks(STEP) {
        let judged = judge(0, place, part);
        store.apply(&judged.batch).await.unwrap();
        place = judged.batch.to;
    }
    let projected = rate(count, started.elapsed());
    println!("postgres: {projected:.0} bookings/s projected (hold, booking, settlement, seat)");

    // The same rows of the same tables by COPY, in the same transactions.
    let tables = ["holds", "bookings", "settlements"];
    let mut copies: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for table in tables {
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT {table}::text FROM {table}")))
                .fetch_all(&pool)
                .await
                .unwrap();
        run(format!("CREATE TABLE {schema}.{table}_copy (LIKE {schema}.{table} INCLUDING ALL)")).await;
        let mut out = Vec::new();
        let copied = pool.copy_out_raw(&format!("COPY {table} TO STDOUT")).await.unwrap();
        let mut copied = std::pin::pin!(copied);
        while let Some(part) = futures::StreamExt::next(&mut copied).await {
            out.push(part.unwrap().to_vec());
        }
        let chunks = out.chunks(STEP / 2).map(<[Vec<u8>]>::concat).collect();
        copies.push((format!("{table}_copy"), chunks));
        assert_eq!(rows.len(), count as usize);
    }
    let started = Instant::now();
    for chunk in 0..copies[0].1.len() {
        let mut transaction = pool.begin().await.unwrap();
        for (table, chunks) in &copies {
            let mut copy = transaction.copy_in_raw(&format!("COPY {table} FROM STDIN")).await.unwrap();
            copy.send(&chunks[chunk][..]).await.unwrap();
            copy.finish().await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    let copied = rate(count, started.elapsed());
    println!("postgres: {copied:.0} bookings/s copied; projected is {:.2} of that", projected / copied);
    run(format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[tokio::main]
async fn main() {
    let visitors =
        std::env::var("USHER_BENCH_VISITORS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    queues(visitors).await;
    bookings(visitors.min(100_000)).await;
}
