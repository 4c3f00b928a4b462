//! Rules about seats, and what is offered instead.

use usher_events::policy::Policy;

use super::best::{cinema_with, only_free_with};
use super::facts::*;
use super::{Refusal, at, just_before};
use crate::opening::{Command, PlaceRule, SeatConflict, SeatProblem};

fn no_single_seat() -> Policy {
    Policy { no_single_seat: true, ..policy() }
}

/// Until an hour before the showing, which is a day after the opening opens.
fn wheelchair_places_kept() -> Policy {
    Policy { wheelchair_until_s: Some(3_600), ..policy() }
}

fn companions_with_wheelchairs() -> Policy {
    Policy { companion_with_wheelchair: true, ..policy() }
}

fn with_a_wheelchair(names: &[&str]) -> Command {
    let (hold, showing) = (hold_id(1), showing_id(EVENING));
    Command::Hold { hold, ticket: ANN, showing, seats: seats(names), wheelchair: true }
}

fn against(rule: PlaceRule, names: &[&str], alternative: Option<&[&str]>) -> Refusal {
    let alternative = alternative.map(seats);
    Refusal::PlaceRule { showing: showing_id(EVENING), rule, seats: seats(names), alternative }
}

// --- no single seat ---------------------------------------------------------

#[test]
fn a_hold_that_leaves_a_single_seat_is_refused_with_the_nearest_that_leaves_none() {
    let refusal = against(PlaceRule::NoSingleSeat, &["D1"], Some(&["D1", "D2"]));
    cinema_with(no_single_seat(), &[]).when(hold(1, ANN, &["D2", "D3"])).then_refused(refusal);
}

#[test]
fn a_single_seat_that_was_there_before_is_nobodys_fault() {
    cinema_with(no_single_seat(), &["D2"]).when(hold(1, ANN, &["D3", "D4", "D5"])).event();
}

#[test]
fn a_single_seat_may_be_left_when_no_choice_of_that_size_and_category_leaves_none() {
    only_free_with(no_single_seat(), &["D1", "D2", "D3"]).when(hold(1, ANN, &["D1", "D2"])).event();
    let in_front_too = only_free_with(no_single_seat(), &["D1", "D2", "D3", "A1", "A2"]);
    in_front_too.when(hold(1, ANN, &["D1", "D2"])).event();
    let behind_too = only_free_with(no_single_seat(), &["D1", "D2", "D3", "E1", "E2"]);
    let refusal = against(PlaceRule::NoSingleSeat, &["D3"], Some(&["E1", "E2"]));
    behind_too.when(hold(1, ANN, &["D1", "D2"])).then_refused(refusal);
}

#[test]
fn without_the_rules_every_free_seat_may_be_held() {
    cinema_with(policy(), &[]).when(hold(1, ANN, &["D2", "D3"])).event();
    cinema_with(policy(), &[]).when(hold(1, ANN, &["E9"])).event();
    cinema_with(policy(), &[]).when(hold(1, ANN, &["E10"])).event();
}

// --- wheelchair and companion places ----------------------------------------

#[test]
fn wheelchair_places_are_kept_for_who_needs_them() {
    let refusal = against(PlaceRule::WheelchairKept, &["E10"], Some(&["D10"]));
    let kept = cinema_with(wheelchair_places_kept(), &[]);
    kept.when(hold(1, ANN, &["E10"])).then_refused(refusal);
    kept.when(with_a_wheelchair(&["E10"])).event();
}

#[test]
fn wheelchair_places_are_for_everybody_from_the_policys_time_on() {
    let an_hour_before = at(86_400 - 3_600);
    let kept = || cinema_with(wheelchair_places_kept(), &[]);
    let refusal = against(PlaceRule::WheelchairKept, &["E10"], Some(&["D10"]));
    kept().at(just_before(an_hour_before)).when(hold(1, ANN, &["E10"])).then_refused(refusal);
    kept().at(an_hour_before).when(hold(1, ANN, &["E10"])).event();
}

#[test]
fn a_companion_place_is_held_only_with_its_wheelchair_place() {
    let inside = cinema_with(companions_with_wheelchairs(), &[]);
    let refusal = against(PlaceRule::CompanionWithWheelchair, &["E9"], Some(&["E8"]));
    inside.when(hold(1, ANN, &["E9"])).then_refused(refusal);
    inside.when(hold(1, ANN, &["E9", "E10"])).event();
}

#[test]
fn a_companion_place_is_for_everybody_when_its_wheelchair_place_is() {
    let policy = Policy { companion_with_wheelchair: true, ..wheelchair_places_kept() };
    let inside = cinema_with(policy, &[]).at(at(86_400 - 3_600));
    inside.when(hold(1, ANN, &["E9"])).event();
}

// --- what is offered instead ------------------------------------------------

#[test]
fn a_conflict_names_what_is_taken_and_what_is_for_others_and_the_nearest_seats_that_are_not() {
    let conflict = |name, why| SeatConflict { seat: seats(&[name]).remove(0), why };
    let refusal = Refusal::SeatsTaken {
        showing: showing_id(EVENING),
        conflicts: vec![conflict("E8", SeatProblem::Held), conflict("E10", SeatProblem::NotForYou)],
        alternative: Some(seats(&["D9", "D10"])),
    };
    let inside = cinema_with(wheelchair_places_kept(), &["E8"]);
    inside.when(hold(1, ANN, &["E8", "E10"])).then_refused(refusal);
}

#[test]
fn who_comes_in_a_wheelchair_is_offered_places_for_that_or_none() {
    let inside = cinema_with(wheelchair_places_kept(), &["E10"]);
    let Err(Refusal::SeatsTaken { alternative, .. }) = inside.when(with_a_wheelchair(&["E10"])).decided
    else {
        panic!("E10 is Ben's");
    };
    assert_eq!(alternative, None);
}
