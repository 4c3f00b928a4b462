//! Queue views: who is where in line.

pub mod memory;
pub mod redis;
mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use usher_events::event::{Beacon, BeaconValue, TicketState};
use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_events::log::Partition;
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use crate::store::{AsOf, Deadline, Place, ViewError};

pub use step::{QueueStep, StatusPatch, TicketStep};

/// Admissions are counted in buckets of event time so long, in milliseconds.
pub const BUCKET_MS: i64 = 10_000;
/// How many buckets are kept: five minutes.
pub const BUCKETS: usize = 30;

/// Where an opening stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpeningState {
    /// The lobby is open.
    #[default]
    Scheduled,
    /// The lobby's order is being drawn.
    Drawing,
    /// Visitors are admitted.
    Open,
    /// Nobody is admitted for now.
    Paused,
    /// Nobody may join any more.
    Draining,
    /// Over.
    Closed,
}

/// What is published of the draw; what does not exist yet is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DrawView {
    /// SHA-256 of the seed.
    pub seed_commitment: Hash,
    /// Which draw key.
    pub draw_key_id: String,
    /// The beacon by name.
    pub beacon: Option<Beacon>,
    /// The root over the cohort.
    pub cohort_root: Option<Hash>,
    /// How many are in the cohort.
    pub count: Option<u32>,
    /// The seed.
    pub seed: Option<Hash>,
    /// The beacon's value.
    pub beacon_value: Option<BeaconValue>,
    /// The root over the drawn order.
    pub order_root: Option<Hash>,
}

/// An opening as everybody sees it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OpeningStatus {
    /// What people read.
    pub title: String,
    /// Where it stands.
    pub state: OpeningState,
    /// When it opens.
    pub opens_at: Timestamp,
    /// When it drains by itself.
    pub drains_at: Option<Timestamp>,
    /// When it closes.
    pub closes_at: Timestamp,
    /// The rules.
    pub policy: Policy,
    /// The operator's word to everybody.
    pub message: Option<String>,
    /// The greatest number admitted so far.
    pub serving_number: u32,
    /// The draw.
    pub draw: DrawView,
    /// How many tickets are in each state; states without any are left out.
    pub counts: BTreeMap<TicketState, u32>,
    /// Admissions by the start of their bucket, of the five minutes before
    /// the newest one.
    pub outflow: BTreeMap<i64, u32>,
}

impl OpeningStatus {
    /// How many tickets are in `state`.
    pub fn count(&self, state: TicketState) -> u32 {
        self.counts.get(&state).copied().unwrap_or(0)
    }
}

/// A ticket as everybody may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketView {
    /// Where it stands.
    pub state: TicketState,
    /// Its number; none in the lobby.
    pub number: Option<u32>,
    /// How many present visitors are ahead; only while waiting or away, with
    /// a number.
    pub ahead: Option<u32>,
    /// Until when to enter, or to leave.
    pub deadline: Option<Deadline>,
    /// Whose place it took over.
    pub moved_from: Option<Ticket>,
    /// Who took its place over.
    pub moved_to: Option<Ticket>,
}

/// Queue views, as queries read them.
#[async_trait]
pub trait QueueReader: Send + Sync + 'static {
    /// All openings.
    async fn openings(&self) -> Result<Vec<OpeningId>, ViewError>;

    /// An opening's status; none when there is no such opening by then.
    async fn status(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Option<OpeningStatus>>, ViewError>;

    /// A ticket.
    async fn ticket(
        &self,
        opening: &OpeningId,
        partition: Partition,
        ticket: &Ticket,
    ) -> Result<AsOf<Option<TicketView>>, ViewError>;

    /// The cohort in ascending order; empty before the lobby closed.
    async fn cohort(&self, opening: &OpeningId) -> Result<Arc<[Ticket]>, ViewError>;

    /// The cohort in drawn order; empty before the draw.
    async fn order(&self, opening: &OpeningId) -> Result<Arc<[Ticket]>, ViewError>;

    /// How far the view of `partition` is.
    async fn reached(&self, partition: Partition) -> Result<Place, ViewError>;
}

impl OpeningStatus {
    /// Adds admissions to their bucket, and forgets those that are too old.
    fn flow_out(&mut self, bucket: i64, count: u32) {
        *self.outflow.entry(bucket).or_default() += count;
        let newest = self.outflow.last_key_value().map_or(bucket, |(start, _)| *start);
        self.outflow.retain(|start, _| *start > newest - BUCKET_MS * BUCKETS as i64);
    }
}

/// Who waits without a number is in the lobby, and who gets one there waits.
fn resting(state: TicketState, number: u32) -> TicketState {
    match (state, number) {
        (TicketState::Waiting, 0) => TicketState::Lobby,
        (TicketState::Lobby, 1..) => TicketState::Waiting,
        (state, _) => state,
    }
}

/// The start of the bucket that `at` falls into.
fn bucket(at: Timestamp) -> i64 {
    at.0.div_euclid(BUCKET_MS) * BUCKET_MS
}
