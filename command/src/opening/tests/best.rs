//! Holding the best of the free seats.

use serde_json::json;
use usher_events::event::*;
use usher_events::ids::Ticket;
use usher_events::plan::Plan;
use usher_events::policy::Policy;

use super::facts::*;
use super::{Given, Refusal, at, given};
use crate::opening::{Best, Command, Relax, Schedule};

/// Five rows of ten, A in front; in each an aisle after seat 5, a wheelchair
/// place at the end of E. The middle two thirds back are the seats 5 and 6 of
/// row D.
fn cinema() -> Plan {
    let seat = |row: &str, number: i32| {
        let x = number * 20 + if number > 5 { 20 } else { 0 };
        let category = if row == "A" { "Front" } else { "Prime" };
        json!({"seat_guid": format!("{row}{number}"), "position": {"x": x, "y": 0}, "category": category})
    };
    let row = |(row, y): (&str, i32)| {
        let seats: Vec<_> = (1..=10).map(|number| seat(row, number)).collect();
        json!({"row_number": row, "position": {"x": 0, "y": y}, "seats": seats})
    };
    let rows: Vec<_> = [("A", 0), ("B", 30), ("C", 60), ("D", 90), ("E", 120)].map(row).into();
    serde_json::from_value(json!({
        "seating": {
            "name": "Cinema", "zones": [{"rows": rows}],
            "categories": [{"name": "Prime"}, {"name": "Front"}]
        },
        "details": {"kinds": {"E9": "companion", "E10": "wheelchair"}}
    }))
    .unwrap()
}

fn cinema_where_ben_has(names: &[&str]) -> Given {
    cinema_with(policy(), names)
}

/// Ann is inside, and Ben has these seats of the cinema already.
pub(super) fn cinema_with(policy: Policy, names: &[&str]) -> Given {
    let plans = [(plan_name("hall"), cinema())].into();
    let mut events = open_as(Schedule { plans, policy, ..schedule() });
    events.extend([joined(ANN, 1), joined(BEN, 2), admitted(at(1), &[(ANN, 1), (BEN, 2)])]);
    events.extend([entered(ANN, at(1)), entered(BEN, at(1))]);
    if !names.is_empty() {
        events.push(held(at(1), 9, BEN, names));
    }
    given(events)
}

fn asked(count: u32, category: Option<&str>, relax: Relax) -> Command {
    let best = Best { count, category: category.map(str::to_owned), relax, wheelchair: false };
    Command::HoldBest { hold: hold_id(1), ticket: ANN, showing: showing_id(EVENING), best }
}

fn best(count: u32) -> Command {
    asked(count, None, Relax::Nothing)
}

fn held_by_ann(names: &[&str]) -> Event {
    held(at(1), 1, ANN, names)
}

fn only_free(names: &[&str]) -> Given {
    only_free_with(policy(), names)
}

/// Everything is taken but these.
pub(super) fn only_free_with(policy: Policy, names: &[&str]) -> Given {
    let taken: Vec<String> = "ABCDE"
        .chars()
        .flat_map(|row| (1..=10).map(move |number| format!("{row}{number}")))
        .filter(|seat| !names.contains(&seat.as_str()))
        .collect();
    cinema_with(policy, &taken.iter().map(String::as_str).collect::<Vec<_>>())
}

fn no_such(count: u32, free: u32, would_do: Option<Relax>) -> Refusal {
    Refusal::NoSuchChoice { showing: showing_id(EVENING), count, free, would_do }
}

#[test]
fn the_best_seats_are_together_in_the_middle_two_thirds_back() {
    cinema_where_ben_has(&[]).when(best(2)).then(held_by_ann(&["D4", "D5"]));
    cinema_where_ben_has(&["D4", "D5"]).when(best(2)).then(held_by_ann(&["D6", "D7"]));
}

#[test]
fn an_aisle_is_between_no_seats_that_are_together() {
    only_free(&["D5", "D6"]).when(best(2)).then_refused(no_such(2, 2, None));
}

#[test]
fn the_best_seats_leave_no_single_seat_unless_it_is_allowed() {
    only_free(&["D1", "D2", "D3", "A1", "A2"]).when(best(2)).then(held_by_ann(&["A1", "A2"]));
    let three_left = only_free(&["D1", "D2", "D3"]);
    three_left.when(best(2)).then_refused(no_such(2, 3, Some(Relax::Single)));
    three_left.when(asked(2, None, Relax::Single)).then(held_by_ann(&["D2", "D3"]));
    three_left.when(best(3)).then(held_by_ann(&["D1", "D2", "D3"]));
}

#[test]
fn the_best_seats_are_split_over_two_rows_one_behind_the_other_if_it_is_allowed() {
    let in_pairs = only_free(&["B1", "B2", "C2", "C3", "D9", "D10", "A9", "A10"]);
    in_pairs.when(asked(4, None, Relax::Single)).then_refused(no_such(4, 8, Some(Relax::Split)));
    in_pairs.when(asked(4, None, Relax::Split)).then(held_by_ann(&["B1", "B2", "C2", "C3"]));
    only_free(&["B1", "B2", "D1", "D2"]).when(asked(4, None, Relax::Split)).then_refused(no_such(4, 4, None));
}

#[test]
fn nothing_is_relaxed_that_need_not_be() {
    let some = only_free(&["D1", "D2", "D3", "A1", "A2"]);
    some.when(asked(2, None, Relax::Split)).then(held_by_ann(&["A1", "A2"]));
}

#[test]
fn the_best_seats_are_of_the_category_that_is_asked_for() {
    let front = || asked(2, Some("Front"), Relax::Nothing);
    cinema_where_ben_has(&[]).when(front()).then(held_by_ann(&["A4", "A5"]));
    only_free(&["D1", "D2", "A1"]).when(front()).then_refused(no_such(2, 1, None));
    cinema_where_ben_has(&[]).when(asked(2, Some("Gold"), Relax::Nothing)).then_invalid("best.category");
}

#[test]
fn wheelchair_and_companion_places_are_nobodys_best_seats() {
    only_free(&["E9", "E10"]).when(best(2)).then_refused(no_such(2, 0, None));
    only_free(&["E7", "E8", "E9", "E10"]).when(best(2)).then(held_by_ann(&["E7", "E8"]));
}

#[test]
fn the_best_seats_with_a_wheelchair_have_one_place_for_it_and_the_others_with_that() {
    let with = |count, relax| {
        let best = Best { count, category: None, relax, wheelchair: true };
        Command::HoldBest { hold: hold_id(1), ticket: ANN, showing: showing_id(EVENING), best }
    };
    let nothing = Relax::Nothing;
    cinema_where_ben_has(&[]).when(with(1, Relax::Single)).then(held_by_ann(&["E10"]));
    cinema_where_ben_has(&[]).when(with(2, nothing)).then(held_by_ann(&["E9", "E10"]));
    cinema_where_ben_has(&[]).when(with(3, nothing)).then(held_by_ann(&["E8", "E9", "E10"]));
    only_free(&["E10", "E9", "D9", "D10"]).when(with(3, nothing)).then_refused(no_such(
        3,
        4,
        Some(Relax::Split),
    ));
    only_free(&["E10", "E9", "D9", "D10"])
        .when(with(3, Relax::Split))
        .then(held_by_ann(&["D9", "E9", "E10"]));
    cinema_where_ben_has(&["E10"]).when(with(2, Relax::Split)).then_refused(no_such(2, 0, None));
}

#[test]
fn who_asks_for_the_best_seats_may_hold_as_many_as_anybody() {
    cinema_where_ben_has(&[]).when(best(0)).then_invalid("best.count");
    let refusal = Refusal::TooManySeats { max_seats: 4, held: 0, booked: 0 };
    cinema_where_ben_has(&[]).when(best(5)).then_refused(refusal.clone());
    cinema_where_ben_has(&[]).when(best(u32::MAX)).then_refused(refusal);
    let showing = showing_id("never");
    let ask = Best { count: 1, category: None, relax: Relax::Nothing, wheelchair: false };
    let command =
        |ticket: Ticket, showing| Command::HoldBest { hold: hold_id(1), ticket, showing, best: ask.clone() };
    let inside = cinema_where_ben_has(&[]);
    inside.when(command(ANN, showing.clone())).then_refused(Refusal::UnknownShowing { showing });
    inside.when(command(CAT, showing_id(EVENING))).then_refused(Refusal::UnknownTicket);
}

#[test]
fn the_same_ask_again_keeps_no_other_seats() {
    let mut inside = cinema_where_ben_has(&[]);
    inside.done(best(2));
    inside.when(best(2)).then_repeated();
    inside.when(best(1)).then_refused(Refusal::IdReused);
}
