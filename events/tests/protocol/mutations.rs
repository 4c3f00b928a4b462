//! Each rule taken away in turn: the checker must notice.

use std::time::Instant;

use stateright::{Checker, Model};
use usher_events::tenure::CursorRules;

use crate::properties::{
    ANSWERS_TRUE, BEGINS_WITH_ALL, CONFIRMED_COUNTS, IN_ITS_PLACE, NEVER_STUCK, NOTHING_STALE, REFUSALS_TRUE,
    TAKEOVERS,
};
use crate::world::{Bounds, Mint, Protocol};

/// What is enough to break one rule: claims, records of a tenure, faults,
/// questions.
const fn within(claims: u64, records: u64, faults: u8, questions: u8) -> Bounds {
    Bounds { claims, records, faults, questions }
}

/// Takes a rule away and asserts that `broken`, which must always be so, is
/// not, by the shortest way there is.
fn breaks(rule: &str, bounds: Bounds, broken: &'static str, take_away: fn(&mut Protocol)) {
    let start = Instant::now();
    let mut protocol = Protocol::within(bounds);
    take_away(&mut protocol);
    // A search that goes one step deeper each time finds the shortest way first.
    for depth in 1..DEEPEST {
        let checker = protocol.checker().target_max_depth(depth + 1).spawn_bfs().join();
        if let Some(path) = checker.discovery(broken) {
            let steps = path.into_actions();
            println!(
                "without `{rule}`, after {} steps ({:.1?}), not: {broken}\n    {steps:?}",
                steps.len(),
                start.elapsed()
            );
            return;
        }
    }
    panic!("without `{rule}` it is still so: {broken}");
}

/// More steps than any of these worlds lasts.
const DEEPEST: usize = 50;

#[test]
fn a_writer_must_not_be_recognised_by_its_nodes_name() {
    breaks("a node's name is no tenure", within(2, 2, 1, 0), NOTHING_STALE, |protocol| {
        protocol.driver.mint = Mint::NodeName;
        protocol.driver.names_its_claim = false;
    });
}

#[test]
fn a_tenure_must_be_named_by_where_its_claim_landed_too() {
    breaks("a record names its claim's place", within(2, 1, 1, 0), NOTHING_STALE, |protocol| {
        protocol.driver.names_its_claim = false;
    });
}

#[test]
fn readers_must_void_records() {
    breaks("some records are void", within(2, 1, 0, 0), NOTHING_STALE, |protocol| {
        protocol.cursor = CursorRules::NOTHING_IS_VOID;
    });
}

#[test]
fn readers_must_void_records_of_another_tenure() {
    breaks("records of another tenure are void", within(2, 2, 1, 0), NOTHING_STALE, |protocol| {
        protocol.cursor.tenure = false;
    });
}

#[test]
fn readers_must_void_records_behind_a_gap() {
    breaks("records out of their rank are void", within(1, 2, 1, 0), NOTHING_STALE, |protocol| {
        protocol.cursor.rank = false;
    });
}

#[test]
fn a_void_record_must_close_the_tenure() {
    breaks("a void record closes the tenure", within(2, 1, 0, 0), IN_ITS_PLACE, |protocol| {
        protocol.cursor.closes = false;
    });
}

#[test]
fn a_claim_must_win_over_a_tenure_that_is_open() {
    let mut protocol = Protocol::within(within(2, 1, 0, 0));
    let possible = |protocol: Protocol| protocol.checker().spawn_dfs().join().discovery(TAKEOVERS).is_some();
    assert!(possible(protocol));
    protocol.cursor.claim_wins = false;
    assert!(!possible(protocol), "who claims does not take over from a node that is gone");
}

#[test]
fn a_writer_must_fold_up_to_its_claim_before_it_serves() {
    breaks("fold first", within(2, 1, 0, 0), BEGINS_WITH_ALL, |protocol| protocol.rules.fold_first = false);
}

#[test]
fn a_writer_must_not_believe_a_success_out_of_its_place() {
    breaks("a success counts in its place", within(2, 1, 0, 0), CONFIRMED_COUNTS, |protocol| {
        protocol.rules.in_place = false;
    });
}

#[test]
fn a_writer_must_not_confirm_over_a_gap() {
    breaks("every earlier one is confirmed", within(2, 2, 1, 0), CONFIRMED_COUNTS, |protocol| {
        protocol.rules.no_gap = false;
    });
}

#[test]
fn a_writer_must_end_its_tenure_at_the_first_failure() {
    breaks("the first failure latches", within(1, 1, 1, 0), NEVER_STUCK, |protocol| {
        protocol.rules.latch = false
    });
}

#[test]
fn what_was_decided_in_a_tenure_that_is_over_must_be_dropped() {
    breaks("dirty state dies", within(2, 1, 1, 0), BEGINS_WITH_ALL, |protocol| {
        protocol.driver.drops_dirty_state = false;
    });
}

#[test]
fn answers_must_wait_until_what_they_tell_is_confirmed() {
    breaks("answers wait", within(1, 1, 1, 1), REFUSALS_TRUE, |protocol| {
        protocol.driver.answers_wait = false
    });
}

#[test]
fn a_positive_answer_from_state_must_wait_for_an_own_record() {
    breaks("a positive answer shows ownership", within(2, 1, 0, 1), ANSWERS_TRUE, |protocol| {
        protocol.driver.shows_ownership = false;
    });
}

/// The same claim in two places is two tenures, so nobody depends on it that
/// a claim of unknown outcome is followed by one that drew another number.
#[test]
fn a_claim_that_is_sent_again_harms_nobody() {
    let mut protocol = Protocol::within(within(2, 1, 1, 0));
    protocol.driver.mint = Mint::AgainIfUnknown;
    let checker = protocol.checker().spawn_dfs().join();
    let properties = checker.model().properties();
    let broken = properties.iter().filter(|property| property.expectation.discovery_is_failure());
    let broken: Vec<_> = broken.filter(|property| checker.discovery(property.name).is_some()).collect();
    assert!(broken.is_empty(), "{}", broken[0].name);
}
