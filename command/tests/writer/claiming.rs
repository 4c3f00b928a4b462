//! When an instance claims a partition, and when it serves.

use usher_command::opening::{Command, Due};
use usher_command::writer::{Owner, WriterConfig};
use usher_events::event::{Event, WriterClaimed};
use usher_events::ids::{CommandId, Hash};
use usher_events::record::{Headers, Record};
use usher_events::tenure::Stamp;
use usher_events::time::Timestamp;
use uuid::Uuid;

use crate::asks::{at, join, keys, opening, schedule};
use crate::bench::{Bench, PATIENCE_S, config};

#[test]
fn commands_wait_while_it_claims_and_are_decided_when_it_serves() {
    let mut bench = Bench::new(1);
    bench.want(0, true);
    let early = bench.ask(0, schedule(&keys("k")));
    bench.arrive(0, 1);
    bench.report(0);
    let earlier = bench.ask(0, join(1));
    assert!(!bench.serving(0), "the claim is not folded");
    bench.expect_no_answer(early);
    bench.read(0);
    assert!(bench.serving(0));
    assert_eq!(*bench.owner(0), Owner::Me);
    bench.land(0);
    bench.expect_done(early);
    bench.expect_done(earlier);
}

#[test]
fn who_waits_longer_than_the_patience_is_told_that_nobody_knows() {
    let mut bench = Bench::new(1);
    let first = bench.ask(0, schedule(&keys("k")));
    bench.pass(1_000);
    let second = bench.ask(0, join(1));
    bench.pass_to(Timestamp(bench.now.0 + PATIENCE_S * 1_000 - 1_001));
    bench.expect_no_answer(first);
    bench.pass(1);
    bench.expect_unknown(first);
    bench.expect_no_answer(second);
    bench.pass(1_000);
    bench.expect_unknown(second);
    bench.serve(0);
    assert_eq!(bench.events(), [], "who was told so is decided no more");
}

#[test]
fn an_instance_that_is_not_wanted_claims_nothing() {
    let mut bench = Bench::new(1);
    bench.pass(60_000);
    assert_eq!(bench.in_flight(0), 0);
    assert_eq!(*bench.owner(0), Owner::Nobody);
}

#[test]
fn nothing_is_claimed_before_what_was_there_at_the_start_is_folded() {
    let mut bench = Bench::scheduled();
    let late = bench.add(config());
    let end = bench.end();
    bench.partition(late).catch_up_to(end);
    bench.want(late, true);
    bench.pass(60_000);
    assert_eq!(bench.in_flight(late), 0);
    bench.read(late);
    assert_eq!(bench.in_flight(late), 1, "it claims");
}

#[test]
fn a_claim_that_is_lost_is_followed_by_another_and_never_sooner_than_its_wait() {
    let mut bench = Bench::new(1);
    bench.want(0, true);
    bench.lose(0, 1);
    bench.report(0);
    assert_eq!(bench.in_flight(0), 0, "not at once");
    bench.pass(100);
    bench.claim(0);
    assert!(bench.serving(0));
}

#[test]
fn clocks_that_differ_by_more_than_two_seconds_do_not_serve() {
    for (behind_ms, serves) in [(2_000, true), (2_001, false)] {
        let mut bench = Bench::new(1);
        bench.want(0, true);
        // The log's clock stamps the claim; this one goes on slower.
        bench.now = Timestamp(bench.now.0 - behind_ms);
        bench.arrive(0, 1);
        bench.now = Timestamp(bench.now.0 + behind_ms);
        bench.report(0);
        bench.read(0);
        assert_eq!(bench.serving(0), serves, "{behind_ms} ms");
    }
    let mut ahead = Bench::new(1);
    ahead.want(0, true);
    ahead.now = Timestamp(ahead.now.0 + 2_001);
    ahead.arrive(0, 1);
    ahead.now = Timestamp(ahead.now.0 - 2_001);
    ahead.report(0);
    ahead.read(0);
    assert!(!ahead.serving(0));
    ahead.pass(10_000);
    ahead.claim(0);
    assert!(ahead.serving(0), "once the clocks agree, it serves");
}

#[test]
fn draw_keys_that_do_not_open_a_commitment_do_not_claim() {
    let mut bench = Bench::scheduled();
    for wrong in [keys("z"), {
        let keys = vec![("another".to_owned(), "k".repeat(32).into())];
        std::sync::Arc::new(usher_command::draw_keys::DrawKeys::new(keys).unwrap())
    }] {
        let other = bench.add(WriterConfig { draw_keys: wrong, ..config() });
        bench.read(other);
        bench.want(other, true);
        bench.pass(20_000);
        assert_eq!(bench.in_flight(other), 0);
    }
    bench.read(1);
    bench.want(1, true);
    assert_eq!(bench.in_flight(1), 1, "with the right keys it claims");
}

#[test]
fn a_drawn_opening_needs_its_key_no_more() {
    let mut bench = Bench::scheduled();
    bench.pass_to(at(1));
    bench.land(0);
    let other = bench.add(WriterConfig { draw_keys: keys("z"), ..config() });
    bench.read(other);
    bench.want(other, true);
    assert_eq!(bench.in_flight(other), 1);
}

#[test]
fn a_claim_that_is_news_is_let_settle_before_it_is_answered_with_another() {
    let mut bench = Bench::new(2);
    bench.want(1, true);
    bench.want(0, true);
    bench.arrive(0, 1);
    bench.report(0);
    bench.read(1);
    bench.arrive(1, 1);
    // Both claims landed; the second stands, and the first one's reign is over.
    bench.report(1);
    bench.read(1);
    bench.read(0);
    assert!(bench.serving(1) && !bench.serving(0));
    bench.pass(999);
    assert_eq!(bench.in_flight(0), 0);
    bench.pass(501);
    assert_eq!(bench.in_flight(0), 1, "it is still wanted, too");
}

/// A record whose event this binary does not know.
fn from_the_future(tenure: u64, n: u64) -> Record {
    let headers = Headers {
        tenure,
        n,
        seq: 2,
        command_id: CommandId(Uuid::from_u128(1)),
        digest: Hash::default(),
        actor: "operator:desk".into(),
        chain: Hash::default(),
    };
    let value = br#"{"type":"SeatsPainted","v":1,"at":1}"#.to_vec().into();
    Record { key: Some(opening()), value, headers }
}

#[test]
fn a_partition_with_a_record_that_cannot_be_folded_is_claimed_no_more() {
    let mut bench = Bench::new(2);
    let claimed = WriterClaimed {
        at: bench.now,
        address: "http://newer".to_owned(),
        version: "99.0.0".to_owned(),
        partitions: 1,
    };
    let claim = Record::of_writer(Stamp { tenure: 5, n: 0 }, &Event::WriterClaimed(claimed)).unwrap();
    bench.write(claim);
    bench.write(from_the_future(5, 1));
    bench.read(0);
    bench.want(0, true);
    let waiting = bench.ask(0, join(1));
    bench.pass(60_000);
    assert_eq!(bench.in_flight(0), 0);
    bench.expect_unknown(waiting);
    assert_eq!(bench.partition(0).state().position, 1, "it stands before the record");
}

#[test]
fn a_void_record_that_cannot_be_folded_is_in_nobodys_way() {
    let mut bench = Bench::scheduled();
    bench.write(from_the_future(5, 1));
    bench.want(0, false);
    bench.serve(1);
    bench.done(1, join(1));
}

#[test]
fn a_follower_has_what_the_owner_has() {
    let mut bench = Bench::opened();
    bench.read(1);
    let told = |bench: &mut Bench, node| {
        let chained = &bench.partition(node).state().openings[&opening()];
        serde_json::to_value(&chained.opening).unwrap()
    };
    assert_eq!(told(&mut bench, 1), told(&mut bench, 0));
    let due = bench.partition(1).state().openings[&opening()].opening.due(at(700));
    assert!(matches!(due, Some(Due::Decide(Command::EndVisits))), "{due:?}");
    bench.now = at(700);
    bench.tick(1);
    assert_eq!(bench.in_flight(1), 0, "a follower has no timers");
}
