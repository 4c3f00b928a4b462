//! What the projections need of a store.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use usher_events::event::Event;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;
use usher_events::tenure::Cursor;
use usher_events::time::Timestamp;

/// After a claim no deadline that was given before it falls before its time
/// and this, in seconds; the aggregate folds the same rule.
const CLAIM_GRACE_S: u32 = 30;

/// How many acts [`Store::acts`] lists at most.
pub const ACTS_LISTED: usize = 100;

/// The newest claim of a partition: what raises deadlines given before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claim {
    /// Where it stands.
    pub offset: Offset,
    /// The writer's time.
    pub at: Timestamp,
}

/// A deadline with the offset of the event that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deadline {
    /// As the event lists it.
    pub at: Timestamp,
    /// Where that event stands.
    pub given: Offset,
}

impl Deadline {
    /// When it falls, given the partition's newest claim.
    pub fn falls(self, claim: Option<Claim>) -> Timestamp {
        match claim {
            Some(claim) if self.given < claim.offset => self.at.max(claim.at.plus_s(CLAIM_GRACE_S)),
            _ => self.at,
        }
    }
}

/// How far a projection of one partition is: stored with the view, in the
/// same atomic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// The next offset to apply.
    pub position: Offset,
    /// Which records count next.
    pub cursor: Cursor,
    /// The newest claim.
    pub claim: Option<Claim>,
}

/// A valid event with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// Its offset.
    pub offset: Offset,
    /// Whose it is.
    pub opening: OpeningId,
    /// What happened.
    pub event: Event,
    /// The name of the operator's key that caused it, if one did.
    pub operator: Option<Box<str>>,
    /// The place right before it.
    pub before: Place,
}

impl Located {
    /// The place right after it.
    pub fn after(&self) -> Place {
        let cursor = Cursor { n: self.before.cursor.n + 1, ..self.before.cursor };
        Place { position: self.offset + 1, cursor, claim: self.before.claim }
    }
}

/// One atomic step of a projection.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The partition.
    pub partition: Partition,
    /// The place that it follows; the store refuses another.
    pub follows: Place,
    /// The place after it.
    pub to: Place,
    /// The events between, in order.
    pub events: Vec<Located>,
}

impl Batch {
    /// The same as a batch for each event, to find the one that is poison.
    pub fn singles(&self) -> Vec<Self> {
        let nexts = self.events.iter().skip(1).map(|next| next.before).chain([self.to]);
        let mut follows = self.follows;
        let single = |(event, to): (&Located, Place)| {
            let single = Self { partition: self.partition, follows, to, events: vec![event.clone()] };
            follows = to;
            single
        };
        self.events.iter().zip(nexts).map(single).collect()
    }

    /// What is left of the batch from `follows` up to, not including, the
    /// event at `offset`; none when that is nothing.
    pub fn between(&self, follows: Place, offset: Offset) -> Option<Self> {
        let end = self.events.iter().find(|located| located.offset == offset)?.before;
        let within = follows.position >= self.follows.position && follows.position < end.position;
        let wanted = |located: &&Located| located.offset >= follows.position && located.offset < offset;
        within.then(|| Self {
            partition: self.partition,
            follows,
            to: end,
            events: self.events.iter().filter(wanted).cloned().collect(),
        })
    }
}

/// Why a projection stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The record that cannot be applied.
    pub offset: Offset,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// A step over a record that is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// The place before the record.
    pub follows: Place,
    /// The place after it.
    pub to: Place,
}

/// What an operator did about a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// `resume` or `skip`.
    pub what: String,
    /// About which record.
    pub offset: Offset,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The stored place is another than the step follows: read it again.
    #[error("the stored place is another than the step follows")]
    Refused,
    /// The store cannot be reached now.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The event cannot be applied: poison.
    #[error("the event at offset {offset} cannot be applied: {reason}")]
    Poison {
        /// Where it stands.
        offset: Offset,
        /// Why.
        reason: String,
    },
}

/// A view's store, as a projection writes it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The projection's name, e.g. `queue`.
    fn projection(&self) -> &'static str;

    /// How far `partition` is.
    async fn place(&self, partition: Partition) -> Result<Place, StoreError>;

    /// The place to go on from. A store that lost a part of itself goes back
    /// to before that part first.
    async fn recover(&self, partition: Partition) -> Result<Place, StoreError> {
        self.place(partition).await
    }

    /// How far `partition` is, to notice that the store went back. Cheap.
    async fn position(&self, partition: Partition) -> Result<Offset, StoreError> {
        Ok(self.place(partition).await?.position)
    }

    /// Applies a step with its place. A step in which an event is poison is
    /// applied up to that event, or not at all.
    async fn apply(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Keeps that the projection stopped, over restarts.
    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError>;

    /// Whether the projection has stopped, and why.
    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError>;

    /// Lets a projection that stopped at the act's offset go on: where it
    /// was, or with the step of a skip. Refused when it did not stop there,
    /// or is not where the skip follows. The act is kept.
    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError>;

    /// What operators did about stops, newest first.
    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError>;
}

/// Something in a view changed: what was cached of it is old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The partition.
    pub partition: Partition,
    /// Its position now.
    pub position: Offset,
    /// The openings that changed.
    pub openings: Vec<OpeningId>,
}

/// Why a view cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{view} cannot be read: {reason}")]
pub struct ViewError {
    /// Which view.
    pub view: &'static str,
    /// Why.
    pub reason: String,
}

/// An answer with the position of the opening's partition that it is true of.
#[derive(Debug, Clone, PartialEq)]
pub struct AsOf<T> {
    /// The next offset: everything before is in the answer.
    pub position: Offset,
    /// The partition's newest claim.
    pub claim: Option<Claim>,
    /// The answer.
    pub value: T,
}

impl<T> AsOf<T> {
    /// The same position with another value.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> AsOf<U> {
        AsOf { position: self.position, claim: self.claim, value: map(self.value) }
    }
}
