//! What becomes of appended records.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use usher_events::log::kafka::{KafkaConfig, KafkaLog};
use usher_events::log::{AppendError, Log, ReadError};
use usher_events::record::MAX_RECORD_BYTES;

use crate::place::{PATIENCE, Place, Reports, read, record};

#[tokio::test]
async fn a_record_is_read_as_it_was_appended() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    let appended = vec![record(u64::MAX, 0), record(5, 1), record(5, 2)];
    log.append(0, appended.clone(), &reports.sink);
    assert_eq!(reports.offsets(3).await, [0, 1, 2]);
    let stored = read(&mut *log.read(0, 0), 3).await;
    assert_eq!(stored.iter().map(|stored| stored.offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(stored.into_iter().map(|stored| stored.record).collect::<Vec<_>>(), appended);
}

#[tokio::test]
async fn each_record_is_reported_once_with_its_own_stamp_and_offset() {
    let place = Place::new(3).await;
    let (log, mut reports) = (place.log(), Reports::new());
    for burst in 0..50 {
        for partition in 0..3 {
            let records = (0..20).map(|i| record(u64::from(partition), burst * 20 + i)).collect();
            log.append(partition, records, &reports.sink);
        }
    }
    let mut all = reports.take(3_000).await;
    assert!(reports.nothing_more());
    all.sort_by_key(|report| (report.partition, report.n));
    for (i, report) in (0..).zip(&all) {
        let (partition, n) = (i / 1_000, i % 1_000);
        assert_eq!((u64::from(report.partition), report.tenure, report.n), (partition, partition, n));
        assert_eq!(report.outcome, Ok(n), "nobody else writes, so the offset is the rank");
    }
}

#[tokio::test]
async fn one_call_of_the_sink_tells_of_one_partition() {
    let place = Place::new(2).await;
    let log = KafkaLog::new(KafkaConfig { producers: 1, ..place.config.clone() }).unwrap();
    let mut reports = Reports::new();
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let sink = reports.sink.clone();
    let sink: usher_events::log::ReportSink = std::sync::Arc::new(move |reports| {
        let partitions: Vec<_> = reports.iter().map(|report| report.partition).collect();
        drop(told.send(partitions));
        sink(reports);
    });
    for i in 0..200 {
        log.append(i % 2, (0..5).map(|n| record(1, n)).collect(), &sink);
    }
    reports.take(1_000).await;
    while let Ok(partitions) = calls.try_recv() {
        assert!(partitions.iter().all(|partition| *partition == partitions[0]), "{partitions:?}");
    }
}

#[tokio::test]
async fn the_largest_record_is_taken_and_a_larger_one_is_refused_for_good() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    let mut largest = record(1, 1);
    largest.value = vec![b'x'; MAX_RECORD_BYTES].into();
    log.append(0, vec![largest.clone()], &reports.sink);
    assert_eq!(reports.offsets(1).await, [0]);
    assert_eq!(read(&mut *log.read(0, 0), 1).await[0].record, largest);
    let mut larger = record(1, 2);
    larger.value = vec![b'x'; 2 * MAX_RECORD_BYTES].into();
    log.append(0, vec![larger, record(1, 3)], &reports.sink);
    let refused = reports.take(2).await;
    assert_eq!((refused[0].n, refused[1].n), (2, 3), "what follows a refused record is not sent");
    assert!(matches!(refused[0].outcome, Err(AppendError::Terminal(_))), "{refused:?}");
    assert_eq!(log.end(0).await, Ok(1));
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_refused_for_good() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    log.append(1, vec![record(1, 0)], &reports.sink);
    assert!(matches!(reports.take(1).await[0].outcome, Err(AppendError::Terminal(_))));
    assert!(matches!(log.end(1).await, Err(ReadError::Terminal(_))));
}

/// A log whose broker is not there: the port is free, nobody listens.
fn unreachable(message_timeout: Duration) -> KafkaLog {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = KafkaConfig { message_timeout, ..KafkaConfig::new(&format!("127.0.0.1:{port}")) };
    KafkaLog::new(config).unwrap()
}

#[tokio::test]
async fn without_a_broker_each_record_is_reported_as_unknown_after_the_message_timeout() {
    let (log, mut reports) = (unreachable(Duration::from_secs(1)), Reports::new());
    log.append(0, (0..10).map(|n| record(1, n)).collect(), &reports.sink);
    for report in reports.take(10).await {
        assert!(matches!(report.outcome, Err(AppendError::Unknown(_))), "{report:?}");
    }
}

#[tokio::test]
async fn without_a_broker_the_queue_fills_and_then_refuses_without_waiting() {
    let (log, mut reports) = (unreachable(PATIENCE), Reports::new());
    let start = Instant::now();
    log.append(0, (0..150_000).map(|n| record(1, n)).collect(), &reports.sink);
    assert!(start.elapsed() < PATIENCE / 4, "appending does not wait for room");
    let refused = reports.take(50_000).await;
    assert_eq!(refused[0].n, 100_000, "what was taken is the beginning");
    assert!(refused.iter().all(|report| matches!(report.outcome, Err(AppendError::Retryable(_)))));
}

#[tokio::test]
async fn a_log_that_is_dropped_still_reports_what_was_in_flight() {
    let (log, mut reports) = (unreachable(PATIENCE), Reports::new());
    log.append(0, (0..10).map(|n| record(1, n)).collect(), &reports.sink);
    tokio::task::spawn_blocking(move || drop(log)).await.unwrap();
    let given_up = reports.take(10).await;
    assert!(given_up.iter().all(|report| report.outcome.is_err()));
    assert!(reports.nothing_more());
}

#[tokio::test]
async fn without_a_broker_the_end_is_not_known_now() {
    let log = unreachable(PATIENCE);
    assert!(matches!(log.end(0).await, Err(ReadError::Retryable(_))));
}
