//! Projectors that are killed, doubled, or cut off give the same views.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use usher_events::log::Log;
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::Store;

use crate::answers::{Questions, assert_same};
use crate::history::{Fact, PARTITION, batches, records};
use crate::play::{Choice, play};
use crate::servers::{PostgresCorner, RedisCorner};
use crate::stage::{Disk, Disturbed, Fate, Kept, Trickle, caught_up, start, until};

/// What the views in memory answer, which nothing disturbed.
struct Undisturbed {
    questions: Questions,
    queue: Vec<String>,
    booking: Vec<String>,
}

impl Undisturbed {
    async fn of(facts: &[Fact]) -> Self {
        let (queues, bookings) = (MemoryQueues::new(1), MemoryBookings::new(1));
        for batch in batches(&records(facts), &[1_000]) {
            queues.apply(&batch).await.unwrap();
            bookings.apply(&batch).await.unwrap();
        }
        let questions = Questions::about(facts);
        let queue = questions.ask_queue(&queues).await;
        let booking = questions.ask_booking(&bookings).await;
        Self { questions, queue, booking }
    }

    async fn check(&self, redis: &RedisCorner, postgres: &PostgresCorner) {
        assert_same("Redis", &self.questions.ask_queue(&redis.queues()).await, &self.queue);
        let bookings = PostgresBookings::new(postgres.pool.clone());
        assert_same("Postgres", &self.questions.ask_booking(&bookings).await, &self.booking);
    }
}

async fn log_of(facts: &[Fact], at_once: usize) -> Arc<dyn Log> {
    let disk = Disk::new();
    disk.append(&records(facts)).await;
    Arc::new(Trickle { log: Arc::new(disk), at_once })
}

fn stores(redis: &RedisCorner, postgres: &PostgresCorner, fates: &[Fate]) -> Vec<Arc<dyn Store>> {
    vec![
        Arc::new(Disturbed::new(redis.queues(), fates.to_vec())),
        Arc::new(Disturbed::new(PostgresBookings::new(postgres.pool.clone()), fates.to_vec())),
    ]
}

/// A projector in a process of its own: a runtime with its own connections.
struct Process(tokio::runtime::Runtime);

impl Process {
    fn start(log: &Arc<dyn Log>, redis: &RedisCorner, postgres: &PostgresCorner) -> Self {
        let process = runtime();
        let entered = process.enter();
        let stores: Vec<Arc<dyn Store>> =
            vec![Arc::new(redis.queues()), Arc::new(PostgresBookings::new(postgres.other_pool()))];
        drop(start(log, stores, &Arc::default()));
        drop(entered);
        Self(process)
    }

    /// Ends everything wherever it is, in the middle of a step too.
    fn kill(self) {
        self.0.shutdown_background();
    }
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec(any::<Choice>(), 50..200)
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop::sample::select(vec![Fate::Works, Fate::Lost, Fate::Unanswered]);
    prop::collection::vec(fate, 0..4)
}

/// How a projector sees its surroundings: records at once, its store's calls.
type Seen = (usize, Vec<Fate>);

fn cases(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_projector_that_is_killed_anywhere_and_started_again_leaves_the_same_views() {
    let runtime = runtime();
    let case = |(choices, at_once, kills): (Vec<Choice>, usize, Vec<u64>)| {
        runtime.block_on(async {
            let (redis, postgres) = (RedisCorner::new(), PostgresCorner::new().await);
            let facts = play(&choices);
            let log = log_of(&facts, at_once).await;
            let end = log.end(PARTITION).await.unwrap();
            let watched = stores(&redis, &postgres, &[]);
            for kill in kills {
                let process = Process::start(&log, &redis, &postgres);
                let watched = &watched[usize::from(kill % 2 == 0)];
                let at = kill % (end + 1);
                until("progress", async || watched.position(PARTITION).await.unwrap() >= at).await;
                process.kill();
            }
            let stores = stores(&redis, &postgres, &[]);
            let projections = start(&log, stores.clone(), &Arc::default());
            caught_up(&log, &stores).await;
            projections.stop().await;
            Undisturbed::of(&facts).await.check(&redis, &postgres).await;
            postgres.remove().await;
        });
        Ok(())
    };
    let kills = prop::collection::vec(any::<u64>(), 1..4);
    cases(12).run(&(choices(), 1usize..20, kills), case).unwrap();
}

#[test]
fn two_projectors_at_once_that_lose_calls_and_answers_leave_the_same_views() {
    let runtime = runtime();
    let case = |(choices, first, second): (Vec<Choice>, Seen, Seen)| {
        runtime.block_on(async {
            let (redis, postgres) = (RedisCorner::new(), PostgresCorner::new().await);
            let facts = play(&choices);
            let slow = log_of(&facts, first.0).await;
            let other: Arc<dyn Log> = Arc::new(Trickle { log: Arc::clone(&slow), at_once: second.0 });
            let ours = stores(&redis, &postgres, &first.1);
            let theirs = stores(&redis, &postgres, &second.1);
            let ours_at_work = start(&slow, ours.clone(), &Arc::default());
            let theirs_at_work = start(&other, theirs.clone(), &Arc::default());
            caught_up(&slow, &ours).await;
            ours_at_work.stop().await;
            theirs_at_work.stop().await;
            Undisturbed::of(&facts).await.check(&redis, &postgres).await;
            postgres.remove().await;
        });
        Ok(())
    };
    let strategy = (choices(), (1usize..30, fates()), (1usize..30, fates()));
    cases(12).run(&strategy, case).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_in_memory_are_rebuilt_from_the_log_and_say_when_they_have_it() {
    let (facts, _) = crate::every_event::every_event();
    let log = log_of(&facts, 4).await;
    let (queues, bookings) = (MemoryQueues::new(1), MemoryBookings::new(1));
    let stores: Vec<Arc<dyn Store>> = vec![Arc::new(queues.clone()), Arc::new(bookings.clone())];
    let projections = start(&log, stores, &Arc::new(Kept::default()));
    assert!(!projections.caught_up(), "nobody has looked yet");
    until("catching up", async || projections.caught_up()).await;
    let undisturbed = Undisturbed::of(&facts).await;
    assert_same("memory", &undisturbed.questions.ask_queue(&queues).await, &undisturbed.queue);
    assert_same("memory", &undisturbed.questions.ask_booking(&bookings).await, &undisturbed.booking);
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_announced_when_the_view_has_it() {
    let (facts, _) = crate::every_event::every_event();
    let disk = Arc::new(Disk::new());
    let log: Arc<dyn Log> = disk.clone();
    let queues = MemoryQueues::new(1);
    let announcer = usher_projector::projection::Announcer::default();
    let mut notices = announcer.listen();
    let letters: Arc<dyn usher_projector::dead_letter::DeadLetters> = Arc::new(Kept::default());
    let stores: Vec<Arc<dyn Store>> = vec![Arc::new(queues.clone())];
    let projections = usher_projector::projection::Projections::start(&log, 1, stores, &letters, &announcer);
    disk.append(&records(&facts)).await;
    let changed = notices.recv().await.unwrap();
    assert_eq!(changed.openings, [crate::told::opening()]);
    assert!(queues.position(PARTITION).await.unwrap() >= changed.position);
    projections.stop().await;
}
