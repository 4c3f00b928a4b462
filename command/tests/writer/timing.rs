//! Timers are commands of whoever owns the partition, and of nobody else.

use usher_events::event::{Event, TicketState};
use usher_events::time::Timestamp;

use crate::asks::{at, enter, hold, keys, opening, schedule, ticket};
use crate::bench::Bench;

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::kind).collect()
}

#[test]
fn at_its_time_the_opening_opens_by_itself_and_each_step_is_an_event() {
    let mut bench = Bench::scheduled();
    bench.pass_to(Timestamp(at(0).0 - 1));
    assert_eq!(bench.in_flight(0), 0);
    assert_eq!(bench.partition(0).next_tick(), at(0));
    bench.pass_to(at(0));
    bench.land(0);
    assert_eq!(kinds(&bench.events()), ["OpeningScheduled", "LobbyClosed", "DrawHeld", "OpeningOpened"]);
}

#[test]
fn no_timer_fires_before_the_claim_has_won() {
    let mut bench = Bench::scheduled();
    bench.read(1);
    bench.now = at(100);
    bench.want(1, true);
    bench.tick(1);
    assert_eq!(bench.in_flight(1), 1, "nothing but the claim");
    bench.arrive(1, 1);
    bench.report(1);
    bench.tick(1);
    assert_eq!(bench.in_flight(1), 0, "it is not folded yet");
    bench.read(1);
    bench.tick(1);
    bench.land(1);
    assert_eq!(kinds(&bench.events()), ["OpeningScheduled", "LobbyClosed", "DrawHeld", "OpeningOpened"]);
}

#[test]
fn due_timers_are_decided_before_a_command() {
    let mut bench = Bench::scheduled();
    // No tick came since the opening opened.
    bench.now = at(5);
    let token = bench.ask(0, crate::asks::join(1));
    bench.land(0);
    bench.expect_done(token);
    let kinds = kinds(&bench.events());
    assert_eq!(kinds[1..5], ["LobbyClosed", "DrawHeld", "OpeningOpened", "VisitorJoined"]);
}

#[test]
fn nobody_is_punished_for_an_outage() {
    // Visitor 3 is admitted as soon as there is room; 1 and 2 are inside
    // until 602, and 1 holds until 304.
    let mut bench = Bench::opened();
    bench.pass_to(at(4));
    bench.done(0, hold(1, 1, &[0]));
    bench.read(1);
    // Nobody writes until 700.
    bench.now = at(700);
    bench.serve(1);
    for (second, inside) in [(729, true), (730, false)] {
        bench.now = at(second);
        bench.tick(1);
        bench.land(1);
        let chained = &bench.partition(1).state().openings[&opening()];
        let (state, _) = chained.opening.queue().ticket(&ticket(1)).unwrap();
        assert_eq!(state == TicketState::Inside, inside, "at {second}");
    }
    let kinds = kinds(&bench.events());
    assert!(kinds.ends_with(&["HoldsExpired", "VisitsEnded", "VisitorsAdmitted"]), "{kinds:?}");
}

#[test]
fn time_in_an_opening_never_runs_backwards() {
    let mut bench = Bench::opened();
    bench.read(1);
    // The next owner's clock is a second behind.
    bench.now = at(1);
    bench.serve(1);
    bench.done(1, hold(1, 1, &[0]));
    let times: Vec<Timestamp> = bench.events().iter().map(Event::at).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(*times.last().unwrap(), at(2));
}

#[test]
fn a_timers_event_has_the_same_id_whoever_decides_it() {
    let ids = |bench: &Bench| {
        let records = bench.log.records(0, 0, usize::MAX).into_iter();
        let own = records.filter(|stored| stored.record.key.is_some());
        own.skip(1).map(|stored| stored.record.headers.command_id).collect::<Vec<_>>()
    };
    let mut one = Bench::scheduled();
    one.pass_to(at(0));
    one.land(0);
    let mut other = Bench::scheduled();
    other.read(1);
    other.now = at(9);
    other.serve(1);
    other.tick(1);
    other.land(1);
    assert_eq!(ids(&one), ids(&other));
    assert_eq!(ids(&one).len(), 3);
}

#[test]
fn an_opening_that_nobody_scheduled_has_no_timers() {
    let mut bench = Bench::new(1);
    bench.serve(0);
    let token = bench.ask(0, enter(1));
    bench.land(0);
    bench.expect_refused(token);
    bench.pass(600_000);
    assert_eq!(bench.in_flight(0), 0);
    bench.done(0, schedule(&keys("k")));
}
