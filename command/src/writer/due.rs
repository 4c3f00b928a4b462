//! When the timers of a partition's openings are due.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;

/// The next timer of each opening of a partition.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: HashMap<OpeningId, Timestamp>,
    order: BTreeSet<(Timestamp, OpeningId)>,
}

impl Timers {
    /// When `opening`'s next timer is due, as far as it is known.
    pub(super) fn of(&self, opening: &OpeningId) -> Option<Timestamp> {
        self.at.get(opening).copied()
    }

    /// Sets when `opening`'s next timer is due.
    pub(super) fn set(&mut self, opening: &OpeningId, due: Option<Timestamp>) {
        let before = self.of(opening);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, opening.clone()));
            self.at.remove(opening);
        }
        if let Some(due) = due {
            self.order.insert((due, opening.clone()));
            self.at.insert(opening.clone(), due);
        }
    }

    /// The opening whose timer is due first.
    pub(super) fn first(&self) -> Option<&(Timestamp, OpeningId)> {
        self.order.first()
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.at.clear();
        self.order.clear();
    }
}
