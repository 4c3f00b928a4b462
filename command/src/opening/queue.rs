//! The line: tickets, their numbers and states.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};
use usher_events::event::{TicketMoved, TicketState};
use usher_events::ids::Ticket;
use usher_events::ranks::Ranks;
use usher_events::time::Timestamp;

use super::tickets::{Cohort, Places, Tickets};
use crate::presence::TicketNow;

/// What becomes of one ticket. Kept small: there may be two million.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// To enter, or to leave by; only while admitted or inside.
    pub(super) deadline: Timestamp,
    /// 0 in the lobby.
    pub(super) number: u32,
    pub(super) state: TicketState,
    pub(super) misses: u8,
}

/// The drawn numbers by the entries' places in the queue's list, which are
/// the same wherever the same log is folded: made once, in another thread, so
/// that no fold looks a million tickets up.
#[derive(Debug, Default, PartialEq)]
pub struct Numbering {
    /// The place of each number's entry, from number 1.
    places: Vec<u32>,
    /// Each place's number; 0: none.
    numbers: Vec<u32>,
}

impl Numbering {
    /// Numbers, from 1, the entries at `places`.
    pub(super) fn new(places: Vec<u32>) -> Self {
        let len = places.iter().max().map_or(0, |last| *last as usize + 1);
        let mut numbers = vec![0; len];
        for (number, at) in (1..).zip(&places) {
            numbers[*at as usize] = number;
        }
        Self { places, numbers }
    }
}

/// All tickets of one opening.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Snapshot")]
pub struct Queue {
    tickets: Tickets,
    /// What became of each of them.
    entries: Vec<Entry>,
    #[serde(skip)]
    index: Index,
    /// The entry of each number, from 1.
    by_number: Vec<u32>,
    /// The numbers of those who wait and are present.
    present: Ranks,
    counts: [u32; 8],
    /// Deadlines of admitted and of inside tickets.
    pub(super) entering: BTreeSet<(Timestamp, u32)>,
    pub(super) leaving: BTreeSet<(Timestamp, u32)>,
    /// Whose place went where between lobby and draw, for the drawn numbers.
    moved: HashMap<u32, u32>,
    lobby_closed: bool,
    /// Who is in the draw's cohort, as far as the lobby tells.
    cohort: Places,
    /// The greatest number given, those of the cohort included.
    last_number: u32,
}

/// Finds entries by ticket. Keyed anew in each process: tickets are chosen
/// by strangers.
#[derive(Debug, Clone, Default)]
struct Index {
    table: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

/// An entry's place, with half of its ticket's hash: a table of a million
/// grows without a look at each entry.
#[derive(Debug, Clone, Copy)]
struct Slot {
    at: u32,
    hash: u32,
}

impl Slot {
    fn hash(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

/// The queue as snapshots hold it; the index is made anew.
#[derive(Deserialize)]
struct Snapshot {
    tickets: Tickets,
    entries: Vec<Entry>,
    by_number: Vec<u32>,
    present: Ranks,
    counts: [u32; 8],
    entering: BTreeSet<(Timestamp, u32)>,
    leaving: BTreeSet<(Timestamp, u32)>,
    moved: HashMap<u32, u32>,
    lobby_closed: bool,
    cohort: Places,
    last_number: u32,
}

impl From<Snapshot> for Queue {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { tickets, entries, by_number, present, counts, entering, leaving, .. } = snapshot;
        let Snapshot { moved, lobby_closed, cohort, last_number, .. } = snapshot;
        let mut index = Index::default();
        for (at, ticket) in (0..).zip(tickets.iter()) {
            index.insert(ticket, at);
        }
        Self {
            tickets,
            entries,
            index,
            by_number,
            present,
            counts,
            entering,
            leaving,
            moved,
            lobby_closed,
            cohort,
            last_number,
        }
    }
}

impl Index {
    fn find(&self, tickets: &Tickets, ticket: &Ticket) -> Option<u32> {
        let wanted = self.slot(ticket, 0);
        let same = |slot: &Slot| slot.hash == wanted.hash && tickets.at(slot.at) == ticket;
        self.table.find(wanted.hash(), same).map(|slot| slot.at)
    }

    fn insert(&mut self, ticket: &Ticket, at: u32) {
        let slot = self.slot(ticket, at);
        self.table.insert_unique(slot.hash(), slot, Slot::hash);
    }

    fn slot(&self, ticket: &Ticket, at: u32) -> Slot {
        Slot { at, hash: self.hasher.hash_one(ticket) as u32 }
    }
}

impl Queue {
    /// How many tickets there are, in all states.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether nobody ever joined.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many tickets are in `state`.
    pub fn count(&self, state: TicketState) -> u32 {
        self.counts[state as usize]
    }

    /// How many wait and are present, with a number.
    pub fn present(&self) -> u32 {
        self.present.len()
    }

    /// A ticket's state and number.
    pub fn ticket(&self, ticket: &Ticket) -> Option<(TicketState, Option<u32>)> {
        let entry = self.get(ticket)?;
        Some((entry.state, (entry.number > 0).then_some(entry.number)))
    }

    /// Where a ticket is in the list of all tickets; that never changes.
    pub fn index_of(&self, ticket: &Ticket) -> Option<u32> {
        self.find(ticket)
    }

    /// A ticket as it is now.
    pub(crate) fn ticket_now(&self, ticket: &Ticket) -> Option<TicketNow> {
        // Often it has just joined.
        let last = self.tickets.last().filter(|last| *last == ticket);
        let index = match last {
            Some(_) => u32::try_from(self.entries.len() - 1).ok()?,
            None => self.find(ticket)?,
        };
        Some(self.now(index, ticket))
    }

    fn now(&self, index: u32, ticket: &Ticket) -> TicketNow {
        let Entry { number, state, .. } = *self.entry(index);
        TicketNow { index, ticket: *ticket, number, state }
    }

    /// All tickets as they are now.
    pub(crate) fn all_now(&self) -> impl Iterator<Item = TicketNow> {
        (0..).zip(self.tickets.iter()).map(|(index, ticket)| self.now(index, ticket))
    }

    /// The number of each ticket, 0 where it has none.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.entries.iter().map(|entry| entry.number).collect()
    }

    /// How many present visitors are ahead of `number`, plus one.
    pub(super) fn position(&self, number: u32) -> u32 {
        self.present.below(number) + 1
    }

    pub(super) fn get(&self, ticket: &Ticket) -> Option<&Entry> {
        self.find(ticket).map(|at| self.entry(at))
    }

    /// The state of the entry at `at`, if there is one.
    pub(super) fn state_at(&self, at: u32) -> Option<TicketState> {
        self.entries.get(at as usize).map(|entry| entry.state)
    }

    /// The number of who joins the line now.
    pub(super) fn next_number(&self) -> u32 {
        self.last_number + 1
    }

    pub(super) fn entry(&self, at: u32) -> &Entry {
        &self.entries[at as usize]
    }

    pub(super) fn ticket_at(&self, at: u32) -> Ticket {
        *self.tickets.at(at)
    }

    /// How many the lobby's draw is about.
    pub(super) fn cohort_len(&self) -> u32 {
        self.cohort.len()
    }

    /// Whom the lobby's draw is about.
    pub(super) fn cohort(&self) -> Cohort {
        Cohort { tickets: self.tickets.clone(), places: self.cohort.clone() }
    }

    /// The present visitors with the smallest numbers, in order, each with
    /// their number.
    pub(super) fn next_present(&self) -> impl Iterator<Item = (Ticket, u32)> {
        let numbers = (0..).map_while(|skip| self.present.nth(skip));
        numbers.map(|number| (self.ticket_at(self.by_number[(number - 1) as usize]), number))
    }

    pub(super) fn find(&self, ticket: &Ticket) -> Option<u32> {
        self.index.find(&self.tickets, ticket)
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn joined(&mut self, ticket: Ticket, number: Option<u32>) {
        let state = if number.is_some() { TicketState::Waiting } else { TicketState::Lobby };
        self.add(ticket, number.unwrap_or(0), state);
    }

    fn add(&mut self, ticket: Ticket, number: u32, state: TicketState) -> u32 {
        let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.index.insert(&ticket, at);
        self.tickets.push(ticket);
        self.entries.push(Entry { deadline: Timestamp::default(), number, state, misses: 0 });
        if !self.lobby_closed {
            self.cohort.insert(at);
        }
        self.counts[state as usize] += 1;
        self.give_number(at, number);
        at
    }

    fn give_number(&mut self, at: u32, number: u32) {
        if number == 0 {
            return;
        }
        let slot = (number - 1) as usize;
        if self.by_number.len() <= slot {
            self.by_number.resize(slot + 1, u32::MAX);
        }
        self.by_number[slot] = at;
        self.last_number = self.last_number.max(number);
        let entry = &mut self.entries[at as usize];
        entry.number = number;
        if entry.state == TicketState::Lobby {
            self.set_state(at, TicketState::Waiting);
        } else if entry.state == TicketState::Waiting {
            self.present.insert(number);
        }
    }

    /// Moves an entry to `state`, and out of what its old state kept.
    pub(super) fn set_state(&mut self, at: u32, state: TicketState) {
        let entry = &mut self.entries[at as usize];
        let old = std::mem::replace(&mut entry.state, state);
        self.counts[old as usize] -= 1;
        self.counts[state as usize] += 1;
        let (deadline, number) = (entry.deadline, entry.number);
        if !self.lobby_closed && state.is_final() {
            self.cohort.remove(at);
        }
        match old {
            TicketState::Waiting => drop(self.present.remove(number)),
            TicketState::Admitted => drop(self.entering.remove(&(deadline, at))),
            TicketState::Inside => drop(self.leaving.remove(&(deadline, at))),
            _ => {}
        }
        if state == TicketState::Waiting {
            self.present.insert(number);
        }
    }

    /// Sets until when an admitted or inside ticket has time.
    pub(super) fn set_deadline(&mut self, at: u32, deadline: Timestamp) {
        let entry = &mut self.entries[at as usize];
        let order = match entry.state {
            TicketState::Admitted => &mut self.entering,
            TicketState::Inside => &mut self.leaving,
            _ => return,
        };
        order.remove(&(entry.deadline, at));
        entry.deadline = deadline;
        order.insert((deadline, at));
    }

    pub(super) fn set_state_of(&mut self, ticket: &Ticket, state: TicketState) {
        if let Some(at) = self.find(ticket) {
            self.set_state(at, state);
        }
    }

    pub(super) fn set_deadline_of(&mut self, ticket: &Ticket, deadline: Timestamp) {
        if let Some(at) = self.find(ticket) {
            self.set_deadline(at, deadline);
        }
    }

    pub(super) fn moved(&mut self, event: &TicketMoved) {
        let from = self.find(&event.from);
        let to = match self.find(&event.to) {
            Some(to) => to,
            None => self.add(event.to, 0, TicketState::Lobby),
        };
        let mut deadline = Timestamp::default();
        if let Some(from) = from {
            self.set_state(from, TicketState::Left);
            let Entry { number, misses, deadline: theirs, .. } = self.entries[from as usize];
            if number == 0 {
                self.moved.remove(&to);
                self.moved.insert(from, to);
            }
            self.entries[to as usize].misses = misses;
            deadline = theirs;
        }
        self.set_state(to, event.state);
        self.set_deadline(to, deadline);
        self.give_number(to, event.number.unwrap_or(0));
    }

    pub(super) fn lobby_closed(&mut self) {
        self.lobby_closed = true;
        self.last_number = self.cohort.len();
    }

    /// Gives the cohort its numbers.
    pub(super) fn drawn(&mut self, drawn: &Numbering) {
        let count = drawn.places.len();
        if self.by_number.len() < count {
            self.by_number.resize(count, u32::MAX);
        }
        self.by_number[..count].copy_from_slice(&drawn.places);
        let mut woken = 0;
        let numbered = self.entries.iter_mut().zip(&drawn.numbers).filter(|(_, number)| **number > 0);
        self.present.extend(numbered.filter_map(|(entry, number)| {
            entry.number = *number;
            let waits = entry.state == TicketState::Lobby;
            if waits {
                entry.state = TicketState::Waiting;
                woken += 1;
            }
            waits.then_some(*number)
        }));
        self.counts[TicketState::Lobby as usize] -= woken;
        self.counts[TicketState::Waiting as usize] += woken;
        self.number_new_owners();
    }

    /// Places that were taken over between lobby and draw keep their number.
    fn number_new_owners(&mut self) {
        let moved = std::mem::take(&mut self.moved);
        for from in moved.keys().copied() {
            let (number, mut owner) = (self.entries[from as usize].number, from);
            while let Some(next) = moved.get(&owner) {
                owner = *next;
            }
            self.give_number(owner, number);
        }
    }

    pub(super) fn entered(&mut self, ticket: Ticket, leave_by: Timestamp) {
        self.set_state_of(&ticket, TicketState::Inside);
        self.set_deadline_of(&ticket, leave_by);
    }

    pub(super) fn missed(&mut self, away: &[Ticket], spent: &[Ticket]) {
        for ticket in away {
            if let Some(at) = self.find(ticket) {
                self.set_state(at, TicketState::Away);
                let misses = &mut self.entries[at as usize].misses;
                *misses = misses.saturating_add(1);
            }
        }
        for ticket in spent {
            self.set_state_of(ticket, TicketState::Spent);
        }
    }

    pub(super) fn went_away(&mut self, tickets: &[Ticket]) {
        for ticket in tickets {
            self.set_state_of(ticket, TicketState::Away);
        }
    }

    pub(super) fn returned(&mut self, tickets: &[Ticket]) {
        for ticket in tickets {
            if let Some(at) = self.find(ticket) {
                let numbered = self.entries[at as usize].number > 0;
                self.set_state(at, if numbered { TicketState::Waiting } else { TicketState::Lobby });
            }
        }
    }

    /// No deadline falls before `floor`.
    pub(super) fn raise_deadlines(&mut self, floor: Timestamp) {
        let due = |order: &BTreeSet<(Timestamp, u32)>| -> Vec<u32> {
            order.iter().take_while(|(deadline, _)| *deadline < floor).map(|(_, at)| *at).collect()
        };
        for at in due(&self.entering).into_iter().chain(due(&self.leaving)) {
            self.set_deadline(at, floor);
        }
    }
}
