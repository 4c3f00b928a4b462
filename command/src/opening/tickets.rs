//! The list of all tickets of a queue, and places in it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use usher_events::ids::Ticket;

/// Tickets of one chunk. A copy of a chunk, made when one is added to it while
/// somebody else reads it, takes microseconds.
const CHUNK: usize = 4_096;

/// Tickets in the order in which they were added, which never changes.
///
/// Copies share what they have in common, so that another thread is given a
/// million at no cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Ticket>", into = "Vec<Ticket>")]
pub(super) struct Tickets {
    /// All full but the last.
    chunks: Vec<Arc<Vec<Ticket>>>,
}

impl Tickets {
    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn push(&mut self, ticket: Ticket) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(ticket),
            _ => self.chunks.push(Arc::new(vec![ticket])),
        }
    }

    /// The ticket at `place`, which is less than the list's length.
    pub(super) fn at(&self, place: u32) -> &Ticket {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    pub(super) fn last(&self) -> Option<&Ticket> {
        self.chunks.last()?.last()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Ticket> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl From<Vec<Ticket>> for Tickets {
    fn from(tickets: Vec<Ticket>) -> Self {
        Self { chunks: tickets.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec())).collect() }
    }
}

impl From<Tickets> for Vec<Ticket> {
    fn from(tickets: Tickets) -> Self {
        tickets.iter().copied().collect()
    }
}

/// A set of places in the list, a bit each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Places {
    words: Vec<u64>,
    len: u32,
}

impl Places {
    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn insert(&mut self, place: u32) {
        let (word, bit) = (place as usize / 64, 1 << (place % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.len += u32::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    pub(super) fn remove(&mut self, place: u32) {
        let bit = 1 << (place % 64);
        if let Some(word) = self.words.get_mut(place as usize / 64).filter(|word| **word & bit != 0) {
            *word &= !bit;
            self.len -= 1;
        }
    }

    /// In ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.words).flat_map(|(at, word)| {
            let ones = std::iter::successors(Some(*word), |rest| Some(rest & rest.wrapping_sub(1)));
            ones.take_while(|rest| *rest != 0).map(move |rest| at * 64 + rest.trailing_zeros())
        })
    }
}

/// Who takes part in a draw: listed only where there is time for it.
#[derive(Debug, Clone)]
pub(super) struct Cohort {
    pub(super) tickets: Tickets,
    pub(super) places: Places,
}

impl Cohort {
    /// The cohort's places and tickets, in the order in which they joined.
    pub(super) fn list(&self) -> (Vec<u32>, Vec<Ticket>) {
        let places: Vec<u32> = self.places.iter().collect();
        let tickets = places.iter().map(|place| *self.tickets.at(*place)).collect();
        (places, tickets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(i: u32) -> Ticket {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&i.to_be_bytes());
        Ticket(bytes)
    }

    #[test]
    fn the_list_keeps_its_order_over_many_chunks_also_as_a_snapshot() {
        let count = CHUNK as u32 * 2 + 7;
        let mut tickets = Tickets::default();
        for i in 0..count {
            assert_eq!(tickets.len(), i as usize);
            tickets.push(ticket(i));
            assert_eq!(tickets.last(), Some(&ticket(i)));
        }
        assert!((0..count).all(|i| *tickets.at(i) == ticket(i)));
        assert!(tickets.iter().copied().eq((0..count).map(ticket)));
        assert_eq!(Tickets::from(Vec::from(tickets.clone())), tickets);
    }

    #[test]
    fn what_is_added_later_is_not_in_a_copy() {
        let mut tickets = Tickets::default();
        tickets.push(ticket(1));
        let copy = tickets.clone();
        tickets.push(ticket(2));
        assert_eq!((copy.len(), tickets.len()), (1, 2));
    }

    #[test]
    fn a_set_of_places_is_listed_in_order_and_counts_each_once() {
        let mut places = Places::default();
        for place in [700, 0, 63, 64, 64, 5, 700] {
            places.insert(place);
        }
        for place in [5, 6, 5, 10_000] {
            places.remove(place);
        }
        assert_eq!((places.iter().collect::<Vec<_>>(), places.len()), (vec![0, 63, 64, 700], 4));
    }
}
