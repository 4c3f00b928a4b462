//! One person, one place: whose ticket it is, where the policy asks for it.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use usher_events::event::{TicketMoved, TicketState};
use usher_events::ids::{Hash, Ticket};
use usher_events::policy::Join;
use usher_events::time::Timestamp;

use super::{Opening, Refusal};

/// The most tickets of one subject in one opening: taking the place over and
/// joining anew after leaving each make one, and none is ever forgotten.
const MAX_TICKETS: u8 = 16;

/// The newest ticket of each subject. Takes no memory where anyone may join.
///
/// There may be two million: of a subject only the first half is kept. It is
/// a keyed hash that nobody can choose, so 128 bits tell all apart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Place>", into = "Vec<Place>")]
pub(super) struct Subjects {
    places: Vec<Place>,
    index: HashTable<u32>,
}

/// Where one subject's newest ticket is in the queue's list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Place {
    subject: [u8; 16],
    at: u32,
    tickets: u8,
}

impl From<Vec<Place>> for Subjects {
    fn from(places: Vec<Place>) -> Self {
        let mut index = HashTable::with_capacity(places.len());
        for (at, place) in (0..).zip(&places) {
            index.insert_unique(spread(&place.subject), at, |at| spread(&places[*at as usize].subject));
        }
        Self { places, index }
    }
}

impl From<Subjects> for Vec<Place> {
    fn from(subjects: Subjects) -> Self {
        subjects.places
    }
}

/// A keyed hash is as good a hash as any.
fn spread(subject: &[u8; 16]) -> u64 {
    subject.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

fn kept(subject: &Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&subject.0[..16]);
    half
}

impl Subjects {
    fn get(&self, subject: &Hash) -> Option<&Place> {
        let subject = kept(subject);
        let found = self.index.find(spread(&subject), |at| self.places[*at as usize].subject == subject);
        found.map(|at| &self.places[*at as usize])
    }

    /// The ticket at `at` is the newest one of `subject`.
    fn set(&mut self, subject: &Hash, at: u32) {
        let subject = kept(subject);
        let Self { places, index } = self;
        let hash = spread(&subject);
        if let Some(known) = index.find(hash, |at| places[*at as usize].subject == subject) {
            let place = &mut places[*known as usize];
            place.at = at;
            place.tickets = place.tickets.saturating_add(1);
            return;
        }
        let new = u32::try_from(places.len()).unwrap_or(u32::MAX);
        places.push(Place { subject, at, tickets: 1 });
        index.insert_unique(hash, new, |at| spread(&places[*at as usize].subject));
    }
}

// --- decide ---------------------------------------------------------------

impl Opening {
    /// Whose ticket a new one will be; none where anyone may join.
    pub(super) fn joins_as(&self, subject: Option<Hash>) -> Result<Option<Hash>, Refusal> {
        match (self.policy.join, subject) {
            (Join::Anyone, _) => Ok(None),
            (Join::Claim, None) => Err(Refusal::ClaimNeeded),
            (Join::Claim, subject) => Ok(subject),
        }
    }

    /// The subject's place goes to the new ticket `to`; none when there is no
    /// place to take over, so that `to` joins behind all others.
    ///
    /// Whoever left may join again: the end of the line is no advantage. Who
    /// had their turn, or missed it once too often, may not, or one person
    /// could go through the seat window again and again while others wait.
    /// And a visit does not move: it may hold seats.
    pub(super) fn taken_over(
        &self,
        now: Timestamp,
        subject: Hash,
        to: Ticket,
    ) -> Result<Option<TicketMoved>, Refusal> {
        let Some(place) = self.subjects.get(&subject) else { return Ok(None) };
        let entry = self.queue.entry(place.at);
        let number = (entry.number > 0).then_some(entry.number);
        let state = match entry.state {
            TicketState::Inside => return Err(Refusal::InsideElsewhere),
            state @ (TicketState::Done | TicketState::Spent) => return Err(Refusal::AlreadyServed { state }),
            _ if place.tickets >= MAX_TICKETS => {
                return Err(Refusal::TooManyTickets { max_tickets: MAX_TICKETS.into() });
            }
            TicketState::Left => return Ok(None),
            // Whoever takes the place over is there.
            TicketState::Away if number.is_some() => TicketState::Waiting,
            TicketState::Away => TicketState::Lobby,
            state => state,
        };
        Ok(Some(TicketMoved { at: now, from: self.queue.ticket_at(place.at), to, number, state, subject }))
    }

    // --- fold -------------------------------------------------------------

    /// `ticket`, which has joined, is the newest one of `subject`.
    pub(super) fn belongs_to(&mut self, ticket: &Ticket, subject: &Hash) {
        if let Some(at) = self.queue.find(ticket) {
            self.subjects.set(subject, at);
        }
    }
}
