//! Who is there, of the openings that this instance owns: in memory only.
//!
//! A heartbeat is no command and no event. It sets until when its ticket may
//! be silent, beside the writer's thread, and is answered from what the log
//! said of the ticket. Only what changes something reaches the writer, many
//! tickets at a time: who fell silent ([`Command::GoAway`]), and who was away
//! and was heard of again ([`Command::Return`]). The writer decides whether
//! it still applies; so nothing here need be right for the log to be.
//!
//! Time is counted in ticks, of a second, that this process lived through:
//! while it stands still nobody falls silent. A new owner begins with a full
//! grace for everybody who is present by the log.
//!
//! [`Command::GoAway`]: crate::opening::Command::GoAway
//! [`Command::Return`]: crate::opening::Command::Return

mod change;
mod pace;
mod room;
mod shard;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use usher_events::event::TicketState;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::log::Partition as PartitionId;
use usher_events::record::Offset;

use crate::opening::{MAX_MEMBERS, Refusal};
use crate::writer::PartitionState;

pub(crate) use change::note;
pub use change::{Change, Rules, TicketNow, What};
use room::Room;

/// Whoever was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// What their ticket is, by the log.
    pub state: TicketState,
    /// In how many seconds they are to be heard of again.
    pub next_in_s: u32,
}

/// Who is there, of all openings that this instance owns.
#[derive(Debug)]
pub struct Presence {
    lanes: Vec<Lane>,
    tick: AtomicU32,
    heartbeats: AtomicU64,
}

/// One partition; nothing while it is not owned.
#[derive(Debug, Default)]
struct Lane {
    rooms: RwLock<Option<HashMap<OpeningId, Arc<Room>>>>,
    /// Up to where the log is known here.
    position: AtomicU64,
}

/// What one opening's writer is to be told: tickets by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) opening: OpeningId,
    pub(crate) indexes: Vec<u32>,
}

impl Lane {
    fn room(&self, opening: &OpeningId) -> Option<Option<Arc<Room>>> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.as_ref().map(|rooms| rooms.get(opening).cloned())
    }

    fn rooms(&self) -> Vec<(OpeningId, Arc<Room>)> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        let rooms = rooms.iter().flatten();
        rooms.map(|(opening, room)| (opening.clone(), Arc::clone(room))).collect()
    }

    fn set(&self, rooms: Option<HashMap<OpeningId, Arc<Room>>>) {
        *self.rooms.write().unwrap_or_else(PoisonError::into_inner) = rooms;
    }

    fn open(&self, opening: OpeningId, rules: Rules) {
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(rooms) = rooms.as_mut() {
            rooms.insert(opening, Arc::new(Room::new(rules)));
        }
    }
}

impl Presence {
    /// Nobody, in any of so many partitions.
    pub(crate) fn new(partitions: u32) -> Self {
        let lanes = (0..partitions).map(|_| Lane::default()).collect();
        Self { lanes, tick: AtomicU32::new(0), heartbeats: AtomicU64::new(0) }
    }

    fn lane(&self, partition: PartitionId) -> Option<&Lane> {
        self.lanes.get(partition as usize)
    }

    fn now(&self) -> u32 {
        self.tick.load(Ordering::Relaxed)
    }

    // --- what the log says --------------------------------------------------

    /// This instance owns the partition from now on: whoever is present by
    /// `state` may be silent as long as the rules let anybody.
    pub(crate) fn begin(&self, partition: PartitionId, state: &PartitionState) {
        let Some(lane) = self.lane(partition) else { return };
        let tick = self.now();
        let rooms = state.openings.iter().map(|(opening, chained)| {
            let room = Room::new(chained.opening.presence_rules());
            let queue = chained.opening.queue();
            room.reserve(queue.len());
            queue.all_now().for_each(|now| room.know(&now, tick));
            (opening.clone(), Arc::new(room))
        });
        lane.set(Some(rooms.collect()));
        lane.position.store(state.position, Ordering::Relaxed);
    }

    /// This instance does not own the partition any more.
    pub(crate) fn end(&self, partition: PartitionId) {
        if let Some(lane) = self.lane(partition) {
            lane.set(None);
        }
    }

    /// Takes note of what durable events changed, up to `position`.
    pub(crate) fn apply(&self, partition: PartitionId, changes: Vec<Change>, position: Offset) {
        let Some(lane) = self.lane(partition) else { return };
        let tick = self.now();
        let mut last: Option<(OpeningId, Arc<Room>)> = None;
        for Change { opening, what } in changes {
            if last.as_ref().is_none_or(|(known, _)| *known != opening) {
                if let (Some(None), What::Rules(rules)) = (lane.room(&opening), &what) {
                    lane.open(opening.clone(), *rules);
                }
                let Some(Some(room)) = lane.room(&opening) else { continue };
                last = Some((opening, room));
            }
            let Some((_, room)) = &last else { continue };
            match what {
                What::Ticket(now) => room.know(&now, tick),
                What::Numbers(numbers) => room.number(&numbers),
                What::Rules(rules) => room.follow(rules),
            }
        }
        lane.position.store(position, Ordering::Relaxed);
    }

    // --- what visitors do -----------------------------------------------------

    /// A visitor says that they are there; nothing when the partition is not
    /// owned here. The answer is true of the position that comes with it.
    pub(crate) fn heartbeat(
        &self,
        partition: PartitionId,
        opening: &OpeningId,
        ticket: &Ticket,
    ) -> Option<(Offset, Result<Here, Refusal>)> {
        let lane = self.lane(partition)?;
        let position = lane.position.load(Ordering::Relaxed);
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
        let heard = match lane.room(opening)? {
            Some(room) => room.heard(ticket, self.now(), true),
            None => Err(Refusal::UnknownOpening),
        };
        Some((position, heard))
    }

    /// A visitor sends a command, which shows that they are there.
    pub(crate) fn sign_of_life(&self, partition: PartitionId, opening: &OpeningId, ticket: &Ticket) {
        if let Some(Some(room)) = self.lane(partition).and_then(|lane| lane.room(opening)) {
            // Who is unknown or gone is the command's to say.
            drop(room.heard(ticket, self.now(), false));
        }
    }

    // --- what the writer is told ------------------------------------------------

    /// A second has passed.
    pub(crate) fn second_passed(&self) {
        self.tick.fetch_add(1, Ordering::Relaxed);
        let heartbeats = self.heartbeats.swap(0, Ordering::Relaxed);
        metrics::counter!("usher_heartbeats_total").increment(heartbeats);
    }

    /// Who is away and was heard of, in at most `limit` notices. Whoever is
    /// named is not named again before they are heard of again.
    pub(crate) fn back(&self, partition: PartitionId, limit: usize) -> Vec<Notice> {
        self.notices(partition, limit, |room, members| room.take_back(members))
    }

    /// Who fell silent, in at most `limit` notices; once for each tick.
    pub(crate) fn silent(&self, partition: PartitionId, limit: usize) -> Vec<Notice> {
        let tick = self.now();
        self.notices(partition, limit, |room, members| room.silent(tick, members))
    }

    fn notices(
        &self,
        partition: PartitionId,
        limit: usize,
        take: impl Fn(&Room, usize) -> Vec<u32>,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (opening, room) in self.lane(partition).map(Lane::rooms).unwrap_or_default() {
            let room_for = (limit - notices.len()) * MAX_MEMBERS;
            if room_for == 0 {
                break;
            }
            let indexes = take(&room, room_for);
            let chunks = indexes.chunks(MAX_MEMBERS);
            notices.extend(chunks.map(|chunk| Notice { opening: opening.clone(), indexes: chunk.to_vec() }));
        }
        notices
    }
}
