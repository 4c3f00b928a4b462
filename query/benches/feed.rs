//! An opening in which a great many are drawn and wait.

use usher_events::draw::{drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::Ticket;
use usher_events::time::Timestamp;
use usher_projector::store::Store;

use crate::pen::{OPENING, Pen, SEED, scheduled};

/// How many wait.
pub(crate) const WAITING: u32 = 1_000_000;

pub(crate) struct Feed {
    cohort: Vec<Ticket>,
    order: Vec<Ticket>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let ticket = |i: u32| {
            let mut secret = [0; 32];
            secret[..4].copy_from_slice(&i.to_le_bytes());
            Ticket::of_secret(&secret)
        };
        let mut cohort: Vec<Ticket> = (0..WAITING).map(ticket).collect();
        cohort.sort_unstable();
        let order = drawn_order(&SEED, &merkle_root(&cohort), None, &cohort);
        Self { cohort, order }
    }

    /// The paths of so many tickets, spread over the line.
    pub(crate) fn tickets(&self, count: usize, tail: &str) -> Vec<String> {
        let spread = self.order.iter().step_by(self.order.len() / count);
        spread.map(|ticket| format!("/v1/openings/{OPENING}/tickets/{ticket}{tail}")).collect()
    }

    /// Everybody joins, is drawn, and some are admitted.
    pub(crate) async fn fill(&self, store: &dyn Store) {
        let now = Timestamp::now();
        let begun = Timestamp(now.0 - 600_000);
        let mut pen = Pen::new(store);
        pen.write(scheduled(begun, now)).await;
        for ticket in &self.cohort {
            pen.write(VisitorJoined { at: begun, ticket: *ticket, number: None, subject: None }).await;
        }
        let cohort_root = merkle_root(&self.cohort);
        pen.write(LobbyClosed { at: begun, cohort_root, count: WAITING }).await;
        let order_root = merkle_root(&self.order);
        pen.write(DrawHeld { at: begun, seed: SEED, beacon: None, order_root }).await;
        pen.write(OpeningOpened { at: begun }).await;
        for (number, ticket) in (1..=300u32).zip(&self.order) {
            let at = Timestamp(now.0 - 310_000 + 1_000 * i64::from(number));
            pen.write(VisitorsAdmitted {
                at,
                admission: None,
                admitted: vec![Admitted { ticket: *ticket, number }],
                enter_by: at.plus_s(120),
                serving_number: number,
                next_admission_at: at.plus_s(1),
            })
            .await;
        }
        pen.step().await;
    }
}
