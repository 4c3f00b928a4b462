//! Refusals are no events, but counted: once a minute, if there are any.

use usher_command::opening::{Command, Schedule};
use usher_events::event::{Event, RefusalsCounted};
use usher_events::time::Timestamp;

use crate::asks::{at, enter, hold, join, keys, message, schedule, seat, showing};
use crate::bench::Bench;

fn counted(bench: &Bench) -> Vec<RefusalsCounted> {
    let count = |event| match event {
        Event::RefusalsCounted(counted) => Some(counted),
        _ => None,
    };
    bench.events().into_iter().filter_map(count).collect()
}

fn refused(bench: &mut Bench, command: Command) {
    let token = bench.ask(0, command);
    bench.land(0);
    bench.expect_refused(token);
}

#[test]
fn refusals_are_counted_once_a_minute_by_reason_and_by_seat() {
    let mut bench = Bench::opened();
    bench.pass_to(at(3));
    bench.done(0, hold(1, 1, &[0, 1]));
    bench.pass_to(at(10));
    refused(&mut bench, hold(2, 2, &[0, 1]));
    bench.pass_to(at(20));
    refused(&mut bench, hold(3, 2, &[1, 2]));
    refused(&mut bench, enter(3));
    bench.pass_to(Timestamp(at(70).0 - 1));
    assert_eq!(counted(&bench), []);
    assert_eq!(bench.partition(0).next_tick(), at(70));
    bench.pass_to(at(70));
    bench.land(0);
    let [count] = counted(&bench).try_into().unwrap();
    assert_eq!((count.since, count.at), (at(10), at(70)));
    let reasons: Vec<_> = count.by_reason.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(reasons, [("not-your-turn", 1), ("seats-taken", 2)]);
    let seats: Vec<_> = count.by_seat.iter().map(|seat| (&seat.showing, &seat.seat, seat.count)).collect();
    assert_eq!(seats, [(&showing(), &seat(1), 2), (&showing(), &seat(0), 1)]);
}

#[test]
fn a_minute_without_refusals_has_no_event() {
    let mut bench = Bench::opened();
    bench.pass_to(at(10));
    refused(&mut bench, enter(3));
    bench.pass_to(at(70));
    bench.land(0);
    bench.pass_to(at(300));
    bench.land(0);
    assert_eq!(counted(&bench).len(), 1);
    refused(&mut bench, enter(3));
    bench.pass_to(at(360));
    bench.land(0);
    assert_eq!(counted(&bench).len(), 2);
}

#[test]
fn refusals_of_what_does_not_exist_are_not_counted() {
    let mut bench = Bench::new(1);
    bench.serve(0);
    refused(&mut bench, join(1));
    let Command::Schedule(asked) = schedule(&keys("k")) else { panic!() };
    refused(&mut bench, Command::Schedule(Box::new(Schedule { title: String::new(), ..*asked })));
    assert_eq!(bench.partition(0).next_tick(), Timestamp::MAX);
    bench.pass(60_000);
    assert_eq!(bench.in_flight(0), 0);
    bench.done(0, schedule(&keys("k")));
    bench.done(0, message("Welcome"));
}
