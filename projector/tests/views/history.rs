//! What happened, as records of one partition.

use bytes::Bytes;
use usher_events::event::{Event, WriterClaimed};
use usher_events::ids::{CommandId, Hash, OpeningId};
use usher_events::record::{Headers, Record, StoredRecord, encode};
use usher_events::tenure::{Stamp, named};
use usher_events::time::Timestamp;
use usher_projector::judge::judge;
use usher_projector::store::{Batch, Place};
use uuid::Uuid;

/// The partition of all tests.
pub(crate) const PARTITION: u32 = 0;

/// Something in the log.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    /// An event of an opening.
    Happened(OpeningId, Event),
    /// A writer's claim.
    Claimed(Timestamp),
    /// A record that does not count; the next counting one needs a claim.
    Void(OpeningId, Event),
    /// A record that counts, but that nobody understands.
    Garbage(OpeningId),
}

/// The records that say `facts`, after a first claim.
pub(crate) fn records(facts: &[Fact]) -> Vec<StoredRecord> {
    let mut pen = Pen::default();
    pen.claim(Timestamp(0));
    facts.iter().for_each(|fact| pen.write(fact));
    pen.records
}

#[derive(Default)]
struct Pen {
    records: Vec<StoredRecord>,
    stamp: Option<Stamp>,
    tenures: u64,
}

impl Pen {
    fn write(&mut self, fact: &Fact) {
        match fact {
            Fact::Claimed(at) => self.claim(*at),
            Fact::Happened(opening, event) => {
                let stamp = self.next();
                self.put(stamp, Some(opening.clone()), encode(event).unwrap());
                if let Some(record) = self.records.last_mut().filter(|_| by_operator(event)) {
                    record.record.headers.actor = "operator:box-office".into();
                }
            }
            Fact::Garbage(opening) => {
                let stamp = self.next();
                let value = Bytes::from_static(br#"{"type":"SeatsPainted","v":9}"#);
                self.put(stamp, Some(opening.clone()), value);
            }
            Fact::Void(opening, event) => {
                let Stamp { tenure, n } = self.next();
                self.put(Stamp { tenure, n: n + 7 }, Some(opening.clone()), encode(event).unwrap());
                self.stamp = None;
            }
        }
    }

    fn claim(&mut self, at: Timestamp) {
        self.tenures += 1;
        let claimed =
            WriterClaimed { at, address: "http://writer".into(), version: "1".into(), partitions: 1 };
        let (drawn, offset) = (u64::MAX - self.tenures, self.records.len() as u64);
        self.put(Stamp { tenure: drawn, n: 0 }, None, encode(&claimed.into()).unwrap());
        self.stamp = Some(Stamp { tenure: named(drawn, offset), n: 0 });
    }

    fn next(&mut self) -> Stamp {
        if self.stamp.is_none() {
            self.claim(Timestamp(0));
        }
        let stamp = self.stamp.as_mut().unwrap();
        stamp.n += 1;
        *stamp
    }

    fn put(&mut self, stamp: Stamp, key: Option<OpeningId>, value: Bytes) {
        let headers = Headers {
            tenure: stamp.tenure,
            n: stamp.n,
            seq: 0,
            command_id: CommandId(Uuid::nil()),
            digest: Hash::default(),
            actor: "timer:test".into(),
            chain: Hash::default(),
        };
        let offset = self.records.len() as u64;
        let record = Record { key, value, headers };
        self.records.push(StoredRecord { offset, appended_at: Timestamp(0), record });
    }
}

/// Whether an operator causes such events here.
fn by_operator(event: &Event) -> bool {
    matches!(
        event,
        Event::OpeningScheduled(_)
            | Event::OpeningRescheduled(_)
            | Event::PlanAdded(_)
            | Event::ShowingAdded(_)
            | Event::PolicyChanged(_)
            | Event::MessageChanged(_)
            | Event::OpeningPaused(_)
            | Event::OpeningResumed(_)
            | Event::BookingCancelled(_)
    )
}

/// The records as steps of at most so many records each, in turn.
pub(crate) fn batches(records: &[StoredRecord], sizes: &[usize]) -> Vec<Batch> {
    let (mut rest, mut place, mut batches) = (records, Place::default(), Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, after) = rest.split_at((*size).clamp(1, rest.len()));
        let judged = judge(PARTITION, place, part);
        assert_eq!(judged.poison, None, "a history without poison");
        place = judged.batch.to;
        batches.push(judged.batch);
        rest = after;
    }
    batches
}
