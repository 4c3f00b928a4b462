//! The threads, with a real clock, over real and simulated logs.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use usher_command::opening::{Command, Refusal};
use usher_command::writer::{
    Overloaded, Owner, PartitionState, Reply, StartError, WriterConfig, WriterThreads, Writers,
    check_partition_count,
};
use usher_events::event::{Event, TicketState};
use usher_events::log::Log;
use usher_events::log::embedded::EmbeddedLog;
use usher_events::log::simulated::SimulatedLog;
use usher_events::partition::partition_of;
use usher_events::time::Timestamp;

use crate::asks::{enter, join, keys, message, opening, request, schedule_at, ticket};

const PARTITIONS: u32 = 4;

fn config(address: &str) -> WriterConfig {
    WriterConfig::new(PARTITIONS, address.to_owned(), keys("k"))
}

fn start(config: WriterConfig, log: &Arc<dyn Log>) -> WriterThreads {
    WriterThreads::start(config, Arc::clone(log)).unwrap()
}

fn everything() -> Vec<u32> {
    (0..PARTITIONS).collect()
}

/// Owns everything from when it returns.
async fn started(config: WriterConfig, log: &Arc<dyn Log>) -> WriterThreads {
    let threads = start(config, log);
    threads.want(&everything());
    owns(&threads.writers()).await;
    threads
}

async fn owns(writers: &Writers) {
    while writers.owner(&opening()) != Owner::Me {
        writers.owner_changed(&opening(), &writers.owner(&opening())).await;
    }
}

fn embedded(directory: &TempDir) -> Arc<dyn Log> {
    Arc::new(EmbeddedLog::open(&directory.path().join("log.redb"), PARTITIONS).unwrap())
}

async fn ask(writers: &Writers, command: Command, key: u128) -> Reply {
    writers.decide(opening(), request(command, key)).await.unwrap()
}

/// An opening whose lobby is open for hours.
fn in_lobby() -> Command {
    schedule_at(&keys("k"), Timestamp::now().plus_s(36_000))
}

/// An opening that is open, with a visitor inside.
async fn with_visitor_inside(writers: &Writers) {
    let opens_at = Timestamp(Timestamp::now().0 - 1_000);
    done(writers, schedule_at(&keys("k"), opens_at)).await;
    done(writers, join(1)).await;
    // Admitted by a timer, as soon as there is one to admit.
    while !matches!(ask(writers, enter(1), 1).await, Reply::Done { .. }) {}
}

async fn done(writers: &Writers, command: Command) {
    let reply = ask(writers, command, 99).await;
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
}

/// What stands in the log, folded.
async fn folded(log: &Arc<dyn Log>) -> PartitionState {
    let partition = partition_of(&opening(), PARTITIONS);
    let mut state = PartitionState::default();
    let end = log.end(partition).await.unwrap();
    let mut reader = log.read(partition, 0);
    while state.position < end {
        for stored in reader.next().await.unwrap() {
            state.fold(stored).unwrap();
        }
    }
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_in_the_log_when_it_is_opened_again() {
    let directory = TempDir::new().unwrap();
    let log = embedded(&directory);
    let threads = started(config("http://one"), &log).await;
    let writers = threads.writers();
    done(&writers, in_lobby()).await;
    let joins = (1..=50).map(|visitor| ask(&writers, join(visitor), 1));
    let replies = futures::future::join_all(joins).await;
    assert!(replies.iter().all(|reply| matches!(reply, Reply::Done { created: true, .. })), "{replies:?}");
    tokio::task::spawn_blocking(move || threads.stop()).await.unwrap();
    drop(log);
    let state = folded(&embedded(&directory)).await;
    let queue = state.openings[&opening()].opening.queue();
    assert_eq!(queue.count(TicketState::Lobby), 50);
    let position = replies.iter().filter_map(|reply| match reply {
        Reply::Done { position, .. } => Some(*position),
        _ => None,
    });
    assert_eq!(position.max(), Some(state.position));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_refuses_at_once() {
    let log: Arc<dyn Log> = Arc::new(SimulatedLog::new(PARTITIONS).node(0));
    // Nobody owns anything, so that commands wait.
    let threads = start(WriterConfig { mailbox: 2, ..config("http://one") }, &log);
    let writers = threads.writers();
    let mut waiting = Vec::new();
    for visitor in 1..=2 {
        let mut decided = Box::pin(writers.decide(opening(), request(join(visitor), 1)));
        assert!(futures::poll!(&mut decided).is_pending());
        waiting.push(decided);
    }
    assert!(matches!(writers.decide(opening(), request(join(3), 1)).await, Err(Overloaded)));
    // Once somebody serves, the two are answered, and there is room again.
    threads.want(&everything());
    for decided in waiting {
        let reply = decided.await.unwrap();
        let Reply::Refused { refusal, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(*refusal, Refusal::UnknownOpening);
    }
    done(&writers, in_lobby()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_while_nobody_serves_is_told_in_the_end_that_nobody_knows() {
    let log: Arc<dyn Log> = Arc::new(SimulatedLog::new(PARTITIONS).node(0));
    let threads = start(WriterConfig { patience: Duration::from_millis(20), ..config("http://one") }, &log);
    let reply = ask(&threads.writers(), join(1), 1).await;
    assert!(matches!(reply, Reply::Unknown), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_owner_goes_on_where_the_last_one_ended() {
    let log = SimulatedLog::new(PARTITIONS);
    let nodes: [Arc<dyn Log>; 2] = [Arc::new(log.node(0)), Arc::new(log.node(1))];
    let one = started(config("http://one"), &nodes[0]).await;
    let two = start(config("http://two"), &nodes[1]);
    done(&one.writers(), in_lobby()).await;
    done(&one.writers(), join(1)).await;
    one.want(&[]);
    two.want(&everything());
    owns(&two.writers()).await;
    let again = ask(&two.writers(), join(1), 1).await;
    assert!(matches!(again, Reply::Done { created: false, .. }), "{again:?}");
    done(&two.writers(), join(2)).await;
    // Whoever asks the first one is sent to the second.
    while one.writers().owner(&opening()) != Owner::Other("http://two".into()) {
        one.writers().owner_changed(&opening(), &one.writers().owner(&opening())).await;
    }
    let reply = ask(&one.writers(), join(3), 1).await;
    assert!(matches!(reply, Reply::Elsewhere(Owner::Other(to)) if &*to == "http://two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_was_replaced_notices_by_itself() {
    let log = SimulatedLog::new(PARTITIONS);
    let nodes: [Arc<dyn Log>; 2] = [Arc::new(log.node(0)), Arc::new(log.node(1))];
    let one = started(config("http://one"), &nodes[0]).await;
    // Nobody tells the first one.
    let two = started(config("http://two"), &nodes[1]).await;
    one.writers().owner_changed(&opening(), &Owner::Me).await;
    one.want(&[]);
    owns(&two.writers()).await;
    done(&two.writers(), in_lobby()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_so_already_is_told_after_a_sign_of_life() {
    let directory = TempDir::new().unwrap();
    let log = embedded(&directory);
    let threads = started(config("http://one"), &log).await;
    let writers = threads.writers();
    with_visitor_inside(&writers).await;
    let before = folded(&log).await.position;
    let reply = ask(&writers, enter(1), 1).await;
    assert!(matches!(reply, Reply::Done { created: false, .. }), "{reply:?}");
    let state = folded(&log).await;
    assert_eq!(state.position, before + 1);
    let partition = partition_of(&opening(), PARTITIONS);
    let last = log.read(partition, before).next().await.unwrap().remove(0);
    assert!(matches!(last.record.event(), Ok(Event::WriterAlive(_))));
    assert!(matches!(
        state.openings[&opening()].opening.queue().ticket(&ticket(1)),
        Some((TicketState::Inside, _))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_has_answered_what_it_took() {
    let directory = TempDir::new().unwrap();
    let log = embedded(&directory);
    let threads = started(config("http://one"), &log).await;
    let writers = threads.writers();
    done(&writers, in_lobby()).await;
    let joins: Vec<_> = (1..=20)
        .map(|visitor| {
            let writers = writers.clone();
            tokio::spawn(async move { ask(&writers, join(visitor), 1).await })
        })
        .collect();
    tokio::task::spawn_blocking(move || threads.stop()).await.unwrap();
    let state = folded(&log).await;
    let queue = state.openings[&opening()].opening.queue();
    for (visitor, reply) in (1..).zip(futures::future::join_all(joins).await) {
        let joined = queue.ticket(&ticket(visitor)).is_some();
        match reply.unwrap() {
            Reply::Done { .. } => assert!(joined),
            Reply::Unknown | Reply::Elsewhere(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_log_of_another_number_of_partitions_is_refused() {
    let log = SimulatedLog::new(PARTITIONS);
    let node: Arc<dyn Log> = Arc::new(log.node(0));
    check_partition_count(&*node, PARTITIONS).await.unwrap();
    let threads = started(config("http://one"), &node).await;
    check_partition_count(&*node, PARTITIONS).await.unwrap();
    let refused = check_partition_count(&*node, PARTITIONS - 1).await;
    assert!(matches!(refused, Err(StartError::PartitionCount { configured: 3, actual: 4 })), "{refused:?}");
    done(&threads.writers(), in_lobby()).await;
    done(&threads.writers(), message("Welcome")).await;
}
