//! The tickets of one opening.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use usher_events::event::TicketState;
use usher_events::ids::Ticket;

use super::shard::{Known, Shard};
use super::{Here, Rules, TicketNow, pace};
use crate::opening::Refusal;

/// So many heartbeats of one opening may be taken at a time.
const SHARDS: usize = 16;
/// When a visitor who was away is to come again, to see that they are back.
const AGAIN_S: u32 = 2;

/// Who of one opening is there.
#[derive(Debug)]
pub(super) struct Room {
    /// Made anew in each process: tickets are chosen by strangers.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Tickets that are away and were heard of, by index.
    back: Mutex<Vec<u32>>,
    tickets: AtomicU32,
    away_after_s: AtomicU32,
    serving_number: AtomicU32,
    over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Room {
    pub(super) fn new(rules: Rules) -> Self {
        let room = Self {
            hasher: RandomState::new(),
            shards: Default::default(),
            back: Mutex::default(),
            tickets: AtomicU32::new(0),
            away_after_s: AtomicU32::new(0),
            serving_number: AtomicU32::new(0),
            over: AtomicBool::new(false),
        };
        room.follow(rules);
        room
    }

    /// Makes room for `tickets` in all.
    pub(super) fn reserve(&self, tickets: usize) {
        for shard in &self.shards {
            lock(shard).reserve(tickets / SHARDS);
        }
    }

    pub(super) fn follow(&self, rules: Rules) {
        self.away_after_s.store(rules.away_after_s, Ordering::Relaxed);
        self.serving_number.store(rules.serving_number, Ordering::Relaxed);
        self.over.store(rules.over, Ordering::Relaxed);
    }

    fn find(&self, ticket: &Ticket) -> (u64, MutexGuard<'_, Shard>) {
        let fingerprint = self.hasher.hash_one(ticket);
        // The table takes the lowest and the highest bits; these are others.
        (fingerprint, lock(&self.shards[(fingerprint >> 40) as usize % SHARDS]))
    }

    /// Takes note of what the log says of a ticket.
    pub(super) fn know(&self, now: &TicketNow, tick: u32) {
        let known = Known { index: now.index, number: now.number, state: now.state };
        let grace = tick + 1 + self.away_after_s.load(Ordering::Relaxed);
        let (fingerprint, mut shard) = self.find(&now.ticket);
        let is_back = shard.know(fingerprint, known, grace);
        drop(shard);
        self.tickets.fetch_max(now.index + 1, Ordering::Relaxed);
        if is_back && !self.over.load(Ordering::Relaxed) {
            lock(&self.back).push(now.index);
        }
    }

    pub(super) fn number(&self, numbers: &[u32]) {
        for shard in &self.shards {
            lock(shard).number(numbers);
        }
    }

    fn ahead(&self, number: u32) -> u32 {
        match number {
            0 => self.tickets.load(Ordering::Relaxed),
            // Who of them has left or is away is not worth counting.
            number => number.saturating_sub(self.serving_number.load(Ordering::Relaxed) + 1),
        }
    }

    /// Heard of: by a heartbeat, that is `told` when to come again, or by a command.
    pub(super) fn heard(&self, ticket: &Ticket, tick: u32, told: bool) -> Result<Here, Refusal> {
        let away_after_s = self.away_after_s.load(Ordering::Relaxed);
        let over = self.over.load(Ordering::Relaxed);
        let silent_until = |interval| tick + 1 + pace::silence_s(interval, away_after_s);
        let (fingerprint, mut shard) = self.find(ticket);
        let slot = shard.get(fingerprint).ok_or(Refusal::UnknownTicket)?;
        let state = slot.state();
        let next_in_s = match state {
            TicketState::Lobby | TicketState::Waiting if !over => {
                let interval = pace::interval_s(self.ahead(slot.number()), away_after_s);
                slot.heard(silent_until(interval), told);
                pace::spread_s(interval, fingerprint)
            }
            TicketState::Away if !over => {
                if slot.returns(silent_until(pace::FRONT_S)) {
                    let index = slot.index();
                    drop(shard);
                    lock(&self.back).push(index);
                }
                AGAIN_S
            }
            state if state.is_final() => return Err(Refusal::Gone { state }),
            // Nobody is admitted or inside for their heartbeats.
            _ => pace::slowest_s(away_after_s),
        };
        Ok(Here { state, next_in_s })
    }

    /// Takes at most `limit` of those who are away and were heard of.
    pub(super) fn take_back(&self, limit: usize) -> Vec<u32> {
        let mut back = lock(&self.back);
        let left = back.len().saturating_sub(limit);
        back.split_off(left)
    }

    /// Who fell silent, at most `limit`; told again as long as the log does
    /// not say so.
    pub(super) fn silent(&self, tick: u32, limit: usize) -> Vec<u32> {
        let mut silent = Vec::new();
        if !self.over.load(Ordering::Relaxed) {
            for shard in &self.shards {
                lock(shard).sweep(tick, limit, &mut silent);
            }
        }
        silent
    }
}
