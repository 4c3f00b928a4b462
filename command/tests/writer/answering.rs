//! An answer comes when what it tells is durable, and says as of when.

use usher_command::opening::{Command, Refusal, Resource, SeatProblem};
use usher_command::writer::{Reply, WriterConfig};
use usher_events::event::{Event, TicketState};
use usher_events::ids::PlanName;
use usher_events::plan::Seat;
use usher_events::record::MAX_RECORD_BYTES;
use usher_events::time::Timestamp;

use crate::asks::{enter, hold, join, keys, message, schedule};
use crate::bench::{Bench, config};

#[test]
fn a_success_is_told_when_its_event_is_durable_and_not_before() {
    let mut bench = Bench::scheduled();
    let token = bench.ask(0, join(1));
    bench.expect_no_answer(token);
    bench.arrive(0, 1);
    bench.expect_no_answer(token);
    bench.report(0);
    assert_eq!(bench.expect_done(token), bench.end());
}

#[test]
fn a_success_waits_for_every_earlier_record() {
    let mut bench = Bench::scheduled();
    let tokens = [bench.ask(0, join(1)), bench.ask(0, join(2))];
    bench.arrive(0, 1);
    let first = bench.take_reports(0);
    bench.arrive(0, 1);
    bench.report(0);
    for token in tokens {
        bench.expect_no_answer(token);
    }
    bench.report_these(0, first);
    for token in tokens {
        bench.expect_done(token);
    }
}

#[test]
fn commands_are_decided_while_earlier_ones_are_in_flight_and_build_on_them() {
    let mut bench = Bench::opened();
    let held = bench.ask(0, hold(1, 1, &[0, 1]));
    let refused = bench.ask(0, hold(2, 2, &[1]));
    let end = bench.end();
    bench.expect_no_answer(refused);
    bench.land(0);
    assert_eq!(bench.expect_done(held), end + 1);
    let (refusal, position) = bench.expect_refused(refused);
    assert_eq!(position, end + 1, "true of what it was decided on");
    let Refusal::SeatsTaken { conflicts, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!((conflicts.len(), conflicts[0].why), (1, SeatProblem::Held));
}

#[test]
fn a_refusal_waits_for_what_is_in_flight_at_its_decision_and_for_no_more() {
    let mut bench = Bench::opened();
    let unfit = || Command::SetMessage { message: Some(String::new()) };
    let at_once = bench.ask(0, unfit());
    bench.expect_refused(at_once);
    let held = bench.ask(0, hold(1, 1, &[0]));
    let refused = bench.ask(0, hold(2, 2, &[0]));
    let later = bench.ask(0, join(9));
    bench.expect_no_answer(refused);
    bench.arrive(0, 1);
    bench.report(0);
    bench.expect_done(held);
    bench.expect_refused(refused);
    bench.expect_no_answer(later);
}

#[test]
fn a_refusal_of_a_writer_that_sent_nothing_of_late_waits_for_one_own_record() {
    let mut bench = Bench::opened();
    let unfit = || Command::SetMessage { message: Some(String::new()) };
    let end = bench.end();
    bench.now = Timestamp(bench.now.0 + 1_001);
    let tokens = bench.ask_together(0, [unfit(), enter(9)]);
    for token in tokens {
        bench.expect_no_answer(token);
    }
    bench.land(0);
    for token in tokens {
        assert_eq!(bench.expect_refused(token).1, end, "true of what it was decided on");
    }
    assert_eq!((bench.alive(), bench.end()), (1, end + 1));
    let at_once = bench.ask(0, unfit());
    bench.expect_refused(at_once);
}

#[test]
fn a_writer_that_was_stopped_does_not_refuse_by_what_it_knew_before() {
    let mut bench = Bench::opened();
    bench.read(1);
    bench.want(1, true);
    bench.now = Timestamp(bench.now.0 + 20_000);
    bench.tick(1);
    bench.claim(1);
    assert!(bench.serving(1));
    bench.done(1, join(9));
    // It does not know the ticket, nor that another has taken over.
    let left = bench.ask(0, enter(9));
    bench.expect_no_answer(left);
    bench.land(0);
    bench.expect_no_answer(left);
    assert!(!bench.serving(0));
}

#[test]
fn a_refusal_of_what_is_lost_with_its_reason_is_not_told() {
    let mut bench = Bench::opened();
    let held = bench.ask(0, hold(1, 1, &[0]));
    let refused = bench.ask(0, hold(2, 2, &[0]));
    bench.lose(0, 1);
    // While the tenure is over, the first one's caller goes away.
    bench.report(0);
    bench.expect_no_answer(held);
    bench.expect_no_answer(refused);
    assert!(!bench.serving(0));
}

#[test]
fn what_is_so_already_waits_for_one_own_record_and_one_sign_of_life_serves_all() {
    let mut bench = Bench::opened();
    let end = bench.end();
    // In one batch: nothing is taken out before both are decided.
    let tokens = bench.ask_together(0, [enter(1), enter(2), enter(1)]);
    for token in tokens {
        bench.expect_no_answer(token);
    }
    assert_eq!((bench.in_flight(0), bench.alive()), (1, 0));
    bench.land(0);
    for token in tokens {
        assert_eq!(bench.expect_done(token), end, "true of what it was decided on");
        let Some(Reply::Done { created: false, resource, .. }) = bench.reply(token) else { panic!() };
        assert!(matches!(resource.as_ref(), Resource::Entry { state: TicketState::Inside, .. }));
    }
    assert_eq!(bench.alive(), 1);
}

#[test]
fn what_is_so_already_is_served_by_the_next_event_when_one_follows() {
    let mut bench = Bench::opened();
    let [already, joined] = bench.ask_together(0, [enter(1), join(9)]);
    bench.land(0);
    bench.expect_done(already);
    bench.expect_done(joined);
    assert_eq!(bench.alive(), 0);
}

#[test]
fn an_own_record_that_was_sent_before_does_not_serve_what_is_so_already() {
    let mut bench = Bench::opened();
    let joined = bench.ask(0, join(9));
    let already = bench.ask(0, enter(1));
    bench.arrive(0, 1);
    bench.report(0);
    bench.expect_done(joined);
    bench.expect_no_answer(already);
    bench.land(0);
    bench.expect_done(already);
}

#[test]
fn what_was_done_before_is_told_when_the_original_is_durable() {
    let mut bench = Bench::opened();
    let first = bench.ask(0, hold(1, 1, &[0]));
    let again = bench.ask(0, hold(1, 1, &[0]));
    bench.expect_no_answer(again);
    bench.land(0);
    let position = bench.expect_done(first);
    assert_eq!(bench.expect_done(again), position);
    assert!(matches!(bench.reply(again), Some(Reply::Done { created: false, .. })));
    let later = bench.ask(0, hold(1, 1, &[0]));
    bench.expect_done(later);
    assert_eq!(bench.in_flight(0), 0, "a repeat needs no record");
}

#[test]
fn after_a_failed_append_those_who_still_wait_are_decided_again() {
    let mut bench = Bench::opened();
    let before = bench.events().len();
    let held = bench.ask(0, hold(1, 1, &[0]));
    let refused = bench.ask(0, hold(2, 2, &[0]));
    let joined = bench.ask(0, join(9));
    // The first is lost, the second lands: it is void.
    bench.lose(0, 1);
    bench.arrive(0, 1);
    bench.report(0);
    assert!(!bench.serving(0));
    bench.pass(1_000);
    bench.read(0);
    bench.claim(0);
    assert!(bench.serving(0));
    bench.land(0);
    bench.expect_done(held);
    bench.expect_refused(refused);
    bench.expect_done(joined);
    let events = bench.events();
    let held = |event: &&Event| matches!(event, Event::SeatsHeld(_));
    assert_eq!(events[before..].iter().filter(held).count(), 1);
    assert_eq!(bench.partition(0).state().voids, 1);
}

#[test]
fn a_success_that_was_reported_in_another_place_is_none() {
    let mut bench = Bench::scheduled();
    let token = bench.ask(0, join(1));
    bench.arrive(0, 1);
    let mut reports = bench.take_reports(0);
    reports[0].outcome = Ok(0);
    bench.report_these(0, reports);
    assert!(!bench.serving(0));
    bench.expect_no_answer(token);
    bench.pass(1_000);
    bench.read(0);
    bench.claim(0);
    bench.land(0);
    assert!(matches!(bench.reply(token), Some(Reply::Done { created: false, .. })), "it had landed");
}

#[test]
fn no_more_is_in_flight_than_is_allowed_and_the_rest_waits() {
    let mut bench = Bench::with(1, WriterConfig { max_in_flight: 2, ..config() });
    bench.serve(0);
    bench.done(0, schedule(&keys("k")));
    let tokens: Vec<u64> = (1..=5).map(|visitor| bench.ask(0, join(visitor))).collect();
    assert_eq!(bench.in_flight(0), 2);
    bench.arrive(0, 1);
    bench.report(0);
    assert_eq!(bench.in_flight(0), 2);
    bench.land(0);
    for token in tokens {
        bench.expect_done(token);
    }
}

#[test]
fn answers_say_as_of_which_position_they_are_true() {
    let mut bench = Bench::scheduled();
    let tokens = [bench.ask(0, join(1)), bench.ask(0, join(1)), bench.ask(0, message("Welcome"))];
    bench.land(0);
    let positions = tokens.map(|token| bench.expect_done(token));
    let end = bench.end();
    assert_eq!(positions, [end - 1, end - 1, end]);
}

#[test]
fn what_is_larger_than_a_record_may_be_is_refused_and_ends_no_tenure() {
    let mut bench = Bench::new(1);
    bench.serve(0);
    let Command::Schedule(mut asked) = schedule(&keys("k")) else { panic!("it schedules") };
    let mut plan = asked.plans.values().next().unwrap().clone();
    let row = &mut plan.seating.zones[0].rows[0].seats;
    let seat = row[0].clone();
    row.extend((0..90_000).map(|i| Seat { seat_guid: crate::asks::seat(1_000 + i), ..seat.clone() }));
    asked.plans.extend((0..3).map(|i| (PlanName::new(&format!("hall-{i}")).unwrap(), plan.clone())));
    let token = bench.ask(0, Command::Schedule(asked));
    let (refusal, _) = bench.expect_refused(token);
    assert_eq!(*refusal, Refusal::TooLarge { max_bytes: MAX_RECORD_BYTES });
    assert_eq!(bench.in_flight(0), 0);
    bench.done(0, schedule(&keys("k")));
}
