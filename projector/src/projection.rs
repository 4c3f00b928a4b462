//! The loop that keeps one view of one partition up to date with the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};
use usher_events::log::{Log, LogReader, Partition, ReadError};
use usher_events::record::{Offset, StoredRecord};
use usher_events::time::Timestamp;

use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::judge::{Judged, judge};
use crate::store::{Batch, Changed, Place, Stop, Store, StoreError};

pub use crate::admin::{Inspected, inspect, resume, skip};
pub use crate::announcer::Announcer;

/// The most records of one step.
const STEP_RECORDS: usize = 4_096;
/// How long to wait after something could not be reached: at first, at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often a stopped projection looks whether it may go on, and an idle one
/// whether the store still is where it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Nobody has looked yet where the log ends.
const UNKNOWN: u64 = u64::MAX;

/// All projections of this process.
#[derive(Debug)]
pub struct Projections {
    stop: CancellationToken,
    tasks: TaskTracker,
    behind: Arc<Vec<AtomicU64>>,
}

impl Projections {
    /// Starts one loop for each store and partition, in the current runtime.
    pub fn start(
        log: &Arc<dyn Log>,
        partitions: u32,
        stores: Vec<Arc<dyn Store>>,
        letters: &Arc<dyn DeadLetters>,
        announcer: &Announcer,
    ) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let loops = stores.len() * partitions as usize;
        let behind: Arc<Vec<AtomicU64>> = Arc::new((0..loops).map(|_| AtomicU64::new(UNKNOWN)).collect());
        let standing = || Arc::new(AtomicUsize::new(0));
        let stores: Vec<_> = stores.into_iter().map(|store| (store, standing())).collect();
        let stores = stores.iter().flat_map(|store| (0..partitions).map(move |partition| (store, partition)));
        for (index, ((store, standing), partition)) in stores.enumerate() {
            let projection = Projection {
                log: Arc::clone(log),
                store: Arc::clone(store),
                letters: Arc::clone(letters),
                announcer: announcer.clone(),
                stop: stop.clone(),
                partition,
                behind: Arc::clone(&behind),
                standing: Arc::clone(standing),
                index,
            };
            tasks.spawn(projection.run());
        }
        tasks.close();
        Self { stop, tasks, behind }
    }

    /// Whether every view has what was in the log when its end was last
    /// looked at.
    pub fn caught_up(&self) -> bool {
        self.behind.iter().all(|behind| behind.load(Ordering::Relaxed) == 0)
    }

    /// Ends all loops; a step under way is finished first. A step is never
    /// dropped half way: a database connection would keep its transaction.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

struct Projection {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    letters: Arc<dyn DeadLetters>,
    announcer: Announcer,
    stop: CancellationToken,
    partition: Partition,
    behind: Arc<Vec<AtomicU64>>,
    /// How many partitions of this projection stand still.
    standing: Arc<AtomicUsize>,
    index: usize,
}

/// Why a round ended.
enum Ended {
    /// The stored place is another than thought: read it again.
    Refused,
    /// Something is away.
    Unavailable(String),
    /// A record cannot be applied.
    Poison(Box<StoredRecord>, String),
    /// Told to stop.
    Stopped,
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused => Self::Refused,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// An outage is told once, at its start and at its end, however often it is
/// tried in between.
#[derive(Default)]
struct Outage {
    told: bool,
    refused: bool,
    wait: Duration,
}

impl Outage {
    fn over(&mut self) -> bool {
        self.wait = Duration::ZERO;
        self.refused = false;
        std::mem::take(&mut self.told)
    }

    /// How long to wait before the next attempt.
    fn wait(&mut self) -> Duration {
        self.wait = (self.wait * 2).clamp(BACK_OFF.0, BACK_OFF.1);
        self.wait.mul_f64(rand::rng().random_range(0.5..1.5))
    }
}

/// Where the log ended when it was last asked.
struct End {
    offset: Offset,
    asked: Instant,
}

impl Projection {
    async fn run(self) {
        let mut outage = Outage::default();
        while !self.stop.is_cancelled() {
            match self.round(&mut outage).await {
                Ended::Stopped => return,
                Ended::Refused => self.elsewhere(&mut outage).await,
                Ended::Unavailable(reason) => self.stand_still(&mut outage, &reason).await,
                Ended::Poison(record, reason) => {
                    if let Err(reason) = self.halt(*record, reason, &outage).await {
                        self.stand_still(&mut outage, &reason).await;
                    }
                }
            }
        }
    }

    /// Another projector was faster, or the store went back: both are fine
    /// once, and twice without a step in between is worth a pause.
    async fn elsewhere(&self, outage: &mut Outage) {
        metrics::counter!("usher_projection_refused_total", &self.labels()).increment(1);
        let (projection, partition) = (self.store.projection(), self.partition);
        info!(projection, partition, "the view is elsewhere than thought: reading its place again");
        if std::mem::replace(&mut outage.refused, true) {
            self.pause(outage.wait()).await;
        }
    }

    async fn stand_still(&self, outage: &mut Outage, reason: &str) {
        if !outage.told {
            let (projection, partition) = (self.store.projection(), self.partition);
            // What is away is away for all partitions: the first one says so.
            if self.standing.fetch_add(1, Ordering::Relaxed) == 0 {
                warn!(projection, partition, reason, "standing still, trying on");
            } else {
                debug!(projection, partition, reason, "standing still, trying on");
            }
        }
        outage.told = true;
        self.pause(outage.wait()).await;
    }

    /// Waits, unless told to stop.
    async fn pause(&self, wait: Duration) {
        self.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }

    /// Reads the place, then applies what follows until something is wrong.
    async fn round(&self, outage: &mut Outage) -> Ended {
        match self.rounds(outage).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn rounds(&self, outage: &mut Outage) -> Result<std::convert::Infallible, Ended> {
        let mut place = self.begin().await?;
        let mut reader = self.log.read(self.partition, place.position);
        let mut end = End { offset: self.log.end(self.partition).await?, asked: Instant::now() };
        loop {
            if self.stop.is_cancelled() {
                return Err(Ended::Stopped);
            }
            self.note_lag(&place, &mut end).await?;
            self.step(&mut *reader, &mut place).await?;
            if outage.over() {
                let (projection, partition, position) =
                    (self.store.projection(), self.partition, place.position);
                if self.standing.fetch_sub(1, Ordering::Relaxed) == 1 {
                    info!(projection, partition, position, "going on, as all of its partitions do");
                } else {
                    debug!(projection, partition, position, "going on");
                }
            }
        }
    }

    /// The stored place, once the projection is not stopped.
    async fn begin(&self) -> Result<Place, Ended> {
        let mut told = false;
        while let Some(stop) = self.store.stopped(self.partition).await? {
            if !told {
                error!(
                    projection = self.store.projection(),
                    partition = self.partition,
                    offset = stop.offset,
                    reason = stop.reason,
                    "this projection has stopped: an operator must resume it or skip the record"
                );
                told = true;
            }
            self.gauge_stopped(1.0);
            self.pause(LOOK_EVERY).await;
            if self.stop.is_cancelled() {
                return Err(Ended::Stopped);
            }
        }
        self.gauge_stopped(0.0);
        Ok(self.store.recover(self.partition).await?)
    }

    async fn step(&self, reader: &mut dyn LogReader, place: &mut Place) -> Result<(), Ended> {
        let records = tokio::select! {
            records = reader.next() => records?,
            () = self.stop.cancelled() => return Err(Ended::Stopped),
            () = tokio::time::sleep(LOOK_EVERY) => return self.still_there(place).await,
        };
        for part in records.chunks(STEP_RECORDS) {
            self.apply(part, place).await?;
        }
        Ok(())
    }

    /// A store that lost its last second is noticed also when nothing comes.
    async fn still_there(&self, place: &Place) -> Result<(), Ended> {
        let stored = self.store.position(self.partition).await?;
        if stored == place.position { Ok(()) } else { Err(Ended::Refused) }
    }

    async fn note_lag(&self, place: &Place, end: &mut End) -> Result<(), Ended> {
        if end.asked.elapsed() >= LOOK_EVERY {
            *end = End { offset: self.log.end(self.partition).await?, asked: Instant::now() };
        }
        let lag = end.offset.saturating_sub(place.position);
        self.behind[self.index].store(lag, Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("usher_projection_lag", &self.labels()).set(lag as f64);
        Ok(())
    }

    async fn apply(&self, records: &[StoredRecord], place: &mut Place) -> Result<(), Ended> {
        let Judged { batch, voids, mut poison } = judge(self.partition, *place, records);
        self.count_voids(&voids);
        if batch.to.position > place.position {
            match self.store.apply(&batch).await {
                Ok(()) => {
                    *place = batch.to;
                    self.announce(&batch);
                }
                Err(StoreError::Poison { offset, reason }) => {
                    self.apply_before(&batch, offset).await?;
                    poison = Some((offset, reason));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let Some((offset, reason)) = poison else { return Ok(()) };
        let record = records.iter().find(|stored| stored.offset == offset);
        Err(record.map_or(Ended::Refused, |record| Ended::Poison(Box::new(record.clone()), reason)))
    }

    /// Applies what precedes a poison event in its batch, so that the
    /// projection stands exactly before it.
    async fn apply_before(&self, batch: &Batch, offset: Offset) -> Result<(), Ended> {
        let stored = self.store.place(self.partition).await?;
        if let Some(part) = batch.between(stored, offset) {
            self.store.apply(&part).await?;
        }
        let mut applied = batch.clone();
        applied.events.retain(|located| located.offset < offset);
        applied.to.position = offset;
        self.announce(&applied);
        Ok(())
    }

    fn count_voids(&self, voids: &[Offset]) {
        if let Some(first) = voids.first() {
            let name = self.store.projection();
            metrics::counter!("usher_void_records_total", "reader" => name).increment(voids.len() as u64);
            let count = voids.len();
            warn!(projection = name, partition = self.partition, first, count, "void records do not count");
        }
    }

    /// Stops loudly: copies the record to the dead letters, and keeps why.
    async fn halt(&self, record: StoredRecord, reason: String, outage: &Outage) -> Result<(), String> {
        let (projection, partition) = (self.store.projection(), self.partition);
        let stop = Stop { offset: record.offset, reason: reason.clone(), at: Timestamp::now() };
        if !outage.told {
            let offset = stop.offset;
            error!(projection, partition, offset, reason, "a record cannot be applied: stopping");
        }
        self.gauge_stopped(1.0);
        let letter = DeadLetter { projection, partition, record, reason };
        self.letters.put(&letter).await?;
        self.store.stop(partition, &stop).await.map_err(|error| error.to_string())
    }

    fn announce(&self, batch: &Batch) {
        let mut openings: Vec<_> = batch.events.iter().map(|located| &located.opening).collect();
        openings.sort_unstable();
        openings.dedup();
        metrics::counter!("usher_projected_events_total", &self.labels())
            .increment(batch.events.len() as u64);
        let openings = openings.into_iter().cloned().collect();
        self.announcer.announce(Changed { partition: self.partition, position: batch.to.position, openings });
    }

    fn gauge_stopped(&self, value: f64) {
        metrics::gauge!("usher_projection_stopped", &self.labels()).set(value);
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [("projection", self.store.projection().to_owned()), ("partition", self.partition.to_string())]
    }
}
