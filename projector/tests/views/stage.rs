//! A log on disk, and ways to disturb those who read it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use usher_events::log::embedded::EmbeddedLog;
use usher_events::log::{Log, LogReader, Partition, ReadError, ReportSink};
use usher_events::record::{Offset, Record, StoredRecord};
use usher_projector::dead_letter::{DeadLetter, DeadLetters};
use usher_projector::projection::{Announcer, Projections};
use usher_projector::store::{Act, Batch, Place, Skip, Stop, Store, StoreError};

use crate::history::PARTITION;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition; fails when it does not come.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let looked = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| panic!("{what} did not come"));
}

/// The embedded log in a directory of its own.
pub(crate) struct Disk {
    log: EmbeddedLog,
    _dir: TempDir,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { log: EmbeddedLog::open(&dir.path().join("log.redb"), 1).unwrap(), _dir: dir }
    }

    /// Appends records, which must land where they stand.
    pub(crate) async fn append(&self, records: &[StoredRecord]) {
        let records: Vec<Record> = records.iter().map(|stored| stored.record.clone()).collect();
        let (count, landed) = (records.len(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&landed);
        let sink: ReportSink = Arc::new(move |reports| {
            assert!(reports.iter().all(|report| report.outcome.is_ok()));
            counter.fetch_add(reports.len(), Ordering::Relaxed);
        });
        self.log.append(PARTITION, records, &sink);
        until("the append", async || landed.load(Ordering::Relaxed) == count).await;
    }
}

#[async_trait]
impl Log for Disk {
    fn append(&self, partition: Partition, records: Vec<Record>, reports: &ReportSink) {
        self.log.append(partition, records, reports);
    }

    fn read(&self, partition: Partition, from: Offset) -> Box<dyn LogReader> {
        self.log.read(partition, from)
    }

    async fn end(&self, partition: Partition) -> Result<Offset, ReadError> {
        self.log.end(partition).await
    }
}

/// Reads a log a few records at a time, each batch twice.
pub(crate) struct Trickle {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) at_once: usize,
}

struct TrickleReader {
    reader: Box<dyn LogReader>,
    waiting: Vec<Vec<StoredRecord>>,
    at_once: usize,
}

#[async_trait]
impl Log for Trickle {
    fn append(&self, partition: Partition, records: Vec<Record>, reports: &ReportSink) {
        self.log.append(partition, records, reports);
    }

    fn read(&self, partition: Partition, from: Offset) -> Box<dyn LogReader> {
        let reader = self.log.read(partition, from);
        Box::new(TrickleReader { reader, waiting: Vec::new(), at_once: self.at_once })
    }

    async fn end(&self, partition: Partition) -> Result<Offset, ReadError> {
        self.log.end(partition).await
    }
}

#[async_trait]
impl LogReader for TrickleReader {
    async fn next(&mut self) -> Result<Vec<StoredRecord>, ReadError> {
        if self.waiting.is_empty() {
            let records = self.reader.next().await?;
            let parts = records.chunks(self.at_once).map(<[StoredRecord]>::to_vec);
            self.waiting = parts.flat_map(|part| [part.clone(), part]).rev().collect();
        }
        Ok(self.waiting.pop().unwrap_or_default())
    }
}

/// What happens to one call of `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It works.
    Works,
    /// The store is not reached.
    Lost,
    /// The store does it, but the answer is lost.
    Unanswered,
}

/// A store that is disturbed on the way; afterwards it works.
pub(crate) struct Disturbed<S> {
    store: S,
    fates: Mutex<Vec<Fate>>,
}

impl<S: Store> Disturbed<S> {
    pub(crate) fn new(store: S, mut fates: Vec<Fate>) -> Self {
        fates.reverse();
        Self { store, fates: Mutex::new(fates) }
    }
}

#[async_trait]
impl<S: Store> Store for Disturbed<S> {
    fn projection(&self) -> &'static str {
        self.store.projection()
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.store.place(partition).await
    }

    async fn recover(&self, partition: Partition) -> Result<Place, StoreError> {
        self.store.recover(partition).await
    }

    async fn position(&self, partition: Partition) -> Result<Offset, StoreError> {
        self.store.position(partition).await
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let fate = self.fates.lock().unwrap().pop().unwrap_or(Fate::Works);
        let lost = Err(StoreError::Unavailable("disturbed".to_owned()));
        match fate {
            Fate::Works => self.store.apply(batch).await,
            Fate::Lost => lost,
            Fate::Unanswered => {
                self.store.apply(batch).await?;
                lost
            }
        }
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.store.stop(partition, stop).await
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.store.stopped(partition).await
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        self.store.go_on(partition, skip, act).await
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        self.store.acts(partition).await
    }
}

/// Keeps dead letters for a test to look at.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<DeadLetter>>);

#[async_trait]
impl DeadLetters for Kept {
    async fn put(&self, letter: &DeadLetter) -> Result<(), String> {
        self.0.lock().unwrap().push(letter.clone());
        Ok(())
    }
}

/// Starts the loops of `stores`.
pub(crate) fn start(log: &Arc<dyn Log>, stores: Vec<Arc<dyn Store>>, letters: &Arc<Kept>) -> Projections {
    let letters: Arc<dyn DeadLetters> = letters.clone();
    Projections::start(log, 1, stores, &letters, &Announcer::default())
}

/// Waits until all `stores` have everything of the log.
pub(crate) async fn caught_up(log: &Arc<dyn Log>, stores: &[Arc<dyn Store>]) {
    let end = log.end(PARTITION).await.unwrap();
    for store in stores {
        until("the log's end", async || store.position(PARTITION).await.unwrap() == end).await;
    }
}
