//! The followers: read what others write, and notice when they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::{Semaphore, watch};
use tracing::{error, warn};
use usher_events::log::{Log, Partition as PartitionId, ReadError};
use usher_events::record::Offset;

use super::threads::Input;

/// The most batches of one partition that wait to be folded.
const BATCHES_WAITING: usize = 4;
/// How often an owner looks whether somebody else wrote.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after the log could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Where a partition is to be read from, and since which round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    round: u64,
    from: Option<Offset>,
}

/// The followers of all partitions. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Followers {
    lanes: Arc<Vec<Lane>>,
}

#[derive(Debug)]
struct Lane {
    order: watch::Sender<Round>,
    position: AtomicU64,
    caught_up: AtomicBool,
    stopped: watch::Sender<bool>,
}

impl Followers {
    /// Has the partition read from `from`, or not at all.
    pub(super) fn follow(&self, partition: PartitionId, from: Option<Offset>) {
        if let Some(lane) = self.lanes.get(partition as usize) {
            lane.order.send_modify(|order| *order = Round { round: order.round + 1, from });
        }
    }

    /// The round in force: batches of an earlier one are old news.
    pub(super) fn round(&self, partition: PartitionId) -> u64 {
        self.lanes.get(partition as usize).map_or(0, |lane| lane.order.borrow().round)
    }

    /// Notes how far the partition is folded.
    pub(super) fn folded(&self, partition: PartitionId, position: Offset, caught_up: bool) {
        if let Some(lane) = self.lanes.get(partition as usize) {
            lane.position.store(position, Ordering::Relaxed);
            lane.caught_up.fetch_or(caught_up, Ordering::Relaxed);
        }
    }

    /// Whether every partition has folded what was there at the start.
    pub(super) fn caught_up(&self) -> bool {
        self.lanes.iter().all(|lane| lane.caught_up.load(Ordering::Relaxed))
    }

    /// Ends all followers.
    pub(super) fn stop(&self) {
        for lane in self.lanes.iter() {
            lane.stopped.send_replace(true);
        }
    }
}

/// Starts a follower for each partition, in the current runtime.
pub(super) fn spawn_followers(log: &Arc<dyn Log>, inboxes: &[Sender<Input>]) -> Followers {
    let mut lanes = Vec::with_capacity(inboxes.len());
    for (partition, inbox) in (0..).zip(inboxes) {
        let (order, orders) = watch::channel(Round { round: 0, from: None });
        let (stopped, stops) = watch::channel(false);
        lanes.push(Lane { order, position: AtomicU64::new(0), caught_up: AtomicBool::new(false), stopped });
        let follower = Follower { partition, log: Arc::clone(log), inbox: inbox.clone(), orders };
        tokio::spawn(async move {
            let mut stops = stops;
            tokio::select! {
                () = follower.run() => {}
                _ = stops.wait_for(|stopped| *stopped) => {}
            }
        });
    }
    Followers { lanes: Arc::new(lanes) }
}

struct Follower {
    partition: PartitionId,
    log: Arc<dyn Log>,
    inbox: Sender<Input>,
    orders: watch::Receiver<Round>,
}

impl Follower {
    async fn run(mut self) {
        self.find_end().await;
        loop {
            let order = *self.orders.borrow_and_update();
            let ended = match order.from {
                Some(from) => self.read(order.round, from).await,
                None => self.look_out().await,
            };
            if ended {
                return;
            }
        }
    }

    /// Tells the writer how far to fold before it may claim.
    async fn find_end(&self) {
        let mut warned = false;
        loop {
            match self.log.end(self.partition).await {
                Ok(end) => {
                    drop(self.inbox.send(Input::CatchUpTo(self.partition, end)));
                    return;
                }
                Err(fault) => {
                    if !warned {
                        warn!(partition = self.partition, %fault, "the log's end cannot be read; trying on");
                        warned = true;
                    }
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Reads until another order comes; true when the follower is to end.
    async fn read(&mut self, round: u64, from: Offset) -> bool {
        let credit = Arc::new(Semaphore::new(BATCHES_WAITING));
        let mut reader = self.log.read(self.partition, from);
        let mut failing = false;
        loop {
            let Ok(permit) = Arc::clone(&credit).acquire_owned().await else { return true };
            let batch = tokio::select! {
                changed = self.orders.changed() => return changed.is_err(),
                batch = reader.next() => batch,
            };
            match batch {
                Ok(records) => {
                    failing = false;
                    let partition = self.partition;
                    if self.inbox.send(Input::Followed { partition, round, records, permit }).is_err() {
                        return true;
                    }
                }
                Err(ReadError::Retryable(fault)) => {
                    if !failing {
                        warn!(partition = self.partition, %fault, "the log cannot be read; trying on");
                    }
                    failing = true;
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
                Err(ReadError::Terminal(fault)) => {
                    error!(partition = self.partition, %fault, "the partition cannot be followed any more");
                    return self.orders.changed().await.is_err();
                }
            }
        }
    }

    /// While this instance writes: is it the only one? True when the
    /// follower is to end.
    async fn look_out(&mut self) -> bool {
        loop {
            tokio::select! {
                changed = self.orders.changed() => return changed.is_err(),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Ok(end) = self.log.end(self.partition).await
                && self.inbox.send(Input::EndSeen(self.partition, end)).is_err()
            {
                return true;
            }
        }
    }
}
