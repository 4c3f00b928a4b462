//! What each event changes in a view.

use std::collections::BTreeMap;

use usher_events::draw::{commitment, drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::{
    BookingId, ExtensionId, Hash, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::booking::postgres::PostgresBookings;
use usher_projector::booking::{BookingReader, BookingState, HoldState, SeatState};
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::queue::{OpeningState, OpeningStatus, QueueReader, TicketView};
use usher_projector::store::Store;
use uuid::Uuid;

use crate::answers::{Questions, assert_same};
use crate::history::{Fact, PARTITION, batches, records};
use crate::play::{hall, schedule, showing, visitor};
use crate::servers::{PostgresCorner, RedisCorner};

const ANN: Ticket = Ticket([1; 32]);
const BEN: Ticket = Ticket([2; 32]);
const CAT: Ticket = Ticket([3; 32]);
const SEED: Hash = Hash([7; 32]);

pub(crate) fn opening() -> OpeningId {
    OpeningId::new("premiere").unwrap()
}

fn at(seconds: u32) -> Timestamp {
    Timestamp(1_800_000_000_000).plus_s(seconds)
}

fn evening() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId::new(name).unwrap()).collect()
}

fn hold_id(id: u128) -> HoldId {
    HoldId(Uuid::from_u128(id))
}

fn booking_id(id: u128) -> BookingId {
    BookingId(Uuid::from_u128(0x100 + id))
}

fn payment(reference: &str) -> PaymentReference {
    PaymentReference::new(reference).unwrap()
}

fn scheduled() -> Event {
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

fn joined(ticket: Ticket, number: Option<u32>) -> Event {
    VisitorJoined { at: at(1), ticket, number, subject: None }.into()
}

fn lobby_closed(cohort: &[Ticket]) -> Event {
    let count = u32::try_from(cohort.len()).unwrap();
    LobbyClosed { at: at(60), cohort_root: merkle_root(cohort), count }.into()
}

/// The order of an ascending cohort, and the draw that gives it.
fn drawn(cohort: &[Ticket]) -> (Vec<Ticket>, Event) {
    let order = drawn_order(&SEED, &merkle_root(cohort), None, cohort);
    let event = DrawHeld { at: at(61), seed: SEED, beacon: None, order_root: merkle_root(&order) };
    (order, event.into())
}

/// Scheduled, and drawn with an empty lobby: who joins now has a number.
fn in_line(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let begun = [scheduled(), lobby_closed(&[]), drawn(&[]).1, OpeningOpened { at: at(62) }.into()];
    begun.into_iter().chain(events).collect()
}

fn admitted(ticket: Ticket, number: u32, seconds: u32) -> Event {
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

fn entered(ticket: Ticket) -> Event {
    VisitorEntered { at: at(80), ticket, leave_by: at(140) }.into()
}

fn held(ticket: Ticket, hold: HoldId, names: &[&str]) -> Event {
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

fn booked(ticket: Ticket, hold: HoldId, names: &[&str], visit_ended: bool) -> Event {
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

/// Ann inside, with a hold of A1 and A2.
fn ann_holds() -> Vec<Event> {
    in_line([joined(ANN, Some(1)), admitted(ANN, 1, 70), entered(ANN), held(ANN, hold_id(1), &["A1", "A2"])])
}

fn facts(events: impl IntoIterator<Item = Event>) -> Vec<Fact> {
    events.into_iter().map(|event| Fact::Happened(opening(), event)).collect()
}

async fn apply(store: &dyn Store, facts: &[Fact], size: usize) {
    for batch in batches(&records(facts), &[size]) {
        store.apply(&batch).await.unwrap();
    }
}

struct Views {
    queues: MemoryQueues,
    bookings: MemoryBookings,
}

/// The views after `facts`.
async fn after_facts(facts: &[Fact]) -> Views {
    let views = Views { queues: MemoryQueues::new(1), bookings: MemoryBookings::new(1) };
    apply(&views.queues, facts, 100).await;
    apply(&views.bookings, facts, 100).await;
    views
}

async fn after(events: impl IntoIterator<Item = Event>) -> Views {
    after_facts(&facts(events)).await
}

impl Views {
    async fn ticket(&self, ticket: Ticket) -> TicketView {
        self.queues.ticket(&opening(), PARTITION, &ticket).await.unwrap().value.unwrap()
    }

    async fn status(&self) -> OpeningStatus {
        self.queues.status(&opening(), PARTITION).await.unwrap().value.unwrap()
    }

    async fn seat(&self, name: &str) -> SeatState {
        let map = self.bookings.seats(&opening(), PARTITION, &evening()).await.unwrap().value.unwrap();
        map.seats.into_iter().find(|seat| seat.seat.as_str() == name).unwrap().state
    }

    async fn hold(&self, hold: HoldId) -> (HoldState, Vec<SeatId>) {
        let hold = self.bookings.hold(&opening(), PARTITION, hold).await.unwrap().value.unwrap();
        (hold.state, hold.seats)
    }

    async fn booking(&self, id: u128) -> (BookingState, Vec<SeatId>) {
        let found = self.bookings.booking(&opening(), PARTITION, booking_id(id)).await.unwrap();
        found.value.map(|booking| (booking.state, booking.seats)).unwrap()
    }

    async fn refund(&self, payment_reference: &str) -> Option<RefundReason> {
        let payment = payment(payment_reference);
        let found = self.bookings.settlement(&opening(), PARTITION, hold_id(1), &payment).await.unwrap();
        found.value.unwrap().refund
    }
}

// --- the queue --------------------------------------------------------------

#[tokio::test]
async fn a_scheduled_opening_is_shown_with_its_title_times_rules_and_commitment() {
    let status = after([scheduled()]).await.status().await;
    let asked = schedule();
    assert_eq!((status.title, status.opens_at, status.policy), (asked.title, asked.opens_at, asked.policy));
    assert_eq!(status.draw.seed_commitment, commitment(&SEED));
    assert_eq!(status.state, OpeningState::Scheduled);
}

#[tokio::test]
async fn a_join_before_the_opening_is_in_the_lobby_without_number_or_position() {
    let ann = after([scheduled(), joined(ANN, None)]).await.ticket(ANN).await;
    assert_eq!((ann.state, ann.number, ann.ahead), (TicketState::Lobby, None, None));
}

#[tokio::test]
async fn the_draw_numbers_the_lobby_in_drawn_order_and_nobody_sees_a_position_before() {
    let cohort = [ANN, BEN, CAT];
    let (order, draw) = drawn(&cohort);
    let late = visitor(9);
    let lobby = [scheduled(), joined(BEN, None), joined(CAT, None), joined(ANN, None), lobby_closed(&cohort)];
    let before = after(lobby.clone().into_iter().chain([joined(late, Some(4))])).await;
    assert_eq!(before.ticket(ANN).await.state, TicketState::Lobby);
    let waits = before.ticket(late).await;
    assert_eq!((waits.state, waits.number, waits.ahead), (TicketState::Waiting, Some(4), None));
    assert_eq!(before.status().await.state, OpeningState::Drawing);
    assert_eq!(before.queues.cohort(&opening()).await.unwrap(), cohort);

    let views = after(lobby.into_iter().chain([joined(late, Some(4)), draw])).await;
    for (ahead, ticket) in (0..).zip(order.iter().chain([&late])) {
        let view = views.ticket(*ticket).await;
        let shown = (view.state, view.number, view.ahead);
        assert_eq!(shown, (TicketState::Waiting, Some(ahead + 1), Some(ahead)));
    }
    assert_eq!(views.queues.order(&opening()).await.unwrap(), order);
}

#[tokio::test]
async fn who_fell_silent_in_the_lobby_is_drawn_too_and_stays_away() {
    let cohort = [ANN, BEN];
    let silent = VisitorsWentAway { at: at(5), tickets: vec![ANN] };
    let events = [
        scheduled(),
        joined(ANN, None),
        joined(BEN, None),
        silent.into(),
        lobby_closed(&cohort),
        drawn(&cohort).1,
    ];
    let views = after(events).await;
    let ann = views.ticket(ANN).await;
    assert_eq!(ann.state, TicketState::Away);
    assert!(ann.number.is_some());
    assert_eq!(views.ticket(BEN).await.ahead, Some(0));
}

#[tokio::test]
async fn a_place_taken_over_in_the_lobby_gets_the_drawn_number_of_the_ticket_that_was_drawn() {
    let cohort = [ANN, BEN];
    let (order, draw) = drawn(&cohort);
    let moved = TicketMoved {
        at: at(60),
        from: ANN,
        to: CAT,
        number: None,
        state: TicketState::Lobby,
        subject: Hash::default(),
    };
    let events =
        [scheduled(), joined(ANN, None), joined(BEN, None), lobby_closed(&cohort), moved.into(), draw];
    let views = after(events).await;
    let (ann, cat) = (views.ticket(ANN).await, views.ticket(CAT).await);
    let number = u32::try_from(order.iter().position(|ticket| *ticket == ANN).unwrap()).unwrap() + 1;
    assert_eq!((cat.state, cat.number, cat.moved_from), (TicketState::Waiting, Some(number), Some(ANN)));
    assert_eq!((ann.state, ann.ahead, ann.moved_to), (TicketState::Left, None, Some(CAT)));
    assert_eq!(views.status().await.count(TicketState::Waiting), 2);
}

#[tokio::test]
async fn a_place_taken_over_while_admitted_keeps_its_deadline() {
    let moved = TicketMoved {
        at: at(75),
        from: ANN,
        to: CAT,
        number: Some(1),
        state: TicketState::Admitted,
        subject: Hash::default(),
    };
    let views = after(in_line([joined(ANN, Some(1)), admitted(ANN, 1, 70), moved.into()])).await;
    assert_eq!(views.ticket(CAT).await.deadline.unwrap().at, at(90));
}

#[tokio::test]
async fn positions_count_only_those_present_and_the_away_keep_their_place() {
    let away = VisitorsWentAway { at: at(65), tickets: vec![ANN] };
    let back = VisitorsReturned { at: at(66), tickets: vec![ANN] };
    let line = in_line([joined(ANN, Some(1)), joined(BEN, Some(2)), joined(CAT, Some(3)), away.into()]);
    let views = after(line.clone()).await;
    assert_eq!(views.ticket(CAT).await.ahead, Some(1));
    assert_eq!(views.ticket(ANN).await.ahead, Some(0));
    let views = after(line.into_iter().chain([back.into()])).await;
    assert_eq!(views.ticket(CAT).await.ahead, Some(2));
}

#[tokio::test]
async fn an_admission_raises_the_serving_number_and_the_outflow_and_gives_a_deadline() {
    let views = after(in_line([joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70)])).await;
    let (ann, status) = (views.ticket(ANN).await, views.status().await);
    assert_eq!((ann.state, ann.ahead), (TicketState::Admitted, None));
    assert_eq!(ann.deadline.unwrap().at, at(90));
    assert_eq!((status.serving_number, status.outflow.values().sum::<u32>()), (1, 1));
    assert_eq!(views.ticket(BEN).await.ahead, Some(0));
}

#[tokio::test]
async fn admissions_older_than_five_minutes_before_the_newest_are_forgotten() {
    let line = [joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70), admitted(BEN, 2, 370)];
    let status = after(in_line(line)).await.status().await;
    assert_eq!(status.outflow.into_iter().collect::<Vec<_>>(), [(at(370).0, 1)]);
}

#[tokio::test]
async fn a_missed_admission_makes_away_and_one_too_many_spends() {
    let missed = AdmissionsExpired { at: at(95), away: vec![ANN], spent: vec![BEN] };
    let line = [joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70), admitted(BEN, 2, 70)];
    let views = after(in_line(line.into_iter().chain([missed.into()]))).await;
    assert_eq!(views.ticket(ANN).await.state, TicketState::Away);
    assert_eq!(views.ticket(BEN).await.state, TicketState::Spent);
}

#[tokio::test]
async fn a_claim_raises_the_deadlines_given_before_it_and_no_others() {
    let mut before = facts(in_line([joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70)]));
    before.push(Fact::Claimed(at(85)));
    before.extend(facts([admitted(BEN, 2, 86)]));
    let views = after_facts(&before).await;
    let found = views.queues.ticket(&opening(), PARTITION, &ANN).await.unwrap();
    assert_eq!(found.value.unwrap().deadline.unwrap().falls(found.claim), at(115));
    let found = views.queues.ticket(&opening(), PARTITION, &BEN).await.unwrap();
    assert_eq!(found.value.unwrap().deadline.unwrap().falls(found.claim), at(106));
}

#[tokio::test]
async fn what_an_operator_changes_is_shown() {
    let policy = Policy { capacity: 9, ..Policy::default() };
    let events = [
        scheduled(),
        OpeningRescheduled {
            at: at(1),
            title: "New".to_owned(),
            opens_at: at(100),
            drains_at: Some(at(200)),
            closes_at: at(300),
        }
        .into(),
        PolicyChanged { at: at(2), policy: policy.clone() }.into(),
        MessageChanged { at: at(3), message: Some("Hello".to_owned()) }.into(),
    ];
    let status = after(events).await.status().await;
    assert_eq!((status.title.as_str(), status.opens_at, status.drains_at), ("New", at(100), Some(at(200))));
    assert_eq!((status.policy, status.message), (policy, Some("Hello".to_owned())));
}

#[tokio::test]
async fn each_state_of_an_opening_is_entered_by_its_event() {
    let steps: [(Event, OpeningState); 5] = [
        (OpeningOpened { at: at(62) }.into(), OpeningState::Open),
        (OpeningPaused { at: at(63) }.into(), OpeningState::Paused),
        (OpeningResumed { at: at(64) }.into(), OpeningState::Open),
        (OpeningDrained { at: at(65) }.into(), OpeningState::Draining),
        (OpeningClosed { at: at(66) }.into(), OpeningState::Closed),
    ];
    let mut events = vec![scheduled()];
    for (event, state) in steps {
        events.push(event);
        assert_eq!(after(events.clone()).await.status().await.state, state);
    }
}

#[tokio::test]
async fn counts_tell_how_many_tickets_are_in_each_state() {
    let left = VisitorLeft { at: at(67), ticket: CAT, state: TicketState::Left, released: Vec::new() };
    let line =
        [joined(ANN, Some(1)), joined(BEN, Some(2)), joined(CAT, Some(3)), admitted(ANN, 1, 66), left.into()];
    let counts = after(in_line(line)).await.status().await.counts;
    let expected =
        BTreeMap::from([(TicketState::Waiting, 1), (TicketState::Admitted, 1), (TicketState::Left, 1)]);
    assert_eq!(counts, expected);
}

// --- seats ------------------------------------------------------------------

#[tokio::test]
async fn a_new_showing_has_all_seats_of_its_plan_free_but_for_the_blocked() {
    let views = after([scheduled()]).await;
    assert_eq!((views.seat("A1").await, views.seat("B4").await), (SeatState::Free, SeatState::Blocked));
    let plan = PlanAdded { at: at(1), name: PlanName::new("annex").unwrap(), plan: hall() };
    let added = ShowingAdded { at: at(2), showing: showing("extra", "annex") };
    let views = after([scheduled(), plan.into(), added.into()]).await;
    let showings = views.bookings.showings(&opening(), PARTITION).await.unwrap().value;
    let names: Vec<&str> = showings.iter().map(|showing| showing.showing.as_str()).collect();
    assert_eq!(names, ["evening", "matinee", "extra"]);
}

#[tokio::test]
async fn seats_may_be_taken_out_of_sale_and_given_back() {
    let block =
        SeatsBlocked { at: at(1), showing: evening(), seats: seats(&["C1"]), reason: "camera".to_owned() };
    let unblock = SeatsUnblocked { at: at(2), showing: evening(), seats: seats(&["C1"]) };
    assert_eq!(after([scheduled(), block.clone().into()]).await.seat("C1").await, SeatState::Blocked);
    let views = after([scheduled(), block.into(), unblock.into()]).await;
    assert_eq!(views.seat("C1").await, SeatState::Free);
}

#[tokio::test]
async fn a_hold_keeps_its_seats_and_its_visitor_inside() {
    let views = after(ann_holds()).await;
    assert_eq!((views.seat("A1").await, views.seat("A3").await), (SeatState::Held, SeatState::Free));
    assert_eq!(views.hold(hold_id(1)).await, (HoldState::Live, seats(&["A1", "A2"])));
    assert_eq!(views.ticket(ANN).await.deadline.unwrap().at, at(140));
}

#[tokio::test]
async fn a_swap_frees_the_old_seats_and_holds_the_new_ones() {
    let swapped = HoldSwapped {
        at: at(91),
        hold: hold_id(1),
        ticket: ANN,
        showing: evening(),
        freed: seats(&["A1"]),
        seats: seats(&["A2", "A3"]),
        expires_at: at(105),
    };
    let views = after(ann_holds().into_iter().chain([swapped.into()])).await;
    let states = (views.seat("A1").await, views.seat("A2").await, views.seat("A3").await);
    assert_eq!(states, (SeatState::Free, SeatState::Held, SeatState::Held));
    assert_eq!(views.hold(hold_id(1)).await.1, seats(&["A2", "A3"]));
}

#[tokio::test]
async fn an_extension_moves_the_end_of_the_hold_and_of_the_visit() {
    let extended = HoldExtended {
        at: at(91),
        hold: hold_id(1),
        ticket: ANN,
        extension: ExtensionId(Uuid::from_u128(5)),
        expires_at: at(145),
        leave_by: at(145),
    };
    let views = after(ann_holds().into_iter().chain([extended.into()])).await;
    let hold = views.bookings.hold(&opening(), PARTITION, hold_id(1)).await.unwrap().value.unwrap();
    assert_eq!(hold.expires_at.at, at(145));
    assert_eq!(views.ticket(ANN).await.deadline.unwrap().at, at(145));
}

#[tokio::test]
async fn however_a_hold_ends_its_seats_are_free_again() {
    let released = ReleasedHold { hold: hold_id(1), showing: evening(), seats: seats(&["A1", "A2"]) };
    let visit = EndedVisit { ticket: ANN, state: TicketState::Left, released: vec![released.clone()] };
    let ends: [(Event, HoldState); 4] = [
        (HoldReleased { at: at(92), ticket: ANN, released: released.clone() }.into(), HoldState::Released),
        (HoldsExpired { at: at(105), holds: vec![released.clone()] }.into(), HoldState::Expired),
        (VisitsEnded { at: at(92), visits: vec![visit] }.into(), HoldState::Released),
        (
            VisitorLeft { at: at(92), ticket: ANN, state: TicketState::Left, released: vec![released] }
                .into(),
            HoldState::Released,
        ),
    ];
    for (end, state) in ends {
        let views = after(ann_holds().into_iter().chain([end])).await;
        assert_eq!(views.hold(hold_id(1)).await.0, state);
        assert_eq!((views.seat("A1").await, views.seat("A2").await), (SeatState::Free, SeatState::Free));
    }
}

#[tokio::test]
async fn a_booking_sells_the_seats_settles_the_payment_and_may_end_the_visit() {
    for (visit_ended, state) in [(true, TicketState::Done), (false, TicketState::Inside)] {
        let booked = booked(ANN, hold_id(1), &["A1", "A2"], visit_ended);
        let views = after(ann_holds().into_iter().chain([booked])).await;
        assert_eq!(views.seat("A1").await, SeatState::Booked);
        assert_eq!(views.hold(hold_id(1)).await.0, HoldState::Booked);
        assert_eq!(views.booking(1).await, (BookingState::Booked, seats(&["A1", "A2"])));
        assert_eq!(views.refund("pay-1").await, None);
        assert_eq!(views.ticket(ANN).await.state, state);
    }
}

#[tokio::test]
async fn a_cancellation_frees_the_seats_and_with_the_last_one_the_booking_is_cancelled() {
    let cancelled = |freed: &[&str], remaining: &[&str]| -> Event {
        let (freed, remaining) = (seats(freed), seats(remaining));
        BookingCancelled { at: at(110), booking: booking_id(1), showing: evening(), freed, remaining }.into()
    };
    let mut events = ann_holds();
    events.push(booked(ANN, hold_id(1), &["A1", "A2"], true));
    events.push(cancelled(&["A1"], &["A2"]));
    let views = after(events.clone()).await;
    assert_eq!(views.booking(1).await, (BookingState::Booked, seats(&["A2"])));
    assert_eq!((views.seat("A1").await, views.seat("A2").await), (SeatState::Free, SeatState::Booked));
    events.push(cancelled(&["A2"], &[]));
    assert_eq!(after(events).await.booking(1).await, (BookingState::Cancelled, Vec::new()));
}

#[tokio::test]
async fn a_refund_that_is_due_is_shown_with_its_reason() {
    let due = RefundDue {
        at: at(120),
        booking: booking_id(2),
        hold: hold_id(1),
        ticket: ANN,
        payment_reference: payment("pay-2"),
        reason: RefundReason::TooLate,
    };
    let views = after(ann_holds().into_iter().chain([due.into()])).await;
    assert_eq!(views.refund("pay-2").await, Some(RefundReason::TooLate));
    let none = views.bookings.booking(&opening(), PARTITION, booking_id(2)).await.unwrap().value;
    assert_eq!(none, None);
}

#[tokio::test]
async fn each_event_that_changes_seats_raises_the_version_once_and_changes_since_are_gap_free() {
    let mut events = ann_holds();
    events.push(held(ANN, hold_id(2), &["C1", "C2", "C3"]));
    let views = after(events).await;
    let since = async |version| {
        let found = views.bookings.changes(&opening(), PARTITION, &evening(), version).await.unwrap();
        found.value.map(|changes| {
            (changes.version, changes.seats.into_iter().map(|seat| seat.seat.to_string()).collect::<Vec<_>>())
        })
    };
    assert_eq!(since(1).await, Some((2, vec!["C1".to_owned(), "C2".to_owned(), "C3".to_owned()])));
    assert_eq!(since(2).await, Some((2, Vec::new())));
    assert_eq!(since(3).await, None, "a version that never was");
    assert_eq!(since(0).await.unwrap().1.len(), 12, "from nothing, it is all seats");
}

// --- all of it --------------------------------------------------------------

/// A history with every type of event, and a ticket that most happens to.
pub(crate) fn every_event() -> (Vec<Fact>, Ticket) {
    let cohort = [BEN, CAT];
    let release = |hold: u128, names: &[&str]| ReleasedHold {
        hold: hold_id(hold),
        showing: evening(),
        seats: seats(names),
    };
    let extra = PlanName::new("annex").unwrap();
    let subject = Hash::default();
    let events: Vec<Event> = vec![
        scheduled(),
        OpeningRescheduled {
            at: at(1),
            title: "New".to_owned(),
            opens_at: at(60),
            drains_at: None,
            closes_at: at(900),
        }
        .into(),
        PolicyChanged { at: at(2), policy: Policy::default() }.into(),
        MessageChanged { at: at(3), message: Some("Hello".to_owned()) }.into(),
        PlanAdded { at: at(4), name: extra, plan: hall() }.into(),
        ShowingAdded { at: at(5), showing: showing("extra", "annex") }.into(),
        SeatsBlocked { at: at(6), showing: evening(), seats: seats(&["C4"]), reason: "x".to_owned() }.into(),
        SeatsUnblocked { at: at(7), showing: evening(), seats: seats(&["C4"]) }.into(),
        joined(BEN, None),
        joined(CAT, None),
        lobby_closed(&cohort),
        joined(ANN, Some(3)),
        drawn(&cohort).1,
        OpeningOpened { at: at(62) }.into(),
        OpeningPaused { at: at(63) }.into(),
        OpeningResumed { at: at(64) }.into(),
        VisitorsWentAway { at: at(65), tickets: vec![BEN] }.into(),
        VisitorsReturned { at: at(66), tickets: vec![BEN] }.into(),
        TicketMoved {
            at: at(67),
            from: CAT,
            to: visitor(7),
            number: Some(if drawn(&cohort).0[0] == CAT { 1 } else { 2 }),
            state: TicketState::Waiting,
            subject,
        }
        .into(),
        VisitorsAdmitted {
            at: at(68),
            admission: None,
            admitted: vec![Admitted { ticket: BEN, number: 1 }, Admitted { ticket: ANN, number: 3 }],
            enter_by: at(88),
            serving_number: 3,
            next_admission_at: at(69),
        }
        .into(),
        AdmissionsExpired { at: at(89), away: vec![BEN], spent: vec![] }.into(),
        entered(ANN),
        held(ANN, hold_id(1), &["A1", "A2"]),
        HoldSwapped {
            at: at(91),
            hold: hold_id(1),
            ticket: ANN,
            showing: evening(),
            freed: seats(&["A1"]),
            seats: seats(&["A2", "A3"]),
            expires_at: at(105),
        }
        .into(),
        HoldExtended {
            at: at(92),
            hold: hold_id(1),
            ticket: ANN,
            extension: ExtensionId(Uuid::from_u128(5)),
            expires_at: at(150),
            leave_by: at(150),
        }
        .into(),
        held(visitor(7), hold_id(2), &["B1"]),
        HoldReleased { at: at(93), ticket: visitor(7), released: release(2, &["B1"]) }.into(),
        held(visitor(7), hold_id(3), &["B2"]),
        HoldsExpired { at: at(105), holds: vec![release(3, &["B2"])] }.into(),
        booked(ANN, hold_id(1), &["A2", "A3"], true),
        RefundDue {
            at: at(111),
            booking: booking_id(2),
            hold: hold_id(1),
            ticket: ANN,
            payment_reference: payment("pay-2"),
            reason: RefundReason::AlreadyBooked,
        }
        .into(),
        BookingCancelled {
            at: at(112),
            booking: booking_id(1),
            showing: evening(),
            freed: seats(&["A2"]),
            remaining: seats(&["A3"]),
        }
        .into(),
        VisitsEnded {
            at: at(113),
            visits: vec![EndedVisit { ticket: visitor(7), state: TicketState::Spent, released: Vec::new() }],
        }
        .into(),
        VisitorLeft { at: at(114), ticket: BEN, state: TicketState::Left, released: Vec::new() }.into(),
        RefusalsCounted { at: at(115), since: at(55), by_reason: BTreeMap::new(), by_seat: Vec::new() }
            .into(),
        OpeningDrained { at: at(116) }.into(),
        OpeningClosed { at: at(117) }.into(),
    ];
    (facts(events), ANN)
}

#[test]
fn the_history_with_every_event_has_every_event() {
    let (facts, _) = every_event();
    let named: Vec<&str> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Happened(_, event) => Some(event.kind()),
            _ => None,
        })
        .collect();
    let of_writers = ["WriterClaimed", "WriterAlive"];
    let missing: Vec<&str> = Event::TYPES.iter().map(|(kind, _)| *kind).collect();
    let missing: Vec<&str> =
        missing.into_iter().filter(|kind| !named.contains(kind) && !of_writers.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn every_event_means_the_same_in_redis_and_postgres_however_the_log_is_cut() {
    let (facts, _) = every_event();
    let views = after_facts(&facts).await;
    let questions = Questions::about(&facts);
    let (queue, booking) =
        (questions.ask_queue(&views.queues).await, questions.ask_booking(&views.bookings).await);
    for size in [1, 2, 3, 5, 8, 100] {
        let (redis, postgres) = (RedisCorner::new(), PostgresCorner::new().await);
        apply(&redis.queues(), &facts, size).await;
        assert_same("Redis", &questions.ask_queue(&redis.queues()).await, &queue);
        let bookings = PostgresBookings::new(postgres.pool.clone());
        apply(&bookings, &facts, size).await;
        assert_same("Postgres", &questions.ask_booking(&bookings).await, &booking);
        postgres.remove().await;
    }
}
