//! Bookings projected into Postgres, against a bare COPY of the same rows.
//!
//! `compose/stack run -- cargo bench --bench bookings`. Both sides write the
//! rows in transactions of as many bookings, into tables with the same keys.
//! How many: `USHER_BENCH_BOOKINGS`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use std::time::{Duration, Instant};

use shared::stage::ticket;
use shared::{Limit, Pairs, ROUNDS, from_environment};
use sqlx::postgres::{PgPool, PgPoolCopyExt};
use usher_events::event::{BookingConfirmed, Event, OpeningScheduled, SeatsHeld, WriterClaimed};
use usher_events::ids::{
    BookingId, CommandId, Hash, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId,
};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::record::{Headers, Record, StoredRecord, encode};
use usher_events::time::Timestamp;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::judge::judge;
use usher_projector::places;
use usher_projector::store::{Place, Store};
use uuid::Uuid;

/// The records of one step, as a reader hands them over.
const STEP: usize = 4_096;
/// The tables that a booking has rows in.
const TABLES: [&str; 4] = ["seats", "holds", "bookings", "settlements"];

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
        seed_commitment: Hash::default(),
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

fn sold(bookings: u32) -> Vec<StoredRecord> {
    let showing = ShowingId::new("evening").unwrap();
    let seat = |i: u32| vec![SeatId::new(&format!("S{i}")).unwrap()];
    let events = (0..bookings).flat_map(|i| {
        let (hold, at) = (HoldId(Uuid::from_u128(u128::from(i) + 1)), Timestamp(5));
        let held = SeatsHeld {
            at,
            hold,
            ticket: ticket(i.into()),
            showing: showing.clone(),
            seats: seat(i),
            expires_at: at,
            leave_by: at,
        };
        let booked = BookingConfirmed {
            at,
            booking: BookingId(Uuid::from_u128(u128::from(i) + 1)),
            hold,
            ticket: ticket(i.into()),
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

/// A schema of its own, with the tables of the views.
struct Database {
    schema: String,
    pool: PgPool,
}

impl Database {
    async fn new() -> Self {
        let url = std::env::var("USHER_POSTGRES__URL").expect("run me in `compose/stack run -- `");
        let schema = format!("bench_{}", Uuid::new_v4().simple());
        let outside = places::pool(&url, 1).unwrap();
        let create = format!("CREATE SCHEMA {schema}");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&outside).await.unwrap();
        let pool = places::pool(&format!("{url}?options[search_path]={schema}"), 4).unwrap();
        places::migrate(&pool).await.unwrap();
        Self { schema, pool }
    }

    async fn run(&self, sql: String) {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
    }

    /// Applies records that follow `place`.
    async fn project(&self, mut place: Place, records: &[StoredRecord]) -> Duration {
        let store = PostgresBookings::new(self.pool.clone());
        let begun = Instant::now();
        for part in records.chunks(STEP) {
            let judged = judge(0, place, part);
            store.apply(&judged.batch).await.unwrap();
            place = judged.batch.to;
        }
        begun.elapsed()
    }

    /// The rows of a table, as COPY writes them.
    async fn rows(&self, table: &str) -> Vec<Vec<u8>> {
        let copied = self.pool.copy_out_raw(&format!("COPY {table} TO STDOUT")).await.unwrap();
        let mut copied = std::pin::pin!(copied);
        let mut rows = Vec::new();
        while let Some(row) = futures::StreamExt::next(&mut copied).await {
            rows.push(row.unwrap().to_vec());
        }
        rows
    }

    /// Copies the same rows into empty tables, in the same transactions.
    async fn copy(&self) -> Duration {
        let mut copies = Vec::new();
        for table in TABLES {
            let rows = self.rows(table).await;
            self.run(format!("CREATE TABLE {table}_copy (LIKE {table} INCLUDING ALL)")).await;
            let steps: Vec<Vec<u8>> = rows.chunks(STEP / 2).map(<[Vec<u8>]>::concat).collect();
            copies.push((format!("COPY {table}_copy FROM STDIN"), steps));
        }
        let begun = Instant::now();
        for step in 0..copies[0].1.len() {
            let mut transaction = self.pool.begin().await.unwrap();
            for (statement, steps) in &copies {
                let mut copy = transaction.copy_in_raw(statement).await.unwrap();
                copy.send(&steps[step][..]).await.unwrap();
                copy.finish().await.unwrap();
            }
            transaction.commit().await.unwrap();
        }
        begun.elapsed()
    }

    async fn drop(self) {
        self.run(format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }
}

fn main() {
    let bookings = u32::try_from(from_environment("USHER_BENCH_BOOKINGS", 100_000)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut pairs = Pairs::new("bookings projected into Postgres against COPY", "per second");
    runtime.block_on(async {
        let records = sold(bookings);
        let (first, rest) = records.split_at(2);
        for _ in 0..ROUNDS {
            let database = Database::new().await;
            database.project(Place::default(), first).await;
            let place = PostgresBookings::new(database.pool.clone()).place(0).await.unwrap();
            let projected = database.project(place, rest).await;
            let copied = database.copy().await;
            database.drop().await;
            pairs.add(
                f64::from(bookings) / projected.as_secs_f64(),
                f64::from(bookings) / copied.as_secs_f64(),
            );
        }
    });
    pairs.tell(Limit::AtLeast(0.4));
}
