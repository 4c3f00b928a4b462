//! The same log gives the same answers, whatever the store.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use usher_events::event::Event;
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::history::PostgresHistory;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::Store;

use crate::answers::{Questions, assert_same};
use crate::history::{Fact, batches, records};
use crate::play::{Choice, play};
use crate::servers::{PostgresCorner, RedisCorner};

pub(crate) fn choices(most: usize) -> impl Strategy<Value = Vec<Choice>> {
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

/// Without this, the other tests could agree about histories in which
/// nothing happens.
#[test]
fn random_histories_have_draws_moves_holds_bookings_refunds_and_ends() {
    let seen = RefCell::new(BTreeSet::new());
    let case = |choices: Vec<Choice>| {
        let facts = play(&choices);
        let drawn =
            |fact: &Fact| matches!(fact, Fact::Happened(_, Event::LobbyClosed(closed)) if closed.count > 2);
        if facts.iter().any(drawn) {
            seen.borrow_mut().insert("a lobby of several");
        }
        seen.borrow_mut().extend(facts.iter().map(|fact| match fact {
            Fact::Happened(_, event) => event.kind(),
            Fact::Claimed(_) => "a claim",
            Fact::Void(..) => "a void record",
            Fact::Garbage(_) => "garbage",
        }));
        Ok(())
    };
    cases(300).run(&choices(250), case).unwrap();
    // These no command leads to yet.
    let elsewhere = ["SeatsBlocked", "SeatsUnblocked", "RefusalsCounted", "HoldSwapped"];
    let kinds = Event::TYPES.iter().map(|(kind, _)| *kind).filter(|kind| !kind.starts_with("Writer"));
    let wanted = kinds.chain(["a lobby of several", "a claim", "a void record"]);
    let missing: Vec<_> =
        wanted.filter(|kind| !elsewhere.contains(kind) && !seen.borrow().contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
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
    let (facts, ticket) = crate::every_event::every_event();
    apply(&history, &facts, &[5]).await;
    let opening = crate::told::opening();
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
        "BookingCancelled",
    ];
    assert_eq!(happened, expected);
    corner.remove().await;
}
