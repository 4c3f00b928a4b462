//! The lobby's end and its draw.

use std::sync::Arc;

use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::{DrawHeld, LobbyClosed};
use usher_events::ids::{CommandId, Hash, Ticket};
use usher_events::time::Timestamp;

use super::{Command, Decision, Opening, OpeningState, Refusal};

/// What a seed is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedNeeded {
    /// Which key of the ring.
    pub draw_key_id: String,
    /// The command that scheduled the opening.
    pub scheduled_by: CommandId,
}

/// A draw that is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undrawn {
    /// Which key of the ring.
    pub draw_key_id: String,
    /// The command that scheduled the opening.
    pub scheduled_by: CommandId,
    /// What the seed must open.
    pub seed_commitment: Hash,
}

/// Hashes that a timer's command needs; a million take a second, so that
/// they may be made in another thread while the opening's commands wait.
#[derive(Debug)]
pub struct HashJob {
    cohort: Vec<Ticket>,
    draw: Option<(SeedNeeded, Hash)>,
}

impl HashJob {
    /// How many tickets are hashed.
    pub fn len(&self) -> usize {
        self.cohort.len()
    }

    /// Whether the lobby is empty.
    pub fn is_empty(&self) -> bool {
        self.cohort.is_empty()
    }

    /// What the seed derives from, when this is the draw.
    pub fn needs_seed(&self) -> Option<&SeedNeeded> {
        self.draw.as_ref().map(|(needed, _)| needed)
    }

    /// Hashes: the lobby's root, or with the seed the drawn order.
    pub fn run(mut self, seed: Option<Hash>) -> Command {
        match (self.draw, seed) {
            (Some((_, cohort_root)), Some(seed)) => {
                let order: Arc<[Ticket]> = drawn_order(&seed, &cohort_root, None, &self.cohort).into();
                Command::HoldDraw { seed, order_root: merkle_root(&order), order }
            }
            _ => {
                self.cohort.sort_unstable();
                let count = u32::try_from(self.cohort.len()).unwrap_or(u32::MAX);
                Command::CloseLobby { cohort_root: merkle_root(&self.cohort), count }
            }
        }
    }
}

impl Opening {
    /// The draw that is still to come, if one is.
    pub fn undrawn(&self) -> Option<Undrawn> {
        let scheduled_by = self.scheduled_by?;
        let pending = self.draw.seed.is_none() && self.state != OpeningState::Closed;
        pending.then(|| Undrawn {
            draw_key_id: self.draw.key_id.clone(),
            scheduled_by,
            seed_commitment: self.draw.seed_commitment,
        })
    }

    /// The hashes that closing the lobby needs.
    pub(super) fn lobby_job(&self) -> HashJob {
        HashJob { cohort: self.in_lobby().collect(), draw: None }
    }

    fn in_lobby(&self) -> impl Iterator<Item = Ticket> {
        let joined = self.queue.entries().iter().filter(|entry| entry.in_lobby());
        joined.map(|entry| entry.ticket)
    }

    /// The hashes that the draw needs, once the lobby is closed. An opening
    /// that waits for its beacon's round has none.
    pub(super) fn draw_job(&self) -> Option<HashJob> {
        let (scheduled_by, cohort_root) = (self.scheduled_by?, self.draw.cohort_root?);
        if self.draw.seed.is_some() || self.draw.beacon.is_some() {
            return None;
        }
        let needed = SeedNeeded { draw_key_id: self.draw.key_id.clone(), scheduled_by };
        Some(HashJob { cohort: self.cohort(), draw: Some((needed, cohort_root)) })
    }

    fn cohort(&self) -> Vec<Ticket> {
        self.queue.entries().iter().filter(|entry| entry.cohort).map(|entry| entry.ticket).collect()
    }

    pub(super) fn close_lobby(
        &self,
        now: Timestamp,
        cohort_root: Hash,
        count: u32,
    ) -> Result<Decision, Refusal> {
        let due = self.state == OpeningState::Scheduled && now >= self.opens_at;
        // Hashes of another lobby than the one that is closed now prove nothing.
        if !due || self.in_lobby().count() != count as usize {
            return Err(Refusal::NotDue);
        }
        Ok(Decision::Accepted(LobbyClosed { at: now, cohort_root, count }.into()))
    }

    pub(super) fn hold_draw(
        &self,
        now: Timestamp,
        seed: Hash,
        order_root: Hash,
    ) -> Result<Decision, Refusal> {
        if self.state != OpeningState::Drawing || self.draw.seed.is_some() {
            return Err(Refusal::NotDue);
        }
        if commitment(&seed) != self.draw.seed_commitment {
            return Err(Refusal::WrongSeed);
        }
        Ok(Decision::Accepted(DrawHeld { at: now, seed, beacon: None, order_root }.into()))
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn lobby_closed(&mut self, event: &LobbyClosed) {
        self.state = OpeningState::Drawing;
        self.draw.cohort_root = Some(event.cohort_root);
        self.queue.lobby_closed();
    }

    pub(super) fn draw_held(&mut self, event: &DrawHeld, order: Option<&[Ticket]>) {
        self.draw.seed = Some(event.seed);
        if let Some(order) = order {
            self.queue.drawn(order);
            return;
        }
        let root = self.draw.cohort_root.unwrap_or_default();
        let beacon = event.beacon.as_ref().map(|value| &value.randomness);
        let order = drawn_order(&event.seed, &root, beacon, &self.cohort());
        self.queue.drawn(&order);
    }
}
