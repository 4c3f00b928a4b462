//! The lobby's end and its draw.

use usher_events::draw::{commitment, merkle_root};
use usher_events::event::*;
use usher_events::ids::Hash;

use super::facts::*;
use super::{Due, Given, Refusal, at, given, schedule_id};
use crate::opening::{Command, HashJob};

const LOBBY: [usher_events::ids::Ticket; 4] = [DAN, BEN, ANN, CAT];

fn full_lobby() -> Vec<Event> {
    let mut events = vec![scheduled()];
    events.extend(LOBBY.map(in_lobby));
    events
}

fn drawing() -> Vec<Event> {
    let mut events = full_lobby();
    events.push(lobby_closed(&LOBBY));
    events
}

fn job(given: &Given) -> HashJob {
    match given.opening.due(given.now) {
        Some(Due::Hash(job)) => job,
        other => panic!("expected hashes to make, not {other:?}"),
    }
}

#[test]
fn the_lobby_closes_when_the_opening_opens_and_not_before() {
    let lobby = given(full_lobby());
    assert_eq!(lobby.opening.next_due(), Some(at(0)));
    let early = given(full_lobby()).at(just_before(at(0)));
    assert!(early.opening.due(early.now).is_none());
    let command = Command::CloseLobby { cohort_root: cohort_root(&LOBBY), count: 4 };
    early.when(command).then_refused(Refusal::NotDue);
}

#[test]
fn the_cohort_is_who_joined_and_did_not_leave_in_ascending_order() {
    let lobby = given(full_lobby()).and(left(at(-10), BEN)).at(at(0));
    let job = job(&lobby);
    assert_eq!((job.len(), job.needs_seed()), (3, None));
    let event = LobbyClosed { at: at(0), cohort_root: merkle_root(&[ANN, CAT, DAN]), count: 3 };
    lobby.when(job.run(None)).then(event);
}

#[test]
fn hashes_of_another_lobby_do_not_close_this_one() {
    let lobby = given(full_lobby()).at(at(0));
    let stale = job(&lobby).run(None);
    lobby.and(left(at(0), ANN)).when(stale).then_refused(Refusal::NotDue);
}

#[test]
fn a_lobby_closes_once() {
    let command = Command::CloseLobby { cohort_root: cohort_root(&LOBBY), count: 4 };
    given(drawing()).when(command).then_refused(Refusal::NotDue);
}

#[test]
fn the_draw_numbers_the_cohort_in_the_order_of_keyed_hashes() {
    let mut drawing = given(drawing());
    let job = job(&drawing);
    let needed = job.needs_seed().expect("a draw needs its seed");
    assert_eq!(needed.draw_key_id, "key-1");
    assert_eq!(needed.scheduled_by, schedule_id(&super::opening_id()));
    drawing.done(job.run(Some(SEED)));
    for (number, ticket) in (1..).zip(order_of(&LOBBY)) {
        assert_eq!(drawing.ticket(ticket), (TicketState::Waiting, Some(number)));
    }
}

#[test]
fn the_order_is_the_same_whether_it_was_hashed_before_or_in_the_fold() {
    let mut with = given(drawing());
    let command = job(&with).run(Some(SEED));
    with.done(command);
    let without = given(drawing()).and(drawn(&LOBBY));
    for ticket in LOBBY {
        assert_eq!(with.ticket(ticket), without.ticket(ticket));
    }
}

#[test]
fn a_seed_that_does_not_open_the_commitment_is_refused() {
    let drawing = given(drawing());
    let forged = job(&drawing).run(Some(Hash([8; 32])));
    drawing.when(forged).then_refused(Refusal::WrongSeed);
}

#[test]
fn a_draw_is_held_once_and_never_before_the_lobby_is_closed() {
    let command = job(&given(drawing())).run(Some(SEED));
    given(full_lobby()).at(at(0)).when(command.clone()).then_refused(Refusal::NotDue);
    given(drawing()).and(drawn(&LOBBY)).when(command).then_refused(Refusal::NotDue);
}

#[test]
fn who_leaves_between_lobby_and_draw_has_a_number_but_stays_left() {
    let drawn = given(drawing()).and(left(at(0), ANN)).and(drawn(&LOBBY));
    let (state, number) = drawn.ticket(ANN);
    assert_eq!((state, number.is_some()), (TicketState::Left, true));
    assert_eq!(drawn.opening.queue().present(), 3);
}

#[test]
fn who_is_away_in_the_lobby_is_drawn_but_not_present() {
    let lobby = given(full_lobby()).and(went_away(at(-5), &[ANN]));
    let drawn = lobby.and(lobby_closed(&LOBBY)).and(drawn(&LOBBY));
    let (state, number) = drawn.ticket(ANN);
    assert_eq!((state, number.is_some()), (TicketState::Away, true));
    assert_eq!(drawn.opening.queue().present(), 3);
}

#[test]
fn who_joined_while_the_order_was_drawn_waits_behind_it() {
    let mut opened = given(drawing()).and(joined(visitor(5), 5)).and(drawn(&LOBBY));
    opened.timers();
    let first = order_of(&LOBBY);
    assert_eq!(opened.ticket(first[0]).0, TicketState::Admitted);
    assert_eq!(opened.ticket(first[1]).0, TicketState::Admitted);
    assert_eq!(opened.ticket(visitor(5)), (TicketState::Waiting, Some(5)));
}

#[test]
fn a_place_taken_over_before_the_draw_gets_the_number_of_the_cohorts_ticket() {
    let (from, to, subject) = (ANN, visitor(9), Hash([9; 32]));
    let moved = TicketMoved { at: at(0), from, to, number: None, state: TicketState::Lobby, subject };
    let again = TicketMoved { from: to, to: visitor(10), ..moved.clone() };
    let drawn = given(drawing()).and(moved.into()).and(again.into()).and(drawn(&LOBBY));
    let number = order_of(&LOBBY).iter().position(|ticket| *ticket == ANN).map(|at| at as u32 + 1);
    assert_eq!(drawn.ticket(visitor(10)), (TicketState::Waiting, number));
    assert_eq!(drawn.ticket(ANN), (TicketState::Left, number));
    assert_eq!(drawn.opening.queue().present(), 4);
}

#[test]
fn a_place_taken_over_in_the_lobby_is_drawn_as_the_new_ticket() {
    let (from, to, subject) = (ANN, visitor(9), Hash([9; 32]));
    let moved = TicketMoved { at: at(-5), from, to, number: None, state: TicketState::Lobby, subject };
    let lobby = given(full_lobby()).and(moved.into()).at(at(0));
    let event = lobby.when(job(&lobby).run(None)).event();
    assert_eq!(event, lobby_closed(&[visitor(9), BEN, CAT, DAN]));
}

#[test]
fn an_empty_lobby_is_drawn_too_and_the_opening_opens() {
    let mut empty = given([scheduled()]).at(at(0));
    let opened = OpeningOpened { at: at(0) };
    assert_eq!(empty.timers(), [lobby_closed(&[]), drawn(&[]), opened.into()]);
}

#[test]
fn a_draw_is_to_come_until_it_is_held_or_the_opening_is_closed() {
    let undrawn = given(drawing()).opening.undrawn().expect("not drawn yet");
    assert_eq!(undrawn.seed_commitment, commitment(&SEED));
    assert_eq!(given(drawing()).and(drawn(&LOBBY)).opening.undrawn(), None);
    assert_eq!(given([scheduled(), closed(at(-5))]).opening.undrawn(), None);
    assert_eq!(given([]).opening.undrawn(), None);
}
