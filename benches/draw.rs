//! How long the draw of a large lobby takes, and what it does to the joins
//! of another opening of the same partition meanwhile.
//!
//! `cargo bench --bench draw`. Sizes: `USHER_BENCH_VISITORS` (1,000,000),
//! `USHER_BENCH_JOINS` a second of the other opening (1,000).

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use secrecy::SecretString;
use sha2::Digest as _;
use tokio::task::JoinHandle;
use usher_command::draw_keys::DrawKeys;
use usher_command::opening::{Command, Due, Fact, Opening, Request, Schedule, schedule_id};
use usher_command::writer::{Reply, WriterConfig, WriterThreads, Writers};
use usher_events::draw::commitment;
use usher_events::event::{Event, OpeningScheduled, VisitorJoined};
use usher_events::ids::{Actor, CommandId, Hash, OpeningId, Ticket};
use usher_events::log::Log;
use usher_events::log::embedded::EmbeddedLog;
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use usher_projector::dead_letter::{DeadLetters, Logged};
use usher_projector::projection::{Announcer, Projections};
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::queue::{OpeningState, QueueReader};
use usher_projector::store::Store;
use uuid::Uuid;

/// One partition: both openings are in it.
const PARTITIONS: u32 = 1;
/// Joins of the lobby that are under way at once.
const AT_ONCE: usize = 4_096;
/// How long joins are measured with nothing else going on.
const QUIET: Duration = Duration::from_secs(10);
/// The most that a draw may take, in seconds.
const MOST_S: f64 = 3.0;
/// How much slower the joins may be meanwhile, at the 99th percentile.
const MOST_TIMES: f64 = 2.0;
const SEED: Hash = Hash([7; 32]);

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn ticket(kind: u8, number: u32) -> Ticket {
    Ticket(sha2::Sha256::new().chain_update([kind]).chain_update(number.to_be_bytes()).finalize().into())
}

fn schedule(opens_at: Timestamp, (draw_key_id, seed_commitment): (String, Hash)) -> Schedule {
    Schedule {
        title: "The premiere".to_owned(),
        opens_at,
        drains_at: None,
        closes_at: opens_at.plus_s(86_400),
        policy: Policy::default(),
        beacon: None,
        plans: Default::default(),
        showings: Vec::new(),
        seed_commitment,
        draw_key_id,
    }
}

// --- the parts, one after another -----------------------------------------------

/// Prints how long `work` takes.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let made = work();
    println!("  {what:<44} {:>8.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    made
}

fn fold(opening: &mut Opening, event: Event) {
    let command_id = CommandId(Uuid::new_v4());
    opening.fold(&Fact { command_id, digest: Hash::default(), event, numbering: None });
}

/// A lobby of so many.
fn lobby(visitors: u32) -> Opening {
    let mut opening = Opening::default();
    let asked = schedule(Timestamp(1_000), ("key".to_owned(), commitment(&SEED)));
    let scheduled = OpeningScheduled {
        at: Timestamp(0),
        title: asked.title,
        opens_at: asked.opens_at,
        drains_at: None,
        closes_at: asked.closes_at,
        policy: asked.policy,
        seed_commitment: asked.seed_commitment,
        draw_key_id: asked.draw_key_id,
        beacon: None,
        plans: asked.plans,
        showings: asked.showings,
    };
    fold(&mut opening, scheduled.into());
    for number in 0..visitors {
        let ticket = ticket(b'c', number);
        fold(&mut opening, VisitorJoined { at: Timestamp(1), ticket, number: None, subject: None }.into());
    }
    opening
}

/// Decides the command that the hashes lead to, and folds its event twice, as
/// a writer does: when it is decided, and when it is durable.
fn hash_and_fold(name: &str, opening: &mut Opening, durable: &mut Opening) -> Fact {
    let now = Timestamp(1_000);
    let Some(Due::Hash(job)) = timed(&format!("{name}: listed, on the writer's thread"), || opening.due(now))
    else {
        panic!("no hashes are due")
    };
    let seed = job.needs_seed().map(|_| SEED);
    let command = timed(&format!("{name}: hashed, beside it"), || job.run(seed));
    let request = Request {
        id: CommandId(Uuid::nil()),
        digest: Hash::default(),
        actor: Actor::Timer("bench"),
        now,
        command,
    };
    let decided = timed(&format!("{name}: decided"), || opening.decide(&request));
    let Ok(usher_command::opening::Decision::Accepted(event)) = decided else { panic!("{decided:?}") };
    let numbering = request.command.drawn().map(|drawn| Arc::clone(&drawn.numbering));
    let fact = Fact { command_id: request.id, digest: request.digest, event, numbering };
    timed(&format!("{name}: folded when decided"), || opening.fold(&fact));
    timed(&format!("{name}: folded when durable"), || durable.fold(&fact));
    fact
}

fn parts(visitors: u32) {
    println!("the parts of a draw of {visitors}");
    let mut opening = lobby(visitors);
    let mut durable = opening.clone();
    hash_and_fold("lobby", &mut opening, &mut durable);
    let mut follower = durable.clone();
    let fact = hash_and_fold("draw", &mut opening, &mut durable);
    let from_the_log = Fact { numbering: None, ..fact };
    timed("draw: folded by a follower", || follower.fold(&from_the_log));
}

// --- the whole ----------------------------------------------------------------------

struct Stage {
    log: Arc<dyn Log>,
    threads: WriterThreads,
    projections: Projections,
    queues: MemoryQueues,
    keys: Arc<DrawKeys>,
}

impl Stage {
    async fn new(dir: &std::path::Path) -> Self {
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(&dir.join("log.redb"), PARTITIONS).unwrap());
        let key = SecretString::from("a-draw-key-of-at-least-32-characters");
        let keys = Arc::new(DrawKeys::new(vec![("bench".to_owned(), key)]).unwrap());
        let config = WriterConfig::new(PARTITIONS, "http://127.0.0.1:1".to_owned(), Arc::clone(&keys));
        let threads = WriterThreads::start(config, Arc::clone(&log)).unwrap();
        threads.want(&[0]);
        let queues = MemoryQueues::new(PARTITIONS);
        let stores: Vec<Arc<dyn Store>> = vec![Arc::new(queues.clone())];
        let letters: Arc<dyn DeadLetters> = Arc::new(Logged);
        let projections = Projections::start(&log, PARTITIONS, stores, &letters, &Announcer::default());
        let stage = Self { log, threads, projections, queues, keys };
        until(async || stage.threads.writers().owned() == 1).await;
        stage
    }

    async fn schedule(&self, opening: &OpeningId, opens_at: Timestamp) {
        let id = schedule_id(opening);
        let asked = schedule(opens_at, self.keys.commit(opening, id).unwrap());
        decide(&self.threads.writers(), opening, Some(id), Command::Schedule(Box::new(asked))).await;
    }

    /// When the log took `opening`'s event of this kind.
    async fn taken_at(&self, opening: &OpeningId, kind: &str) -> Timestamp {
        let end = self.log.end(0).await.unwrap();
        let mut reader = self.log.read(0, 0);
        loop {
            for stored in reader.next().await.unwrap() {
                assert!(stored.offset < end, "there is no {kind}");
                if stored.record.key.as_ref() == Some(opening)
                    && stored.record.value.starts_with(format!("{{\"type\":\"{kind}\"").as_bytes())
                {
                    return stored.appended_at;
                }
            }
        }
    }
}

async fn until(is_so: impl AsyncFn() -> bool) {
    while !is_so().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn decide(writers: &Writers, opening: &OpeningId, id: Option<CommandId>, command: Command) {
    let digest = command.digest(opening);
    let id = id.or_else(|| command.own_id(&digest)).unwrap_or(CommandId(Uuid::new_v4()));
    let actor = Actor::Operator("bench".into());
    let request = Request { id, digest, actor, now: Timestamp::default(), command };
    match writers.decide(opening.clone(), request).await.expect("not overloaded") {
        Reply::Done { .. } => {}
        other => panic!("{other:?}"),
    }
}

/// Joins at an even pace until told to stop.
struct Steady {
    stop: tokio_util::sync::CancellationToken,
    joins: JoinHandle<Vec<(Timestamp, Duration)>>,
}

impl Steady {
    fn start(writers: Writers, opening: OpeningId, per_second: u32) -> Self {
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let joins = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
            let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
            for number in 0.. {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = stopped.cancelled() => break,
                }
                let (writers, opening, sender) = (writers.clone(), opening.clone(), sender.clone());
                tokio::spawn(async move {
                    let (at, begun) = (Timestamp::now(), Instant::now());
                    decide(&writers, &opening, None, Command::Join { ticket: ticket(b'o', number) }).await;
                    sender.send((at, begun.elapsed())).ok();
                });
            }
            drop(sender);
            let mut all = Vec::new();
            while let Some(one) = done.recv().await {
                all.push(one);
            }
            all
        });
        Self { stop, joins }
    }

    async fn stop(self) -> Vec<(Timestamp, Duration)> {
        self.stop.cancel();
        self.joins.await.unwrap()
    }
}

fn percentile(mut times: Vec<Duration>, share: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1;
    times[at].as_secs_f64() * 1e3
}

async fn whole(visitors: u32, per_second: u32) -> bool {
    println!("a draw of {visitors}, and {per_second} joins a second of another opening of its partition");
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::new(dir.path()).await;
    let (crowd, other) = (OpeningId::new("crowd").unwrap(), OpeningId::new("other").unwrap());
    stage.schedule(&crowd, Timestamp::now().plus_s(3_600)).await;
    stage.schedule(&other, Timestamp(Timestamp::now().0 - 1_000)).await;
    let writers = stage.threads.writers();
    let begun = Instant::now();
    futures::stream::iter(0..visitors)
        .for_each_concurrent(AT_ONCE, |number| {
            let (writers, crowd) = (writers.clone(), crowd.clone());
            async move {
                decide(&writers, &crowd, None, Command::Join { ticket: ticket(b'c', number) }).await;
            }
        })
        .await;
    println!("  the lobby is full after {:.1} s", begun.elapsed().as_secs_f64());
    let in_view = async || stage.queues.reached(0).await.unwrap().position >= u64::from(visitors);
    until(in_view).await;

    let steady = Steady::start(writers.clone(), other, per_second);
    let quiet_from = Timestamp::now();
    tokio::time::sleep(QUIET).await;
    let opens_at = Timestamp::now().plus_s(1);
    let quiet = (quiet_from, opens_at);
    let command =
        Command::Reschedule { title: None, opens_at: Some(opens_at), drains_at: None, closes_at: None };
    decide(&writers, &crowd, Some(CommandId(Uuid::new_v4())), command).await;
    until(async || {
        let status = stage.queues.status(&crowd, 0).await.unwrap().value;
        status.is_some_and(|status| status.state == OpeningState::Open)
    })
    .await;
    let shown = Timestamp::now();
    let joins = steady.stop().await;
    let drawn = stage.taken_at(&crowd, "DrawHeld").await;
    let opened = stage.taken_at(&crowd, "OpeningOpened").await;

    let between = |(from, to): (Timestamp, Timestamp)| -> Vec<Duration> {
        joins.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, took)| *took).collect()
    };
    let (before, meanwhile) = (between(quiet), between((opens_at, shown)));
    let seconds = |at: Timestamp| at.ms_since(opens_at) as f64 / 1e3;
    println!(
        "  drawn after {:.2} s, open after {:.2} s, shown after {:.2} s",
        seconds(drawn),
        seconds(opened),
        seconds(shown)
    );
    let mut within = true;
    for share in [0.5, 0.99] {
        let (quiet, busy) = (percentile(before.clone(), share), percentile(meanwhile.clone(), share));
        println!(
            "  joins, p{:.0}: {quiet:.2} ms before ({}), {busy:.2} ms meanwhile ({})",
            share * 100.0,
            before.len(),
            meanwhile.len()
        );
        if share > 0.9 {
            within &= told("p99 of the joins meanwhile, times", busy / quiet, MOST_TIMES);
        }
    }
    within &= told("seconds until the draw is held", seconds(drawn), MOST_S);
    stage.projections.stop().await;
    let threads = stage.threads;
    tokio::task::spawn_blocking(move || threads.stop()).await.unwrap();
    within
}

fn told(what: &str, measured: f64, most: f64) -> bool {
    let verdict = if measured <= most { "ok" } else { "OVER" };
    println!("  {verdict:<4} {what}: {measured:.2}, at most {most:.2}");
    measured <= most
}

fn main() -> std::process::ExitCode {
    let visitors = from_environment("USHER_BENCH_VISITORS", 1_000_000);
    parts(visitors);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let within = runtime.block_on(whole(visitors, from_environment("USHER_BENCH_JOINS", 1_000)));
    if within { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
