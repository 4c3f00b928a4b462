//! What happens by itself, in which order, and what a new writer spares.

use usher_events::event::*;
use usher_events::policy::Policy;

use super::facts::*;
use super::{Due, Refusal, at, given, just_before};
use crate::opening::{Command, OpeningState, Schedule};

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::kind).collect()
}

#[test]
fn an_opening_that_does_not_exist_has_no_timers() {
    assert_eq!(given([]).opening.next_due(), None);
    assert!(given([]).opening.due(at(0)).is_none());
}

#[test]
fn at_its_time_the_lobby_closes_the_order_is_drawn_and_the_first_are_admitted() {
    let mut lobby = given([scheduled(), in_lobby(ANN), in_lobby(BEN), in_lobby(CAT)]).at(at(0));
    let happened = lobby.timers();
    assert_eq!(kinds(&happened), ["LobbyClosed", "DrawHeld", "OpeningOpened", "VisitorsAdmitted"]);
}

#[test]
fn an_open_opening_opens_no_more() {
    given(open()).when(Command::Open).then_refused(Refusal::NotDue);
    given([scheduled()]).at(at(1)).when(Command::Open).then_refused(Refusal::NotDue);
}

#[test]
fn after_an_outage_slots_are_freed_before_anyone_is_admitted() {
    let mut late = given(four_in_line())
        .and(admitted(at(1), &[(ANN, 1), (BEN, 2)]))
        .and(entered(ANN, at(1)))
        .and(held(at(2), 1, ANN, &["A1"]))
        .at(at(700));
    let happened = late.timers();
    assert_eq!(kinds(&happened), ["HoldsExpired", "AdmissionsExpired", "VisitsEnded", "VisitorsAdmitted"]);
}

#[test]
fn after_an_outage_beyond_the_end_nobody_is_admitted_any_more() {
    let mut late = given(four_in_line()).at(at(40_000));
    assert_eq!(kinds(&late.timers()), ["OpeningClosed"]);
    let mut slept_through = given([scheduled(), in_lobby(ANN)]).at(at(40_000));
    let happened = slept_through.timers();
    assert_eq!(kinds(&happened), ["LobbyClosed", "DrawHeld", "OpeningOpened", "OpeningClosed"]);
}

#[test]
fn an_opening_drains_on_time_also_while_it_is_paused() {
    let asked = Schedule { drains_at: Some(at(100)), ..schedule() };
    let mut line = given(open_as(asked.clone())).and(joined(ANN, 1)).and(paused(at(5)));
    line.now = just_before(at(100));
    line.when(Command::DrainOnTime).then_refused(Refusal::NotDue);
    assert_eq!(line.opening.next_due(), Some(at(100)));
    line.now = at(100);
    assert_eq!(kinds(&line.timers()), ["OpeningDrained", "VisitorsAdmitted"]);
    line.when_with_id(2, Command::DrainOnTime).then_refused(Refusal::NotDue);
}

#[test]
fn an_opening_closes_on_time() {
    let mut open = given(open());
    assert_eq!(open.opening.next_due(), Some(at(36_000)));
    open.now = just_before(at(36_000));
    open.when(Command::CloseOnTime).then_refused(Refusal::NotDue);
    open.now = at(36_000);
    assert_eq!(kinds(&open.timers()), ["OpeningClosed"]);
    open.when_with_id(2, Command::CloseOnTime).then_refused(Refusal::NotDue);
}

#[test]
fn a_drained_opening_closes_when_nobody_is_left() {
    let mut empty = given(open()).and(drained(at(5)));
    assert_eq!(kinds(&empty.timers()), ["OpeningClosed"]);
    for anybody in [
        vec![joined(ANN, 1), paused(at(1))],
        vec![joined(ANN, 1), went_away(at(1), &[ANN])],
        vec![joined(ANN, 1), admitted(at(1), &[(ANN, 1)])],
        vec![joined(ANN, 1), admitted(at(1), &[(ANN, 1)]), entered(ANN, at(1))],
    ] {
        let mut events = open();
        events.extend(anybody);
        let mut line = given(events).and(drained(at(5)));
        assert!(!kinds(&line.timers()).contains(&"OpeningClosed"));
        let mut gone = line.and(left(at(6), ANN));
        assert_eq!(kinds(&gone.timers()), ["OpeningClosed"]);
    }
}

#[test]
fn live_holds_expire_after_the_close() {
    let mut over = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).and(closed(at(3)));
    assert_eq!(over.opening.next_due(), Some(at(302)));
    over.now = at(601);
    assert_eq!(kinds(&over.timers()), ["HoldsExpired", "VisitsEnded"]);
    assert_eq!(over.opening.next_due(), None, "nothing is left to happen");
}

#[test]
fn nothing_to_admit_and_nothing_to_end_wait_for_nothing() {
    let line = given(four_in_line()).and(paused(at(1)));
    assert_eq!(line.opening.next_due(), Some(at(36_000)));
}

#[test]
fn a_timers_deadline_is_told_for_its_id() {
    let inside = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"]));
    assert_eq!(inside.opening.due_at(&Command::ExpireHolds), Some(at(302)));
    assert_eq!(inside.opening.due_at(&Command::EndVisits), Some(at(601)));
    assert_eq!(inside.opening.due_at(&Command::CloseOnTime), Some(at(36_000)));
    assert_eq!(inside.opening.due_at(&Command::Pause), None);
    let admitted = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)]));
    assert_eq!(admitted.opening.due_at(&Command::ExpireAdmissions), Some(at(121)));
}

#[test]
fn refusals_are_counted_as_they_are_told() {
    let by_reason = [("seats-taken".to_owned(), 3)].into();
    let by_seat =
        vec![SeatRefusals { showing: showing_id(EVENING), seat: seats(&["A1"]).remove(0), count: 3 }];
    let command = Command::CountRefusals { since: at(1), by_reason, by_seat };
    let Command::CountRefusals { since, by_reason, by_seat } = command.clone() else {
        panic!("refusals are counted");
    };
    given(open()).at(at(61)).when(command).then(RefusalsCounted { at: at(61), since, by_reason, by_seat });
}

// --- a new writer -----------------------------------------------------------

#[test]
fn after_a_claim_nobody_has_less_than_half_a_minute() {
    let mut line = given(four_in_line_with(Policy { capacity: 3, ..policy() }))
        .and(admitted(at(1), &[(ANN, 1), (BEN, 2)]))
        .and(entered(BEN, at(1)))
        .and(held(at(301), 1, BEN, &["A1"]))
        .and(paused(at(302)));
    line = line.at(at(1_000)).claimed();
    assert_eq!(line.timers(), []);
    assert_eq!(line.opening.next_due(), Some(at(1_030)));
    line.when(Command::Enter { ticket: ANN }).event();
    line.now = at(1_030);
    let happened = line.timers();
    assert_eq!(kinds(&happened), ["HoldsExpired", "AdmissionsExpired", "VisitsEnded"]);
}

#[test]
fn a_claim_shortens_no_deadline() {
    let line = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).at(at(3)).claimed();
    assert_eq!(line.opening.due_at(&Command::ExpireHolds), Some(at(302)));
    assert_eq!(line.opening.due_at(&Command::EndVisits), Some(at(601)));
}

#[test]
fn the_grace_for_late_payments_counts_from_the_end_that_the_claim_gave() {
    let inside = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).at(at(1_000)).claimed();
    let expired = inside.and(expired(at(1_030), 1, ANN, &["A1"])).at(at(1_030 + 600));
    let booking = BookingConfirmed { late: true, ..booked(at(1_630), 1, ANN, &["A1"]) };
    expired.when(confirm(1, 1, "p-1")).then(booking);
}

#[test]
fn hashes_are_made_for_the_lobby_and_the_draw_only() {
    let lobby = given([scheduled(), in_lobby(ANN)]).at(at(0));
    assert!(matches!(lobby.opening.due(at(0)), Some(Due::Hash(_))));
    let drawn = lobby.and(lobby_closed(&[ANN])).and(drawn(&[ANN]));
    assert!(matches!(drawn.opening.due(at(0)), Some(Due::Decide(Command::Open))));
    assert_eq!(drawn.opening.state(), OpeningState::Drawing);
}
