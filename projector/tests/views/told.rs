//! Short names for what happened, and for what the views in memory say of it.

use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::{
    BookingId, ExtensionId, Hash, HoldId, OpeningId, PaymentReference, SeatId, ShowingId, Ticket,
};
use usher_events::time::Timestamp;
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::booking::{BookingReader, BookingState, HoldState, SeatState};
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::queue::{OpeningStatus, QueueReader, TicketView};
use usher_projector::store::Store;
use uuid::Uuid;

use crate::history::{Fact, PARTITION, batches, records};
use crate::play::schedule;

pub(crate) const ANN: Ticket = Ticket([1; 32]);
pub(crate) const BEN: Ticket = Ticket([2; 32]);
pub(crate) const CAT: Ticket = Ticket([3; 32]);
pub(crate) const SEED: Hash = Hash([7; 32]);

pub(crate) fn opening() -> OpeningId {
    OpeningId::new("premiere").unwrap()
}

pub(crate) fn at(seconds: u32) -> Timestamp {
    Timestamp(1_800_000_000_000).plus_s(seconds)
}

pub(crate) fn evening() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

pub(crate) fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId::new(name).unwrap()).collect()
}

pub(crate) fn hold_id(id: u128) -> HoldId {
    HoldId(Uuid::from_u128(id))
}

pub(crate) fn booking_id(id: u128) -> BookingId {
    BookingId(Uuid::from_u128(0x100 + id))
}

pub(crate) fn payment(reference: &str) -> PaymentReference {
    PaymentReference::new(reference).unwrap()
}

pub(crate) fn scheduled() -> Event {
    let asked = schedule();
    OpeningScheduled {
        at: at(0),
        title: asked.title,
        opens_at: asked.opens_at,
        drains_at: None,
        closes_at: asked.closes_at,
        policy: asked.policy,
        seed_commitment: commitment(&SEED),
        draw_key_id: "key-1".to_owned(),
        beacon: None,
        plans: asked.plans,
        showings: asked.showings,
    }
    .into()
}

pub(crate) fn joined(ticket: Ticket, number: Option<u32>) -> Event {
    VisitorJoined { at: at(1), ticket, number, subject: None }.into()
}

pub(crate) fn lobby_closed(cohort: &[Ticket]) -> Event {
    let count = u32::try_from(cohort.len()).unwrap();
    LobbyClosed { at: at(60), cohort_root: merkle_root(cohort), count }.into()
}

/// The order of an ascending cohort, and the draw that gives it.
pub(crate) fn drawn(cohort: &[Ticket]) -> (Vec<Ticket>, Event) {
    let order = drawn_order(&SEED, &merkle_root(cohort), None, cohort);
    let event = DrawHeld { at: at(61), seed: SEED, beacon: None, order_root: merkle_root(&order) };
    (order, event.into())
}

/// Scheduled, and drawn with an empty lobby: who joins now has a number.
pub(crate) fn in_line(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let begun = [scheduled(), lobby_closed(&[]), drawn(&[]).1, OpeningOpened { at: at(62) }.into()];
    begun.into_iter().chain(events).collect()
}

pub(crate) fn admitted(ticket: Ticket, number: u32, seconds: u32) -> Event {
    VisitorsAdmitted {
        at: at(seconds),
        admission: None,
        admitted: vec![Admitted { ticket, number }],
        enter_by: at(seconds + 20),
        serving_number: number,
        next_admission_at: at(seconds + 1),
    }
    .into()
}

pub(crate) fn entered(ticket: Ticket) -> Event {
    VisitorEntered { at: at(80), ticket, leave_by: at(140) }.into()
}

pub(crate) fn held(ticket: Ticket, hold: HoldId, names: &[&str]) -> Event {
    SeatsHeld {
        at: at(90),
        hold,
        ticket,
        showing: evening(),
        seats: seats(names),
        expires_at: at(105),
        leave_by: at(140),
    }
    .into()
}

pub(crate) fn booked(ticket: Ticket, hold: HoldId, names: &[&str], visit_ended: bool) -> Event {
    BookingConfirmed {
        at: at(100),
        booking: booking_id(1),
        hold,
        ticket,
        showing: evening(),
        seats: seats(names),
        payment_reference: payment("pay-1"),
        late: false,
        visit_ended,
        reference: None,
    }
    .into()
}

/// Ann's first hold has `names` now, and no A1 any more.
pub(crate) fn swapped(names: &[&str]) -> Event {
    HoldSwapped {
        at: at(91),
        hold: hold_id(1),
        ticket: ANN,
        showing: evening(),
        freed: seats(&["A1"]),
        seats: seats(names),
        expires_at: at(105),
    }
    .into()
}

/// Ann's first hold, and her visit, last until then.
pub(crate) fn extended(until: Timestamp) -> Event {
    HoldExtended {
        at: at(92),
        hold: hold_id(1),
        ticket: ANN,
        extension: ExtensionId(Uuid::from_u128(5)),
        expires_at: until,
        leave_by: until,
    }
    .into()
}

/// Ann inside, with a hold of A1 and A2.
pub(crate) fn ann_holds() -> Vec<Event> {
    in_line([joined(ANN, Some(1)), admitted(ANN, 1, 70), entered(ANN), held(ANN, hold_id(1), &["A1", "A2"])])
}

pub(crate) fn facts(events: impl IntoIterator<Item = Event>) -> Vec<Fact> {
    events.into_iter().map(|event| Fact::Happened(opening(), event)).collect()
}

pub(crate) async fn apply(store: &dyn Store, facts: &[Fact], size: usize) {
    for batch in batches(&records(facts), &[size]) {
        store.apply(&batch).await.unwrap();
    }
}

pub(crate) struct Views {
    pub(crate) queues: MemoryQueues,
    pub(crate) bookings: MemoryBookings,
}

/// The views after `facts`.
pub(crate) async fn after_facts(facts: &[Fact]) -> Views {
    let views = Views { queues: MemoryQueues::new(1), bookings: MemoryBookings::new(1) };
    apply(&views.queues, facts, 100).await;
    apply(&views.bookings, facts, 100).await;
    views
}

pub(crate) async fn after(events: impl IntoIterator<Item = Event>) -> Views {
    after_facts(&facts(events)).await
}

impl Views {
    pub(crate) async fn ticket(&self, ticket: Ticket) -> TicketView {
        self.queues.ticket(&opening(), PARTITION, &ticket).await.unwrap().value.unwrap()
    }

    pub(crate) async fn status(&self) -> OpeningStatus {
        self.queues.status(&opening(), PARTITION).await.unwrap().value.unwrap()
    }

    pub(crate) async fn seat(&self, name: &str) -> SeatState {
        let map = self.bookings.seats(&opening(), PARTITION, &evening()).await.unwrap().value.unwrap();
        map.seats.into_iter().find(|seat| seat.seat.as_str() == name).unwrap().state
    }

    pub(crate) async fn hold(&self, hold: HoldId) -> (HoldState, Vec<SeatId>) {
        let hold = self.bookings.hold(&opening(), PARTITION, hold).await.unwrap().value.unwrap();
        (hold.state, hold.seats)
    }

    pub(crate) async fn booking(&self, id: u128) -> (BookingState, Vec<SeatId>) {
        let found = self.bookings.booking(&opening(), PARTITION, booking_id(id)).await.unwrap();
        found.value.map(|booking| (booking.state, booking.seats)).unwrap()
    }

    pub(crate) async fn refund(&self, payment_reference: &str) -> Option<RefundReason> {
        let payment = payment(payment_reference);
        let found = self.bookings.settlement(&opening(), PARTITION, hold_id(1), &payment).await.unwrap();
        found.value.unwrap().refund
    }
}
