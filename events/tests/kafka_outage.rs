//! What an outage of all brokers does, and what three brokers need, on
//! brokers of each test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "kafka/cluster.rs"]
#[allow(dead_code, reason = "some of it is for other tests with brokers of their own")]
mod cluster;
#[path = "kafka/place.rs"]
#[allow(dead_code, reason = "some of it is for tests on the stack's one broker")]
mod place;

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use usher_events::log::kafka::{
    AdminFault, KafkaConfig, KafkaLog, MAX_MESSAGE_BYTES, Setting, Suggestions, check_topic, ensure_topics,
};
use usher_events::log::{AppendError, Log};

use self::cluster::Cluster;
use self::place::{PATIENCE, Reports, read, record};

#[tokio::test(flavor = "multi_thread")]
async fn writer_and_reader_go_on_after_an_outage_of_all_brokers() {
    let cluster = Cluster::start(1);
    let config = KafkaConfig { message_timeout: Duration::from_secs(2), ..cluster.config(1) };
    ensure_topics(&config).await.unwrap();
    let (log, mut reports) = (KafkaLog::new(config).unwrap(), Reports::new());
    let mut reader = log.read(0, 0);
    log.append(0, vec![record(1, 0), record(1, 1)], &reports.sink);
    reports.offsets(2).await;
    read(&mut *reader, 2).await;

    cluster.kill(1);
    log.append(0, vec![record(1, 2)], &reports.sink);
    let lost = reports.take(1).await.remove(0);
    assert!(matches!(lost.outcome, Err(AppendError::Unknown(_))), "{lost:?}");

    cluster.start_again(1);
    let mut tenure = 2;
    loop {
        log.append(0, vec![record(tenure, 0)], &reports.sink);
        if reports.take(1).await[0].outcome.is_ok() {
            break;
        }
        assert!(tenure < 30, "the broker is back, but nothing lands");
        tenure += 1;
    }
    let next = read(&mut *reader, 1).await.remove(0);
    assert_eq!(next.offset, 2);
    assert!(next.record.headers.tenure > 1, "what was given up before it was sent does not land");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_asks_seldom_is_not_told_of_an_outage_that_is_over() {
    let cluster = Cluster::start(1);
    let config = cluster.config(1);
    ensure_topics(&config).await.unwrap();
    let (log, mut reports) = (KafkaLog::new(config).unwrap(), Reports::new());
    log.append(0, vec![record(1, 0)], &reports.sink);
    reports.offsets(1).await;
    let mut reader = log.read(0, 0);
    cluster.kill(1);
    let killed = Instant::now();
    while killed.elapsed() < Duration::from_secs(15) {
        let asked = tokio::time::timeout(Duration::from_secs(5), reader.next()).await;
        assert!(!matches!(asked, Ok(Ok(_))), "{asked:?}");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    cluster.start_again(1);
    let mut told = 0;
    while tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().is_err() {
        told += 1;
        assert!(told < 4, "each attempt to connect is told, long after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_contact_the_last_suggestion_stands_and_leaving_does_not_hang() {
    let cluster = Cluster::start(1);
    let config = KafkaConfig { owners_session: Duration::from_secs(2), ..cluster.config(4) };
    ensure_topics(&config).await.unwrap();
    let member = Suggestions::join(&config).unwrap();
    let mut suggested = member.watch();
    let settled = suggested.wait_for(|now| now.len() == 4);
    drop(tokio::time::timeout(PATIENCE, settled).await.unwrap().unwrap());

    cluster.kill(1);
    let changed = tokio::time::timeout(3 * config.owners_session, suggested.changed()).await;
    assert!(changed.is_err(), "{:?}", suggested.borrow());

    cluster.start_again(1);
    let other = Suggestions::join(&config).unwrap();
    let mut of_other = other.watch();
    let shared = of_other.wait_for(|now| now.len() == 2);
    drop(tokio::time::timeout(PATIENCE, shared).await.expect("the group lives again").unwrap());
    let halved = suggested.wait_for(|now| now.len() == 2);
    drop(tokio::time::timeout(PATIENCE, halved).await.expect("contact is found again").unwrap());

    cluster.kill(1);
    let start = Instant::now();
    tokio::task::spawn_blocking(|| (member.leave(), other.leave())).await.unwrap();
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_three_brokers_a_record_is_acknowledged_by_two_at_least() {
    let cluster = Cluster::start(3);
    let config = cluster.config(2);
    let facts = ensure_topics(&config).await.unwrap();
    assert_eq!((facts.replicas, facts.min_insync_replicas, facts.warnings), (3, 2, vec![]));

    for (min_insync, starts) in [("1", false), ("2", true), ("3", true)] {
        let config = cluster.config(2);
        make(&config, min_insync).await;
        match check_topic(&config).await {
            Ok(facts) => {
                let warned: Vec<_> = facts.warnings.iter().map(|fault| fault.setting).collect();
                let stopped_by_one =
                    if min_insync == "3" { vec![Setting::MinInsyncReplicas] } else { vec![] };
                assert!(starts, "{min_insync}");
                assert_eq!(warned, stopped_by_one);
            }
            Err(AdminFault::Unfit { faults, .. }) => {
                assert!(!starts, "{min_insync}");
                let named: Vec<_> = faults.iter().map(|fault| (fault.setting, &*fault.actual)).collect();
                assert_eq!(named, [(Setting::MinInsyncReplicas, "1")]);
            }
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_partition_is_found_at_its_new_leader() {
    let cluster = Cluster::start(3);
    let config = cluster.config(1);
    ensure_topics(&config).await.unwrap();
    let (log, mut reports) = (KafkaLog::new(config.clone()).unwrap(), Reports::new());
    log.append(0, vec![record(1, 0)], &reports.sink);
    reports.offsets(1).await;
    assert_eq!(log.end(0).await.unwrap(), 1);

    cluster.kill(cluster.leader(&config.topic));
    let start = Instant::now();
    while log.end(0).await.ok() != Some(1) {
        assert!(start.elapsed() < PATIENCE, "the end is asked of a broker that is dead");
    }
}

/// Makes a topic as the log needs it, but for `min.insync.replicas`.
async fn make(config: &KafkaConfig, min_insync: &str) {
    let largest = MAX_MESSAGE_BYTES.to_string();
    let topic = NewTopic::new(&config.topic, 2, TopicReplication::Fixed(3))
        .set("retention.ms", "-1")
        .set("message.timestamp.type", "LogAppendTime")
        .set("max.message.bytes", &largest)
        .set("min.insync.replicas", min_insync);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &config.brokers).create().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = admin.create_topics([&topic], &options).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}
