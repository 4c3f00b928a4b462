//! Holding seats, extending, releasing, expiring.

use usher_events::event::*;
use usher_events::policy::Policy;

use super::facts::*;
use super::{Refusal, Resource, at, given, just_before};
use crate::opening::{Command, HoldState, OpeningState, SeatConflict, SeatProblem};

fn taken(conflicts: &[(&str, SeatProblem)], alternative: Option<&[&str]>) -> Refusal {
    let conflict = |(seat, why): &(&str, SeatProblem)| {
        let seat = seats(&[seat]).remove(0);
        SeatConflict { seat, why: *why }
    };
    let conflicts = conflicts.iter().map(conflict).collect();
    let alternative = alternative.map(seats);
    Refusal::SeatsTaken { showing: showing_id(EVENING), conflicts, alternative }
}

#[test]
fn a_visitor_inside_holds_free_seats_until_the_policys_time_is_over() {
    given(ann_inside()).when(hold(1, ANN, &["A2", "A1"])).then(held(at(1), 1, ANN, &["A2", "A1"]));
}

#[test]
fn a_hold_of_taken_seats_names_each_seat_and_why() {
    let held_and_booked = given(ann_and_ben_inside())
        .and(held(at(2), 1, BEN, &["A1", "A2"]))
        .and(held(at(2), 2, BEN, &["B1"]))
        .and(BookingConfirmed { visit_ended: false, ..booked(at(3), 2, BEN, &["B1"]) }.into());
    let refusal = taken(
        &[("A1", SeatProblem::Held), ("B1", SeatProblem::Booked), ("B4", SeatProblem::Blocked)],
        Some(&["A3", "A4", "B2", "B3"]),
    );
    let seats_named = refusal.seats().count();
    assert_eq!(seats_named, 3, "each is counted for analysts");
    held_and_booked.when(hold(3, ANN, &["A1", "A3", "B1", "B4"])).then_refused(refusal);
}

#[test]
fn a_refused_hold_changes_nothing_and_its_id_may_be_used_again() {
    let mut inside = given(ann_and_ben_inside()).and(held(at(2), 1, BEN, &["A1"]));
    inside
        .when(hold(2, ANN, &["A1", "A2"]))
        .then_refused(taken(&[("A1", SeatProblem::Held)], Some(&["A2", "A3"])));
    inside.done(hold(2, ANN, &["A2", "A3"]));
}

#[test]
fn the_same_seat_of_another_showing_is_another_seat() {
    let inside = given(ann_and_ben_inside()).and(held(at(2), 1, BEN, &["A1"]));
    let showing = showing_id("matinee");
    inside
        .when(Command::Hold {
            hold: hold_id(2),
            ticket: ANN,
            showing,
            seats: seats(&["A1"]),
            wheelchair: false,
        })
        .event();
}

#[test]
fn only_visitors_inside_hold_seats() {
    let line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)]));
    let not_inside = |state| Refusal::NotInside { state };
    line.when(hold(1, ANN, &["A1"])).then_refused(not_inside(TicketState::Admitted));
    line.when(hold(1, BEN, &["A1"])).then_refused(not_inside(TicketState::Waiting));
}

#[test]
fn a_closed_opening_takes_no_new_holds_but_a_paused_or_draining_one_does() {
    let refusal = Refusal::WrongState { state: OpeningState::Closed };
    given(ann_inside()).and(closed(at(2))).when(hold(1, ANN, &["A1"])).then_refused(refusal);
    given(ann_inside()).and(paused(at(2))).when(hold(1, ANN, &["A1"])).event();
    given(ann_inside()).and(drained(at(2))).when(hold(1, ANN, &["A1"])).event();
}

#[test]
fn a_hold_names_seats_that_exist_each_once_and_at_least_one() {
    let inside = given(ann_inside());
    inside.when(hold(1, ANN, &[])).then_invalid("seats");
    inside.when(hold(1, ANN, &["A1", "A2", "A1"])).then_invalid("seats[2]");
    let (showing, unknown) = (showing_id(EVENING), seats(&["Z1", "Z2"]));
    let refusal = Refusal::UnknownSeats { showing, seats: unknown };
    inside.when(hold(1, ANN, &["Z1", "A1", "Z2"])).then_refused(refusal);
    let showing = showing_id("never");
    let command = Command::Hold {
        hold: hold_id(1),
        ticket: ANN,
        showing: showing.clone(),
        seats: seats(&["A1"]),
        wheelchair: false,
    };
    inside.when(command).then_refused(Refusal::UnknownShowing { showing });
}

#[test]
fn live_holds_and_booked_seats_count_towards_the_most_that_one_may_have() {
    let inside = given(ann_inside())
        .and(held(at(2), 1, ANN, &["A1", "A2"]))
        .and(held(at(2), 2, ANN, &["A3"]))
        .and(BookingConfirmed { visit_ended: false, ..booked(at(3), 2, ANN, &["A3"]) }.into());
    let refusal = Refusal::TooManySeats { max_seats: 4, held: 2, booked: 1 };
    inside.when(hold(3, ANN, &["B1", "B2"])).then_refused(refusal);
    inside.when(hold(3, ANN, &["B1"])).event();
    let fewer = inside.and(released(at(4), 1, ANN, &["A1", "A2"]));
    fewer.when(hold(3, ANN, &["A1", "B1", "B2"])).event();
}

#[test]
fn seats_of_a_cancelled_booking_do_not_count_any_more() {
    let cancelled = cancelled(at(4), 1, ANN, &["A1", "A2", "A3"]);
    let inside = given(ann_inside())
        .and(held(at(2), 1, ANN, &["A1", "A2", "A3"]))
        .and(BookingConfirmed { visit_ended: false, ..booked(at(3), 1, ANN, &["A1", "A2", "A3"]) }.into())
        .and(cancelled.into());
    inside.when(hold(2, ANN, &["A1", "A2", "A3", "B1"])).event();
}

// --- extending --------------------------------------------------------------

#[test]
fn an_extension_adds_the_policys_time_and_the_visit_lasts_with_it() {
    let inside = given(ann_inside()).and(held(at(100), 1, ANN, &["A1"]));
    let extended = HoldExtended {
        at: at(150),
        hold: hold_id(1),
        ticket: ANN,
        extension: extension_id(1),
        expires_at: at(700),
        leave_by: at(700),
    };
    let mut extended_once = inside.at(at(150));
    extended_once.when(extend(1, ANN, 1)).then(extended.clone());
    extended_once.happened(extended.into());
    extended_once.when(extend(1, ANN, 2)).then_refused(Refusal::NoMoreExtensions { max_extensions: 1 });
    extended_once.now = just_before(at(700));
    extended_once.when(Command::ExpireHolds).then_refused(Refusal::NotDue);
    extended_once.when(Command::EndVisits).then_refused(Refusal::NotDue);
    extended_once.now = at(700);
    extended_once.when(Command::ExpireHolds).then(expired(at(700), 1, ANN, &["A1"]));
}

#[test]
fn an_extension_that_comes_again_extends_nothing() {
    let mut inside = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"]));
    inside.done(extend(1, ANN, 1));
    inside.when(extend(1, ANN, 1)).then_repeated();
    let Resource::Hold { expires_at, extension, .. } = inside.resource(&extend(1, ANN, 1)) else {
        panic!("an extension's resource is its hold");
    };
    assert_eq!((expires_at, extension), (at(602), Some(extension_id(1))));
}

#[test]
fn holds_that_are_over_are_not_extended() {
    let over = |event: Event| given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).and(event);
    let refusal = Refusal::HoldOver { hold: hold_id(1), expired_at: Some(at(302)) };
    over(released(at(3), 1, ANN, &["A1"])).when(extend(1, ANN, 1)).then_refused(refusal.clone());
    over(expired(at(302), 1, ANN, &["A1"])).when(extend(1, ANN, 1)).then_refused(refusal);
    let refusal = Refusal::HoldBooked { hold: hold_id(1) };
    over(booked(at(3), 1, ANN, &["A1"]).into()).when(extend(1, ANN, 1)).then_refused(refusal);
}

// --- releasing --------------------------------------------------------------

#[test]
fn a_released_holds_seats_are_free_again() {
    let mut inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1"]));
    inside.when(release(1, ANN)).then(released(at(2), 1, ANN, &["A1"]));
    inside.done(release(1, ANN));
    inside.done(hold(2, BEN, &["A1"]));
    inside.when(release(1, ANN)).then_repeated();
    inside.when(hold(3, ANN, &["A1"])).then_refused(taken(&[("A1", SeatProblem::Held)], Some(&["A2"])));
}

#[test]
fn a_booked_hold_is_not_released() {
    let done =
        given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).and(booked(at(3), 1, ANN, &["A1"]).into());
    done.when(release(1, ANN)).then_refused(Refusal::HoldBooked { hold: hold_id(1) });
}

#[test]
fn other_visitors_holds_are_nobodys_to_touch_or_to_know() {
    let inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1"]));
    inside.when(release(1, BEN)).then_refused(Refusal::UnknownHold);
    inside.when(extend(1, BEN, 1)).then_refused(Refusal::UnknownHold);
    inside.when(release(9, ANN)).then_refused(Refusal::UnknownHold);
}

#[test]
fn live_holds_may_finish_after_the_close() {
    let inside = || given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).and(closed(at(3)));
    inside().when(release(1, ANN)).event();
    inside().when(extend(1, ANN, 1)).event();
    inside().when(confirm(1, 1, "p-1")).event();
}

// --- expiring ---------------------------------------------------------------

#[test]
fn holds_expire_on_time_and_their_seats_are_free_again() {
    let mut inside = given(ann_and_ben_inside())
        .and(held(at(2), 1, ANN, &["A1"]))
        .and(held(at(3), 2, ANN, &["A2"]))
        .at(just_before(at(302)));
    inside.when(Command::ExpireHolds).then_refused(Refusal::NotDue);
    inside.now = at(302);
    inside.when(Command::ExpireHolds).then(expired(at(302), 1, ANN, &["A1"]));
    inside.done(Command::ExpireHolds);
    inside.when(hold(3, BEN, &["A1"])).event();
    inside.when(hold(3, BEN, &["A2"])).then_refused(taken(&[("A2", SeatProblem::Held)], Some(&["A1"])));
    let Resource::Hold { state, .. } = inside.resource(&release(1, ANN)) else {
        panic!("a hold is still known after its end");
    };
    assert_eq!(state, HoldState::Expired);
}

#[test]
fn a_policy_change_moves_no_holds_end() {
    let policy = Policy { hold_for_s: 5, ..policy() };
    let inside = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"]));
    let inside = inside.and(PolicyChanged { at: at(3), policy }.into()).at(just_before(at(302)));
    inside.when(Command::ExpireHolds).then_refused(Refusal::NotDue);
}

#[test]
fn a_swapped_hold_has_the_new_seats_and_keeps_its_end() {
    let swapped = HoldSwapped {
        at: at(3),
        hold: hold_id(1),
        ticket: ANN,
        showing: showing_id(EVENING),
        freed: seats(&["A1"]),
        seats: seats(&["A2", "A3"]),
        expires_at: at(302),
    };
    let mut inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1", "A2"])).and(swapped.into());
    inside.when(hold(2, BEN, &["A1"])).event();
    let both = taken(&[("A2", SeatProblem::Held), ("A3", SeatProblem::Held)], Some(&["B1", "B2"]));
    inside.when(hold(2, BEN, &["A2", "A3"])).then_refused(both);
    inside.now = at(302);
    inside.when(Command::ExpireHolds).then(expired(at(302), 1, ANN, &["A2", "A3"]));
}

#[test]
fn seats_that_are_blocked_later_are_not_held_and_unblocked_ones_are() {
    let (showing, blocked) = (showing_id(EVENING), seats(&["A1"]));
    let block = SeatsBlocked {
        at: at(2),
        showing: showing.clone(),
        seats: blocked.clone(),
        reason: "broken".to_owned(),
    };
    let inside = given(ann_inside()).and(block.into());
    inside.when(hold(1, ANN, &["A1"])).then_refused(taken(&[("A1", SeatProblem::Blocked)], Some(&["A2"])));
    let repaired = inside.and(SeatsUnblocked { at: at(3), showing, seats: blocked }.into());
    repaired.when(hold(1, ANN, &["A1"])).event();
}

#[test]
fn an_event_of_expired_holds_lists_at_most_4096_seats_and_holds() {
    let wide = Policy { capacity: 2, max_seats: 100, ..policy() };
    let plan: Vec<_> = (0..10_000).map(|i| serde_json::json!({"seat_guid": format!("S{i}")})).collect();
    let mut asked = crate::opening::Schedule { policy: wide, ..schedule() };
    let hall = serde_json::json!({"seating": {"name": "Arena", "zones": [{"rows": [{"seats": plan}]}]}});
    asked.plans.insert(plan_name("hall"), serde_json::from_value(hall).unwrap());
    let mut arena = given(open_as(asked));
    for i in 0..100u32 {
        let ticket = visitor(i + 1);
        arena.happened(joined(ticket, i + 1));
        arena.happened(admitted(at(0), &[(ticket, i + 1)]));
        arena.happened(entered(ticket, at(0)));
        let names: Vec<String> = (i * 100..(i + 1) * 100).map(|i| format!("S{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        arena.happened(held(at(0), u8::try_from(i).unwrap(), ticket, &names));
    }
    arena.now = at(300);
    let sizes: Vec<usize> = arena.timers().iter().map(expired_holds).collect();
    assert_eq!(sizes, [40, 40, 20]);
}

fn expired_holds(event: &Event) -> usize {
    match event {
        Event::HoldsExpired(event) => event.holds.len(),
        other => panic!("no hold expired: {other:?}"),
    }
}
