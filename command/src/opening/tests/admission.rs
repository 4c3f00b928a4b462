//! Who is admitted, by the timer and by hand, and who misses it.

use usher_events::event::*;
use usher_events::ids::Ticket;
use usher_events::policy::Policy;

use super::facts::*;
use super::{Refusal, Resource, at, given, ms};
use crate::opening::{Command, MAX_MEMBERS, OpeningState};

fn admit_next() -> Command {
    Command::AdmitNext
}

#[test]
fn the_smallest_present_numbers_are_admitted_up_to_the_capacity() {
    given(four_in_line()).at(at(1)).when(admit_next()).then(admitted(at(1), &[(ANN, 1), (BEN, 2)]));
}

#[test]
fn who_is_away_is_skipped_and_keeps_the_place() {
    let line = given(four_in_line()).and(went_away(at(1), &[ANN]));
    line.when(admit_next()).then(admitted(at(1), &[(BEN, 2), (CAT, 3)]));
    let back = line.and(admitted(at(2), &[(BEN, 2)])).and(returned(at(3), &[ANN]));
    let next = VisitorsAdmitted { serving_number: 2, ..admission(admitted(at(3), &[(ANN, 1)])) };
    back.when(admit_next()).then(next);
}

fn admission(event: Event) -> VisitorsAdmitted {
    match event {
        Event::VisitorsAdmitted(event) => event,
        other => panic!("no admission: {other:?}"),
    }
}

#[test]
fn admitted_and_inside_both_take_a_slot() {
    let one_free = given(ann_inside()).at(at(2));
    one_free.when(admit_next()).then(admitted(at(2), &[(BEN, 2)]));
    let full = one_free.and(admitted(at(2), &[(BEN, 2)])).at(at(3));
    full.when(admit_next()).then_refused(Refusal::NotDue);
    let left_one = full.and(left(at(3), BEN));
    left_one.when(admit_next()).then(admitted(at(3), &[(CAT, 3)]));
}

#[test]
fn a_capacity_below_those_inside_admits_nobody_and_throws_nobody_out() {
    let policy = Policy { capacity: 1, ..policy() };
    let smaller = given(ann_and_ben_inside()).and(PolicyChanged { at: at(2), policy }.into());
    smaller.when(admit_next()).then_refused(Refusal::NotDue);
    let one_less = smaller.and(left(at(3), ANN));
    one_less.when(admit_next()).then_refused(Refusal::NotDue);
    one_less.and(left(at(4), BEN)).when(admit_next()).then(admitted(at(4), &[(CAT, 3)]));
}

#[test]
fn an_event_admits_at_most_4096_and_the_next_follows_a_moment_later() {
    let mut crowd = given(open_with(Policy { capacity: 10_000, ..policy() }));
    for number in 1..=5_000 {
        crowd.happened(joined(visitor(number), number));
    }
    let sizes = |events: Vec<Event>| -> Vec<usize> {
        events.into_iter().map(|event| admission(event).admitted.len()).collect()
    };
    let first = sizes(crowd.timers());
    assert_eq!(first, [MAX_MEMBERS]);
    let mut later = crowd.at(ms(100));
    assert_eq!(sizes(later.timers()), [5_000 - MAX_MEMBERS]);
}

#[test]
fn nobody_is_admitted_while_the_opening_is_not_open() {
    let line = || given(four_in_line());
    line().and(paused(at(1))).when(admit_next()).then_refused(Refusal::NotDue);
    line().and(closed(at(1))).when(admit_next()).then_refused(Refusal::NotDue);
    let drawing = given([scheduled(), lobby_closed(&[]), joined(ANN, 1)]);
    drawing.when(admit_next()).then_refused(Refusal::NotDue);
}

#[test]
fn who_is_in_line_when_the_opening_drains_is_still_admitted() {
    let draining = given(four_in_line()).and(drained(at(1)));
    draining.when(admit_next()).then(admitted(at(1), &[(ANN, 1), (BEN, 2)]));
}

#[test]
fn a_visitor_alone_is_admitted_at_once() {
    let line = given(open()).and(joined(ANN, 1)).at(ms(5));
    assert!(line.opening.due(ms(5)).is_some());
}

// --- by hand ----------------------------------------------------------------

fn by_hand(now: usher_events::time::Timestamp, who: &[(Ticket, u32)]) -> VisitorsAdmitted {
    let next_admission_at = at(0);
    VisitorsAdmitted { admission: Some(admission_id(1)), next_admission_at, ..admission(admitted(now, who)) }
}

#[test]
fn by_hand_admits_what_was_asked_while_there_are_slots_and_visitors() {
    let line = given(four_in_line_with(Policy { capacity: 3, ..policy() })).at(at(1));
    line.when(admit(1, 1)).then(by_hand(at(1), &[(ANN, 1)]));
    line.when(admit(1, 9)).then(by_hand(at(1), &[(ANN, 1), (BEN, 2), (CAT, 3)]));
    let short = given(open()).and(joined(ANN, 1));
    short.when(admit(1, 2)).then(by_hand(at(0), &[(ANN, 1)]));
}

#[test]
fn by_hand_ignores_the_rate_and_a_pause_and_leaves_the_rate_alone() {
    let slow = Policy { admissions_per_minute: Some(1), ..policy() };
    let line = given(four_in_line_with(slow)).and(paused(at(1)));
    line.when(admit(1, 2)).then(by_hand(at(1), &[(ANN, 1), (BEN, 2)]));
}

#[test]
fn by_hand_with_nothing_to_admit_is_refused_with_the_reason() {
    let full = given(ann_and_ben_inside());
    full.when(admit(1, 1)).then_refused(Refusal::NothingToAdmit { free_slots: 0, present: 2 });
    let nobody = given(open());
    nobody.when(admit(1, 1)).then_refused(Refusal::NothingToAdmit { free_slots: 2, present: 0 });
}

#[test]
fn by_hand_takes_1_to_4096_at_once_and_only_while_the_opening_is_open() {
    let line = given(four_in_line());
    line.when(admit(1, 0)).then_invalid("count");
    line.when(admit(1, 4_097)).then_invalid("count");
    line.when(admit(1, 4_096)).event();
    let refusal = Refusal::WrongState { state: OpeningState::Closed };
    line.and(closed(at(1))).when(admit(1, 1)).then_refused(refusal);
    let refusal = Refusal::WrongState { state: OpeningState::Scheduled };
    given([scheduled(), in_lobby(ANN)]).when(admit(1, 1)).then_refused(refusal);
}

#[test]
fn an_admission_by_hand_that_comes_again_admits_nobody_else() {
    let mut line = given(four_in_line()).at(at(1));
    line.done(admit(1, 1));
    line.when(admit(1, 1)).then_repeated();
    let resource = Resource::Admission { admission: admission_id(1), count: 1, serving_number: 1 };
    assert_eq!(line.resource(&admit(1, 1)), resource);
    line.when(admit(1, 2)).then_refused(Refusal::IdReused);
}

// --- missed -----------------------------------------------------------------

fn expire() -> Command {
    Command::ExpireAdmissions
}

#[test]
fn who_does_not_enter_in_time_is_away_and_the_slot_goes_to_the_next_at_once() {
    let mut line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1), (BEN, 2)])).and(entered(BEN, at(2)));
    line.now = super::just_before(at(121));
    line.when(expire()).then_refused(Refusal::NotDue);
    assert_eq!(line.timers(), []);
    line.now = at(121);
    let missed = AdmissionsExpired { at: at(121), away: vec![ANN], spent: vec![] };
    assert_eq!(line.timers(), [missed.into(), admitted(at(121), &[(CAT, 3)])]);
    assert_eq!(line.ticket(ANN), (TicketState::Away, Some(1)));
}

#[test]
fn the_admission_missed_after_those_that_the_policy_forgives_spends_the_ticket() {
    let missed_once = |now| {
        let missed = AdmissionsExpired { at: now, away: vec![ANN], spent: vec![] };
        let line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)])).and(missed.into());
        line.and(returned(now, &[ANN])).and(admitted(now, &[(ANN, 1)]))
    };
    let spent = AdmissionsExpired { at: at(241), away: vec![], spent: vec![ANN] };
    missed_once(at(121)).at(at(241)).when(expire()).then(spent.clone());
    let lenient = PolicyChanged { at: at(122), policy: Policy { misses: 2, ..policy() } };
    let again = AdmissionsExpired { at: at(241), away: vec![ANN], spent: vec![] };
    missed_once(at(121)).and(lenient.into()).at(at(241)).when(expire()).then(again);
    let spent = missed_once(at(121)).and(spent.into());
    spent.when(Command::Return { indexes: vec![0] }).then_refused(Refusal::NotDue);
}

#[test]
fn a_policy_without_misses_spends_the_first_one() {
    let strict = four_in_line_with(Policy { misses: 0, ..policy() });
    let line = given(strict).and(admitted(at(1), &[(ANN, 1)])).at(at(121));
    line.when(expire()).then(AdmissionsExpired { at: at(121), away: vec![], spent: vec![ANN] });
}

#[test]
fn a_policy_change_moves_no_deadline_that_was_given() {
    let policy = Policy { enter_within_s: 10, ..policy() };
    let line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)]));
    let mut line = line.and(PolicyChanged { at: at(2), policy }.into()).at(at(60));
    line.timers();
    assert_eq!(line.ticket(ANN).0, TicketState::Admitted);
}
