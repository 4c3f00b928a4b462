//! Hashes of lobbies and draws: a few are made at once, a million in another
//! thread, while the partition goes on.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::error;
use usher_events::event::{Beacon, Event};
use usher_events::ids::{Hash, OpeningId};
use usher_events::record::{Offset, StoredRecord};
use usher_events::time::Timestamp;

use super::partition::{Output, Partition};
use super::replies::Submitted;
use crate::opening::{Command, HashJob};

/// What hashes are for; nothing else may use the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashesFor {
    /// A decision in this tenure.
    Decision {
        /// Which.
        tenure: u64,
    },
    /// A follower's fold of the draw that stands here.
    Fold {
        /// Where.
        offset: Offset,
    },
}

/// Hashes to be made in another thread.
#[derive(Debug)]
pub struct HashOrder {
    /// Who asks for it.
    pub purpose: HashesFor,
    /// The opening that waits for it.
    pub opening: OpeningId,
    /// What to hash.
    pub job: HashJob,
    /// The draw's seed, where the job needs one.
    pub seed: Option<Hash>,
}

/// An opening whose hashes are being made.
#[derive(Debug)]
pub(super) struct Hashing<T> {
    /// While the lobby closes, all of the opening's commands wait, because
    /// they would change it. While it is drawn, only those that draw do.
    closes_lobby: bool,
    waiting: VecDeque<Box<Submitted<T>>>,
}

/// What came of asking for hashes.
pub(super) enum Hashes {
    /// They are made: this is the command that they lead to.
    Made(Command),
    /// They will come by [`Partition::hashed`].
    Ordered,
    /// They cannot be made.
    Impossible,
}

/// Whether a record's value is a draw, without reading all of it.
fn is_draw(value: &[u8]) -> bool {
    value.starts_with(br#"{"type":"DrawHeld""#)
}

impl<T> Partition<T> {
    /// Has the hashes made, here or in another thread.
    pub(super) fn hash(&mut self, opening: &OpeningId, job: HashJob) -> Hashes {
        let keys = &self.config.draw_keys;
        let seed = job.needs_seed().map(|needs| keys.seed(&needs.draw_key_id, opening, needs.scheduled_by));
        let seed = match seed.transpose() {
            Ok(seed) => seed,
            Err(fault) => {
                error!(%opening, %fault, "the draw cannot be held: its key is missing");
                return Hashes::Impossible;
            }
        };
        if job.len() <= self.config.hash_inline {
            return Hashes::Made(job.run(seed));
        }
        let closes_lobby = job.needs_seed().is_none();
        self.hashing.insert(opening.clone(), Hashing { closes_lobby, waiting: VecDeque::new() });
        let (purpose, opening) = (HashesFor::Decision { tenure: self.tenure() }, opening.clone());
        self.outputs.push(Output::Hash(Box::new(HashOrder { purpose, opening, job, seed })));
        Hashes::Ordered
    }

    /// Whether everything of `opening` waits for hashes.
    pub(super) fn closes_lobby(&self, opening: &OpeningId) -> bool {
        self.hashing.get(opening).is_some_and(|hashing| hashing.closes_lobby)
    }

    /// Keeps a command until the hashes of its opening are made.
    pub(super) fn wait_for_hashes(&mut self, submitted: Box<Submitted<T>>) {
        match self.hashing.get_mut(&submitted.opening) {
            Some(hashing) => hashing.waiting.push_back(submitted),
            None => self.mailbox.push_back(submitted),
        }
    }

    /// Makes the hashes that a caller's command needs; none when it has to
    /// wait for them.
    pub(super) fn with_hashes(&mut self, mut submitted: Box<Submitted<T>>) -> Option<Box<Submitted<T>>> {
        let (opening, command) = (&submitted.opening, &submitted.request.command);
        let chained = self.working(opening);
        let Some(job) = chained.opening.hashes_for(command) else { return Some(submitted) };
        let opening = opening.clone();
        if self.hashing.contains_key(&opening) {
            self.wait_for_hashes(submitted);
            return None;
        }
        match self.hash(&opening, job) {
            Hashes::Made(command) => {
                submitted.request.command = command;
                Some(submitted)
            }
            Hashes::Ordered => {
                self.wait_for_hashes(submitted);
                None
            }
            // Refused by the decision: it has no hashes.
            Hashes::Impossible => Some(submitted),
        }
    }

    /// Hashes are made: `made` is the command that they lead to.
    pub fn hashed(
        &mut self,
        purpose: HashesFor,
        opening: &OpeningId,
        made: Command,
        now: Timestamp,
        random: u64,
    ) {
        match purpose {
            HashesFor::Decision { tenure } if tenure == self.tenure() => {
                self.decide_hashed(opening, made, now)
            }
            HashesFor::Fold { offset } if self.held_up() == Some(offset) => {
                let numbering = made.drawn().map(|drawn| Arc::clone(&drawn.numbering));
                self.fold_first(numbering, now, random);
                self.fold_on(now, random);
            }
            _ => {}
        }
    }

    /// `made` is a timer's command, or one of a caller who waits.
    fn decide_hashed(&mut self, opening: &OpeningId, made: Command, now: Timestamp) {
        let Some(hashing) = self.hashing.remove(opening) else { return };
        for mut submitted in hashing.waiting.into_iter().rev() {
            submitted.request.command.take_hashes(&made);
            self.mailbox.push_front(submitted);
        }
        if !self.reign.serving() {
            return;
        }
        // Meanwhile the opening may have been closed.
        if self.working(opening).opening.due_at(&made).is_some() {
            self.decide_timer(opening, made, now);
        }
        let due = self.working(opening).opening.next_due();
        self.due.set(opening, due);
        self.decide_waiting(now);
    }

    /// The commands that waited for hashes, which are not made any more.
    pub(super) fn abandon_hashing(&mut self) -> impl Iterator<Item = Box<Submitted<T>>> + use<T> {
        std::mem::take(&mut self.hashing).into_values().flat_map(|hashing| hashing.waiting)
    }

    // --- following -----------------------------------------------------------

    /// Where a follower waits for the hashes of a draw, if it does. Until it
    /// has them it takes no more records than there were.
    pub fn held_up(&self) -> Option<Offset> {
        self.unfolded.front().filter(|_| self.draw_is_hashed).map(|stored| stored.offset)
    }

    /// Folds what was read, up to a large draw whose hashes are not made.
    pub(super) fn fold_on(&mut self, now: Timestamp, random: u64) {
        while let Some(stored) = self.unfolded.front().filter(|_| self.held_up().is_none()) {
            match self.large_draw(stored) {
                Some(order) => {
                    self.draw_is_hashed = true;
                    self.outputs.push(Output::Hash(Box::new(order)));
                }
                None => self.fold_first(None, now, random),
            }
        }
        if self.unfolded.is_empty() {
            self.caught_up_with_reading(now, random);
        }
    }

    /// The hashes that the fold of this record would make itself, if those
    /// are many.
    fn large_draw(&self, stored: &StoredRecord) -> Option<HashOrder> {
        let opening = stored.record.key.as_ref()?;
        let chained = self.confirmed.openings.get(opening)?;
        if chained.opening.to_be_drawn() <= self.config.hash_inline || !is_draw(&stored.record.value) {
            return None;
        }
        let Ok(Event::DrawHeld(held)) = stored.record.event() else { return None };
        let job = chained.opening.draw_job(held.beacon)?;
        let purpose = HashesFor::Fold { offset: stored.offset };
        Some(HashOrder { purpose, opening: opening.clone(), job, seed: Some(held.seed) })
    }

    // --- beacons ------------------------------------------------------------

    /// Notes whether `opening` waits for its beacon's round now.
    pub(super) fn note_beacon(&mut self, opening: &OpeningId) {
        let awaited = self.working(opening).opening.awaited_beacon().cloned();
        let before = match awaited.clone() {
            Some(beacon) => self.beacons.insert(opening.clone(), beacon),
            None => self.beacons.remove(opening),
        };
        if before != awaited {
            self.announce_beacons();
        }
    }

    /// Looks through all openings, at the start of a tenure.
    pub(super) fn note_all_beacons(&mut self) {
        let awaited = |(opening, chained): (&OpeningId, &super::state::Chained)| {
            chained.opening.awaited_beacon().map(|beacon| (opening.clone(), beacon.clone()))
        };
        self.beacons = self.confirmed.openings.iter().filter_map(awaited).collect();
        self.announce_beacons();
    }

    /// Forgets them: somebody else may own the partition now.
    pub(super) fn forget_beacons(&mut self) {
        if !self.beacons.is_empty() {
            self.beacons.clear();
            self.announce_beacons();
        }
    }

    fn announce_beacons(&mut self) {
        let awaited: Vec<(OpeningId, Beacon)> =
            self.beacons.iter().map(|(opening, beacon)| (opening.clone(), beacon.clone())).collect();
        self.outputs.push(Output::Beacons(awaited));
    }
}
