//! The lobby's end and its draw.

use std::sync::Arc;

use usher_events::draw::{commitment, drawn_indices, merkle_root};
use usher_events::event::{Beacon, BeaconValue, DrawHeld, LobbyClosed};
use usher_events::ids::{CommandId, Hash, Ticket};
use usher_events::time::Timestamp;

use super::tickets::Cohort;
use super::{Command, Decision, Drawn, Numbering, Opening, OpeningState, Refusal};

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

/// Hashes that a command needs; a million take a second, so that they may be
/// made in another thread.
#[derive(Debug)]
pub struct HashJob {
    cohort: Cohort,
    draw: Option<DrawJob>,
}

/// What a draw needs beside its cohort.
#[derive(Debug)]
struct DrawJob {
    needed: SeedNeeded,
    cohort_root: Hash,
    beacon: Option<BeaconValue>,
}

impl HashJob {
    /// How many tickets are hashed.
    pub fn len(&self) -> usize {
        self.cohort.places.len() as usize
    }

    /// Whether the lobby is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the seed derives from, when this is the draw.
    pub fn needs_seed(&self) -> Option<&SeedNeeded> {
        self.draw.as_ref().map(|draw| &draw.needed)
    }

    /// Hashes: the lobby's root, or with the seed the drawn order.
    pub fn run(self, seed: Option<Hash>) -> Command {
        match (self.draw, seed) {
            (Some(draw), Some(seed)) => draw.run(seed, &self.cohort),
            _ => {
                let (_, mut tickets) = self.cohort.list();
                tickets.sort_unstable();
                Command::CloseLobby { cohort_root: merkle_root(&tickets), count: self.cohort.places.len() }
            }
        }
    }
}

impl DrawJob {
    fn run(self, seed: Hash, cohort: &Cohort) -> Command {
        let Self { cohort_root, beacon, .. } = self;
        let (places, tickets) = cohort.list();
        let randomness = beacon.as_ref().map(|value| &value.randomness);
        let indices = drawn_indices(&seed, &cohort_root, randomness, &tickets);
        let order: Vec<Ticket> = indices.iter().map(|at| tickets[*at as usize]).collect();
        let order_root = merkle_root(&order);
        let places = indices.into_iter().map(|at| places[at as usize]).collect();
        let drawn = Drawn { seed, order_root, numbering: Arc::new(Numbering::new(places)) };
        match beacon {
            Some(beacon) => Command::BringBeacon { beacon, drawn: Some(drawn) },
            None => Command::HoldDraw(drawn),
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

    /// The beacon whose round the draw waits for, once the lobby is closed.
    pub fn awaited_beacon(&self) -> Option<&Beacon> {
        let waiting = self.state == OpeningState::Drawing && self.draw.seed.is_none();
        self.draw.beacon.as_ref().filter(|_| waiting)
    }

    /// The hashes that `command` needs before it can be decided.
    pub fn hashes_for(&self, command: &Command) -> Option<HashJob> {
        match command {
            Command::BringBeacon { beacon, drawn: None } if self.takes(beacon) == Ok(true) => {
                self.draw_job(Some(beacon.clone()))
            }
            _ => None,
        }
    }

    /// How many tickets a draw that is held now would hash.
    pub(crate) fn to_be_drawn(&self) -> usize {
        self.queue.cohort_len() as usize
    }

    /// The hashes that closing the lobby needs.
    pub(super) fn lobby_job(&self) -> HashJob {
        HashJob { cohort: self.queue.cohort(), draw: None }
    }

    /// The hashes that the draw needs, once the lobby is closed.
    pub(crate) fn draw_job(&self, beacon: Option<BeaconValue>) -> Option<HashJob> {
        let (scheduled_by, cohort_root) = (self.scheduled_by?, self.draw.cohort_root?);
        let needed = SeedNeeded { draw_key_id: self.draw.key_id.clone(), scheduled_by };
        let draw = DrawJob { needed, cohort_root, beacon };
        Some(HashJob { cohort: self.queue.cohort(), draw: Some(draw) })
    }

    pub(super) fn close_lobby(
        &self,
        now: Timestamp,
        cohort_root: Hash,
        count: u32,
    ) -> Result<Decision, Refusal> {
        let due = self.state == OpeningState::Scheduled && now >= self.opens_at;
        // Hashes of another lobby than the one that is closed now prove nothing.
        if !due || self.queue.cohort_len() != count {
            return Err(Refusal::NotDue);
        }
        Ok(Decision::Accepted(LobbyClosed { at: now, cohort_root, count }.into()))
    }

    pub(super) fn hold_draw(&self, now: Timestamp, drawn: &Drawn) -> Result<Decision, Refusal> {
        if self.draw_due().is_none() {
            return Err(Refusal::NotDue);
        }
        self.draw(now, drawn, None)
    }

    /// Draws with the beacon's round; whoever sends this has verified it.
    ///
    /// Refuses every other round than the one that was named, and any before
    /// the lobby is closed. The same again changes nothing.
    pub(super) fn bring_beacon(
        &self,
        now: Timestamp,
        beacon: &BeaconValue,
        drawn: Option<&Drawn>,
    ) -> Result<Decision, Refusal> {
        match (self.takes(beacon)?, drawn) {
            (false, _) => Ok(Decision::Repeated),
            (true, Some(drawn)) => self.draw(now, drawn, Some(beacon)),
            (true, None) => Err(Refusal::NotDue),
        }
    }

    /// Whether the draw waits for this round; it does not when it has it.
    fn takes(&self, beacon: &BeaconValue) -> Result<bool, Refusal> {
        let named = self.draw.beacon.as_ref().ok_or(Refusal::NoBeacon)?;
        if (&named.source, named.round) != (&beacon.source, beacon.round) {
            let problem = format!("the draw takes round {} and no other", named.round);
            return Err(Refusal::invalid("round", problem));
        }
        match self.state {
            _ if self.draw.seed.is_some() => Ok(false),
            OpeningState::Drawing => Ok(true),
            state => Err(Refusal::WrongState { state }),
        }
    }

    fn draw(&self, now: Timestamp, drawn: &Drawn, beacon: Option<&BeaconValue>) -> Result<Decision, Refusal> {
        if commitment(&drawn.seed) != self.draw.seed_commitment {
            return Err(Refusal::WrongSeed);
        }
        let (seed, order_root) = (drawn.seed, drawn.order_root);
        Ok(Decision::Accepted(DrawHeld { at: now, seed, beacon: beacon.cloned(), order_root }.into()))
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn lobby_closed(&mut self, event: &LobbyClosed) {
        self.state = OpeningState::Drawing;
        self.draw.cohort_root = Some(event.cohort_root);
        self.queue.lobby_closed();
    }

    pub(super) fn draw_held(&mut self, event: &DrawHeld, numbering: Option<&Numbering>) {
        self.draw.seed = Some(event.seed);
        if let Some(numbering) = numbering {
            self.queue.drawn(numbering);
            return;
        }
        let root = self.draw.cohort_root.unwrap_or_default();
        let beacon = event.beacon.as_ref().map(|value| &value.randomness);
        let (places, cohort) = self.queue.cohort().list();
        let indices = drawn_indices(&event.seed, &root, beacon, &cohort);
        let places = indices.into_iter().map(|at| places[at as usize]).collect();
        self.queue.drawn(&Numbering::new(places));
    }
}
