//! Seats that the house keeps for its guests, and seats that are sold later.

use std::collections::BTreeMap;

use serde_json::json;
use usher_events::event::*;
use usher_events::ids::{Actor, Ticket};
use usher_events::plan::{OpensAt, SeatKind};

use super::facts::*;
use super::{Given, Refusal, at, given, just_before};
use crate::opening::{Command, PlaceRule, Schedule, SeatConflict, SeatProblem};

const HOUSE: Ticket = Ticket::HOUSE;

fn desk() -> Actor {
    Actor::Operator("desk".into())
}

/// Ann is inside, A1 is the house's, and A4 and B1 are sold from some seconds
/// after the opening on.
fn hall_with(a4: i64, b1: i64) -> Given {
    let mut plan = hall();
    plan.details.kinds = BTreeMap::from([(seats(&["A1"]).remove(0), SeatKind::House)]);
    let [first, second] =
        [("A4", a4), ("B1", b1)].map(|(seat, s)| (seats(&[seat]).remove(0), OpensAt(at(s))));
    plan.details.opens_at = BTreeMap::from([first, second]);
    let plans = [(plan_name("hall"), plan)].into();
    let events = open_as(Schedule { plans, showings: vec![showing(EVENING)], ..schedule() });
    let inside = [joined(ANN, 1), admitted(at(1), &[(ANN, 1)]), entered(ANN, at(1))];
    given(events.into_iter().chain(inside))
}

fn house() -> Given {
    hall_with(1_000, 2_000)
}

fn conflict(name: &str, why: SeatProblem) -> SeatConflict {
    SeatConflict { seat: seats(&[name]).remove(0), why }
}

// --- the house -----------------------------------------------------------------

#[test]
fn a_seat_of_the_house_is_not_for_visitors_and_they_are_told_of_others() {
    let refusal = Refusal::PlaceRule {
        showing: showing_id(EVENING),
        rule: PlaceRule::HouseKept,
        seats: seats(&["A1"]),
        alternative: Some(seats(&["A2"])),
    };
    house().when(hold(1, ANN, &["A1"])).then_refused(refusal);
    house().when(hold(1, ANN, &["A2"])).event();
}

#[test]
fn the_house_holds_its_seats_and_others_without_a_visit_and_without_a_limit() {
    let held = house().when_by(desk(), hold(1, HOUSE, &["A1", "A2", "A3", "B2", "B3"])).event();
    let Event::SeatsHeld(held) = held else { panic!("{held:?}") };
    assert_eq!((held.ticket, held.leave_by), (HOUSE, held.expires_at));
    // Before the opening opens, too.
    given([scheduled()]).when_by(desk(), hold(1, HOUSE, &["A2"])).event();
    given(open())
        .and(closed(at(9)))
        .when_by(desk(), hold(1, HOUSE, &["A2"]))
        .then_refused(Refusal::WrongState { state: crate::opening::OpeningState::Closed });
}

#[test]
fn the_house_does_not_take_what_somebody_has() {
    let taken = house().and(held(at(2), 9, ANN, &["A2"]));
    let refusal = Refusal::SeatsTaken {
        showing: showing_id(EVENING),
        conflicts: vec![conflict("A2", SeatProblem::Held), conflict("B1", SeatProblem::Blocked)],
        alternative: Some(seats(&["A3", "B2", "B3"])),
    };
    taken.when_by(desk(), hold(1, HOUSE, &["A1", "A2", "B1"])).then_refused(refusal);
}

#[test]
fn an_operator_books_extends_swaps_and_releases_what_the_house_holds_and_nothing_else() {
    let both = house().and(held(at(2), 1, HOUSE, &["A1"])).and(held(at(2), 2, ANN, &["A2"]));
    let booked = both.when_by(desk(), confirm(1, 1, "guest")).event();
    assert!(matches!(booked, Event::BookingConfirmed(BookingConfirmed { visit_ended: false, .. })));
    both.when_by(desk(), extend(1, HOUSE, 1)).event();
    both.when_by(desk(), swap(1, HOUSE, &["A3"])).event();
    both.when_by(desk(), release(1, HOUSE)).event();
    both.when_by(desk(), confirm(1, 2, "guest")).then_refused(Refusal::MerchantConfirms);
    both.when_by(desk(), release(2, HOUSE)).then_refused(Refusal::UnknownHold);
}

#[test]
fn a_hold_of_the_house_runs_out_and_its_seats_are_the_houses_again() {
    let mut held = house().and(held(at(2), 1, HOUSE, &["A1"])).at(at(350));
    let happened = held.timers();
    assert!(matches!(&happened[0], Event::HoldsExpired(event) if event.holds[0].ticket == HOUSE));
    held.when(hold(2, ANN, &["A1"])).then_refused(Refusal::PlaceRule {
        showing: showing_id(EVENING),
        rule: PlaceRule::HouseKept,
        seats: seats(&["A1"]),
        alternative: Some(seats(&["A2"])),
    });
}

#[test]
fn nobody_joins_as_the_house() {
    given(open()).when(Command::Join { ticket: HOUSE }).then_invalid("ticket");
}

// --- seats that are sold later ---------------------------------------------------

fn opened(seconds: i64, names: &[&str]) -> Event {
    SeatsUnblocked { at: at(seconds), showing: showing_id(EVENING), seats: seats(names) }.into()
}

#[test]
fn a_seat_is_blocked_until_it_is_sold_and_then_it_opens_by_itself() {
    let mut hall = hall_with(100, 200).at(just_before(at(100)));
    let refusal = Refusal::SeatsTaken {
        showing: showing_id(EVENING),
        conflicts: vec![conflict("A4", SeatProblem::Blocked)],
        alternative: Some(seats(&["A2"])),
    };
    hall.when(hold(1, ANN, &["A4"])).then_refused(refusal);
    hall.when(Command::OpenSeats).then_refused(Refusal::NotDue);
    hall.now = at(100);
    assert_eq!(hall.timers(), [opened(100, &["A4"])]);
    hall.when(hold(1, ANN, &["A4"])).event();
    hall.now = at(200);
    assert_eq!(hall.timers(), [opened(200, &["B1"])]);
}

#[test]
fn seats_whose_time_passed_while_nobody_was_there_open_at_once() {
    let mut hall = hall_with(50, 50).at(at(60));
    assert_eq!(hall.timers(), [opened(60, &["A4", "B1"])]);
    assert_eq!(hall.timers(), []);
}

#[test]
fn seats_that_open_together_are_listed_4096_in_an_event() {
    let seat = |i: usize| format!("S{i}");
    let row: Vec<_> = (0..10_000).map(|i| json!({"seat_guid": seat(i)})).collect();
    let when = at(100).to_rfc3339();
    let opens: serde_json::Map<_, _> = (0..9_000).map(|i| (seat(i), json!(when))).collect();
    let arena = json!({
        "seating": {"name": "Arena", "zones": [{"rows": [{"seats": row}]}]}, "details": {"opens_at": opens}
    });
    let plans = [(plan_name("hall"), serde_json::from_value(arena).unwrap())].into();
    let mut arena =
        given(open_as(Schedule { plans, showings: vec![showing(EVENING)], ..schedule() })).at(at(100));
    let counts: Vec<usize> = arena
        .timers()
        .into_iter()
        .map(|event| match event {
            Event::SeatsUnblocked(event) => event.seats.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [4_096, 4_096, 808]);
}

#[test]
fn nothing_is_sold_later_in_an_opening_that_is_closed() {
    let mut over = hall_with(100, 200).and(closed(at(10))).at(at(300));
    assert_eq!(over.timers(), []);
}
