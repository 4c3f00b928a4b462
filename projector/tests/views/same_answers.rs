//! The same log gives the same answers, whatever the store.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::history::PostgresHistory;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::Store;

use crate::answers::{Questions, assert_same};
use crate::history::{Fact, batches, records};
use crate::play::{Choice, play};
use crate::servers::{PostgresCorner, RedisCorner};

fn choices(most: usize) -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec(any::<Choice>(), 0..most)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..40, 1..6)
}

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn apply(store: &dyn Store, facts: &[Fact], sizes: &[usize]) {
    for batch in batches(&records(facts), sizes) {
        store.apply(&batch).await.unwrap();
    }
}

#[test]
fn any_history_gives_the_same_answers_from_redis_as_from_memory() {
    let runtime = runtime();
    let case = |(choices, sizes): (Vec<Choice>, Vec<usize>)| {
        runtime.block_on(async {
            let corner = RedisCorner::new();
            let facts = play(&choices);
            let (memory, redis) = (MemoryQueues::new(1), corner.queues());
            apply(&memory, &facts, &[7, 1]).await;
            apply(&redis, &facts, &sizes).await;
            let questions = Questions::about(&facts);
            let expected = questions.ask_queue(&memory).await;
            assert_same("Redis", &questions.ask_queue(&corner.queues()).await, &expected);
        });
        Ok(())
    };
    cases(64).run(&(choices(250), sizes()), case).unwrap();
}

#[test]
fn any_history_gives_the_same_answers_from_postgres_as_from_memory() {
    let runtime = runtime();
    let case = |(choices, sizes): (Vec<Choice>, Vec<usize>)| {
        runtime.block_on(async {
            let corner = PostgresCorner::new().await;
            let facts = play(&choices);
            let (memory, postgres) = (MemoryBookings::new(1), PostgresBookings::new(corner.pool.clone()));
            apply(&memory, &facts, &[7, 1]).await;
            apply(&postgres, &facts, &sizes).await;
            let questions = Questions::about(&facts);
            let expected = questions.ask_booking(&memory).await;
            assert_same("Postgres", &questions.ask_booking(&postgres).await, &expected);
            corner.remove().await;
        });
        Ok(())
    };
    cases(48).run(&(choices(250), sizes()), case).unwrap();
}

#[tokio::test]
async fn a_tickets_history_lists_what_happened_to_it_in_order() {
    let corner = PostgresCorner::new().await;
    let history = PostgresHistory::new(corner.pool.clone());
    let (facts, ticket) = crate::each_event::every_event();
    apply(&history, &facts, &[5]).await;
    let opening = crate::each_event::opening();
    let happened: Vec<String> =
        history.of(&opening, &ticket).await.unwrap().into_iter().map(|happened| happened.what).collect();
    let expected = [
        "VisitorJoined",
        "VisitorsAdmitted",
        "VisitorEntered",
        "SeatsHeld",
        "HoldSwapped",
        "HoldExtended",
        "BookingConfirmed",
        "RefundDue",
    ];
    assert_eq!(happened, expected);
    corner.remove().await;
}
