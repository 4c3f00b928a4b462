//! A Redis that lost what it had heals, as the log has it still.

use std::sync::Arc;

use usher_events::ids::OpeningId;
use usher_events::log::Log;
use usher_events::record::StoredRecord;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::queue::redis;
use usher_projector::store::Store;

use crate::answers::{Questions, assert_same};
use crate::history::{Fact, batches, records};
use crate::play::play;
use crate::servers::RedisCorner;
use crate::stage::{Disk, Kept, caught_up, start};

/// Keys as they were.
struct Snapshot(Vec<(Vec<u8>, Vec<u8>)>);

impl Snapshot {
    fn take(corner: &RedisCorner) -> Self {
        let mut connection = corner.client().get_connection().unwrap();
        let keys = corner.keys(&mut connection).into_iter();
        Self(
            keys.map(|key| (key.clone(), ::redis::cmd("DUMP").arg(key).query(&mut connection).unwrap()))
                .collect(),
        )
    }

    /// Makes the keys that `concern` selects as they were, at one moment.
    fn put_back(&self, corner: &RedisCorner, concern: impl Fn(&str) -> bool) {
        let mut connection = corner.client().get_connection().unwrap();
        let concerns = |key: &[u8]| concern(std::str::from_utf8(key).unwrap());
        let mut pipeline = ::redis::pipe();
        pipeline.atomic();
        for key in corner.keys(&mut connection).into_iter().filter(|key| concerns(key)) {
            pipeline.cmd("DEL").arg(key).ignore();
        }
        for (key, value) in self.0.iter().filter(|(key, _)| concerns(key)) {
            pipeline.cmd("RESTORE").arg(key).arg(0).arg(value).ignore();
        }
        pipeline.query::<()>(&mut connection).unwrap();
    }
}

/// A history of two openings, long enough to lose something of.
fn history() -> Vec<Fact> {
    let choices: Vec<_> = (0..400u32)
        .map(|i| {
            let mixed = i.wrapping_mul(0x9e37_79b9);
            let [a, b, c, d] = mixed.to_be_bytes();
            (a, b ^ d, if i == 3 { 250 } else { c }, d)
        })
        .collect();
    let mut facts = play(&choices);
    // Both openings take part to the end.
    let other = OpeningId::new("encore").unwrap();
    let more = play(&choices[..200]);
    facts.extend(more.into_iter().filter_map(|fact| match fact {
        Fact::Happened(opening, event) if opening.as_str() == "premiere" => {
            Some(Fact::Happened(OpeningId::new("third").unwrap(), event))
        }
        _ => None,
    }));
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Happened(opening, _) if *opening == other)));
    facts
}

async fn expected(facts: &[Fact]) -> Vec<String> {
    let memory = MemoryQueues::new(1);
    for batch in batches(&records(facts), &[100]) {
        memory.apply(&batch).await.unwrap();
    }
    Questions::about(facts).ask_queue(&memory).await
}

async fn heals(concern: impl Fn(&str) -> bool, while_running: bool) {
    let (corner, facts) = (RedisCorner::new(), history());
    let records = records(&facts);
    let (early, rest) = records.split_at(records.len() / 3);
    let (more, last) = rest.split_at(rest.len() / 2);
    let disk = Arc::new(Disk::new());
    let log: Arc<dyn Log> = disk.clone();
    let stores: Vec<Arc<dyn Store>> = vec![Arc::new(corner.queues())];
    let letters = Arc::new(Kept::default());
    let mut projections = Some(start(&log, stores.clone(), &letters));
    let append = async |part: &[StoredRecord]| {
        disk.append(part).await;
        caught_up(&log, &stores).await;
    };
    append(early).await;
    let snapshot = Snapshot::take(&corner);
    append(more).await;
    if let Some(running) = projections.take_if(|_| !while_running) {
        running.stop().await;
    }
    snapshot.put_back(&corner, &concern);
    let projections = projections.unwrap_or_else(|| start(&log, stores.clone(), &letters));
    disk.append(last).await;
    let expected = expected(&facts).await;
    let questions = Questions::about(&facts);
    caught_up(&log, &stores).await;
    assert_same("Redis", &questions.ask_queue(&corner.queues()).await, &expected);
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_its_newest_writes_is_brought_up_to_date_again() {
    heals(|_| true, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_its_newest_writes_while_nobody_projected_is_brought_up_to_date_again() {
    heals(|_| true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_that_lost_steps_which_its_partition_noted_gets_them_again() {
    heals(|key| key.contains("{premiere}"), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_lost_its_place_but_not_its_openings_changes_nothing_twice() {
    heals(|key| !key.contains("{premiere}") && !key.contains("{third}"), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_everything_is_filled_again() {
    let (corner, facts) = (RedisCorner::new(), history());
    let disk = Arc::new(Disk::new());
    disk.append(&records(&facts)).await;
    let log: Arc<dyn Log> = disk.clone();
    let stores: Vec<Arc<dyn Store>> = vec![Arc::new(corner.queues())];
    let projections = start(&log, stores.clone(), &Arc::default());
    caught_up(&log, &stores).await;
    Snapshot(Vec::new()).put_back(&corner, |_| true);
    // The idle projector notices, and reads the log again.
    caught_up(&log, &stores).await;
    let questions = Questions::about(&facts);
    assert_same("Redis", &questions.ask_queue(&corner.queues()).await, &expected(&facts).await);
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_of_changes_reach_other_processes() {
    let corner = RedisCorner::new();
    let (here, there) = (
        usher_projector::projection::Announcer::default(),
        usher_projector::projection::Announcer::default(),
    );
    let mut heard = there.listen();
    let publishing = tokio::spawn(redis::publish(corner.queues(), here.clone()));
    let listening = tokio::spawn(redis::listen(corner.client(), corner.prefix().to_owned(), there));
    let changed = usher_projector::store::Changed { partition: 3, position: 7, openings: Vec::new() };
    // Whoever listens later than a notice misses it: announce until it is heard.
    let notice = loop {
        here.announce(changed.clone());
        let patience = std::time::Duration::from_millis(50);
        if let Ok(notice) = tokio::time::timeout(patience, heard.recv()).await {
            break notice.unwrap();
        }
    };
    assert_eq!(*notice, changed);
    publishing.abort();
    listening.abort();
}
