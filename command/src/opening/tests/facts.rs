//! Short names for what happened, and for what may be asked.

use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::{
    AdmissionId, BookingId, ExtensionId, Hash, HoldId, PaymentReference, PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::reference::BookingReference;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::{Command, at, ms};
use crate::opening::Schedule;

pub(super) const OPENS_AT: Timestamp = Timestamp(1_800_000_000_000);
pub(super) const SEED: Hash = Hash([7; 32]);

pub(super) const ANN: Ticket = Ticket([1; 32]);
pub(super) const BEN: Ticket = Ticket([2; 32]);
pub(super) const CAT: Ticket = Ticket([3; 32]);
pub(super) const DAN: Ticket = Ticket([4; 32]);

pub(super) const EVENING: &str = "evening";

// --- names ------------------------------------------------------------------

/// A visitor beyond the four with names.
pub(super) fn visitor(number: u32) -> Ticket {
    let mut ticket = [0xee; 32];
    ticket[..4].copy_from_slice(&number.to_be_bytes());
    Ticket(ticket)
}

pub(super) fn hold_id(id: u8) -> HoldId {
    HoldId(Uuid::from_u128(0x1000 + u128::from(id)))
}

pub(super) fn extension_id(id: u8) -> ExtensionId {
    ExtensionId(Uuid::from_u128(0x2000 + u128::from(id)))
}

pub(super) fn booking_id(id: u8) -> BookingId {
    BookingId(Uuid::from_u128(0x3000 + u128::from(id)))
}

pub(super) fn admission_id(id: u8) -> AdmissionId {
    AdmissionId(Uuid::from_u128(0x4000 + u128::from(id)))
}

pub(super) fn showing_id(name: &str) -> ShowingId {
    ShowingId::new(name).unwrap()
}

pub(super) fn plan_name(name: &str) -> PlanName {
    PlanName::new(name).unwrap()
}

pub(super) fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId::new(name).unwrap()).collect()
}

pub(super) fn payment(reference: &str) -> PaymentReference {
    PaymentReference::new(reference).unwrap()
}

// --- the opening ------------------------------------------------------------

/// Rows A and B of four seats; B4 is blocked.
pub(super) fn hall() -> Plan {
    let row = |row: &str| {
        let seats: Vec<_> = (1..=4).map(|i| serde_json::json!({"seat_guid": format!("{row}{i}")})).collect();
        serde_json::json!({"row_number": row, "seats": seats})
    };
    serde_json::from_value(serde_json::json!({
        "seating": {"name": "Hall", "zones": [{"rows": [row("A"), row("B")]}]},
        "details": {"blocked": {"B4": "pillar"}}
    }))
    .unwrap()
}

pub(super) fn showing(name: &str) -> Showing {
    let (showing, plan) = (showing_id(name), plan_name("hall"));
    Showing { showing, title: "The premiere".to_owned(), starts_at: at(86_400), plan }
}

/// Room for two, two minutes to enter, ten to stay, five to hold.
pub(super) fn policy() -> Policy {
    Policy { capacity: 2, ..Policy::default() }
}

pub(super) fn schedule() -> Schedule {
    Schedule {
        title: "The premiere".to_owned(),
        opens_at: OPENS_AT,
        drains_at: None,
        closes_at: at(36_000),
        policy: policy(),
        beacon: None,
        plans: [(plan_name("hall"), hall())].into(),
        showings: vec![showing(EVENING), showing("matinee")],
        seed_commitment: commitment(&SEED),
        draw_key_id: "key-1".to_owned(),
    }
}

/// Quicknet's round that comes out `seconds`, of which three make a round,
/// after the opening opens.
pub(super) fn beacon_at(seconds: i64) -> Beacon {
    let round = 35_732_212u64.saturating_add_signed(seconds / 3);
    Beacon { source: "drand-quicknet".to_owned(), round, round_at: at(seconds) }
}

pub(super) fn scheduled_as(asked: Schedule) -> Event {
    OpeningScheduled {
        at: at(-3_600),
        title: asked.title,
        opens_at: asked.opens_at,
        drains_at: asked.drains_at,
        closes_at: asked.closes_at,
        policy: asked.policy,
        seed_commitment: asked.seed_commitment,
        draw_key_id: asked.draw_key_id,
        beacon: asked.beacon,
        plans: asked.plans,
        showings: asked.showings,
    }
    .into()
}

pub(super) fn scheduled() -> Event {
    scheduled_as(schedule())
}

/// Scheduled with other rules, and opened with an empty lobby: visitors who
/// join are numbered 1, 2, 3, ...
pub(super) fn open_with(policy: Policy) -> Vec<Event> {
    open_as(Schedule { policy, ..schedule() })
}

pub(super) fn open_as(schedule: Schedule) -> Vec<Event> {
    vec![scheduled_as(schedule), lobby_closed(&[]), drawn(&[]), OpeningOpened { at: at(0) }.into()]
}

pub(super) fn open() -> Vec<Event> {
    open_with(policy())
}

/// Open, with the four visitors in line: Ann 1, Ben 2, Cat 3, Dan 4.
pub(super) fn four_in_line() -> Vec<Event> {
    four_in_line_with(policy())
}

pub(super) fn four_in_line_with(policy: Policy) -> Vec<Event> {
    let mut events = open_with(policy);
    events.extend([joined(ANN, 1), joined(BEN, 2), joined(CAT, 3), joined(DAN, 4)]);
    events
}

/// Ann, number 1, is inside the seat window since `at(1)`, until `at(601)`.
pub(super) fn ann_inside() -> Vec<Event> {
    ann_inside_with(policy())
}

pub(super) fn ann_inside_with(policy: Policy) -> Vec<Event> {
    let mut events = four_in_line_with(policy);
    events.extend([admitted(at(1), &[(ANN, 1)]), entered(ANN, at(1))]);
    events
}

/// Ann and Ben are inside since `at(1)`.
pub(super) fn ann_and_ben_inside() -> Vec<Event> {
    let mut events = four_in_line();
    events.extend([admitted(at(1), &[(ANN, 1), (BEN, 2)]), entered(ANN, at(1)), entered(BEN, at(1))]);
    events
}

pub(super) fn paused(now: Timestamp) -> Event {
    OpeningPaused { at: now }.into()
}

pub(super) fn resumed(now: Timestamp) -> Event {
    OpeningResumed { at: now }.into()
}

pub(super) fn drained(now: Timestamp) -> Event {
    OpeningDrained { at: now }.into()
}

pub(super) fn closed(now: Timestamp) -> Event {
    OpeningClosed { at: now }.into()
}

// --- the waiting room -------------------------------------------------------

pub(super) fn in_lobby(ticket: Ticket) -> Event {
    VisitorJoined { at: at(-60), ticket, number: None, subject: None }.into()
}

pub(super) fn joined(ticket: Ticket, number: u32) -> Event {
    VisitorJoined { at: at(0), ticket, number: Some(number), subject: None }.into()
}

pub(super) fn left(now: Timestamp, ticket: Ticket) -> Event {
    VisitorLeft { at: now, ticket, state: TicketState::Left, released: vec![] }.into()
}

pub(super) fn went_away(now: Timestamp, tickets: &[Ticket]) -> Event {
    VisitorsWentAway { at: now, tickets: tickets.to_vec() }.into()
}

pub(super) fn returned(now: Timestamp, tickets: &[Ticket]) -> Event {
    VisitorsReturned { at: now, tickets: tickets.to_vec() }.into()
}

pub(super) fn cohort_root(cohort: &[Ticket]) -> Hash {
    let mut cohort = cohort.to_vec();
    cohort.sort_unstable();
    merkle_root(&cohort)
}

pub(super) fn order_of(cohort: &[Ticket]) -> Vec<Ticket> {
    drawn_order(&SEED, &cohort_root(cohort), None, cohort)
}

pub(super) fn lobby_closed(cohort: &[Ticket]) -> Event {
    let count = u32::try_from(cohort.len()).unwrap();
    LobbyClosed { at: at(0), cohort_root: cohort_root(cohort), count }.into()
}

pub(super) fn drawn(cohort: &[Ticket]) -> Event {
    let order_root = merkle_root(&order_of(cohort));
    DrawHeld { at: at(0), seed: SEED, beacon: None, order_root }.into()
}

/// Admitted by the timer, with two minutes to enter and the rate in no way.
pub(super) fn admitted(now: Timestamp, who: &[(Ticket, u32)]) -> Event {
    let admitted: Vec<_> = who.iter().map(|&(ticket, number)| Admitted { ticket, number }).collect();
    VisitorsAdmitted {
        at: now,
        admission: None,
        enter_by: now.plus_s(120),
        serving_number: who.iter().map(|(_, number)| *number).max().unwrap(),
        next_admission_at: now,
        admitted,
    }
    .into()
}

pub(super) fn entered(ticket: Ticket, now: Timestamp) -> Event {
    VisitorEntered { at: now, ticket, leave_by: now.plus_s(600) }.into()
}

pub(super) fn visit_ended(now: Timestamp, ticket: Ticket, state: TicketState) -> Event {
    VisitsEnded { at: now, visits: vec![EndedVisit { ticket, state, released: vec![] }] }.into()
}

// --- seats ------------------------------------------------------------------

pub(super) fn of_hold(hold: u8, names: &[&str]) -> ReleasedHold {
    ReleasedHold { hold: hold_id(hold), showing: showing_id(EVENING), seats: seats(names) }
}

/// Held for five minutes in the evening showing, by a visit until `at(601)`.
pub(super) fn held(now: Timestamp, hold: u8, ticket: Ticket, names: &[&str]) -> Event {
    SeatsHeld {
        at: now,
        hold: hold_id(hold),
        ticket,
        showing: showing_id(EVENING),
        seats: seats(names),
        expires_at: now.plus_s(300),
        leave_by: at(601).max(now.plus_s(300)),
    }
    .into()
}

pub(super) fn released(now: Timestamp, hold: u8, ticket: Ticket, names: &[&str]) -> Event {
    HoldReleased { at: now, ticket, released: of_hold(hold, names) }.into()
}

pub(super) fn expired(now: Timestamp, hold: u8, ticket: Ticket, names: &[&str]) -> Event {
    HoldsExpired { at: now, holds: vec![ExpiredHold { ticket, released: of_hold(hold, names) }] }.into()
}

/// All of booking `id` was cancelled, which was paid with `p-1`.
pub(super) fn cancelled(now: Timestamp, id: u8, ticket: Ticket, names: &[&str]) -> BookingCancelled {
    BookingCancelled {
        at: now,
        booking: booking_id(id),
        ticket,
        payment_reference: payment("p-1"),
        showing: showing_id(EVENING),
        freed: seats(names),
        remaining: vec![],
    }
}

/// Hold `id` of `ticket` became booking `id`, paid with `p-1`.
pub(super) fn booked(now: Timestamp, id: u8, ticket: Ticket, names: &[&str]) -> BookingConfirmed {
    BookingConfirmed {
        at: now,
        booking: booking_id(id),
        hold: hold_id(id),
        ticket,
        showing: showing_id(EVENING),
        seats: seats(names),
        payment_reference: payment("p-1"),
        late: false,
        visit_ended: true,
        reference: Some(nth_reference(0)),
    }
}

/// The reference of the opening's booking number `n`, from 0.
pub(super) fn nth_reference(n: u64) -> String {
    BookingReference::nth(&commitment(&SEED), n).to_string()
}

pub(super) fn refund_due(now: Timestamp, id: u8, ticket: Ticket, reason: RefundReason) -> RefundDue {
    let (booking, hold) = (booking_id(id), hold_id(id));
    RefundDue { at: now, booking, hold, ticket, payment_reference: payment("p-1"), reason }
}

// --- commands ---------------------------------------------------------------

pub(super) fn hold(hold: u8, ticket: Ticket, names: &[&str]) -> Command {
    Command::Hold {
        hold: hold_id(hold),
        ticket,
        showing: showing_id(EVENING),
        seats: seats(names),
        wheelchair: false,
    }
}

pub(super) fn swap(hold: u8, ticket: Ticket, names: &[&str]) -> Command {
    Command::Swap { hold: hold_id(hold), ticket, seats: seats(names), wheelchair: false }
}

pub(super) fn extend(hold: u8, ticket: Ticket, extension: u8) -> Command {
    Command::Extend { hold: hold_id(hold), ticket, extension: extension_id(extension) }
}

pub(super) fn release(hold: u8, ticket: Ticket) -> Command {
    Command::Release { hold: hold_id(hold), ticket }
}

pub(super) fn confirm(booking: u8, hold: u8, reference: &str) -> Command {
    let payment_reference = payment(reference);
    Command::Confirm { booking: booking_id(booking), hold: hold_id(hold), payment_reference }
}

pub(super) fn cancel(booking: u8) -> Command {
    Command::Cancel { booking: booking_id(booking), seat: None }
}

pub(super) fn cancel_seat(booking: u8, name: &str) -> Command {
    Command::Cancel { booking: booking_id(booking), seat: Some(seats(&[name]).remove(0)) }
}

pub(super) fn admit(admission: u8, count: u32) -> Command {
    Command::AdmitByHand { admission: admission_id(admission), count }
}

pub(super) fn change_policy(patch: serde_json::Value) -> Command {
    Command::ChangePolicy { patch }
}

/// The command that leads to `event`, where its id is remembered.
pub(super) fn command_of(event: &Event) -> Option<Command> {
    Some(match event.clone() {
        Event::OpeningScheduled(_) => Command::Schedule(Box::new(schedule())),
        Event::SeatsHeld(SeatsHeld { hold, ticket, showing, seats, .. }) => {
            Command::Hold { hold, ticket, showing, seats, wheelchair: false }
        }
        Event::HoldExtended(HoldExtended { hold, ticket, extension, .. }) => {
            Command::Extend { hold, ticket, extension }
        }
        Event::BookingConfirmed(BookingConfirmed { booking, hold, payment_reference, .. })
        | Event::RefundDue(RefundDue { booking, hold, payment_reference, .. }) => {
            Command::Confirm { booking, hold, payment_reference }
        }
        Event::BookingCancelled(BookingCancelled { booking, freed, remaining, .. }) => {
            let seat = freed.into_iter().next().filter(|_| !remaining.is_empty());
            Command::Cancel { booking, seat }
        }
        _ => return None,
    })
}

/// A whole second is a long time: what the last millisecond before shows.
pub(super) fn just_before(time: Timestamp) -> Timestamp {
    ms(time.0 - OPENS_AT.0 - 1)
}
