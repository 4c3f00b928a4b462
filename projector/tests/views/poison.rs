//! A record that cannot be applied stops its projection until someone acts.

use std::sync::Arc;

use usher_events::event::{HoldReleased, OpeningRescheduled, ReleasedHold, VisitorEntered};
use usher_events::ids::{HoldId, OpeningId, ShowingId, Ticket};
use usher_events::log::Log;
use usher_events::record::Offset;
use usher_events::time::Timestamp;
use usher_projector::analytics::PostgresAnalytics;
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::history::PostgresHistory;
use usher_projector::projection::{inspect, resume, skip};
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::{Store, StoreError};
use uuid::Uuid;

use crate::answers::{Questions, assert_same};
use crate::every_event::every_event;
use crate::history::{Fact, PARTITION, batches, records};
use crate::servers::{PostgresCorner, PostgresDatabase, RedisCorner};
use crate::stage::{Disk, Kept, Trickle, caught_up, start, until};
use crate::told::opening;

/// Where the poison stands among the facts, and so in the log.
const AT: usize = 20;
const OFFSET: Offset = AT as Offset + 1;

fn with_poison(poison: Fact) -> Vec<Fact> {
    let (mut facts, _) = every_event();
    facts.insert(AT, poison);
    facts
}

fn garbage() -> Vec<Fact> {
    with_poison(Fact::Garbage(opening()))
}

/// Understood, but about a ticket and a hold that never were.
fn impossible() -> [Vec<Fact>; 2] {
    let (at, ticket) = (Timestamp(5), Ticket([0xab; 32]));
    let entered = VisitorEntered { at, ticket, leave_by: at };
    let showing = ShowingId::new("evening").unwrap();
    let released = ReleasedHold { hold: HoldId(Uuid::max()), showing, seats: Vec::new() };
    let released = HoldReleased { at, ticket, released };
    let poison = |event| with_poison(Fact::Happened(opening(), event));
    [poison(entered.into()), poison(released.into())]
}

async fn log_of(facts: &[Fact], at_once: usize) -> Arc<dyn Log> {
    let disk = Disk::new();
    disk.append(&records(facts)).await;
    Arc::new(Trickle { log: Arc::new(disk), at_once })
}

async fn stopped(store: &dyn Store) {
    until("the stop", async || store.stopped(PARTITION).await.unwrap().is_some()).await;
}

/// The whole life of a stop, in one store; `again` is the store as another
/// process opens it.
async fn a_stop_and_what_is_done_about_it(
    facts: &[Fact],
    at_once: usize,
    store: Arc<dyn Store>,
    again: Arc<dyn Store>,
) {
    let letters = Arc::new(Kept::default());
    let log = log_of(facts, at_once).await;
    let projections = start(&log, vec![Arc::clone(&store)], &letters);
    stopped(&*store).await;
    let inspected = inspect(&*again, 1).await.unwrap().remove(0);
    assert_eq!(inspected.place.position, OFFSET, "it stands exactly before the record");
    assert_eq!(inspected.stop.as_ref().unwrap().offset, OFFSET);
    projections.stop().await;
    {
        let letters = letters.0.lock().unwrap();
        let [letter] = &letters[..] else { panic!("one dead letter, not {}", letters.len()) };
        assert_eq!((letter.projection, letter.record.offset), (store.projection(), OFFSET));
        assert_eq!(letter.reason, inspected.stop.unwrap().reason);
    }

    // Stays stopped over a restart; resuming only tries the record again.
    let projections = start(&log, vec![Arc::clone(&again)], &letters);
    let resumed = resume(&*again, PARTITION, "ann").await.unwrap().unwrap();
    assert_eq!(resumed.offset, OFFSET);
    stopped(&*again).await;
    assert_eq!(again.position(PARTITION).await.unwrap(), OFFSET);

    // A skip names its record.
    let wrong = skip(&*log, &*again, PARTITION, OFFSET + 1, "ann", "why").await;
    assert_eq!(wrong, Err(StoreError::Refused));
    skip(&*log, &*again, PARTITION, OFFSET, "ann", "ticket 17").await.unwrap();
    caught_up(&log, &[Arc::clone(&again)]).await;
    projections.stop().await;
    let acts: Vec<_> =
        again.acts(PARTITION).await.unwrap().into_iter().map(|act| (act.what, act.by)).collect();
    let ann = || "ann".to_owned();
    assert_eq!(acts, [("skip".to_owned(), ann()), ("resume".to_owned(), ann())]);
    assert_eq!(resume(&*again, PARTITION, "ann").await, Ok(None), "nothing is stopped any more");
}

/// The answers of views that never met the poison. Offsets move by one.
async fn without_poison(facts: &[Fact]) -> (Questions, Vec<String>, Vec<String>) {
    let mut records = records(facts);
    // What does not count takes the poison's place, so that all others keep theirs.
    let void = &mut records[AT + 1].record;
    void.value = bytes::Bytes::from_static(b"{}");
    let (queues, bookings) = (MemoryQueues::new(1), MemoryBookings::new(1));
    let before = batches(&records[..=AT], &[100]).remove(0);
    let mut skipped = before.to;
    skipped.cursor.n += 1;
    skipped.position += 1;
    let after = usher_projector::judge::judge(PARTITION, skipped, &records[AT + 2..]).batch;
    for store in [&queues as &dyn Store, &bookings] {
        store.apply(&before).await.unwrap();
        let step = usher_projector::store::Batch {
            partition: PARTITION,
            follows: before.to,
            to: skipped,
            events: Vec::new(),
        };
        store.apply(&step).await.unwrap();
        store.apply(&after).await.unwrap();
    }
    let questions = Questions::about(facts);
    let (queue, booking) = (questions.ask_queue(&queues).await, questions.ask_booking(&bookings).await);
    (questions, queue, booking)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_unknown_type_stops_every_projection_until_it_is_skipped() {
    let facts = garbage();
    for at_once in [1, 7, 100] {
        let (redis, postgres) = (RedisCorner::new(), PostgresCorner::new().await);
        let bookings = || Arc::new(PostgresBookings::new(postgres.pool.clone()));
        let history = || Arc::new(PostgresHistory::new(postgres.pool.clone()));
        let memory = Arc::new(MemoryQueues::new(1));
        let queues = || Arc::new(redis.queues());
        a_stop_and_what_is_done_about_it(&facts, at_once, memory.clone(), memory).await;
        a_stop_and_what_is_done_about_it(&facts, at_once, queues(), queues()).await;
        a_stop_and_what_is_done_about_it(&facts, at_once, bookings(), bookings()).await;
        a_stop_and_what_is_done_about_it(&facts, at_once, history(), history()).await;
        let (questions, queue, booking) = without_poison(&facts).await;
        assert_same("Redis", &questions.ask_queue(&redis.queues()).await, &queue);
        assert_same("Postgres", &questions.ask_booking(&*bookings()).await, &booking);
        postgres.remove().await;
        let database = PostgresDatabase::new().await;
        let analytics = || Arc::new(PostgresAnalytics::new(database.pool.clone()));
        a_stop_and_what_is_done_about_it(&facts, at_once, analytics(), analytics()).await;
        database.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_postgres_cannot_keep_stops_the_projection_that_would() {
    let renamed = OpeningRescheduled {
        at: Timestamp(5),
        title: "Premi\0re".to_owned(),
        opens_at: Timestamp(6),
        drains_at: None,
        closes_at: Timestamp(7),
    };
    let facts = with_poison(Fact::Happened(opening(), renamed.into()));
    for at_once in [1, 100] {
        let database = PostgresDatabase::new().await;
        let analytics = || Arc::new(PostgresAnalytics::new(database.pool.clone()));
        a_stop_and_what_is_done_about_it(&facts, at_once, analytics(), analytics()).await;
        database.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_have_happened_stops_the_projection_that_it_concerns() {
    let [of_the_queue, of_the_seats] = impossible();
    for at_once in [1, 7, 100] {
        let (redis, postgres) = (RedisCorner::new(), PostgresCorner::new().await);
        let memory = Arc::new(MemoryQueues::new(1));
        a_stop_and_what_is_done_about_it(&of_the_queue, at_once, memory.clone(), memory.clone()).await;
        let queues = || Arc::new(redis.queues());
        a_stop_and_what_is_done_about_it(&of_the_queue, at_once, queues(), queues()).await;
        let questions = Questions::about(&of_the_queue);
        let expected = questions.ask_queue(&*memory).await;
        assert_same("Redis", &questions.ask_queue(&redis.queues()).await, &expected);

        let memory = Arc::new(MemoryBookings::new(1));
        a_stop_and_what_is_done_about_it(&of_the_seats, at_once, memory.clone(), memory.clone()).await;
        let bookings = || Arc::new(PostgresBookings::new(postgres.pool.clone()));
        a_stop_and_what_is_done_about_it(&of_the_seats, at_once, bookings(), bookings()).await;
        let questions = Questions::about(&of_the_seats);
        let expected = questions.ask_booking(&*memory).await;
        assert_same("Postgres", &questions.ask_booking(&*bookings()).await, &expected);
        postgres.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stopped_projection_does_not_stop_the_others() {
    let [of_the_queue, _] = impossible();
    let log = log_of(&of_the_queue, 100).await;
    let (queues, bookings) = (Arc::new(MemoryQueues::new(1)), Arc::new(MemoryBookings::new(1)));
    let stores: Vec<Arc<dyn Store>> = vec![queues.clone(), bookings.clone()];
    let projections = start(&log, stores, &Arc::default());
    stopped(&*queues).await;
    caught_up(&log, &[bookings]).await;
    projections.stop().await;
}

#[tokio::test]
async fn nothing_is_skipped_that_has_not_stopped() {
    let (facts, _) = every_event();
    let log = log_of(&facts, 100).await;
    let store = MemoryQueues::new(1);
    let skipped = skip(&*log, &store, PARTITION, 0, "ann", "why").await;
    assert_eq!(skipped, Err(StoreError::Refused));
    assert_eq!(OpeningId::new("premiere").unwrap(), opening());
}
