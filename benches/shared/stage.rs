//! An instance with one opening, and visitors who join it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use usher_command::draw_keys::DrawKeys;
use usher_command::opening::{Command, Request, Schedule, schedule_id};
use usher_command::writer::{Reply, WriterConfig, WriterThreads, Writers};
use usher_events::ids::{Actor, OpeningId, Ticket};
use usher_events::log::Log;
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

pub(crate) fn opening() -> OpeningId {
    OpeningId::new("premiere-2026").unwrap()
}

pub(crate) fn draw_keys() -> Arc<DrawKeys> {
    Arc::new(DrawKeys::new(vec![("a".to_owned(), "k".repeat(32).into())]).unwrap())
}

/// The `i`th visitor's ticket: looks random, costs nothing.
pub(crate) fn ticket(i: u64) -> Ticket {
    let mut ticket = [0; 32];
    for (word, part) in (0u64..).zip(ticket.chunks_exact_mut(8)) {
        let mut z = (i * 4 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        part.copy_from_slice(&(z ^ (z >> 27)).to_le_bytes());
    }
    Ticket(ticket)
}

/// A command as the routes make it.
pub(crate) fn request(opening: &OpeningId, actor: Actor, command: Command) -> Request {
    let digest = command.digest(opening);
    let id = command.own_id(&digest).unwrap_or_else(|| schedule_id(opening));
    Request { id, digest, actor, now: Timestamp::default(), command }
}

pub(crate) fn join(opening: &OpeningId, i: u64) -> Request {
    let ticket = ticket(i);
    request(opening, Actor::Visitor(ticket), Command::Join { ticket })
}

/// Schedules an opening whose lobby closes after `opens_in`.
pub(crate) fn schedule(opening: &OpeningId, now: Timestamp, opens_in: Duration, policy: Policy) -> Request {
    let (draw_key_id, seed_commitment) = draw_keys().commit(opening, schedule_id(opening)).unwrap();
    let schedule = Schedule {
        title: "The premiere".to_owned(),
        opens_at: now + opens_in,
        drains_at: None,
        closes_at: now + opens_in + Duration::from_secs(86_400),
        policy,
        beacon: None,
        plans: Default::default(),
        showings: Vec::new(),
        seed_commitment,
        draw_key_id,
    };
    request(opening, Actor::Operator("bench".into()), Command::Schedule(Box::new(schedule)))
}

/// Writers over a log, with one opening in its lobby.
pub(crate) struct Stage {
    threads: WriterThreads,
    writers: Writers,
    next: Arc<AtomicU64>,
}

impl Stage {
    pub(crate) async fn new(log: Arc<dyn Log>, partitions: u32, max_in_flight: usize) -> Self {
        let config = WriterConfig {
            max_in_flight,
            ..WriterConfig::new(partitions, "http://127.0.0.1:1".to_owned(), draw_keys())
        };
        let threads = WriterThreads::start(config, log).unwrap();
        threads.want(&(0..partitions).collect::<Vec<_>>());
        let writers = threads.writers();
        while writers.owned() < partitions as usize {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let schedule = schedule(&opening(), Timestamp::now(), Duration::from_secs(86_400), Policy::default());
        done(writers.decide(opening(), schedule).await.unwrap());
        Self { threads, writers, next: Arc::default() }
    }

    /// Has `count` visitors join, `at_once` at a time; how long that takes
    /// until all have their answers.
    pub(crate) async fn joins(&self, count: u64, at_once: usize) -> Duration {
        let end = self.next.load(Ordering::Relaxed) + count;
        let begun = Instant::now();
        let visitor = || {
            let (writers, next) = (self.writers.clone(), Arc::clone(&self.next));
            tokio::spawn(async move {
                let opening = opening();
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= end {
                        return;
                    }
                    done(writers.decide(opening.clone(), join(&opening, i)).await.unwrap());
                }
            })
        };
        let visitors: Vec<_> = (0..at_once).map(|_| visitor()).collect();
        for visitor in visitors {
            visitor.await.unwrap();
        }
        self.next.store(end, Ordering::Relaxed);
        begun.elapsed()
    }

    /// Has one visitor join.
    pub(crate) async fn join_one(&self) {
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        done(self.writers.decide(opening(), join(&opening(), i)).await.unwrap());
    }

    pub(crate) fn stop(self) {
        self.threads.stop();
    }
}

fn done(reply: Reply) {
    assert!(matches!(reply, Reply::Done { created: true, .. }), "{reply:?}");
}
