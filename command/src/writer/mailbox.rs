//! Where commands come in: a bounded number per partition, refused early.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use usher_events::event::Beacon;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::log::Partition as PartitionId;
use usher_events::partition::partition_of;
use usher_events::record::Offset;
use usher_events::time::Timestamp;

use super::config::WriterConfig;
use super::replies::Submitted;
use super::threads::Input;
use crate::opening::{Refusal, Request, Resource};
use crate::presence::{Here, Presence};

/// What became of a command.
#[derive(Debug, Clone)]
pub enum Reply {
    /// It is durable, or was before.
    Done {
        /// Whether this command did it; else the same one had, earlier.
        created: bool,
        /// The resource as it is now.
        resource: Box<Resource>,
        /// The position of the partition that this is true of.
        position: Offset,
    },
    /// It was refused; the same command may be accepted later.
    Refused {
        /// Why.
        refusal: Box<Refusal>,
        /// The position of the partition that this is true of.
        position: Offset,
    },
    /// It is not known whether it was done: repeat it with the same id.
    Unknown,
    /// Another instance owns the partition.
    Elsewhere(Owner),
}

/// Who owns a partition, as far as this instance knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This instance.
    Me,
    /// Another one, at this address.
    Other(Arc<str>),
    /// Nobody yet; commands wait here.
    Nobody,
}

/// The partition has as many commands waiting as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many commands wait for this partition")]
pub struct Overloaded;

/// Whom to answer; also one place in the mailbox.
#[derive(Debug)]
pub(super) struct ReplyTo {
    sender: oneshot::Sender<Reply>,
    _place: OwnedSemaphorePermit,
}

impl ReplyTo {
    /// Answers; a caller who is gone misses nothing that the log does not hold.
    pub(super) fn send(self, reply: Reply) {
        drop(self.sender.send(reply));
    }
}

/// The way to the writers of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    partitions: u32,
    patience: Duration,
    lanes: Vec<Lane>,
    presence: Arc<Presence>,
}

/// One partition's mailbox.
#[derive(Debug)]
struct Lane {
    inbox: Sender<Input>,
    places: Arc<Semaphore>,
    owner: watch::Sender<Owner>,
    beacons: watch::Sender<Vec<(OpeningId, Beacon)>>,
}

impl Writers {
    /// Mailboxes that lead to `inboxes`, one for each partition.
    pub(super) fn new(config: &WriterConfig, inboxes: Vec<Sender<Input>>, presence: Arc<Presence>) -> Self {
        let lane = |inbox| Lane {
            inbox,
            places: Arc::new(Semaphore::new(config.mailbox)),
            owner: watch::Sender::new(Owner::Nobody),
            beacons: watch::Sender::default(),
        };
        let lanes = inboxes.into_iter().map(lane).collect();
        let (partitions, patience) = (config.partitions, config.patience);
        Self { shared: Arc::new(Shared { partitions, patience, lanes, presence }) }
    }

    /// The partition of `opening`.
    pub fn partition_of(&self, opening: &OpeningId) -> PartitionId {
        partition_of(opening, self.shared.partitions)
    }

    /// Who owns the partition of `opening`.
    pub fn owner(&self, opening: &OpeningId) -> Owner {
        self.lane(self.partition_of(opening)).map_or(Owner::Nobody, |lane| lane.owner.borrow().clone())
    }

    /// Waits until somebody else than `owner` owns the partition of
    /// `opening`, or nobody.
    pub async fn owner_changed(&self, opening: &OpeningId, owner: &Owner) {
        if let Some(lane) = self.lane(self.partition_of(opening)) {
            // An error means that there are no writers any more.
            drop(lane.owner.subscribe().wait_for(|now| now != owner).await);
        }
    }

    /// How many partitions this instance owns.
    pub fn owned(&self) -> usize {
        self.owned_partitions().len()
    }

    /// Which partitions this instance owns.
    pub fn owned_partitions(&self) -> Vec<PartitionId> {
        let lanes = (0..).zip(&self.shared.lanes);
        lanes.filter(|(_, lane)| *lane.owner.borrow() == Owner::Me).map(|(id, _)| id).collect()
    }

    /// Whether every partition has an owner that this instance knows.
    pub fn settled(&self) -> bool {
        let known = |lane: &Lane| *lane.owner.borrow() != Owner::Nobody;
        self.shared.lanes.iter().all(known)
    }

    /// Sets who owns a partition.
    pub(super) fn set_owner(&self, partition: PartitionId, owner: Owner) {
        if let Some(lane) = self.lane(partition) {
            lane.owner.send_replace(owner);
        }
    }

    /// The openings of this instance whose draw waits for its beacon's round.
    pub fn beacons(&self) -> Vec<(OpeningId, Beacon)> {
        let lanes = self.shared.lanes.iter();
        lanes.flat_map(|lane| lane.beacons.borrow().clone()).collect()
    }

    /// Sets which openings of a partition wait for their beacon's round.
    pub(super) fn set_beacons(&self, partition: PartitionId, awaited: Vec<(OpeningId, Beacon)>) {
        if let Some(lane) = self.lane(partition) {
            lane.beacons.send_replace(awaited);
        }
    }

    /// Has the writer of `opening` decide `request`, and waits for its answer,
    /// at most as long as the configured patience.
    ///
    /// Dropping the future does not take the command back.
    pub async fn decide(&self, opening: OpeningId, request: Request) -> Result<Reply, Overloaded> {
        let partition = self.partition_of(&opening);
        let lane = self.lane(partition).ok_or(Overloaded)?;
        let place = Arc::clone(&lane.places).try_acquire_owned().map_err(|_| {
            metrics::counter!("usher_mailbox_full_total").increment(1);
            Overloaded
        })?;
        let (sender, receiver) = oneshot::channel();
        let patience = self.shared.patience;
        let submitted = Submitted {
            opening,
            request,
            patience_until: Timestamp::now() + patience,
            reply_to: ReplyTo { sender, _place: place },
        };
        let input = Input::Submit(partition, Box::new(submitted));
        if lane.inbox.send(input).is_err() {
            return Ok(Reply::Unknown);
        }
        let waited = tokio::time::timeout(patience + Duration::from_secs(2), receiver).await;
        Ok(waited.ok().and_then(Result::ok).unwrap_or(Reply::Unknown))
    }

    /// A visitor of `opening` says that they are there; nothing when this
    /// instance does not own its partition. The answer is true of the
    /// position that comes with it.
    pub fn heartbeat(&self, opening: &OpeningId, ticket: &Ticket) -> Option<(Offset, Result<Here, Refusal>)> {
        self.shared.presence.heartbeat(self.partition_of(opening), opening, ticket)
    }

    /// A visitor who showed their secret sends a command of another kind.
    pub fn sign_of_life(&self, opening: &OpeningId, ticket: &Ticket) {
        self.shared.presence.sign_of_life(self.partition_of(opening), opening, ticket);
    }

    fn lane(&self, partition: PartitionId) -> Option<&Lane> {
        self.shared.lanes.get(partition as usize)
    }
}
