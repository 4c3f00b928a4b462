//! What each event changes in a booking view.

use usher_events::event::*;
use usher_events::ids::{PlanName, ShowingId, Ticket};
use usher_events::plan::OpensAt;
use usher_projector::booking::{BookingReader, BookingState, HoldState, SeatState};
use usher_projector::queue::QueueReader;

use crate::history::PARTITION;
use crate::play::{hall, showing};
use crate::told::*;

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
async fn a_seat_that_is_sold_later_is_blocked_at_first() {
    let mut later = hall();
    later.details.opens_at = [(seats(&["A1"]).remove(0), OpensAt(at(100)))].into();
    let plan = PlanAdded { at: at(1), name: PlanName::new("annex").unwrap(), plan: later };
    let added = ShowingAdded { at: at(2), showing: showing("extra", "annex") };
    let views = after([scheduled(), plan.into(), added.into()]).await;
    let extra = ShowingId::new("extra").unwrap();
    let map = views.bookings.seats(&opening(), PARTITION, &extra).await.unwrap().value.unwrap();
    let blocked: Vec<&str> = map
        .seats
        .iter()
        .filter(|seat| seat.state == SeatState::Blocked)
        .map(|seat| seat.seat.as_str())
        .collect();
    assert_eq!(blocked, ["A1", "B4"]);
}

#[tokio::test]
async fn what_the_house_holds_puts_nobody_in_line() {
    let views = after([scheduled(), held(Ticket::HOUSE, hold_id(1), &["A1"])]).await;
    assert_eq!(views.seat("A1").await, SeatState::Held);
    let ticket = views.queues.ticket(&opening(), PARTITION, &Ticket::HOUSE).await.unwrap();
    assert_eq!(ticket.value, None);
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
    let swapped = swapped(&["A2", "A3"]);
    let views = after(ann_holds().into_iter().chain([swapped])).await;
    let states = (views.seat("A1").await, views.seat("A2").await, views.seat("A3").await);
    assert_eq!(states, (SeatState::Free, SeatState::Held, SeatState::Held));
    assert_eq!(views.hold(hold_id(1)).await.1, seats(&["A2", "A3"]));
}

#[tokio::test]
async fn an_extension_moves_the_end_of_the_hold_and_of_the_visit() {
    let extended = extended(at(145));
    let views = after(ann_holds().into_iter().chain([extended])).await;
    let hold = views.bookings.hold(&opening(), PARTITION, hold_id(1)).await.unwrap().value.unwrap();
    assert_eq!(hold.expires_at.at, at(145));
    assert_eq!(views.ticket(ANN).await.deadline.unwrap().at, at(145));
}

#[tokio::test]
async fn however_a_hold_ends_its_seats_are_free_again() {
    let released = ReleasedHold { hold: hold_id(1), showing: evening(), seats: seats(&["A1", "A2"]) };
    let expired = ExpiredHold { ticket: ANN, released: released.clone() };
    let visit = EndedVisit { ticket: ANN, state: TicketState::Left, released: vec![released.clone()] };
    let ends: [(Event, HoldState); 4] = [
        (HoldReleased { at: at(92), ticket: ANN, released: released.clone() }.into(), HoldState::Released),
        (HoldsExpired { at: at(105), holds: vec![expired] }.into(), HoldState::Expired),
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
        BookingCancelled {
            at: at(110),
            booking: booking_id(1),
            ticket: ANN,
            payment_reference: payment("pay-1"),
            showing: evening(),
            freed: seats(freed),
            remaining: seats(remaining),
        }
        .into()
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
    assert_eq!(since(0).await.unwrap().1.len(), 5, "the others never changed");
}
