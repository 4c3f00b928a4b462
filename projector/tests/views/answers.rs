//! Everything that a history's views can be asked.

use std::collections::BTreeSet;

use usher_events::event::Event;
use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference, PlanName, ShowingId, Ticket};
use usher_projector::booking::BookingReader;
use usher_projector::queue::QueueReader;

use crate::history::{Fact, PARTITION};

/// What there is to ask about in one opening.
#[derive(Debug, Default)]
struct Asked {
    tickets: BTreeSet<Ticket>,
    plans: BTreeSet<PlanName>,
    showings: BTreeSet<ShowingId>,
    holds: BTreeSet<HoldId>,
    bookings: BTreeSet<BookingId>,
    settlements: BTreeSet<(HoldId, PaymentReference)>,
}

/// What there is to ask about in a history.
#[derive(Debug, Default)]
pub(crate) struct Questions(std::collections::BTreeMap<OpeningId, Asked>);

impl Questions {
    /// About everything that `facts` name, and about what they don't.
    pub(crate) fn about(facts: &[Fact]) -> Self {
        let mut questions = Self::default();
        for fact in facts {
            if let Fact::Happened(opening, event) = fact {
                questions.0.entry(opening.clone()).or_default().add(event);
            }
        }
        for asked in questions.0.values_mut() {
            asked.tickets.insert(Ticket([0xff; 32]));
            asked.holds.insert(HoldId(uuid::Uuid::max()));
            asked.bookings.insert(BookingId(uuid::Uuid::max()));
            asked.showings.insert(ShowingId::new("nowhere").unwrap());
        }
        questions
    }

    /// The queue views' answers, each as a line.
    pub(crate) async fn ask_queue(&self, view: &dyn QueueReader) -> Vec<String> {
        let mut lines = vec![format!("reached {:?}", view.reached(PARTITION).await.unwrap())];
        for (opening, asked) in &self.0 {
            let status = view.status(opening, PARTITION).await.unwrap();
            lines.push(format!("{opening} {status:?}"));
            for ticket in &asked.tickets {
                let answer = view.ticket(opening, PARTITION, ticket).await.unwrap();
                lines.push(format!("{opening} {ticket} {answer:?}"));
            }
            lines.push(format!("{opening} cohort {:?}", view.cohort(opening).await.unwrap()));
            lines.push(format!("{opening} order {:?}", view.order(opening).await.unwrap()));
        }
        lines
    }

    /// The booking views' answers, each as a line.
    pub(crate) async fn ask_booking(&self, view: &dyn BookingReader) -> Vec<String> {
        let mut lines = vec![format!("reached {:?}", view.reached(PARTITION).await.unwrap())];
        for (opening, asked) in &self.0 {
            let showings = view.showings(opening, PARTITION).await.unwrap();
            lines.push(format!("{opening} {showings:?}"));
            lines.push(format!("{opening} {:?}", view.counts(opening, PARTITION).await.unwrap()));
            let operated = view.operated(opening, PARTITION).await.unwrap();
            lines.push(format!("{opening} {operated:?}"));
            for plan in &asked.plans {
                lines.push(format!("{opening} {:?}", view.plan(opening, PARTITION, plan).await.unwrap()));
            }
            for showing in &asked.showings {
                self.ask_seats(view, opening, showing, &mut lines).await;
            }
            for hold in &asked.holds {
                lines.push(format!(
                    "{opening} {hold} {:?}",
                    view.hold(opening, PARTITION, *hold).await.unwrap()
                ));
            }
            for booking in &asked.bookings {
                let answer = view.booking(opening, PARTITION, *booking).await.unwrap();
                let reference = answer.value.as_ref().and_then(|booking| booking.reference.clone());
                if let Some(reference) = reference {
                    let called = view.booking_called(opening, PARTITION, &reference.parse().unwrap()).await;
                    assert_eq!(called.unwrap(), answer, "{reference}");
                }
                lines.push(format!("{opening} {booking} {answer:?}"));
            }
            for (hold, payment) in &asked.settlements {
                let answer = view.settlement(opening, PARTITION, *hold, payment).await.unwrap();
                lines.push(format!("{opening} {hold} {payment} {answer:?}"));
            }
        }
        lines
    }

    async fn ask_seats(
        &self,
        view: &dyn BookingReader,
        opening: &OpeningId,
        showing: &ShowingId,
        lines: &mut Vec<String>,
    ) {
        let seats = view.seats(opening, PARTITION, showing).await.unwrap();
        let version = seats.value.as_ref().map_or(0, |map| map.version);
        lines.push(format!("{opening} {showing} {seats:?}"));
        for since in [0, version / 2, version.saturating_sub(1), version, version + 1] {
            let changes = view.changes(opening, PARTITION, showing, since).await.unwrap();
            lines.push(format!("{opening} {showing} since {since} {changes:?}"));
        }
    }
}

impl Asked {
    fn add(&mut self, event: &Event) {
        match event {
            Event::OpeningScheduled(event) => {
                self.plans.extend(event.plans.keys().cloned());
                self.showings.extend(event.showings.iter().map(|showing| showing.showing.clone()));
            }
            Event::PlanAdded(event) => drop(self.plans.insert(event.name.clone())),
            Event::ShowingAdded(event) => drop(self.showings.insert(event.showing.showing.clone())),
            Event::VisitorJoined(event) => drop(self.tickets.insert(event.ticket)),
            Event::TicketMoved(event) => self.tickets.extend([event.from, event.to]),
            Event::SeatsHeld(event) => drop(self.holds.insert(event.hold)),
            Event::BookingConfirmed(event) => {
                self.bookings.insert(event.booking);
                self.settlements.insert((event.hold, event.payment_reference.clone()));
            }
            Event::RefundDue(event) => {
                self.settlements.insert((event.hold, event.payment_reference.clone()));
            }
            _ => {}
        }
    }
}

/// Fails with the first lines that differ.
pub(crate) fn assert_same(name: &str, found: &[String], expected: &[String]) {
    let pairs = found.iter().zip(expected);
    for (found, expected) in pairs {
        assert_eq!(found, expected, "{name} answers otherwise than the view in memory");
    }
    assert_eq!(found.len(), expected.len(), "{name} answers more or less");
}
