//! Short names for what happened.

use std::collections::BTreeMap;

use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::{BookingId, Hash, HoldId, PaymentReference, PlanName, SeatId, ShowingId, Ticket};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

pub(crate) const ANN: Ticket = Ticket([1; 32]);
pub(crate) const BEN: Ticket = Ticket([2; 32]);
pub(crate) const CAT: Ticket = Ticket([3; 32]);
pub(crate) const SEED: Hash = Hash([7; 32]);

/// The openings' first moment, and `seconds` later.
pub(crate) fn at(seconds: u32) -> Timestamp {
    Timestamp(1_800_000_000_000).plus_s(seconds)
}

pub(crate) fn evening() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

pub(crate) fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId::new(name).unwrap()).collect()
}

pub(crate) fn hold_id(n: u128) -> HoldId {
    HoldId(Uuid::from_u128(n))
}

pub(crate) fn booking_id(n: u128) -> BookingId {
    BookingId(Uuid::from_u128(0x100 + n))
}

/// Two rows of four seats; B4 is not sold.
fn hall() -> Plan {
    let row = |row: &str| {
        let seats: Vec<_> = (1..=4).map(|i| serde_json::json!({"seat_guid": format!("{row}{i}")})).collect();
        serde_json::json!({"row_number": row, "seats": seats})
    };
    serde_json::from_value(serde_json::json!({
        "seating": {"name": "Hall", "zones": [{"rows": [row("A"), row("B")]}]},
        "details": {"blocked": {"B4": "pillar"}, "kinds": {"A1": "wheelchair"}}
    }))
    .unwrap()
}

pub(crate) fn scheduled() -> OpeningScheduled {
    let plan = PlanName::new("hall-1").unwrap();
    let showing = |name: &str| Showing {
        showing: ShowingId::new(name).unwrap(),
        title: format!("The {name}"),
        starts_at: at(86_400),
        plan: plan.clone(),
    };
    OpeningScheduled {
        at: at(0),
        title: "The premiere".to_owned(),
        opens_at: at(60),
        drains_at: None,
        closes_at: at(36_000),
        policy: Policy { capacity: 4, admissions_per_minute: Some(60), ..Policy::default() },
        seed_commitment: commitment(&SEED),
        draw_key_id: "key-1".to_owned(),
        beacon: None,
        showings: vec![showing("evening"), showing("matinee")],
        plans: BTreeMap::from([(plan, hall())]),
    }
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
    let begun = [scheduled().into(), lobby_closed(&[]), drawn(&[]).1, OpeningOpened { at: at(62) }.into()];
    begun.into_iter().chain(events).collect()
}

pub(crate) fn admitted(ticket: Ticket, number: u32, at: Timestamp) -> Event {
    VisitorsAdmitted {
        at,
        admission: None,
        admitted: vec![Admitted { ticket, number }],
        enter_by: at.plus_s(20),
        serving_number: number,
        next_admission_at: at.plus_s(1),
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

pub(crate) fn released(ticket: Ticket, hold: HoldId, names: &[&str]) -> Event {
    let released = ReleasedHold { hold, showing: evening(), seats: seats(names) };
    HoldReleased { at: at(95), ticket, released }.into()
}

/// What people call the booking.
pub(crate) const REFERENCE: &str = "4K9-MQA4";

pub(crate) fn booked(ticket: Ticket, hold: HoldId, names: &[&str]) -> Event {
    BookingConfirmed {
        at: at(100),
        booking: booking_id(1),
        hold,
        ticket,
        showing: evening(),
        seats: seats(names),
        payment_reference: PaymentReference::new("pay-1").unwrap(),
        late: false,
        visit_ended: true,
        reference: Some(REFERENCE.to_owned()),
    }
    .into()
}

/// `ticket` is inside, with a hold of A1 and A2.
pub(crate) fn holds(ticket: Ticket) -> Vec<Event> {
    in_line([
        joined(ticket, Some(1)),
        admitted(ticket, 1, at(70)),
        entered(ticket),
        held(ticket, hold_id(1), &["A1", "A2"]),
    ])
}
