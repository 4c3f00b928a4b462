//! A log in memory with every fault that a real one has, by a seed.
//!
//! A simulator drives it step by step: what is appended is in flight until
//! [`SimulatedLog::step`] decides what becomes of it. Without faults it is
//! also an ordinary [`Log`] (see [`SimulatedNode`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::{AppendError, Log, LogReader, Partition, ReadError, Report, ReportSink};
use crate::record::{Offset, Record, StoredRecord};
use crate::time::Timestamp;

/// Which of several processes that share the log.
pub type Node = usize;

/// How probable each fault is, for each record, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// It lands, but its report says that nobody knows.
    pub lost_acknowledgement: f64,
    /// It never lands, while its successors may.
    pub dropped: f64,
    /// It is reported as unknown, and lands at some later time.
    pub late: f64,
    /// Its successor lands before it.
    pub overtaken: f64,
    /// It lands twice.
    pub doubled: f64,
    /// It lands, and is reported with an offset of its place in the batch.
    pub wrong_offset: f64,
    /// A reader is shown a part only of what is there.
    pub stale_read: f64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        lost_acknowledgement: 0.0,
        dropped: 0.0,
        late: 0.0,
        overtaken: 0.0,
        doubled: 0.0,
        wrong_offset: 0.0,
        stale_read: 0.0,
    };

    /// Everything goes wrong now and then.
    pub const ALL: Self = Self {
        lost_acknowledgement: 0.01,
        dropped: 0.01,
        late: 0.01,
        overtaken: 0.01,
        doubled: 0.005,
        wrong_offset: 0.005,
        stale_read: 0.2,
    };

    /// The same faults, `factor` times as probable.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            lost_acknowledgement: self.lost_acknowledgement * factor,
            dropped: self.dropped * factor,
            late: self.late * factor,
            overtaken: self.overtaken * factor,
            doubled: self.doubled * factor,
            wrong_offset: self.wrong_offset * factor,
            stale_read: self.stale_read * factor,
        }
    }
}

/// Records of one node and partition on their way, in order.
type Lane = VecDeque<Record>;

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Vec<StoredRecord>>,
    lanes: HashMap<(Node, Partition), Lane>,
    /// Reported already, and yet to land.
    ghosts: Vec<(Partition, Record)>,
    now: Timestamp,
}

/// The simulated log. Cheap to clone; all clones are one log.
#[derive(Debug, Clone)]
pub struct SimulatedLog {
    state: Arc<Mutex<State>>,
    ends: Arc<Vec<watch::Sender<Offset>>>,
}

impl SimulatedLog {
    /// An empty log of `partitions` partitions.
    pub fn new(partitions: u32) -> Self {
        let state = State { partitions: vec![Vec::new(); partitions as usize], ..State::default() };
        let ends = (0..partitions).map(|_| watch::Sender::new(0)).collect();
        Self { state: Arc::new(Mutex::new(state)), ends: Arc::new(ends) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the log's clock, which stamps what lands from now on.
    pub fn set_now(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// Puts `records` on their way, after all earlier ones of this node.
    pub fn submit(&self, node: Node, partition: Partition, records: Vec<Record>) {
        self.lock().lanes.entry((node, partition)).or_default().extend(records);
    }

    /// How many records are on their way.
    pub fn in_flight(&self) -> usize {
        let state = self.lock();
        state.lanes.values().map(VecDeque::len).sum::<usize>() + state.ghosts.len()
    }

    /// Lets something happen to one record, or to one that was given up; the
    /// report that its node gets, if it gets one now.
    pub fn step(&self, faults: &Faults, random: &mut StdRng) -> Option<(Node, Report)> {
        let mut state = self.lock();
        if !state.ghosts.is_empty() && random.random_bool(0.2) {
            let ghost = random.random_range(0..state.ghosts.len());
            let (partition, record) = state.ghosts.swap_remove(ghost);
            self.land(&mut state, partition, record);
            return None;
        }
        let mut lanes: Vec<(Node, Partition)> =
            state.lanes.iter().filter(|(_, lane)| !lane.is_empty()).map(|(key, _)| *key).collect();
        lanes.sort_unstable();
        if lanes.is_empty() {
            return None;
        }
        let (node, partition) = lanes[random.random_range(0..lanes.len())];
        let lane = state.lanes.get_mut(&(node, partition))?;
        if lane.len() > 1 && random.random_bool(faults.overtaken) {
            lane.swap(0, 1);
        }
        let record = lane.pop_front()?;
        let stamp = record.stamp();
        let outcome = self.fate(&mut state, partition, record, faults, random);
        Some((node, Report { partition, tenure: stamp.tenure, n: stamp.n, outcome }))
    }

    fn fate(
        &self,
        state: &mut State,
        partition: Partition,
        record: Record,
        faults: &Faults,
        random: &mut StdRng,
    ) -> Result<Offset, AppendError> {
        let n = record.stamp().n;
        let unknown = |what: &str| Err(AppendError::Unknown(what.to_owned()));
        if random.random_bool(faults.dropped) {
            return unknown("timed out");
        }
        if random.random_bool(faults.late) {
            state.ghosts.push((partition, record));
            return unknown("timed out, and still on its way");
        }
        if random.random_bool(faults.doubled) {
            self.land(state, partition, record.clone());
        }
        let offset = self.land(state, partition, record);
        if random.random_bool(faults.lost_acknowledgement) {
            return unknown("the acknowledgement was lost");
        }
        if random.random_bool(faults.wrong_offset) {
            // Its place in the batch, which is never its place in the log.
            return Ok(random.random_range(0..n.max(1)));
        }
        Ok(offset)
    }

    fn land(&self, state: &mut State, partition: Partition, record: Record) -> Offset {
        let appended_at = state.now;
        let landed = &mut state.partitions[partition as usize];
        let offset = landed.len() as Offset;
        landed.push(StoredRecord { offset, appended_at, record });
        self.ends[partition as usize].send_replace(offset + 1);
        offset
    }

    /// A node is gone: of what it had on its way, a part may still land.
    pub fn crash(&self, node: Node, random: &mut StdRng) {
        let mut state = self.lock();
        let mut lanes: Vec<(Node, Partition)> =
            state.lanes.keys().copied().filter(|(of, _)| *of == node).collect();
        lanes.sort_unstable();
        for key in lanes {
            let Some(lane) = state.lanes.remove(&key) else { continue };
            let prefix = random.random_range(0..=lane.len());
            state.ghosts.extend(lane.into_iter().take(prefix).map(|record| (key.1, record)));
        }
    }

    /// What a reader gets from `from` on; perhaps not all of what is there.
    pub fn read_from(
        &self,
        partition: Partition,
        from: Offset,
        faults: &Faults,
        random: &mut StdRng,
    ) -> Vec<StoredRecord> {
        let records = self.records(partition, from, usize::MAX);
        if records.is_empty() || !random.random_bool(faults.stale_read) {
            return records;
        }
        let shown = random.random_range(0..records.len());
        records.into_iter().take(shown).collect()
    }

    /// At most `most` records from `from` on, as they stand.
    pub fn records(&self, partition: Partition, from: Offset, most: usize) -> Vec<StoredRecord> {
        let state = self.lock();
        let landed = state.partitions.get(partition as usize).map(Vec::as_slice).unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(landed.len());
        landed[from..].iter().take(most).cloned().collect()
    }

    /// The offset after the last record.
    pub fn end_of(&self, partition: Partition) -> Offset {
        self.lock().partitions.get(partition as usize).map_or(0, |landed| landed.len() as Offset)
    }

    /// The log as one process sees it, without faults.
    pub fn node(&self, node: Node) -> SimulatedNode {
        SimulatedNode { log: self.clone(), node }
    }
}

/// The simulated log as one process's [`Log`]: what is appended lands at once.
#[derive(Debug, Clone)]
pub struct SimulatedNode {
    log: SimulatedLog,
    node: Node,
}

#[async_trait]
impl Log for SimulatedNode {
    fn append(&self, partition: Partition, records: Vec<Record>, reports: &ReportSink) {
        if partition as usize >= self.log.ends.len() {
            let error = AppendError::Terminal(format!("there is no partition {partition}"));
            let refused = |record: &Record| Report {
                partition,
                tenure: record.headers.tenure,
                n: record.headers.n,
                outcome: Err(error.clone()),
            };
            return reports(records.iter().map(refused).collect());
        }
        let mut state = self.log.lock();
        state.now = Timestamp::now();
        // What the simulator left on its way goes first.
        let earlier = state.lanes.remove(&(self.node, partition)).unwrap_or_default();
        let mut landed = Vec::with_capacity(earlier.len() + records.len());
        for record in earlier.into_iter().chain(records) {
            let stamp = record.stamp();
            let outcome = Ok(self.log.land(&mut state, partition, record));
            landed.push(Report { partition, tenure: stamp.tenure, n: stamp.n, outcome });
        }
        drop(state);
        reports(landed);
    }

    fn read(&self, partition: Partition, from: Offset) -> Box<dyn LogReader> {
        let end = self.log.ends.get(partition as usize).map(watch::Sender::subscribe);
        Box::new(SimulatedReader { log: self.log.clone(), partition, next: from, end })
    }

    async fn end(&self, partition: Partition) -> Result<Offset, ReadError> {
        if partition as usize >= self.log.ends.len() {
            return Err(ReadError::Terminal(format!("there is no partition {partition}")));
        }
        Ok(self.log.end_of(partition))
    }
}

struct SimulatedReader {
    log: SimulatedLog,
    partition: Partition,
    next: Offset,
    end: Option<watch::Receiver<Offset>>,
}

#[async_trait]
impl LogReader for SimulatedReader {
    async fn next(&mut self) -> Result<Vec<StoredRecord>, ReadError> {
        let Some(end) = &mut self.end else {
            return Err(ReadError::Terminal(format!("there is no partition {}", self.partition)));
        };
        let next = self.next;
        if end.wait_for(|end| *end > next).await.is_err() {
            return Err(ReadError::Terminal("the log is gone".to_owned()));
        }
        let records = self.log.records(self.partition, next, 1_024);
        self.next += records.len() as Offset;
        Ok(records)
    }
}
