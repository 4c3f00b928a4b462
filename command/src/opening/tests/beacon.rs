//! Draws that take the round of a public beacon.

use usher_events::draw::{drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::Hash;

use super::facts::*;
use super::{Given, Refusal, at, given};
use crate::opening::{Command, Opening, OpeningState, Schedule};

const LOBBY: [usher_events::ids::Ticket; 4] = [DAN, BEN, ANN, CAT];

/// An opening whose draw takes the round that comes out a minute after it
/// opens; its lobby is closed.
fn waiting() -> Given {
    let asked = Schedule { beacon: Some(beacon_at(60)), ..schedule() };
    let lobby = LOBBY.iter().fold(given([scheduled_as(asked)]), |given, who| given.and(in_lobby(*who)));
    lobby.and(lobby_closed(&LOBBY))
}

fn value(round: u64) -> BeaconValue {
    let (source, randomness) = ("drand-quicknet".to_owned(), Hash([6; 32]));
    BeaconValue { source, round, randomness, signature: "ab".repeat(48) }
}

fn the_round() -> BeaconValue {
    value(beacon_at(60).round)
}

/// The round with its hashes, as the writer makes them.
fn bring(opening: &Opening, beacon: BeaconValue) -> Command {
    let command = Command::BringBeacon { beacon, drawn: None };
    match opening.hashes_for(&command) {
        Some(job) => job.run(Some(SEED)),
        None => command,
    }
}

fn drawn_with_round() -> Event {
    let root = cohort_root(&LOBBY);
    let order = drawn_order(&SEED, &root, Some(&the_round().randomness), &LOBBY);
    let order_root = merkle_root(&order);
    DrawHeld { at: at(60), seed: SEED, beacon: Some(the_round()), order_root }.into()
}

#[test]
fn the_named_round_draws_the_order_at_once() {
    let waiting = waiting().at(at(60));
    let command = bring(&waiting.opening, the_round());
    waiting.when(command).then(drawn_with_round());
}

#[test]
fn the_order_depends_on_the_round() {
    let mut with = waiting();
    with.done(bring(&with.opening, the_round()));
    let order = drawn_order(&SEED, &cohort_root(&LOBBY), Some(&the_round().randomness), &LOBBY);
    assert_ne!(order, order_of(&LOBBY));
    for (number, ticket) in (1..).zip(order) {
        assert_eq!(with.ticket(ticket), (TicketState::Waiting, Some(number)));
    }
}

#[test]
fn no_other_round_is_ever_taken() {
    let waiting = waiting().at(at(60));
    let named = beacon_at(60).round;
    for round in [named - 1, named + 1, 1, u64::MAX] {
        waiting.when(bring(&waiting.opening, value(round))).then_invalid("round");
    }
    let elsewhere = BeaconValue { source: "drand-default".to_owned(), ..the_round() };
    waiting.when(bring(&waiting.opening, elsewhere)).then_invalid("round");
}

#[test]
fn a_round_is_not_taken_while_the_lobby_is_open_or_when_the_opening_is_over() {
    let asked = Schedule { beacon: Some(beacon_at(60)), ..schedule() };
    let lobby = given([scheduled_as(asked), in_lobby(ANN)]).at(at(-1));
    let refused = Refusal::WrongState { state: OpeningState::Scheduled };
    lobby.when(bring(&lobby.opening, the_round())).then_refused(refused);
    let over = waiting().and(closed(at(70)));
    let refused = Refusal::WrongState { state: OpeningState::Closed };
    over.when(bring(&over.opening, the_round())).then_refused(refused);
}

#[test]
fn a_draw_without_a_beacon_takes_none() {
    let drawing = given([scheduled(), in_lobby(ANN), lobby_closed(&[ANN])]);
    drawing.when(bring(&drawing.opening, the_round())).then_refused(Refusal::NoBeacon);
}

#[test]
fn the_round_again_changes_nothing_also_when_the_opening_is_over() {
    let drawn = waiting().and(drawn_with_round());
    drawn.when(bring(&drawn.opening, the_round())).then_repeated();
    drawn.when(bring(&drawn.opening, value(7))).then_invalid("round");
    let over = drawn.and(closed(at(90)));
    over.when(bring(&over.opening, the_round())).then_repeated();
}

#[test]
fn an_opening_with_a_beacon_is_never_drawn_without_it() {
    let waiting = waiting().at(at(3_600));
    assert!(waiting.opening.due(waiting.now).is_none());
    assert_eq!(waiting.opening.awaited_beacon(), Some(&beacon_at(60)));
    // Nor by a timer of the same hashes without the round, nor without hashes.
    let without = given([scheduled(), lobby_closed(&[])]);
    let Some(crate::opening::Due::Hash(job)) = without.opening.due(at(0)) else { panic!("a draw is due") };
    waiting.when(job.run(Some(SEED))).then_refused(Refusal::NotDue);
    waiting.when(Command::BringBeacon { beacon: the_round(), drawn: None }).then_refused(Refusal::NotDue);
}

#[test]
fn a_seed_that_does_not_open_the_commitment_draws_nothing() {
    let waiting = waiting().at(at(60));
    let command = Command::BringBeacon { beacon: the_round(), drawn: None };
    let job = waiting.opening.hashes_for(&command).expect("the round is taken");
    waiting.when(job.run(Some(Hash([8; 32])))).then_refused(Refusal::WrongSeed);
}

#[test]
fn who_comes_while_the_round_is_awaited_is_numbered_at_once_behind_the_lobby() {
    let mut waiting = waiting().at(at(10));
    let late = visitor(5);
    waiting.done(Command::Join { ticket: late });
    assert_eq!(waiting.ticket(late), (TicketState::Waiting, Some(5)));
    waiting.done(bring(&waiting.opening, the_round()));
    assert_eq!(waiting.ticket(late), (TicketState::Waiting, Some(5)));
}

#[test]
fn an_opening_whose_round_never_comes_closes_on_time() {
    let mut waiting = waiting().at(at(36_000));
    assert_eq!(waiting.timers(), [closed(at(36_000))]);
    assert_eq!(waiting.opening.awaited_beacon(), None);
}

#[test]
fn what_was_hashed_is_no_part_of_what_was_asked() {
    let waiting = waiting();
    let (bare, hashed) =
        (Command::BringBeacon { beacon: the_round(), drawn: None }, bring(&waiting.opening, the_round()));
    assert_ne!(bare, hashed);
    let opening = super::opening_id();
    assert_eq!(bare.digest(&opening), hashed.digest(&opening));
}
