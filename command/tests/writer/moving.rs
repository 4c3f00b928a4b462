//! A partition goes from one owner to the next.

use usher_command::writer::{Owner, Reply};
use usher_events::event::Event;
use usher_events::time::Timestamp;

use crate::asks::{at, enter, hold, join};
use crate::bench::Bench;

fn is_elsewhere(reply: Option<&Reply>, address: &str) -> bool {
    matches!(reply, Some(Reply::Elsewhere(Owner::Other(to))) if &**to == address)
}

#[test]
fn an_owner_that_is_not_wanted_any_more_finishes_what_is_in_flight_and_then_follows() {
    let mut bench = Bench::scheduled();
    let sent = bench.ask(0, join(1));
    bench.want(0, false);
    assert!(bench.serving(0), "its record is in flight");
    bench.land(0);
    bench.expect_done(sent);
    assert!(!bench.serving(0));
    assert!(bench.partition(0).following());
    bench.read(1);
    bench.serve(1);
    bench.done(1, join(2));
    bench.read(0);
    assert_eq!(*bench.owner(0), Owner::Other("http://1".into()));
    assert_eq!(*bench.owner(1), Owner::Me);
}

#[test]
fn an_owner_that_is_not_wanted_any_more_begins_nothing() {
    let mut bench = Bench::scheduled();
    bench.pass_to(at(-1));
    let sent = bench.ask(0, join(1));
    bench.want(0, false);
    let waiting = bench.ask(0, join(2));
    // Not even what is due.
    bench.pass_to(at(1));
    bench.arrive(0, 1);
    assert_eq!(bench.in_flight(0), 0, "else it would never be done with what is in flight");
    assert!(bench.partition(0).next_tick() > at(1), "it has nothing to do");
    bench.report(0);
    bench.expect_done(sent);
    bench.expect_no_answer(waiting);
    bench.serve(1);
    bench.read(0);
    assert!(is_elsewhere(bench.reply(waiting), "http://1"));
}

#[test]
fn who_asks_a_follower_is_sent_to_the_owner() {
    let mut bench = Bench::scheduled();
    bench.read(1);
    bench.want(1, false);
    let token = bench.ask(1, join(1));
    assert!(is_elsewhere(bench.reply(token), "http://0"));
}

#[test]
fn an_owner_that_was_replaced_unknown_to_it_acknowledges_nothing_more() {
    let mut bench = Bench::opened();
    bench.read(1);
    bench.serve(1);
    // The old owner was asleep, and still thinks that it owns the partition.
    assert!(bench.serving(0) && bench.serving(1));
    let held = bench.ask(0, hold(1, 1, &[0]));
    let already = bench.ask(0, enter(2));
    bench.arrive(0, 2);
    bench.report(0);
    assert!(!bench.serving(0));
    bench.expect_no_answer(held);
    bench.expect_no_answer(already);
    // What it wrote is void, and stands where the new owner's records should:
    // that one claims again, and what it was asked is decided then.
    bench.want(0, false);
    let other = bench.ask(1, hold(2, 2, &[0]));
    bench.arrive(1, 1);
    bench.report(1);
    bench.expect_no_answer(other);
    bench.pass(1_500);
    bench.read(1);
    bench.claim(1);
    bench.land(1);
    bench.expect_done(other);
    assert_eq!(bench.partition(1).state().voids, 3);
}

#[test]
fn an_owner_that_sees_more_in_the_log_than_it_wrote_is_no_owner() {
    let mut bench = Bench::opened();
    bench.look_at_end(0);
    assert!(bench.serving(0));
    bench.read(1);
    bench.serve(1);
    bench.look_at_end(0);
    assert!(!bench.serving(0));
}

#[test]
fn a_command_whose_owner_lost_the_partition_has_one_effect_wherever_it_is_asked_again() {
    let mut bench = Bench::opened();
    let lost = bench.ask_again(0, hold(1, 1, &[0]), 1);
    // It lands, and its owner never hears of it.
    bench.arrive(0, 1);
    bench.take_reports(0);
    bench.read(1);
    bench.serve(1);
    let again = bench.ask_again(1, hold(1, 1, &[0]), 1);
    bench.land(1);
    bench.expect_no_answer(lost);
    assert!(matches!(bench.reply(again), Some(Reply::Done { created: false, .. })));
    let held = bench.events().iter().filter(|event| matches!(event, Event::SeatsHeld(_))).count();
    assert_eq!(held, 1);
}

#[test]
fn what_was_not_durable_is_forgotten_with_the_tenure() {
    let mut bench = Bench::opened();
    let lost = bench.ask(0, hold(1, 1, &[0]));
    bench.lose(0, 1);
    bench.report(0);
    // Its caller stops waiting while nobody serves.
    bench.now = Timestamp(bench.now.0 + 60_000);
    bench.tick(0);
    bench.expect_unknown(lost);
    bench.read(0);
    bench.claim(0);
    let other = bench.ask(0, hold(2, 2, &[0]));
    bench.land(0);
    bench.expect_done(other);
}
