//! A part of one opening's tickets, with until when each must be heard of.

use hashbrown::HashTable;
use usher_events::event::TicketState;

/// Every ticket is looked at once in so many ticks.
const SPOKES: u32 = 4;
/// After so many ticks silence is told again, if nothing came of it.
const TELL_AGAIN: u32 = 5;
/// After so many ticks a return is told again, if nothing came of it.
const ASK_AGAIN: u32 = 2;

const STATES: [TicketState; 8] = [
    TicketState::Lobby,
    TicketState::Waiting,
    TicketState::Away,
    TicketState::Admitted,
    TicketState::Inside,
    TicketState::Done,
    TicketState::Left,
    TicketState::Spent,
];

/// A ticket as the log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Where it is in the queue's list of tickets.
    pub(super) index: u32,
    /// 0: none.
    pub(super) number: u32,
    pub(super) state: TicketState,
}

/// What is kept of one ticket, in 12 bytes: there may be two million.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    index: u32,
    /// The tick by which it must be heard of, while it waits. While it is
    /// away: until when a sign of life that was told on is good.
    due: u32,
    /// The number in the low 24 bits, then the state, then two flags.
    packed: u32,
}

const NUMBER: u32 = 0xff_ffff;
const STATE: u32 = 24;
/// `due` follows from an interval that the visitor was told.
const TOLD: u32 = 1 << 27;
/// The writer was told: of the silence of who waits, of the return of who is away.
const TOLD_WRITER: u32 = 1 << 28;

fn waits(state: TicketState) -> bool {
    matches!(state, TicketState::Lobby | TicketState::Waiting)
}

impl Slot {
    /// Where it is in the queue's list of tickets.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn number(&self) -> u32 {
        self.packed & NUMBER
    }

    pub(super) fn state(&self) -> TicketState {
        STATES[(self.packed >> STATE & 7) as usize]
    }

    fn set_state(&mut self, state: TicketState) {
        self.packed = self.packed & !(7 << STATE) | (state as u32) << STATE;
    }

    fn set_number(&mut self, number: u32) {
        self.packed = self.packed & !NUMBER | number & NUMBER;
        if number > 0 && self.state() == TicketState::Lobby {
            self.set_state(TicketState::Waiting);
        }
    }

    fn is(&self, flag: u32) -> bool {
        self.packed & flag != 0
    }

    fn set(&mut self, flag: u32, on: bool) {
        self.packed = if on { self.packed | flag } else { self.packed & !flag };
    }

    /// Heard of, while it waits: it may be silent until `due`. The visitor
    /// was `told` so, or sent a command. What another page of theirs was told
    /// is kept, too.
    pub(super) fn heard(&mut self, due: u32, told: bool) {
        self.due = if self.is(TOLD) || !told { self.due.max(due) } else { due };
        self.set(TOLD, told || self.is(TOLD));
        self.set(TOLD_WRITER, false);
    }

    /// Heard of, while it is away; whether the writer must be told.
    pub(super) fn returns(&mut self, due: u32) -> bool {
        let told = self.is(TOLD_WRITER) && due < self.due + ASK_AGAIN;
        if !told {
            self.due = due;
            self.set(TOLD_WRITER, true);
        }
        !told
    }

    /// What the log says now; whether it was heard of after its silence was
    /// told, so that it is back already.
    fn becomes(&mut self, known: Known, grace: u32) -> bool {
        let (before, told_writer) = (self.state(), self.is(TOLD_WRITER));
        self.set_state(known.state);
        self.set_number(known.number);
        if before == known.state || waits(before) && waits(known.state) {
            return false;
        }
        if waits(known.state) {
            let heard = before == TicketState::Away && told_writer;
            self.due = if heard { self.due } else { grace };
            self.set(TOLD, heard);
        }
        let is_back = waits(before) && known.state == TicketState::Away && !told_writer;
        self.set(TOLD_WRITER, is_back);
        is_back
    }
}

/// Tickets by fingerprint: 64 bits of a keyed hash, so that nobody can make
/// a ticket that is taken for another.
#[derive(Debug, Default)]
pub(super) struct Shard {
    table: HashTable<u32>,
    fingerprints: Vec<u64>,
    slots: Vec<Slot>,
}

impl Shard {
    pub(super) fn get(&mut self, fingerprint: u64) -> Option<&mut Slot> {
        let at = self.table.find(fingerprint, |at| self.fingerprints[*at as usize] == fingerprint)?;
        self.slots.get_mut(*at as usize)
    }

    /// Makes room for `more` tickets.
    pub(super) fn reserve(&mut self, more: usize) {
        let fingerprints = &self.fingerprints;
        self.table.reserve(more, |at| fingerprints[*at as usize]);
        self.fingerprints.reserve(more);
        self.slots.reserve(more);
    }

    /// Takes note of what the log says of a ticket; who is new, or back by
    /// other ways than a sign of life, may be silent until `grace`. True when
    /// the ticket is away, and was heard of meanwhile.
    pub(super) fn know(&mut self, fingerprint: u64, known: Known, grace: u32) -> bool {
        if let Some(slot) = self.get(fingerprint) {
            return slot.index == known.index && slot.becomes(known, grace);
        }
        let at = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let fingerprints = &self.fingerprints;
        self.table.insert_unique(fingerprint, at, |at| fingerprints[*at as usize]);
        self.fingerprints.push(fingerprint);
        let mut slot = Slot { index: known.index, due: grace, packed: 0 };
        slot.set_state(known.state);
        slot.set_number(known.number);
        self.slots.push(slot);
        false
    }

    /// Gives every ticket the number that `numbers` has at its index.
    pub(super) fn number(&mut self, numbers: &[u32]) {
        for slot in &mut self.slots {
            if let Some(number) = numbers.get(slot.index as usize) {
                slot.set_number(*number);
            }
        }
    }

    /// Adds those who fell silent to `silent`, up to `limit` in all: a part
    /// of the tickets each tick, all of them within a few.
    pub(super) fn sweep(&mut self, tick: u32, limit: usize, silent: &mut Vec<u32>) {
        let spoke = (tick % SPOKES) as usize;
        for slot in self.slots.iter_mut().skip(spoke).step_by(SPOKES as usize) {
            if silent.len() >= limit {
                return;
            }
            if slot.due <= tick && waits(slot.state()) {
                slot.due = tick + TELL_AGAIN;
                slot.set(TOLD_WRITER, true);
                silent.push(slot.index);
            }
        }
    }
}
