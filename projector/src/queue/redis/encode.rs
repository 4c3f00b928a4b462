//! How queue views are written down in Redis.

use std::collections::HashSet;

use serde::Serialize;
use usher_events::event::TicketState;
use usher_events::ids::Ticket;
use usher_events::time::Timestamp;

use super::super::{BUCKET_MS, BUCKETS, QueueStep, StatusPatch, TicketStep};
use crate::store::{Deadline, Located};

/// The most tickets after which a step takes no further event, so that a
/// script never keeps the server from others for long.
const STEP_TICKETS: usize = 4_096;

/// A ticket's state as one letter.
pub(super) fn letter(state: TicketState) -> u8 {
    match state {
        TicketState::Lobby => b'L',
        TicketState::Waiting => b'W',
        TicketState::Away => b'A',
        TicketState::Admitted => b'N',
        TicketState::Inside => b'I',
        TicketState::Done => b'D',
        TicketState::Left => b'G',
        TicketState::Spent => b'S',
    }
}

/// The state of a letter.
pub(super) fn state(letter: u8) -> Option<TicketState> {
    Some(match letter {
        b'L' => TicketState::Lobby,
        b'W' => TicketState::Waiting,
        b'A' => TicketState::Away,
        b'N' => TicketState::Admitted,
        b'I' => TicketState::Inside,
        b'D' => TicketState::Done,
        b'G' => TicketState::Left,
        b'S' => TicketState::Spent,
        _ => return None,
    })
}

/// What a scan reads of a ticket's entry: `state marks number deadline`, the
/// number in 4 bytes, the deadline in 16 or none.
pub(super) fn state_and_number(entry: &[u8]) -> Option<(TicketState, u32)> {
    let number = entry.get(2..6)?.try_into().ok()?;
    Some((state(*entry.first()?)?, u32::from_be_bytes(number)))
}

/// A deadline of an entry.
pub(super) fn deadline(bytes: &[u8]) -> Option<Deadline> {
    let (at, given) = bytes.split_first_chunk::<8>()?;
    let at = Timestamp(i64::from_be_bytes(*at));
    Some(Deadline { at, given: u64::from_be_bytes(given.try_into().ok()?) })
}

/// A field of the status with its value as JSON.
pub(super) type Field = (&'static str, String);

/// A field's value as JSON.
pub(super) fn field(name: &'static str, value: &impl Serialize) -> Result<Field, serde_json::Error> {
    Ok((name, serde_json::to_string(value)?))
}

/// The small changes of some events of one opening, as one step.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// Whose changes they are, in order; never empty.
    pub(super) events: Vec<&'a Located>,
    /// Whether the opening begins here.
    pub(super) begins: bool,
    /// The changes of tickets, packed for the script.
    pub(super) packed: Vec<u8>,
    /// The changes of the status, as the script's arguments.
    pub(super) arguments: Vec<String>,
    tickets: usize,
    /// The tickets that join here, as long as nothing else happens.
    joining: Option<HashSet<Ticket>>,
}

/// A ticket that joins, as it was packed.
pub(super) struct Joining<'a> {
    pub(super) ticket: &'a [u8],
    /// Its entry: state, marks, number.
    pub(super) entry: [u8; 6],
    pub(super) number: u32,
}

/// How many bytes a joining ticket is packed in: kind, ticket, state, number.
const JOINING: usize = 38;

impl<'a> Group<'a> {
    /// The group that begins with `located`.
    pub(super) fn of(located: &'a Located) -> Self {
        let (packed, arguments, joining) = (Vec::new(), Vec::new(), Some(HashSet::new()));
        Self { events: vec![located], begins: false, packed, arguments, tickets: 0, joining }
    }

    /// Whether it takes no further event.
    pub(super) fn is_full(&self) -> bool {
        self.tickets >= STEP_TICKETS
    }

    /// Adds what an event of the group changes.
    pub(super) fn add(&mut self, step: QueueStep) -> Result<(), serde_json::Error> {
        let QueueStep::Small { tickets, status } = step else { return Ok(()) };
        if let Some(patch) = status {
            self.patch(&patch)?;
        }
        tickets.iter().for_each(|ticket| self.ticket(ticket));
        Ok(())
    }

    /// The tickets, where the group is joins and nothing else, each of another
    /// ticket, and all with a number or all without.
    pub(super) fn joins(&self) -> Option<Vec<Joining<'_>>> {
        let joining = self.joining.as_ref().filter(|_| self.arguments.is_empty())?;
        let (packed, _) = self.packed.as_chunks::<JOINING>();
        let joins: Vec<_> = packed.iter().map(Joining::of).collect();
        let numbered = joins.iter().filter(|join| join.number > 0).count();
        (!joins.is_empty() && joining.len() == joins.len() && (numbered == 0 || numbered == joins.len()))
            .then_some(joins)
    }

    fn ticket(&mut self, step: &TicketStep) {
        self.tickets += 1;
        match &mut self.joining {
            Some(joining) if step.joins && step.moved_from.is_none() && step.deadline.is_none() => {
                joining.insert(step.ticket);
            }
            joining => *joining = None,
        }
        let kind = match step {
            TicketStep { moved_from: Some(_), .. } => b'm',
            TicketStep { deadline: Some(_), .. } => b'd',
            TicketStep { joins: true, .. } => b'n',
            _ => b'o',
        };
        let packed = &mut self.packed;
        packed.push(kind);
        packed.extend(step.ticket.0);
        packed.push(letter(step.state));
        packed.extend(step.number.unwrap_or(0).to_be_bytes());
        if let Some(from) = step.moved_from {
            packed.extend(from.0);
        } else if let Some(deadline) = step.deadline {
            packed.extend(deadline.at.0.to_be_bytes());
            packed.extend(deadline.given.to_be_bytes());
        }
    }

    /// Sets fields of the status.
    pub(super) fn set(&mut self, fields: impl IntoIterator<Item = Field>) {
        for (name, value) in fields {
            self.arguments.extend(["S".to_owned(), name.to_owned(), value]);
        }
    }

    /// Shows the numbers that were written down for the draw.
    pub(super) fn show_numbers(&mut self) {
        self.arguments.push("D".to_owned());
    }

    fn patch(&mut self, patch: &StatusPatch) -> Result<(), serde_json::Error> {
        match patch {
            StatusPatch::Scheduled(status) => {
                self.begins = true;
                self.set([
                    field("title", &status.title)?,
                    field("state", &status.state)?,
                    field("opens_at", &status.opens_at)?,
                    field("drains_at", &status.drains_at)?,
                    field("closes_at", &status.closes_at)?,
                    field("policy", &status.policy)?,
                    field("draw", &status.draw)?,
                ]);
            }
            StatusPatch::Rescheduled { title, opens_at, drains_at, closes_at } => self.set([
                field("title", title)?,
                field("opens_at", opens_at)?,
                field("drains_at", drains_at)?,
                field("closes_at", closes_at)?,
            ]),
            StatusPatch::Policy(policy) => self.set([field("policy", policy)?]),
            StatusPatch::Message(message) => self.set([field("message", message)?]),
            StatusPatch::State(state) => self.set([field("state", state)?]),
            StatusPatch::Admitted { serving_number, bucket, count } => {
                let window = BUCKET_MS * BUCKETS as i64;
                let numbers = [*bucket, i64::from(*count), i64::from(*serving_number), window];
                self.arguments.push("A".to_owned());
                self.arguments.extend(numbers.map(|number| number.to_string()));
            }
        }
        Ok(())
    }
}

impl<'a> Joining<'a> {
    fn of(packed: &'a [u8; JOINING]) -> Self {
        let [_, ticket @ .., state, a, b, c, d] = packed;
        let number = [*a, *b, *c, *d];
        let entry = [*state, b'0', *a, *b, *c, *d];
        Self { ticket, entry, number: u32::from_be_bytes(number) }
    }
}

/// Tickets of 32 bytes, one after the other.
pub(super) fn list(tickets: &[Ticket]) -> Vec<u8> {
    tickets.iter().flat_map(|ticket| ticket.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_letter_of_its_own() {
        use TicketState::*;
        for known in [Lobby, Waiting, Away, Admitted, Inside, Done, Left, Spent] {
            assert_eq!(state(letter(known)), Some(known));
        }
        assert_eq!(state(b'?'), None);
    }

    #[test]
    fn an_entry_that_is_cut_short_is_none() {
        assert_eq!(state_and_number(b"W0\0\0\0\x07"), Some((TicketState::Waiting, 7)));
        assert_eq!(state_and_number(b"W0\0\0"), None);
        assert_eq!(deadline(b""), None);
    }
}
