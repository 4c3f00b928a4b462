//! The loop that keeps one view of one partition up to date with the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};
use usher_events::event::Event;
use usher_events::log::{Log, LogReader, Partition, ReadError};
use usher_events::record::StoredRecord;
use usher_events::tenure::Verdict;
use usher_events::time::Timestamp;

use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::store::{Act, Batch, Changed, Claim, Located, Place, Stop, Store, StoreError};

/// The most events of one step.
const STEP_EVENTS: usize = 4_096;
/// How long to wait after something could not be reached: at first, at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often a stopped projection looks whether it may go on, and an idle one
/// whether the store still is where it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where changes of views are announced.
#[derive(Debug, Clone)]
pub struct Announcer(broadcast::Sender<Arc<Changed>>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::Sender::new(4_096))
    }
}

impl Announcer {
    /// Announces a change to whoever listens.
    pub fn announce(&self, changed: Changed) {
        // Nobody listening is fine.
        drop(self.0.send(Arc::new(changed)));
    }

    /// Listens to changes from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Changed>> {
        self.0.subscribe()
    }
}

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
        let behind: Arc<Vec<AtomicU64>> = Arc::new((0..loops).map(|_| AtomicU64::new(u64::MAX)).collect());
        let stores = stores.iter().flat_map(|store| (0..partitions).map(move |partition| (store, partition)));
        for (index, (store, partition)) in stores.enumerate() {
            let projection = Projection {
                log: Arc::clone(log),
                store: Arc::clone(store),
                letters: Arc::clone(letters),
                announcer: announcer.clone(),
                partition,
                behind: Arc::clone(&behind),
                index,
            };
            let stop = stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(projection.run()).await;
            });
        }
        tasks.close();
        Self { stop, tasks, behind }
    }

    /// Whether every view has what was in the log when it was last looked at.
    pub fn caught_up(&self) -> bool {
        self.behind.iter().all(|behind| behind.load(Ordering::Relaxed) == 0)
    }

    /// Ends all loops; a step under way is finished or undone by its store.
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
    partition: Partition,
    behind: Arc<Vec<AtomicU64>>,
    index: usize,
}

/// Why a round ended.
enum Ended {
    /// The stored place is another than thought: read it again.
    Refused,
    /// Something is away; it was logged.
    Unavailable(String),
    /// A record cannot be applied.
    Poison(Box<StoredRecord>, String),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused => Self::Refused,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl Projection {
    async fn run(self) {
        let name = self.store.projection();
        let mut wait = BACK_OFF.0;
        let mut away = false;
        loop {
            let ended = self.round(&mut away).await;
            match ended {
                Ended::Refused => {
                    warn!(
                        projection = name,
                        partition = self.partition,
                        "the view is elsewhere; reading its place again"
                    );
                    wait = BACK_OFF.0;
                }
                Ended::Unavailable(reason) => {
                    if !away {
                        warn!(
                            projection = name,
                            partition = self.partition,
                            reason,
                            "standing still; trying on"
                        );
                    }
                    away = true;
                    tokio::time::sleep(wait + wait.mul_f64(rand_fraction())).await;
                    wait = (wait * 2).min(BACK_OFF.1);
                }
                Ended::Poison(record, reason) => {
                    self.halt(*record, reason).await;
                    wait = BACK_OFF.0;
                }
            }
        }
    }

    /// Reads the place, then applies what follows until something is wrong.
    async fn round(&self, away: &mut bool) -> Ended {
        let mut place = match self.begin().await {
            Ok(place) => place,
            Err(ended) => return ended,
        };
        if std::mem::take(away) {
            info!(
                projection = self.store.projection(),
                partition = self.partition,
                position = place.position,
                "going on"
            );
        }
        let mut reader = self.log.read(self.partition, place.position);
        loop {
            match self.step(&mut *reader, &mut place).await {
                Ok(()) => {}
                Err(ended) => return ended,
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
                    "this projection has stopped; see `usher projector inspect`"
                );
                self.gauge_stopped(1.0);
                told = true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.gauge_stopped(0.0);
        Ok(self.store.place(self.partition).await?)
    }

    async fn step(&self, reader: &mut dyn LogReader, place: &mut Place) -> Result<(), Ended> {
        self.note_lag(place).await?;
        let records = tokio::select! {
            records = reader.next() => records,
            () = tokio::time::sleep(LOOK_EVERY) => return self.still_there(place).await,
        };
        let records = match records {
            Ok(records) => records,
            Err(ReadError::Retryable(reason)) => return Err(Ended::Unavailable(reason)),
            Err(ReadError::Terminal(reason)) => {
                return Err(Ended::Unavailable(format!("the log is unreadable: {reason}")));
            }
        };
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let part: Vec<StoredRecord> = records.by_ref().take(STEP_EVENTS).collect();
            self.apply(part, place).await?;
        }
        Ok(())
    }

    /// A store that lost its last second is noticed also when nothing comes.
    async fn still_there(&self, place: &Place) -> Result<(), Ended> {
        let stored = self.store.place(self.partition).await?;
        if stored.position == place.position { Ok(()) } else { Err(Ended::Refused) }
    }

    async fn note_lag(&self, place: &Place) -> Result<(), Ended> {
        let end =
            self.log.end(self.partition).await.map_err(|error| Ended::Unavailable(error.to_string()))?;
        let lag = end.saturating_sub(place.position);
        self.behind[self.index].store(lag, Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("usher_projection_lag", &self.labels()).set(lag as f64);
        Ok(())
    }

    async fn apply(&self, records: Vec<StoredRecord>, place: &mut Place) -> Result<(), Ended> {
        let (batch, poison) = self.judge(records, *place);
        if batch.to.position > place.position {
            match self.store.apply(&batch).await {
                Ok(()) => {
                    *place = batch.to;
                    self.announce(&batch);
                }
                Err(StoreError::Poison { offset, reason }) => {
                    // What precedes it goes in; the next round meets it alone.
                    return Err(self.before_poison(&batch, offset, reason).await);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match poison {
            Some((record, reason)) => Err(Ended::Poison(Box::new(record), reason)),
            None => Ok(()),
        }
    }

    /// The valid events of `records`, and the first that cannot be decoded.
    fn judge(&self, records: Vec<StoredRecord>, follows: Place) -> (Batch, Option<(StoredRecord, String)>) {
        let mut batch = Batch { partition: self.partition, follows, to: follows, events: Vec::new() };
        for stored in records {
            let offset = stored.offset;
            if offset < batch.to.position {
                continue;
            }
            let mut cursor = batch.to.cursor;
            let verdict = cursor.judge(stored.record.stamp());
            if verdict == Verdict::Void {
                metrics::counter!("usher_void_records_total", "reader" => self.store.projection())
                    .increment(1);
                warn!(partition = self.partition, offset, "a void record was skipped");
            } else {
                match stored.record.event() {
                    Ok(Event::WriterClaimed(claimed)) => {
                        batch.to.claim = Some(Claim { offset, at: claimed.at })
                    }
                    Ok(event) => {
                        if let Some(opening) = stored.record.key.clone() {
                            let after = Place { position: offset + 1, cursor, claim: batch.to.claim };
                            batch.events.push(Located { offset, opening, event, after });
                        }
                    }
                    Err(error) => return (batch, Some((stored, error.to_string()))),
                }
            }
            batch.to.cursor = cursor;
            batch.to.position = offset + 1;
        }
        (batch, None)
    }

    /// Applies what precedes a poison event; then says that it is one.
    async fn before_poison(&self, batch: &Batch, offset: u64, reason: String) -> Ended {
        let stored = match self.store.place(self.partition).await {
            Ok(stored) => stored,
            Err(error) => return error.into(),
        };
        let reread = match self.read_range(stored.position, offset).await {
            Ok(reread) => reread,
            Err(ended) => return ended,
        };
        let mut before = reread;
        let Some(at) = before.iter().position(|record| record.offset == offset) else {
            return Ended::Refused;
        };
        let poison = before.split_off(at).swap_remove(0);
        let (part, _) =
            self.judge(before, if stored.position > batch.follows.position { stored } else { batch.follows });
        if part.to.position > part.follows.position {
            match self.store.apply(&part).await {
                Ok(()) => self.announce(&part),
                Err(error) => return error.into(),
            }
        }
        Ended::Poison(Box::new(poison), reason)
    }

    async fn read_range(&self, from: u64, through: u64) -> Result<Vec<StoredRecord>, Ended> {
        let mut reader = self.log.read(self.partition, from);
        let mut records = Vec::new();
        while records.last().is_none_or(|last: &StoredRecord| last.offset < through) {
            let next = reader.next().await.map_err(|error| Ended::Unavailable(error.to_string()))?;
            records.extend(next);
        }
        Ok(records)
    }

    /// Stops loudly: copies the record to the dead letters, and keeps why.
    async fn halt(&self, record: StoredRecord, reason: String) {
        let name = self.store.projection();
        let stop = Stop { offset: record.offset, reason: reason.clone(), at: Timestamp::now() };
        error!(
            projection = name,
            partition = self.partition,
            offset = stop.offset,
            reason,
            "a record cannot be applied: this projection stops"
        );
        let letter = DeadLetter { projection: name, partition: self.partition, record, reason };
        if let Err(fault) = self.letters.put(&letter).await {
            error!(projection = name, partition = self.partition, fault, "the dead letter could not be kept");
        }
        if let Err(fault) = self.store.stop(self.partition, &stop).await {
            error!(projection = name, partition = self.partition, %fault, "the stop could not be kept");
            tokio::time::sleep(BACK_OFF.1).await;
        }
    }

    fn announce(&self, batch: &Batch) {
        let mut openings: Vec<_> = batch.events.iter().map(|located| located.opening.clone()).collect();
        openings.sort_unstable();
        openings.dedup();
        metrics::counter!("usher_projected_events_total", &self.labels())
            .increment(batch.events.len() as u64);
        self.announcer.announce(Changed { partition: self.partition, position: batch.to.position, openings });
    }

    fn gauge_stopped(&self, value: f64) {
        metrics::gauge!("usher_projection_stopped", &self.labels()).set(value);
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [("projection", self.store.projection().to_owned()), ("partition", self.partition.to_string())]
    }
}

/// A little less than one, different each time, without a generator of its own.
fn rand_fraction() -> f64 {
    f64::from(Timestamp::now().0.rem_euclid(97).unsigned_abs() as u32) / 97.0
}

/// Has a stopped projection try its record again.
pub async fn resume(store: &dyn Store, partition: Partition, by: &str) -> Result<Option<Stop>, StoreError> {
    let Some(stop) = store.stopped(partition).await? else { return Ok(None) };
    let act = Act {
        what: "resume".to_owned(),
        offset: stop.offset,
        by: by.to_owned(),
        reason: String::new(),
        at: Timestamp::now(),
    };
    store.go_on(partition, None, &act).await?;
    Ok(Some(stop))
}

/// Has a projection that stopped at `offset` go on after that record.
/// Refused when it did not stop there.
pub async fn skip(
    log: &dyn Log,
    store: &dyn Store,
    partition: Partition,
    offset: u64,
    by: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let stopped = store.stopped(partition).await?;
    let mut place = store.place(partition).await?;
    if stopped.is_none_or(|stop| stop.offset != offset) {
        return Err(StoreError::Refused);
    }
    let unreadable = |error: ReadError| StoreError::Unavailable(error.to_string());
    let records = log.read(partition, place.position).next().await.map_err(unreadable)?;
    for stored in records.into_iter().take_while(|stored| stored.offset <= offset) {
        place.cursor.judge(stored.record.stamp());
        place.position = stored.offset + 1;
    }
    let act = Act {
        what: "skip".to_owned(),
        offset,
        by: by.to_owned(),
        reason: reason.to_owned(),
        at: Timestamp::now(),
    };
    store.go_on(partition, Some(place), &act).await
}
