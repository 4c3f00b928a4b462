//! Swapping the seats of a hold for others.

use usher_events::event::*;
use usher_events::policy::Policy;

use super::best::cinema_with;
use super::facts::*;
use super::{Given, Refusal, at, given};
use crate::opening::{OpeningState, SeatConflict, SeatProblem};

/// Ann holds A1 and A2 until `at(302)`, Ben is inside, too.
fn ann_holds() -> Given {
    given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1", "A2"]))
}

fn swapped(freed: &[&str], now: &[&str]) -> HoldSwapped {
    HoldSwapped {
        at: at(2),
        hold: hold_id(1),
        ticket: ANN,
        showing: showing_id(EVENING),
        freed: seats(freed),
        seats: seats(now),
        expires_at: at(302),
    }
}

#[test]
fn seats_are_swapped_for_others_until_the_same_time() {
    ann_holds().when(swap(1, ANN, &["B1", "B2"])).then(swapped(&["A1", "A2"], &["B1", "B2"]));
    ann_holds().when(swap(1, ANN, &["A2", "A3"])).then(swapped(&["A1"], &["A2", "A3"]));
    ann_holds().when(swap(1, ANN, &["A2"])).then(swapped(&["A1"], &["A2"]));
    ann_holds().when(swap(1, ANN, &["A1", "A2", "A3"])).then(swapped(&[], &["A1", "A2", "A3"]));
}

#[test]
fn who_cannot_have_the_new_seats_keeps_the_old_ones() {
    let both_hold = ann_holds().and(held(at(2), 2, BEN, &["A3"]));
    let taken = SeatConflict { seat: seats(&["A3"]).remove(0), why: SeatProblem::Held };
    let alternative = Some(seats(&["A1", "A2"]));
    let refusal = Refusal::SeatsTaken { showing: showing_id(EVENING), conflicts: vec![taken], alternative };
    both_hold.when(swap(1, ANN, &["A2", "A3"])).then_refused(refusal);
    assert!(both_hold.when(hold(3, BEN, &["A1"])).decided.is_err(), "A1 is still Ann's");
}

#[test]
fn a_swap_that_changes_nothing_is_no_event() {
    ann_holds().when(swap(1, ANN, &["A2", "A1"])).then_already();
}

#[test]
fn a_swap_that_comes_again_swaps_nothing_back() {
    let mut holds = ann_holds();
    holds.done(swap(1, ANN, &["B1", "B2"]));
    holds.when(swap(1, ANN, &["B1", "B2"])).then_repeated();
    holds.when(swap(1, ANN, &["A1"])).then_refused(Refusal::IdReused);
}

#[test]
fn only_the_seats_after_a_swap_count_towards_the_most_that_one_may_have() {
    let holds = ann_holds().and(held(at(2), 2, ANN, &["A4"]));
    holds.when(swap(1, ANN, &["B1", "B2", "B3"])).event();
    let refusal = Refusal::TooManySeats { max_seats: 4, held: 1, booked: 0 };
    holds.when(swap(1, ANN, &["A1", "B1", "B2", "B3"])).then_refused(refusal);
}

#[test]
fn the_rules_about_seats_are_for_swaps_too_and_see_the_old_seats_as_free() {
    let policy = Policy { no_single_seat: true, ..policy() };
    let holds = cinema_with(policy, &[]).and(held(at(2), 1, ANN, &["D1", "D2"]));
    holds.when(swap(1, ANN, &["D4", "D5"])).event();
    let Err(Refusal::PlaceRule { seats: left, alternative, .. }) =
        holds.when(swap(1, ANN, &["D2", "D3"])).decided
    else {
        panic!("D1 would be left alone");
    };
    assert_eq!((left, alternative), (seats(&["D1"]), Some(seats(&["D1", "D2"]))));
}

#[test]
fn only_live_holds_of_ones_own_are_swapped_by_who_may_hold_seats() {
    ann_holds().when(swap(1, BEN, &["B1"])).then_refused(Refusal::UnknownHold);
    ann_holds().when(swap(1, ANN, &[])).then_invalid("seats");
    let over = ann_holds().and(released(at(3), 1, ANN, &["A1", "A2"]));
    let refusal = Refusal::HoldOver { hold: hold_id(1), expired_at: Some(at(302)) };
    over.when(swap(1, ANN, &["B1"])).then_refused(refusal);
    let refusal = Refusal::WrongState { state: OpeningState::Closed };
    ann_holds().and(closed(at(3))).when(swap(1, ANN, &["B1"])).then_refused(refusal);
}
