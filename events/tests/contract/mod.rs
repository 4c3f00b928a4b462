//! The contract of the log port: one suite for all adapters.
//!
//! A `Place` opens handles of one log; opening it again after all handles
//! are dropped is a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use usher_events::event::{Event, OpeningPaused, WriterClaimed};
use usher_events::ids::{CommandId, Hash, OpeningId};
use usher_events::log::{AppendError, Log, LogReader, Report, ReportSink};
use usher_events::record::{Headers, Offset, Record, StoredRecord, encode};
use usher_events::reign::{Progress, Reign};
use usher_events::tenure::{Cursor, Stamp, Verdict, named};
use usher_events::time::Timestamp;

/// How long anything may take before it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a log: each call is another handle of the same one.
pub(crate) type Open<'a> = &'a dyn Fn() -> Arc<dyn Log>;

struct Sink {
    sink: ReportSink,
    reports: UnboundedReceiver<Report>,
}

impl Sink {
    fn new() -> Self {
        let (sender, reports) = unbounded_channel();
        let sink: ReportSink = Arc::new(move |batch: Vec<Report>| {
            batch.into_iter().for_each(|report| drop(sender.send(report)));
        });
        Self { sink, reports }
    }

    async fn take(&mut self, count: usize) -> Vec<Report> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let report = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
            taken.push(report.expect("every record is reported").expect("the log is there"));
        }
        taken
    }
}

fn claim(tenure: u64) -> Record {
    let claimed = WriterClaimed {
        at: Timestamp(1),
        address: "http://127.0.0.1:1".to_owned(),
        version: "0".to_owned(),
        partitions: 2,
    };
    Record::of_writer(Stamp { tenure, n: 0 }, &Event::WriterClaimed(claimed)).unwrap()
}

fn record(tenure: u64, n: u64) -> Record {
    let value = encode(&Event::OpeningPaused(OpeningPaused { at: Timestamp(n as i64) })).unwrap();
    let headers = Headers {
        tenure,
        n,
        seq: n,
        command_id: CommandId(uuid::Uuid::from_u128(u128::from(n))),
        digest: Hash([7; 32]),
        actor: "operator:contract".into(),
        chain: Hash([9; 32]),
    };
    Record { key: Some(OpeningId::new("concert").unwrap()), value, headers }
}

fn burst(tenure: u64, n: std::ops::Range<u64>) -> Vec<Record> {
    n.map(|n| record(tenure, n)).collect()
}

async fn read(reader: &mut dyn LogReader, count: usize) -> Vec<StoredRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(tokio::time::timeout(PATIENCE, reader.next()).await.expect("records come").unwrap());
    }
    records
}

/// Folds a partition as every reader does; the stamps of the valid records.
fn valid(records: &[StoredRecord]) -> Vec<(u64, u64)> {
    let mut cursor = Cursor::default();
    let judged = |stored: &StoredRecord| {
        let stamp = stored.record.stamp();
        (stamp, cursor.judge(stored.offset, stamp))
    };
    let verdicts = records.iter().map(judged);
    verdicts
        .filter(|(_, verdict)| *verdict != Verdict::Void)
        .map(|(stamp, _)| (stamp.tenure, stamp.n))
        .collect()
}

/// Runs the whole suite. Each part uses partitions of a log of its own.
pub(crate) async fn suite(open_new: &dyn Fn() -> Box<dyn Fn() -> Arc<dyn Log>>) {
    order_and_reports(&*open_new()).await;
    durability(&*open_new()).await;
    partitions_are_apart(&*open_new()).await;
    reading_from_a_position_and_from_the_end(&*open_new()).await;
    a_zombie_appends_in_vain(&*open_new()).await;
    what_does_not_exist_is_refused(&*open_new()).await;
}

/// Records land in the order they were handed over, each reported once with
/// the offset where it is then read.
pub(crate) async fn order_and_reports(open: Open<'_>) {
    let (log, mut sink) = (open(), Sink::new());
    log.append(0, vec![claim(1)], &sink.sink);
    for start in (1..1_000).step_by(111) {
        log.append(0, burst(1, start..start + 111), &sink.sink);
    }
    let reports = sink.take(1_000).await;
    let records = read(&mut *log.read(0, 0), 1_000).await;
    assert_eq!(
        records.iter().map(|stored| stored.record.stamp().n).collect::<Vec<_>>(),
        (0..1_000).collect::<Vec<_>>()
    );
    for report in reports {
        let offset = report.outcome.expect("nothing fails here");
        let stored = &records[usize::try_from(offset).unwrap()];
        assert_eq!(
            (stored.offset, stored.record.stamp()),
            (offset, Stamp { tenure: report.tenure, n: report.n })
        );
    }
    assert!(
        records[1].record.headers == record(1, 1).headers && records[1].record.value == record(1, 1).value
    );
    assert_eq!(log.end(0).await.unwrap(), 1_000);
    assert!(sink.reports.try_recv().is_err(), "each record is reported once");
}

/// What was acknowledged is there after a restart, and the next offset follows.
pub(crate) async fn durability(open: Open<'_>) {
    let mut sink = Sink::new();
    {
        let log = open();
        log.append(0, vec![claim(1)], &sink.sink);
        log.append(0, burst(1, 1..50), &sink.sink);
        sink.take(50).await;
    }
    let log = open();
    assert_eq!(log.end(0).await.unwrap(), 50);
    log.append(0, vec![claim(2)], &sink.sink);
    assert_eq!(sink.take(1).await[0].outcome, Ok(50));
    assert_eq!(valid(&read(&mut *log.read(0, 0), 51).await).len(), 51);
}

/// Offsets count in each partition.
pub(crate) async fn partitions_are_apart(open: Open<'_>) {
    let (log, mut sink) = (open(), Sink::new());
    log.append(0, vec![claim(1)], &sink.sink);
    log.append(1, vec![claim(2)], &sink.sink);
    log.append(1, burst(2, 1..4), &sink.sink);
    let mut reports = sink.take(5).await;
    reports.sort_by_key(|report| (report.partition, report.n));
    let offsets: Vec<Result<Offset, AppendError>> =
        reports.into_iter().map(|report| report.outcome).collect();
    assert_eq!(offsets, [Ok(0), Ok(0), Ok(1), Ok(2), Ok(3)]);
    assert_eq!((log.end(0).await.unwrap(), log.end(1).await.unwrap()), (1, 4));
}

/// A reader starts in the middle, also of one append, and waits at the end.
pub(crate) async fn reading_from_a_position_and_from_the_end(open: Open<'_>) {
    let (log, mut sink) = (open(), Sink::new());
    log.append(0, vec![claim(1)], &sink.sink);
    log.append(0, burst(1, 1..20), &sink.sink);
    sink.take(20).await;
    let middle = read(&mut *log.read(0, 7), 13).await;
    assert_eq!(middle.iter().map(|stored| stored.offset).collect::<Vec<_>>(), (7..20).collect::<Vec<_>>());
    let mut reader = log.read(0, 20);
    let early = tokio::time::timeout(Duration::from_millis(50), reader.next()).await;
    assert!(early.is_err(), "there is nothing to read yet");
    log.append(0, burst(1, 20..22), &sink.sink);
    let next = read(&mut *reader, 2).await;
    assert_eq!(next.iter().map(|stored| stored.offset).collect::<Vec<_>>(), [20, 21]);
}

/// A writer that lost the partition still appends; readers void it, and it
/// sees by its reports that it is over.
pub(crate) async fn a_zombie_appends_in_vain(open: Open<'_>) {
    let log = open();
    let (mut old_sink, mut new_sink) = (Sink::new(), Sink::new());
    let (mut old, mut new) = (Reign::new(), Reign::new());
    let begin = async |reign: &mut Reign, tenure: u64, sink: &mut Sink| {
        reign.claim(tenure);
        log.append(0, vec![claim(tenure)], &sink.sink);
        let Progress::Claimed { offset } = apply(reign, sink.take(1).await).pop().unwrap() else {
            panic!("claimed")
        };
        let mut cursor = Cursor::default();
        let before = usize::try_from(offset + 1).unwrap();
        read(&mut *log.read(0, 0), before).await.iter().take(before).for_each(|stored| {
            cursor.judge(stored.offset, stored.record.stamp());
        });
        assert!(reign.folded(offset + 1, &cursor));
    };
    let next = |reign: &mut Reign| {
        let stamp = reign.next_stamp().unwrap();
        record(stamp.tenure, stamp.n)
    };
    begin(&mut old, 1, &mut old_sink).await;
    log.append(0, vec![next(&mut old)], &old_sink.sink);
    assert_eq!(apply(&mut old, old_sink.take(1).await), [Progress::Confirmed { through: 1 }]);
    begin(&mut new, 2, &mut new_sink).await;
    log.append(0, vec![next(&mut old)], &old_sink.sink);
    assert_eq!(apply(&mut old, old_sink.take(1).await), [Progress::Over], "the zombie is told");
    log.append(0, vec![next(&mut new)], &new_sink.sink);
    assert_eq!(
        apply(&mut new, new_sink.take(1).await),
        [Progress::Over],
        "the zombie's record took the place"
    );
    begin(&mut new, 3, &mut new_sink).await;
    log.append(0, vec![next(&mut new)], &new_sink.sink);
    assert_eq!(apply(&mut new, new_sink.take(1).await), [Progress::Confirmed { through: 1 }]);
    let all = read(&mut *log.read(0, 0), 7).await;
    assert_eq!(
        valid(&all),
        [(1, 0), (1, 1), (2, 0), (3, 0), (named(3, 5), 1)],
        "what was not acknowledged is void"
    );
}

fn apply(reign: &mut Reign, reports: Vec<Report>) -> Vec<Progress> {
    reports
        .into_iter()
        .map(|report| reign.reported(report.tenure, report.n, report.outcome.map_err(drop)))
        .collect()
}

/// A partition that is not there is refused for good, and nothing hangs.
pub(crate) async fn what_does_not_exist_is_refused(open: Open<'_>) {
    let (log, mut sink) = (open(), Sink::new());
    log.append(99, vec![claim(1)], &sink.sink);
    assert!(sink.take(1).await[0].outcome.is_err());
    assert!(log.end(99).await.is_err());
}

/// Some record.
#[allow(dead_code, reason = "not every adapter's tests need it")]
pub(crate) fn any_record() -> Record {
    record(1, 1)
}
