//! Payments: each ends in a booking or in a refund that is due, for good.

use usher_events::event::*;
use usher_events::ids::Actor;
use usher_events::policy::{Payment, Policy};
use usher_events::reference::BookingReference;

use super::facts::*;
use super::{Given, Refusal, Resource, at, given, ms};
use crate::opening::{BookingState, SeatConflict, SeatProblem};

/// Ann, inside, holds A1 and A2 since `at(2)`, until `at(302)`.
fn ann_holds() -> Given {
    given(ann_inside()).and(held(at(2), 1, ANN, &["A1", "A2"]))
}

/// Her hold expired at `at(302)`.
fn anns_hold_expired() -> Given {
    ann_holds().and(expired(at(302), 1, ANN, &["A1", "A2"]))
}

#[test]
fn a_paid_hold_becomes_a_booking_and_the_ticket_is_done() {
    let mut inside = ann_holds().at(at(9));
    let booking = booked(at(9), 1, ANN, &["A1", "A2"]);
    inside.when(confirm(1, 1, "p-1")).then(booking.clone());
    inside.happened(booking.into());
    assert_eq!(inside.ticket(ANN).0, TicketState::Done);
    inside.now = at(10_000);
    assert!(inside.opening.due(at(10_000)).is_some_and(|due| !format!("{due:?}").contains("ExpireHolds")));
    let Resource::Booking { state, seats: booked, late, .. } = inside.resource(&confirm(1, 1, "p-1")) else {
        panic!("a booking's resource is the booking");
    };
    assert_eq!((state, booked, late), (BookingState::Booked, seats(&["A1", "A2"]), false));
}

#[test]
fn a_booking_with_another_live_hold_does_not_end_the_visit() {
    let two = ann_holds().and(held(at(3), 2, ANN, &["A3"]));
    let booking = BookingConfirmed { visit_ended: false, ..booked(at(3), 1, ANN, &["A1", "A2"]) };
    two.when(confirm(1, 1, "p-1")).then(booking.clone());
    let one = two.and(booking.into());
    assert_eq!(one.ticket(ANN).0, TicketState::Inside);
    let reference = Some(nth_reference(1));
    let second = BookingConfirmed { visit_ended: true, reference, ..booked(at(3), 2, ANN, &["A3"]) };
    one.when(confirm(2, 2, "p-1")).then(second);
}

#[test]
fn a_settlement_that_comes_again_under_any_booking_id_gets_its_result() {
    let done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into());
    done.when(confirm(1, 1, "p-1")).then_repeated();
    done.when(confirm(9, 1, "p-1")).then_repeated();
    let first = done.resource(&confirm(1, 1, "p-1"));
    assert_eq!(done.resource(&confirm(9, 1, "p-1")), first);
}

#[test]
fn another_payment_of_a_booked_hold_goes_back() {
    let done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into()).at(at(4));
    let refund = refund_due(at(4), 2, ANN, RefundReason::AlreadyBooked);
    let refund = RefundDue { hold: hold_id(1), payment_reference: payment("p-2"), ..refund };
    done.when(confirm(2, 1, "p-2")).then(refund.clone());
    let refunded = done.and(refund.into());
    refunded.when(confirm(2, 1, "p-2")).then_repeated();
    refunded.when(confirm(7, 1, "p-2")).then_repeated();
    let resource = Resource::Refund {
        booking: booking_id(2),
        hold: hold_id(1),
        payment_reference: payment("p-2"),
        reason: RefundReason::AlreadyBooked,
    };
    assert_eq!(refunded.resource(&confirm(7, 1, "p-2")), resource);
}

#[test]
fn a_payment_of_a_released_hold_goes_back() {
    let released = ann_holds().and(released(at(3), 1, ANN, &["A1", "A2"]));
    released.when(confirm(1, 1, "p-1")).then(refund_due(at(3), 1, ANN, RefundReason::HoldReleased));
}

#[test]
fn a_late_payment_books_while_every_seat_is_still_free() {
    let late = anns_hold_expired().at(at(302 + 600));
    let booking = BookingConfirmed { late: true, ..booked(at(902), 1, ANN, &["A1", "A2"]) };
    late.when(confirm(1, 1, "p-1")).then(booking.clone());
    let booked = late.and(booking.into());
    assert_eq!(booked.ticket(ANN).0, TicketState::Done);
    let free_again = SeatConflict { seat: seats(&["A1"]).remove(0), why: SeatProblem::Booked };
    let inside = booked.and(admitted(at(903), &[(BEN, 2)])).and(entered(BEN, at(903)));
    let (conflicts, alternative) = (vec![free_again], Some(seats(&["B1"])));
    let refusal = Refusal::SeatsTaken { showing: showing_id(EVENING), conflicts, alternative };
    inside.when(hold(2, BEN, &["A1"])).then_refused(refusal);
}

#[test]
fn a_late_payment_of_a_visitor_who_is_gone_books_without_ending_a_visit() {
    let gone = anns_hold_expired().and(visit_ended(at(601), ANN, TicketState::Spent)).at(at(700));
    let booking =
        BookingConfirmed { late: true, visit_ended: false, ..booked(at(700), 1, ANN, &["A1", "A2"]) };
    gone.when(confirm(1, 1, "p-1")).then(booking.clone());
    assert_eq!(gone.and(booking.into()).ticket(ANN).0, TicketState::Spent);
}

#[test]
fn a_payment_after_the_grace_goes_back_though_the_seats_are_free() {
    let late = anns_hold_expired().at(ms(902_001));
    late.when(confirm(1, 1, "p-1")).then(refund_due(ms(902_001), 1, ANN, RefundReason::TooLate));
}

#[test]
fn a_late_payment_goes_back_when_one_seat_was_taken() {
    let line = anns_hold_expired().and(admitted(at(303), &[(BEN, 2)])).and(entered(BEN, at(303)));
    let taken = line.and(held(at(304), 2, BEN, &["A2"]));
    taken.when(confirm(1, 1, "p-1")).then(refund_due(at(304), 1, ANN, RefundReason::SeatsTaken));
}

#[test]
fn a_refund_is_final_though_the_seats_come_free_again() {
    let line = anns_hold_expired().and(admitted(at(303), &[(BEN, 2)])).and(entered(BEN, at(303)));
    let refunded = line
        .and(held(at(304), 2, BEN, &["A2"]))
        .and(refund_due(at(305), 1, ANN, RefundReason::SeatsTaken).into())
        .and(released(at(306), 2, BEN, &["A2"]));
    refunded.when(confirm(1, 1, "p-1")).then_repeated();
    refunded.when(confirm(9, 1, "p-1")).then_repeated();
    let other =
        BookingConfirmed { booking: booking_id(2), late: true, ..booked(at(306), 1, ANN, &["A1", "A2"]) };
    let other = BookingConfirmed { payment_reference: payment("p-2"), ..other };
    refunded.when(confirm(2, 1, "p-2")).then(other);
}

#[test]
fn an_unknown_hold_is_not_settled() {
    ann_holds().when(confirm(1, 9, "p-1")).then_refused(Refusal::UnknownHold);
}

#[test]
fn payments_are_settled_after_pause_and_close_and_the_end_of_the_visit() {
    ann_holds().and(paused(at(3))).when(confirm(1, 1, "p-1")).event();
    ann_holds().and(closed(at(3))).when(confirm(1, 1, "p-1")).event();
    let gone = anns_hold_expired().and(visit_ended(at(601), ANN, TicketState::Spent)).and(closed(at(602)));
    gone.when(confirm(1, 1, "p-1")).event();
    let done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into()).and(closed(at(4)));
    done.when(cancel(1)).event();
}

// --- who confirms -----------------------------------------------------------

#[test]
fn where_the_merchant_is_paid_the_visitor_does_not_confirm() {
    let confirmed_by = |actor| ann_holds().when_by(actor, confirm(1, 1, "p-1"));
    confirmed_by(Actor::Visitor(ANN)).then_refused(Refusal::MerchantConfirms);
    confirmed_by(Actor::Operator("desk".into())).then_refused(Refusal::MerchantConfirms);
    confirmed_by(Actor::Merchant("shop".into())).event();
}

#[test]
fn where_nothing_is_paid_the_visitor_confirms_the_own_hold() {
    let free = Policy { payment: Payment::None, ..policy() };
    let inside = given(ann_inside_with(free)).and(held(at(2), 1, ANN, &["A1"]));
    inside.when_by(Actor::Visitor(ANN), confirm(1, 1, "p-1")).event();
    inside.when_by(Actor::Merchant("shop".into()), confirm(1, 1, "p-1")).event();
    inside.when_by(Actor::Visitor(BEN), confirm(1, 1, "p-1")).then_refused(Refusal::UnknownHold);
}

#[test]
fn who_guesses_anothers_settlement_learns_nothing() {
    let done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into());
    done.when_by(Actor::Visitor(BEN), confirm(1, 1, "p-1")).then_refused(Refusal::UnknownHold);
    done.when_by(Actor::Visitor(ANN), confirm(1, 1, "p-1")).then_repeated();
}

// --- cancelling -------------------------------------------------------------

#[test]
fn a_cancelled_bookings_seats_are_free_again() {
    let mut done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into());
    let event = cancelled(at(3), 1, ANN, &["A1", "A2"]);
    done.when(cancel(1)).then(event.clone());
    done.happened(event.into());
    done.when(cancel(1)).then_repeated();
    let Resource::Booking { state, seats: booked, .. } = done.resource(&cancel(1)) else {
        panic!("a cancelled booking is still known");
    };
    assert_eq!((state, booked), (BookingState::Cancelled, vec![]));
    let inside = done.and(admitted(at(4), &[(BEN, 2)])).and(entered(BEN, at(4)));
    inside.when(hold(2, BEN, &["A1", "A2"])).event();
}

#[test]
fn one_seat_of_a_booking_may_be_cancelled_and_the_others_stay_booked() {
    let mut done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into());
    let first = BookingCancelled { remaining: seats(&["A2"]), ..cancelled(at(3), 1, ANN, &["A1"]) };
    done.when(cancel_seat(1, "A1")).then(first.clone());
    done.happened(first.into());
    done.when(cancel_seat(1, "A1")).then_repeated();
    let Resource::Booking { state, seats: booked, .. } = done.resource(&cancel_seat(1, "A1")) else {
        panic!("the booking is still known");
    };
    assert_eq!((state, booked), (BookingState::Booked, seats(&["A2"])));
    let last = cancelled(at(3), 1, ANN, &["A2"]);
    done.when(cancel(1)).then(last.clone());
    done.when(cancel_seat(1, "A2")).then(last.clone());
    done.happened(last.into());
    for again in [cancel_seat(1, "A1"), cancel_seat(1, "A2"), cancel(1)] {
        done.when(again).then_repeated();
    }
}

#[test]
fn a_seat_that_was_never_of_the_booking_is_not_cancelled() {
    let done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into());
    let unknown = |name| Refusal::UnknownSeats { showing: showing_id(EVENING), seats: seats(&[name]) };
    for name in ["A3", "Z9"] {
        done.when(cancel_seat(1, name)).then_refused(unknown(name));
    }
    done.when(cancel_seat(2, "A1")).then_refused(Refusal::UnknownBooking);
}

#[test]
fn each_booking_of_an_opening_has_a_reference_of_its_own_also_after_cancelling() {
    let mut done = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into());
    done.happened(cancelled(at(3), 1, ANN, &["A1", "A2"]).into());
    let inside = done.and(admitted(at(4), &[(BEN, 2)])).and(entered(BEN, at(4)));
    let holds = inside.and(held(at(4), 2, BEN, &["A1"]));
    let Event::BookingConfirmed(second) = holds.when(confirm(2, 2, "p-2")).event() else {
        panic!("it is booked");
    };
    assert_ne!(second.reference, Some(nth_reference(0)));
    second.reference.unwrap().parse::<BookingReference>().unwrap();
}

#[test]
fn a_cancelled_booking_is_not_booked_again_by_its_payment() {
    let event = cancelled(at(4), 1, ANN, &["A1", "A2"]);
    let cancelled = ann_holds().and(booked(at(3), 1, ANN, &["A1", "A2"]).into()).and(event.into());
    cancelled.when(confirm(1, 1, "p-1")).then_repeated();
    cancelled.when(confirm(9, 1, "p-1")).then_repeated();
    cancelled.when(confirm(9, 1, "p-2")).event();
}

#[test]
fn an_unknown_booking_is_not_cancelled() {
    ann_holds().when(cancel(1)).then_refused(Refusal::UnknownBooking);
}
