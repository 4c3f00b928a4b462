//! What readers see.

use std::time::{Duration, Instant};

use futures::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use usher_events::log::ReadError;
use usher_events::tenure::{Cursor, Verdict, named};
use usher_events::time::Timestamp;

use crate::place::{PATIENCE, Place, Reports, brokers, read, record};

#[tokio::test]
async fn a_reader_starts_in_the_middle() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    log.append(0, (0..10).map(|n| record(1, n)).collect(), &reports.sink);
    reports.offsets(10).await;
    let stored = read(&mut *log.read(0, 7), 3).await;
    assert_eq!(stored.iter().map(|stored| stored.offset).collect::<Vec<_>>(), [7, 8, 9]);
}

#[tokio::test]
async fn a_reader_at_the_end_waits_for_the_next_record() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    log.append(0, vec![record(1, 0)], &reports.sink);
    reports.offsets(1).await;
    let mut reader = log.read(0, log.end(0).await.unwrap());
    // Once to connect; then given up several times, as by a `select!`.
    for _ in 0..3 {
        let waited = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    log.append(0, vec![record(1, 1)], &reports.sink);
    assert_eq!(read(&mut *reader, 1).await[0].offset, 1);
}

#[tokio::test]
async fn a_dropped_future_loses_no_record() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    let mut reader = log.read(0, 0);
    let mut offsets = Vec::new();
    for n in 0..2_000 {
        log.append(0, vec![record(1, n)], &reports.sink);
        if let Some(Ok(stored)) = reader.next().now_or_never() {
            offsets.extend(stored.iter().map(|stored| stored.offset));
        }
        tokio::task::yield_now().await;
    }
    reports.offsets(2_000).await;
    offsets.extend(read(&mut *reader, 2_000 - offsets.len()).await.iter().map(|stored| stored.offset));
    assert_eq!(offsets, (0..2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_position_beyond_the_end_cannot_be_read() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    log.append(0, vec![record(1, 0)], &reports.sink);
    reports.offsets(1).await;
    let mut reader = log.read(0, 5);
    let beyond = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap();
    assert!(matches!(beyond, Err(ReadError::Terminal(_))), "{beyond:?}");
}

#[tokio::test]
async fn the_time_of_a_record_is_the_brokers() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    let before = Timestamp::now();
    log.append(0, vec![record(1, 0)], &reports.sink);
    reports.offsets(1).await;
    let after = Timestamp::now();
    let appended_at = read(&mut *log.read(0, 0), 1).await[0].appended_at;
    assert!(before <= appended_at && appended_at <= after, "{before} {appended_at} {after}");
}

#[tokio::test]
async fn a_record_that_is_not_ours_is_void_and_followers_go_on() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    log.append(0, vec![record(8, 0), record(8, 1)], &reports.sink);
    reports.offsets(2).await;
    let stranger: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap();
    let torn = OwnedHeaders::new().insert(Header { key: "tenure", value: Some(&8u64.to_be_bytes()) });
    let message = BaseRecord::to(&place.config.topic).partition(0).key("k").payload("junk").headers(torn);
    stranger.send(message).map_err(|(fault, _)| fault).unwrap();
    stranger.flush(PATIENCE).unwrap();
    log.append(0, vec![record(8, 2), record(9, 0), record(named(9, 4), 1)], &reports.sink);
    assert_eq!(reports.offsets(3).await, [3, 4, 5]);

    let stored = read(&mut *log.read(0, 0), 6).await;
    let mut cursor = Cursor::default();
    let verdicts: Vec<_> =
        stored.iter().map(|stored| cursor.judge(stored.offset, stored.record.stamp())).collect();
    use Verdict::{Claim, Valid, Void};
    assert_eq!(verdicts, [Claim, Valid, Void, Void, Claim, Valid]);
    assert_eq!(&*stored[2].record.value, b"junk", "it can still be looked at");
}

#[tokio::test]
async fn dropping_a_reader_does_not_hold_up_the_runtime() {
    let place = Place::new(4).await;
    let (log, mut reports) = (place.log(), Reports::new());
    let mut readers = Vec::new();
    for partition in 0..4 {
        log.append(partition, vec![record(1, 0)], &reports.sink);
        let mut reader = log.read(partition, 0);
        read(&mut *reader, 1).await;
        readers.push(reader);
    }
    reports.offsets(4).await;
    let start = Instant::now();
    drop(readers);
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_end_is_the_offset_after_the_last_record() {
    let place = Place::new(2).await;
    let (log, mut reports) = (place.log(), Reports::new());
    assert_eq!(log.end(1).await, Ok(0));
    log.append(1, (0..3).map(|n| record(1, n)).collect(), &reports.sink);
    reports.offsets(3).await;
    assert_eq!(log.end(1).await, Ok(3));
    assert_eq!(log.end(0).await, Ok(0), "partitions are told apart");
}
