//! The writer's protocol, explored exhaustively: the code of [`Reign`] and
//! [`Cursor`] as it runs in production, as two nodes over a log with every
//! fault, in every order in which things can happen.
//!
//! [`Reign`]: usher_events::reign::Reign
//! [`Cursor`]: usher_events::tenure::Cursor

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod mutations;
mod node;
mod properties;
mod world;

use std::time::Instant;

use stateright::{Checker, Expectation, Model};

use self::world::{Bounds, Protocol};

/// Explores all that may happen, and asserts that nothing goes wrong and that
/// what makes it hard does happen. At least so many states show that the model
/// does not do less than it did.
fn explore(bounds: Bounds, at_least: usize) {
    let start = Instant::now();
    let checker = Protocol::within(bounds).checker().spawn_dfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{bounds:?}: {states} states, {depth} deep, {:.1?}", start.elapsed());
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Sometimes, found) => assert!(found.is_some(), "never: {}", property.name),
            (_, Some(path)) => panic!("not always: {}: {:#?}", property.name, path.into_actions()),
            (_, None) => {}
        }
    }
    assert!(states >= at_least, "only {states} states");
}

#[test]
fn whatever_two_things_go_wrong_what_is_confirmed_stays_true() {
    explore(Bounds { claims: 2, records: 2, faults: 2, questions: 0 }, 350_000);
}

#[test]
fn whoever_takes_over_in_whatever_order_what_is_confirmed_stays_true() {
    explore(Bounds { claims: 3, records: 2, faults: 1, questions: 0 }, 1_000_000);
}

#[test]
fn answers_without_an_event_are_true() {
    explore(Bounds { claims: 2, records: 2, faults: 1, questions: 1 }, 250_000);
}
