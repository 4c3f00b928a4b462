//! Queue views in memory: the embedded default, and the oracle for the others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use usher_events::draw::drawn_order;
use usher_events::event::TicketState;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::log::Partition;
use usher_events::ranks::Ranks;

use super::{
    BUCKET_MS, BUCKETS, OpeningState, OpeningStatus, QueueReader, QueueStep, StatusPatch, TicketStep,
    TicketView,
};
use crate::store::{Act, AsOf, Batch, Deadline, Located, Place, Stop, Store, StoreError, ViewError};

/// One ticket.
#[derive(Debug, Clone, Copy)]
struct Entry {
    state: TicketState,
    /// 0: none.
    number: u32,
    deadline: Deadline,
}

/// One opening's queue.
#[derive(Debug, Default)]
struct Queue {
    status: OpeningStatus,
    tickets: hashbrown::HashMap<Ticket, Entry>,
    present: Ranks,
    cohort: Vec<Ticket>,
    order: Vec<Ticket>,
    moved_from: HashMap<Ticket, Ticket>,
}

/// One partition.
#[derive(Debug, Default)]
struct Lane {
    place: Place,
    stop: Option<Stop>,
    acts: Vec<Act>,
    queues: HashMap<OpeningId, Queue>,
}

/// Queue views in memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryQueues {
    lanes: Arc<Vec<RwLock<Lane>>>,
}

impl MemoryQueues {
    /// Empty views of `partitions` partitions.
    pub fn new(partitions: u32) -> Self {
        Self { lanes: Arc::new((0..partitions).map(|_| RwLock::default()).collect()) }
    }

    fn lane(&self, partition: Partition) -> Result<&RwLock<Lane>, ViewError> {
        let missing =
            || ViewError { view: "queue view", reason: format!("there is no partition {partition}") };
        self.lanes.get(partition as usize).ok_or_else(missing)
    }

    fn read<T>(&self, partition: Partition, read: impl FnOnce(&Lane) -> T) -> Result<T, ViewError> {
        Ok(read(&self.lane(partition)?.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn write<T>(
        &self,
        partition: Partition,
        write: impl FnOnce(&mut Lane) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lane = self.lane(partition).map_err(|error| StoreError::Unavailable(error.reason))?;
        write(&mut lane.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn find<T: Default>(&self, opening: &OpeningId, find: impl Fn(&Queue) -> T) -> T {
        for lane in self.lanes.iter() {
            if let Some(queue) = lane.read().unwrap_or_else(PoisonError::into_inner).queues.get(opening) {
                return find(queue);
            }
        }
        T::default()
    }
}

impl Lane {
    fn apply(&mut self, located: &Located) -> Result<(), StoreError> {
        let Some(step) = QueueStep::of(located) else { return Ok(()) };
        let poison = |reason: String| StoreError::Poison { offset: located.offset, reason };
        let queue = match &step {
            QueueStep::Small { status: Some(StatusPatch::Scheduled(_)), .. } => {
                self.queues.entry(located.opening.clone()).or_default()
            }
            _ => {
                let unknown = || poison("the opening was never scheduled".to_owned());
                self.queues.get_mut(&located.opening).ok_or_else(unknown)?
            }
        };
        queue.apply(step).map_err(poison)
    }
}

impl Queue {
    fn apply(&mut self, step: QueueStep) -> Result<(), String> {
        match step {
            QueueStep::Small { tickets, status } => {
                for ticket in tickets {
                    self.set(ticket);
                }
                if let Some(patch) = status {
                    self.patch(patch);
                }
            }
            QueueStep::LobbyClosed { cohort_root, count } => {
                let unnumbered = |entry: &Entry| entry.number == 0 && !entry.state.is_final();
                let lobby = self.tickets.iter().filter(|(_, entry)| unnumbered(entry));
                self.cohort = lobby.map(|(ticket, _)| *ticket).collect();
                self.cohort.sort_unstable();
                if self.cohort.len() != count as usize {
                    return Err(format!("the cohort has {} tickets, not {count}", self.cohort.len()));
                }
                self.status.state = OpeningState::Drawing;
                self.status.draw.cohort_root = Some(cohort_root);
                self.status.draw.count = Some(count);
            }
            QueueStep::DrawHeld { seed, beacon, order_root } => {
                let root = self.status.draw.cohort_root.ok_or("a draw before the lobby closed")?;
                let randomness = beacon.as_ref().map(|value| &value.randomness);
                self.order = drawn_order(&seed, &root, randomness, &self.cohort);
                self.number_all();
                let draw = &mut self.status.draw;
                (draw.seed, draw.beacon_value, draw.order_root) = (Some(seed), beacon, Some(order_root));
            }
        }
        Ok(())
    }

    /// Gives the drawn numbers, following places that were taken over.
    fn number_all(&mut self) {
        let moved_to: HashMap<Ticket, Ticket> =
            self.moved_from.iter().map(|(to, from)| (*from, *to)).collect();
        for (number, drawn) in (1..).zip(std::mem::take(&mut self.order)) {
            self.order.push(drawn);
            let mut owner = drawn;
            while let Some(next) = moved_to.get(&owner) {
                owner = *next;
            }
            for ticket in [drawn, owner] {
                if let Some(entry) = self.tickets.get(&ticket).copied() {
                    let step = TicketStep {
                        ticket,
                        state: entry.state,
                        number: Some(number),
                        deadline: None,
                        moved_from: None,
                    };
                    self.set(step);
                }
            }
        }
    }

    fn set(&mut self, step: TicketStep) {
        let old = self.tickets.get(&step.ticket).copied();
        let number = step.number.or(old.map(|old| old.number)).unwrap_or(0);
        let state = resting(step.state, number);
        if let Some(old) = old {
            if let Some(count) = self.status.counts.get_mut(&old.state) {
                *count -= 1;
            }
            if old.state == TicketState::Waiting {
                self.present.remove(old.number);
            }
        }
        *self.status.counts.entry(state).or_default() += 1;
        if state == TicketState::Waiting {
            self.present.insert(number);
        }
        if let Some(from) = step.moved_from {
            self.moved_from.insert(step.ticket, from);
        }
        self.tickets
            .insert(step.ticket, Entry { state, number, deadline: step.deadline.unwrap_or_default() });
    }

    fn patch(&mut self, patch: StatusPatch) {
        let status = &mut self.status;
        match patch {
            StatusPatch::Scheduled(scheduled) => *status = *scheduled,
            StatusPatch::Rescheduled { title, opens_at, drains_at, closes_at } => {
                (status.title, status.opens_at, status.drains_at, status.closes_at) =
                    (title, opens_at, drains_at, closes_at);
            }
            StatusPatch::Policy(policy) => status.policy = *policy,
            StatusPatch::Message(message) => status.message = message,
            StatusPatch::State(state) => status.state = state,
            StatusPatch::Admitted { serving_number, bucket, count } => {
                status.serving_number = serving_number;
                *status.outflow.entry(bucket).or_default() += count;
                let oldest = bucket - BUCKET_MS * (BUCKETS as i64 - 1);
                status.outflow.retain(|start, _| *start >= oldest);
            }
        }
    }

    fn view(&self, ticket: &Ticket) -> Option<TicketView> {
        let entry = self.tickets.get(ticket)?;
        let number = (entry.number > 0).then_some(entry.number);
        let drawn = self.status.draw.seed.is_some();
        let in_line = drawn && matches!(entry.state, TicketState::Waiting | TicketState::Away);
        let timed = matches!(entry.state, TicketState::Admitted | TicketState::Inside);
        Some(TicketView {
            state: entry.state,
            number,
            ahead: number.filter(|_| in_line).map(|number| self.present.below(number)),
            deadline: timed.then_some(entry.deadline),
            moved_from: self.moved_from.get(ticket).copied(),
        })
    }
}

/// Who waits without a number is in the lobby, and who gets one there waits.
pub(super) fn resting(state: TicketState, number: u32) -> TicketState {
    match (state, number) {
        (TicketState::Waiting, 0) => TicketState::Lobby,
        (TicketState::Lobby, 1..) => TicketState::Waiting,
        (state, _) => state,
    }
}

#[async_trait]
impl Store for MemoryQueues {
    fn projection(&self) -> &'static str {
        "queue"
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.write(partition, |lane| Ok(lane.place))
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch.partition, |lane| {
            if lane.place.position != batch.follows.position {
                return Err(StoreError::Refused);
            }
            for located in &batch.events {
                // What precedes a poison event is kept, up to it.
                lane.apply(located)?;
                lane.place = located.after;
            }
            lane.place = batch.to;
            Ok(())
        })
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.write(partition, |lane| {
            lane.stop = Some(stop.clone());
            Ok(())
        })
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.write(partition, |lane| Ok(lane.stop.clone()))
    }

    async fn go_on(&self, partition: Partition, to: Option<Place>, act: &Act) -> Result<(), StoreError> {
        self.write(partition, |lane| {
            lane.stop = None;
            lane.place = to.unwrap_or(lane.place);
            lane.acts.push(act.clone());
            Ok(())
        })
    }
}

#[async_trait]
impl QueueReader for MemoryQueues {
    async fn openings(&self) -> Result<Vec<OpeningId>, ViewError> {
        let lanes = self.lanes.iter().map(|lane| lane.read().unwrap_or_else(PoisonError::into_inner));
        let mut openings: Vec<OpeningId> =
            lanes.flat_map(|lane| lane.queues.keys().cloned().collect::<Vec<_>>()).collect();
        openings.sort_unstable();
        Ok(openings)
    }

    async fn status(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Option<OpeningStatus>>, ViewError> {
        self.read(partition, |lane| AsOf {
            position: lane.place.position,
            claim: lane.place.claim,
            value: lane.queues.get(opening).map(|queue| queue.status.clone()),
        })
    }

    async fn ticket(
        &self,
        opening: &OpeningId,
        partition: Partition,
        ticket: &Ticket,
    ) -> Result<AsOf<Option<TicketView>>, ViewError> {
        self.read(partition, |lane| AsOf {
            position: lane.place.position,
            claim: lane.place.claim,
            value: lane.queues.get(opening).and_then(|queue| queue.view(ticket)),
        })
    }

    async fn cohort(&self, opening: &OpeningId) -> Result<Vec<Ticket>, ViewError> {
        Ok(self.find(opening, |queue| queue.cohort.clone()))
    }

    async fn order(&self, opening: &OpeningId) -> Result<Vec<Ticket>, ViewError> {
        Ok(self.find(opening, |queue| queue.order.clone()))
    }

    async fn reached(&self, partition: Partition) -> Result<Place, ViewError> {
        self.read(partition, |lane| lane.place)
    }
}
