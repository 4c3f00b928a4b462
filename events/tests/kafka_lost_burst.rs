//! The fault that tenures are for, on three real brokers: when a leader dies,
//! librdkafka gives up old records and still delivers younger ones, at offsets
//! without a gap. `compose/stack run -- cargo test` says where the stack is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "kafka/cluster.rs"]
#[allow(dead_code, reason = "some of it is for other tests with brokers of their own")]
mod cluster;
#[path = "kafka/place.rs"]
#[allow(dead_code, reason = "some of it is for tests on the stack's one broker")]
mod place;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use usher_events::log::kafka::{KafkaConfig, KafkaLog, ensure_topics};
use usher_events::log::{Log, Report};
use usher_events::record::{Offset, StoredRecord};
use usher_events::reign::{Progress, Reign};
use usher_events::tenure::{Cursor, Verdict, named};

use self::cluster::Cluster;
use self::place::{PATIENCE, Reports, read, record};

/// How many records are sent every [`BEAT`].
const BURST: usize = 10;
const BEAT: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread")]
async fn records_that_land_behind_lost_ones_are_void_and_end_the_reign() {
    let cluster = Cluster::start(3);
    // Longer than the followers need to elect a leader once they may: what is
    // sent just before the first record is given up must live to land.
    let config = KafkaConfig { message_timeout: Duration::from_secs(12), ..cluster.config(1) };
    ensure_topics(&config).await.unwrap();
    let mut writer = Writer::new(&config, 71);
    writer.begin().await;
    writer.send_until(|writer| writer.reign.confirmed() > 1_000).await;

    let leader = cluster.leader(&config.topic);
    let followers: Vec<_> = (1..=3).filter(|broker| *broker != leader).collect();
    followers.iter().for_each(|follower| cluster.signal(*follower, "STOP"));
    cluster.kill(leader);
    writer.send_until(|writer| !writer.reign.serving()).await;
    let confirmed = writer.reign.confirmed();
    followers.iter().for_each(|follower| cluster.signal(*follower, "CONT"));
    writer.settle().await;

    let lost = writer.first_lost.expect("a record was given up while there was no leader");
    let behind: Vec<_> = writer.landed.iter().filter(|(n, _)| *n > lost).collect();
    assert!(!behind.is_empty(), "not reproduced: nothing landed behind the lost record {lost}");
    assert_eq!(writer.reign.confirmed(), confirmed, "nothing is confirmed after the end");

    let stored = writer.read_all().await;
    assert_eq!(offsets(&stored), (0..stored.len() as Offset).collect::<Vec<_>>(), "offsets show no gap");
    let torn = stored.windows(2).find(|pair| pair[1].record.headers.n != pair[0].record.headers.n + 1);
    let torn = torn.expect("ranks do");
    assert!(torn[1].record.headers.n > lost, "{:?}", torn[1].record.headers);

    let valid = writer.valid(&stored);
    assert!(valid >= confirmed, "what was confirmed is valid: {valid} {confirmed}");
    assert_eq!(torn[0].record.headers.n, valid, "and nothing behind the gap is");

    writer.drawn = 72;
    writer.begin().await;
    writer.send_until(|writer| writer.reign.confirmed() > 100).await;
    writer.settle().await;
    assert_eq!(writer.valid(&writer.read_all().await), writer.reign.confirmed(), "a new tenure goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_costs_no_tenure_when_records_may_wait_for_the_next() {
    let cluster = Cluster::start(3);
    let config = KafkaConfig { message_timeout: PATIENCE, ..cluster.config(1) };
    ensure_topics(&config).await.unwrap();
    let mut writer = Writer::new(&config, 73);
    writer.begin().await;
    writer.send_until(|writer| writer.reign.confirmed() > 1_000).await;
    let mut follower = writer.log.read(0, 0);
    read(&mut *follower, 1_000).await;

    let before = writer.reign.confirmed();
    cluster.kill(cluster.leader(&config.topic));
    let start = Instant::now();
    writer.send_until(|writer| writer.reign.confirmed() > before + 5_000 || !writer.reign.serving()).await;
    assert!(start.elapsed() < PATIENCE, "the others took over");
    writer.settle().await;
    assert!(writer.reign.serving(), "every record landed in its place");
    let stored = writer.read_all().await;
    assert_eq!(writer.valid(&stored), writer.reign.confirmed());
    assert_eq!(writer.reign.confirmed(), writer.reign.sent());
    read(&mut *follower, 5_000).await;
}

fn offsets(stored: &[StoredRecord]) -> Vec<Offset> {
    stored.iter().map(|stored| stored.offset).collect()
}

/// A writer as the protocol wants it, with nothing to decide.
struct Writer {
    log: Arc<dyn Log>,
    reports: Reports,
    reign: Reign,
    /// What the claim drew, and where it stands.
    drawn: u64,
    epoch: Offset,
    reported: u64,
    /// Rank and offset of what was reported as durable, in this tenure.
    landed: BTreeSet<(u64, Offset)>,
    first_lost: Option<u64>,
}

impl Writer {
    fn new(config: &KafkaConfig, drawn: u64) -> Self {
        Self {
            log: Arc::new(KafkaLog::new(config.clone()).unwrap()),
            reports: Reports::new(),
            reign: Reign::new(),
            drawn,
            epoch: 0,
            reported: 0,
            landed: BTreeSet::new(),
            first_lost: None,
        }
    }

    /// Claims, folds up to the claim, serves.
    async fn begin(&mut self) {
        let stamp = self.reign.claim(self.drawn);
        (self.reported, self.first_lost) = (0, None);
        self.landed.clear();
        self.log.append(0, vec![record(stamp.tenure, stamp.n)], &self.reports.sink);
        let offset = self.reports.offsets(1).await[0];
        assert_eq!(self.reign.reported(self.drawn, 0, Ok(offset)), Progress::Claimed { offset });
        self.epoch = offset;
        let mut cursor = Cursor::default();
        for stored in read(&mut *self.log.read(0, 0), usize::try_from(offset).unwrap() + 1).await {
            cursor.judge(stored.offset, stored.record.stamp());
        }
        assert!(self.reign.folded(offset + 1, &cursor));
    }

    /// Sends on and on, as a queue of visitors would have it.
    async fn send_until(&mut self, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < 2 * PATIENCE, "this takes too long");
            let stamps: Vec<_> = (0..BURST).map_while(|_| self.reign.next_stamp()).collect();
            let burst = stamps.into_iter().map(|stamp| record(stamp.tenure, stamp.n)).collect();
            self.log.append(0, burst, &self.reports.sink);
            tokio::time::sleep(BEAT).await;
            let reports = self.reports.at_hand();
            self.take(reports);
        }
    }

    /// Waits until every record that was sent is reported.
    async fn settle(&mut self) {
        let left = usize::try_from(self.reign.sent() - self.reported).unwrap();
        let reports = self.reports.take(left).await;
        self.take(reports);
        assert_eq!(self.reported, self.reign.sent(), "each record is reported once");
    }

    fn take(&mut self, reports: Vec<Report>) {
        for report in reports {
            self.reported += 1;
            match &report.outcome {
                Ok(offset) => drop(self.landed.insert((report.n, *offset))),
                Err(_) if self.first_lost.is_none() => self.first_lost = Some(report.n),
                Err(_) => {}
            }
            let over = !self.reign.serving();
            let progress = self.reign.reported(report.tenure, report.n, report.outcome.map_err(drop));
            assert!(!over || progress == Progress::Ignored, "{progress:?}");
        }
    }

    async fn read_all(&self) -> Vec<StoredRecord> {
        let end = self.log.end(0).await.unwrap();
        read(&mut *self.log.read(0, 0), usize::try_from(end).unwrap()).await
    }

    /// The last rank of this tenure that counts.
    fn valid(&self, stored: &[StoredRecord]) -> u64 {
        let mut cursor = Cursor::default();
        let (tenure, mut last) = (named(self.drawn, self.epoch), 0);
        for stored in stored {
            let stamp = stored.record.stamp();
            if cursor.judge(stored.offset, stamp) == Verdict::Valid && stamp.tenure == tenure {
                last = stamp.n;
            }
        }
        last
    }
}
