//! Queue views in memory: the embedded default, and the oracle for the others.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use usher_events::draw::drawn_order;
use usher_events::event::{BeaconValue, Event, TicketState};
use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_events::log::Partition;
use usher_events::ranks::Ranks;
use usher_events::record::Offset;

use super::{
    OpeningState, OpeningStatus, QueueReader, QueueStep, StatusPatch, TicketStep, TicketView, resting,
};
use crate::stops::Stops;
use crate::store::{Act, AsOf, Batch, Deadline, Located, Place, Skip, Stop, Store, StoreError, ViewError};

/// Tickets of a draw that are numbered before readers have their turn again.
const NUMBER_CHUNK: usize = 8_192;

/// One ticket.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Of who was drawn, still `Lobby` until it changes.
    state: TicketState,
    /// 0: none. A drawn number stands here before anybody may see it.
    number: u32,
    deadline: Deadline,
}

/// One opening's queue.
#[derive(Debug, Default)]
struct Queue {
    status: OpeningStatus,
    tickets: hashbrown::HashMap<Ticket, Entry>,
    present: Ranks,
    cohort: Arc<[Ticket]>,
    order: Arc<[Ticket]>,
    moved_from: HashMap<Ticket, Ticket>,
    moved_to: HashMap<Ticket, Ticket>,
}

/// One partition.
#[derive(Debug, Default)]
struct Lane {
    place: Place,
    stops: Stops,
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

/// What a large event leads to, computed where nobody waits for it.
enum Prepared {
    /// Of a small event.
    Nothing,
    /// The lobby in ascending order.
    Cohort(Vec<Ticket>),
    /// The drawn order, and the numbers of those who wait.
    Drawn { order: Vec<Ticket>, waiting: Vec<u32> },
}

impl Lane {
    fn apply(&mut self, located: &Located, prepared: Prepared) -> Result<(), StoreError> {
        let poison = |reason: String| StoreError::Poison { offset: located.offset, reason };
        if let Some(step) = QueueStep::of(located) {
            let queue = self.queues.get_mut(&located.opening);
            match (queue, step) {
                (None, QueueStep::Small { status: Some(StatusPatch::Scheduled(status)), .. }) => {
                    let queue = Queue { status: *status, ..Queue::default() };
                    self.queues.insert(located.opening.clone(), queue);
                }
                (None, _) => return Err(poison("the opening was never scheduled".to_owned())),
                (Some(queue), step) => queue.apply(step, prepared).map_err(poison)?,
            }
        }
        self.place = located.after();
        Ok(())
    }
}

impl Queue {
    /// Applies a step, or says why it cannot be and changes nothing.
    fn apply(&mut self, step: QueueStep, prepared: Prepared) -> Result<(), String> {
        match step {
            QueueStep::Small { tickets, status } => {
                let unknown = |step: &&TicketStep| !step.joins && !self.tickets.contains_key(&step.ticket);
                if let Some(unknown) = tickets.iter().find(unknown) {
                    return Err(format!("there is no ticket {}", unknown.ticket));
                }
                if let Some(patch) = status {
                    self.patch(patch)?;
                }
                tickets.into_iter().for_each(|ticket| self.set(ticket));
            }
            QueueStep::LobbyClosed { cohort_root, count } => {
                let Prepared::Cohort(cohort) = prepared else { return Err("no cohort".to_owned()) };
                if cohort.len() != count as usize {
                    return Err(format!("the cohort has {} tickets, not {count}", cohort.len()));
                }
                self.cohort = cohort.into();
                self.status.state = OpeningState::Drawing;
                self.status.draw.cohort_root = Some(cohort_root);
                self.status.draw.count = Some(count);
            }
            QueueStep::DrawHeld { seed, beacon, order_root } => {
                let Prepared::Drawn { order, waiting } = prepared else {
                    return Err("a draw before the lobby closed".to_owned());
                };
                let draw = &mut self.status.draw;
                (draw.seed, draw.beacon_value, draw.order_root) = (Some(seed), beacon, Some(order_root));
                self.order = order.into();
                self.show_numbers(waiting);
            }
        }
        Ok(())
    }

    /// The lobby in ascending order.
    fn lobby(&self) -> Vec<Ticket> {
        let unnumbered = |entry: &Entry| entry.number == 0 && !entry.state.is_final();
        let lobby = self.tickets.iter().filter(|(_, entry)| unnumbered(entry));
        let mut cohort: Vec<Ticket> = lobby.map(|(ticket, _)| *ticket).collect();
        cohort.sort_unstable();
        cohort
    }

    /// What the drawn order is computed from, once the lobby is closed.
    fn draw(&self, seed: &Hash, beacon: Option<&BeaconValue>) -> Option<Draw> {
        let root = self.status.draw.cohort_root?;
        let randomness = beacon.map(|value| value.randomness);
        Some(Draw { seed: *seed, root, randomness, cohort: Arc::clone(&self.cohort) })
    }

    /// Notes drawn numbers, which nobody sees before the draw; gives back
    /// those of who waits.
    fn note_numbers(&mut self, first: u32, drawn: &[Ticket]) -> Vec<u32> {
        let mut waiting = Vec::with_capacity(drawn.len());
        for (number, ticket) in (first..).zip(drawn) {
            if let Some(entry) = self.tickets.get_mut(ticket) {
                entry.number = number;
                waiting.extend((entry.state == TicketState::Lobby).then_some(number));
            }
        }
        waiting
    }

    /// The draw is held: the numbers are there for everybody, and so for who
    /// took a place over since.
    fn show_numbers(&mut self, waiting: Vec<u32>) {
        let counts = &mut self.status.counts;
        counts.remove(&TicketState::Lobby);
        if !waiting.is_empty() {
            *counts.entry(TicketState::Waiting).or_default() +=
                u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        }
        self.present.extend(waiting);
        let taken_over: Vec<Ticket> = self.moved_to.keys().copied().collect();
        for from in taken_over {
            let number = self.tickets.get(&from).map_or(0, |entry| entry.number);
            let mut owner = from;
            while let Some(next) = self.moved_to.get(&owner) {
                owner = *next;
            }
            if number > 0 {
                self.give(&owner, number);
            }
        }
    }

    /// An entry as everybody may see it: drawn numbers only after the draw.
    fn shown(&self, entry: Entry) -> Entry {
        let draw = &self.status.draw;
        if draw.seed.is_some() {
            return Entry { state: resting(entry.state, entry.number), ..entry };
        }
        let is_drawn = entry.number <= draw.count.unwrap_or(0);
        Entry { number: if is_drawn { 0 } else { entry.number }, ..entry }
    }

    fn give(&mut self, ticket: &Ticket, number: u32) {
        if let Some(Entry { state, .. }) = self.tickets.get(ticket).copied() {
            let kept = TicketStep {
                ticket: *ticket,
                state,
                number: None,
                deadline: None,
                joins: false,
                moved_from: None,
            };
            self.set(TicketStep { number: Some(number), ..kept });
        }
    }

    fn set(&mut self, step: TicketStep) {
        let old = self.tickets.get(&step.ticket).map(|old| self.shown(*old));
        let number = step.number.or(old.map(|old| old.number)).unwrap_or(0);
        let state = resting(step.state, number);
        if let Some(old) = old {
            self.leave_state(old);
        }
        *self.status.counts.entry(state).or_default() += 1;
        if state == TicketState::Waiting {
            self.present.insert(number);
        }
        let mut deadline = step.deadline.or(old.map(|old| old.deadline));
        if let Some(from) = step.moved_from {
            self.moved_from.insert(step.ticket, from);
            self.moved_to.insert(from, step.ticket);
            self.moved_to.remove(&step.ticket);
            deadline = self.tickets.get(&from).map(|from| from.deadline);
        }
        self.tickets.insert(step.ticket, Entry { state, number, deadline: deadline.unwrap_or_default() });
    }

    fn leave_state(&mut self, old: Entry) {
        if let Some(count) = self.status.counts.get_mut(&old.state) {
            *count -= 1;
            if *count == 0 {
                self.status.counts.remove(&old.state);
            }
        }
        if old.state == TicketState::Waiting {
            self.present.remove(old.number);
        }
    }

    fn patch(&mut self, patch: StatusPatch) -> Result<(), String> {
        let status = &mut self.status;
        match patch {
            StatusPatch::Scheduled(_) => return Err("the opening was scheduled before".to_owned()),
            StatusPatch::Rescheduled { title, opens_at, drains_at, closes_at } => {
                (status.title, status.opens_at, status.drains_at, status.closes_at) =
                    (title, opens_at, drains_at, closes_at);
            }
            StatusPatch::Policy(policy) => status.policy = *policy,
            StatusPatch::Message(message) => status.message = message,
            StatusPatch::State(state) => status.state = state,
            StatusPatch::Admitted { serving_number, bucket, count } => {
                status.serving_number = serving_number;
                status.flow_out(bucket, count);
            }
        }
        Ok(())
    }

    fn view(&self, ticket: &Ticket) -> Option<TicketView> {
        let entry = self.shown(*self.tickets.get(ticket)?);
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
            moved_to: self.moved_to.get(ticket).copied(),
        })
    }
}

/// What a drawn order is computed from.
struct Draw {
    seed: Hash,
    root: Hash,
    randomness: Option<Hash>,
    cohort: Arc<[Ticket]>,
}

impl Draw {
    fn order(&self) -> Vec<Ticket> {
        drawn_order(&self.seed, &self.root, self.randomness.as_ref(), &self.cohort)
    }
}

impl MemoryQueues {
    /// What a large event leads to, computed while readers go on: a million
    /// tickets take a second. Nobody else writes here meanwhile.
    async fn prepare(&self, partition: Partition, located: &Located) -> Result<Prepared, StoreError> {
        let (views, opening) = (self.clone(), located.opening.clone());
        let lobby_closes = matches!(located.event, Event::LobbyClosed(_));
        let held = match &located.event {
            Event::DrawHeld(held) => Some((held.seed, held.beacon.clone())),
            _ => None,
        };
        if !lobby_closes && held.is_none() {
            return Ok(Prepared::Nothing);
        }
        let prepared = tokio::task::spawn_blocking(move || match held {
            None => views.read_queue(partition, &opening, Queue::lobby).map(Prepared::Cohort),
            Some((seed, beacon)) => {
                let draw =
                    views.read_queue(partition, &opening, |queue| queue.draw(&seed, beacon.as_ref()))??;
                let order = draw.order();
                let waiting = views.note_numbers(partition, &opening, &order)?;
                Some(Prepared::Drawn { order, waiting })
            }
        });
        let prepared = prepared.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(prepared.unwrap_or(Prepared::Nothing))
    }

    fn read_queue<T>(
        &self,
        partition: Partition,
        opening: &OpeningId,
        read: impl FnOnce(&Queue) -> T,
    ) -> Option<T> {
        self.read(partition, |lane| lane.queues.get(opening).map(read)).ok().flatten()
    }

    /// Refuses a batch that does not go on where the view stands.
    fn expect(&self, partition: Partition, position: Offset) -> Result<(), StoreError> {
        self.write(partition, |lane| match lane.place.position == position {
            true => Ok(()),
            false => Err(StoreError::Refused),
        })
    }

    /// Notes the drawn numbers, a few at a time.
    fn note_numbers(&self, partition: Partition, opening: &OpeningId, order: &[Ticket]) -> Option<Vec<u32>> {
        let mut waiting = Vec::with_capacity(order.len());
        for (first, chunk) in (1u32..).step_by(NUMBER_CHUNK).zip(order.chunks(NUMBER_CHUNK)) {
            let noted = self.write(partition, |lane| {
                let queue = lane.queues.get_mut(opening);
                Ok(queue.map(|queue| queue.note_numbers(first, chunk)))
            });
            waiting.extend(noted.ok().flatten()?);
        }
        Some(waiting)
    }

    /// Applies the events from `from` on, up to the next large one; where to
    /// go on.
    fn apply_some(&self, batch: &Batch, from: usize, prepared: Prepared) -> Result<usize, StoreError> {
        self.write(batch.partition, |lane| {
            if lane.place.position != position_at(batch, from) {
                return Err(StoreError::Refused);
            }
            let mut prepared = prepared;
            for (at, located) in batch.events.iter().enumerate().skip(from) {
                if at > from && matches!(located.event, Event::LobbyClosed(_) | Event::DrawHeld(_)) {
                    lane.place = located.before;
                    return Ok(at);
                }
                lane.place = located.before;
                lane.apply(located, std::mem::replace(&mut prepared, Prepared::Nothing))?;
            }
            lane.place = batch.to;
            Ok(batch.events.len())
        })
    }
}

/// Where the view stands before the event at `at` of the batch.
fn position_at(batch: &Batch, at: usize) -> Offset {
    let next = batch.events.get(at).filter(|_| at > 0);
    next.map_or(batch.follows, |next| next.before).position
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
        let mut at = 0;
        loop {
            self.expect(batch.partition, position_at(batch, at))?;
            let prepared = match batch.events.get(at) {
                Some(located) => self.prepare(batch.partition, located).await?,
                None => Prepared::Nothing,
            };
            at = self.apply_some(batch, at, prepared)?;
            if at >= batch.events.len() {
                return Ok(());
            }
        }
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.write(partition, |lane| {
            lane.stops.stop = Some(stop.clone());
            Ok(())
        })
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.write(partition, |lane| Ok(lane.stops.stop.clone()))
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        self.write(partition, |lane| lane.stops.go_on(&mut lane.place, skip, act))
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        self.write(partition, |lane| Ok(lane.stops.acts()))
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

    async fn cohort(&self, opening: &OpeningId) -> Result<Arc<[Ticket]>, ViewError> {
        Ok(self.find(opening, |queue| Arc::clone(&queue.cohort)))
    }

    async fn order(&self, opening: &OpeningId) -> Result<Arc<[Ticket]>, ViewError> {
        Ok(self.find(opening, |queue| Arc::clone(&queue.order)))
    }

    async fn reached(&self, partition: Partition) -> Result<Place, ViewError> {
        self.read(partition, |lane| lane.place)
    }
}
