//! Writes events into a view.

use std::collections::BTreeMap;

use usher_events::draw::commitment;
use usher_events::event::{Event, OpeningScheduled};
use usher_events::ids::{Hash, OpeningId};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use usher_projector::store::{Batch, Located, Place, Store};

pub(crate) const PARTITIONS: u32 = 1;
pub(crate) const OPENING: &str = "premiere";
pub(crate) const SEED: Hash = Hash([7; 32]);
/// Events of one step.
const STEP: usize = 4_096;

pub(crate) fn scheduled(begun: Timestamp, now: Timestamp) -> OpeningScheduled {
    OpeningScheduled {
        at: begun,
        title: "The premiere".to_owned(),
        opens_at: begun,
        drains_at: None,
        closes_at: now.plus_s(3_600_000),
        policy: Policy::default(),
        seed_commitment: commitment(&SEED),
        draw_key_id: "key-1".to_owned(),
        beacon: None,
        plans: BTreeMap::new(),
        showings: Vec::new(),
    }
}

/// Writes events into a view, a step at a time.
pub(crate) struct Pen<'a> {
    store: &'a dyn Store,
    place: Place,
    events: Vec<Located>,
}

impl<'a> Pen<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Self { store, place: Place::default(), events: Vec::new() }
    }

    pub(crate) async fn write(&mut self, event: impl Into<Event>) {
        let before = self.events.last().map_or(self.place, Located::after);
        let opening = OpeningId::new(OPENING).unwrap();
        let offset = before.position;
        self.events.push(Located { offset, opening, event: event.into(), operator: None, before });
        if self.events.len() >= STEP {
            self.step().await;
        }
    }

    pub(crate) async fn step(&mut self) {
        let Some(last) = self.events.last() else { return };
        let (follows, to) = (self.place, last.after());
        let events = std::mem::take(&mut self.events);
        self.store.apply(&Batch { partition: 0, follows, to, events }).await.unwrap();
        self.place = to;
    }
}
