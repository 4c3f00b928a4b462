//! One person, one place: who joins with a claim.

use usher_events::event::*;
use usher_events::ids::{Hash, Ticket};
use usher_events::policy::{Join, Policy};

use super::facts::*;
use super::{Given, Refusal, at, given};
use crate::opening::{Command, OpeningState, Schedule};

const KIM: Hash = Hash([0x6b; 32]);
const LEE: Hash = Hash([0x1e; 32]);

fn for_claims() -> Policy {
    Policy { join: Join::Claim, ..policy() }
}

fn join_as(ticket: Ticket, subject: Hash) -> Command {
    Command::JoinAs { ticket, subject }
}

fn joined_as(ticket: Ticket, number: Option<u32>, subject: Hash) -> Event {
    VisitorJoined { at: at(0), ticket, number, subject: Some(subject) }.into()
}

fn moved(from: Ticket, to: Ticket, number: Option<u32>, state: TicketState) -> TicketMoved {
    TicketMoved { at: at(1), from, to, number, state, subject: KIM }
}

/// An opening for claims that is open: Kim is number 1 with Ann's ticket, Lee
/// number 2 with Ben's.
fn two_in_line() -> Given {
    let mut events = open_with(for_claims());
    events.extend([joined_as(ANN, Some(1), KIM), joined_as(BEN, Some(2), LEE)]);
    given(events).at(at(1))
}

fn lobby() -> Given {
    let opening = Schedule { policy: for_claims(), ..schedule() };
    given([scheduled_as(opening), joined_as(ANN, None, KIM), joined_as(BEN, None, LEE)]).at(at(-5))
}

#[test]
fn an_opening_for_claims_takes_nobody_without_one() {
    two_in_line().when(Command::Join { ticket: CAT }).then_refused(Refusal::ClaimNeeded);
    let third = VisitorJoined { at: at(1), ticket: CAT, number: Some(3), subject: Some(Hash([3; 32])) };
    two_in_line().when(join_as(CAT, Hash([3; 32]))).then(third);
}

#[test]
fn who_has_a_place_already_hears_of_it_without_a_claim() {
    two_in_line().when(Command::Join { ticket: ANN }).then_repeated();
    two_in_line().when(join_as(ANN, LEE)).then_repeated();
}

#[test]
fn an_opening_for_anyone_keeps_no_subject() {
    let third = VisitorJoined { at: at(0), ticket: visitor(5), number: Some(5), subject: None };
    given(four_in_line()).when(join_as(visitor(5), KIM)).then(third);
}

#[test]
fn a_second_ticket_of_the_same_person_takes_the_place_over_with_its_number() {
    let expected = moved(ANN, CAT, Some(1), TicketState::Waiting);
    two_in_line().when(join_as(CAT, KIM)).then(expected.clone());
    let after = two_in_line().and(expected.into());
    assert_eq!(after.ticket(ANN), (TicketState::Left, Some(1)));
    assert_eq!(after.ticket(CAT), (TicketState::Waiting, Some(1)));
    assert_eq!(after.opening.queue().present(), 2);
    after.when(join_as(CAT, KIM)).then_repeated();
    // The place is where it went, not where it was.
    after.when(join_as(DAN, KIM)).then(moved(CAT, DAN, Some(1), TicketState::Waiting));
}

#[test]
fn who_was_away_is_there_with_the_new_ticket() {
    let away = two_in_line().and(went_away(at(1), &[ANN]));
    away.when(join_as(CAT, KIM)).then(moved(ANN, CAT, Some(1), TicketState::Waiting));
    let away = lobby().and(went_away(at(-5), &[ANN]));
    let expected = TicketMoved { at: at(-5), ..moved(ANN, CAT, None, TicketState::Lobby) };
    away.when(join_as(CAT, KIM)).then(expected);
}

#[test]
fn an_admission_goes_along_with_its_deadline() {
    let mut admitted = two_in_line().and(admitted(at(1), &[(ANN, 1)]));
    let expected = moved(ANN, CAT, Some(1), TicketState::Admitted);
    admitted.when(join_as(CAT, KIM)).then(expected.clone());
    admitted = admitted.and(expected.into()).at(at(121));
    let missed = AdmissionsExpired { at: at(121), away: vec![CAT], spent: vec![] };
    assert!(admitted.timers().contains(&missed.into()));
}

#[test]
fn in_the_lobby_only_the_new_ticket_is_drawn() {
    let expected = TicketMoved { at: at(-5), ..moved(ANN, CAT, None, TicketState::Lobby) };
    lobby().when(join_as(CAT, KIM)).then(expected.clone());
    let mut lobby = lobby().and(expected.into()).at(at(0));
    assert_eq!(lobby.timers().first(), Some(&lobby_closed(&[CAT, BEN])));
}

#[test]
fn after_the_lobby_closed_the_cohort_keeps_the_old_ticket_and_the_new_one_gets_its_number() {
    let closed = lobby().and(lobby_closed(&[ANN, BEN])).at(at(1));
    let expected = moved(ANN, CAT, None, TicketState::Lobby);
    closed.when(join_as(CAT, KIM)).then(expected.clone());
    let drawn = closed.and(expected.into()).and(drawn(&[ANN, BEN]));
    let (_, number) = drawn.ticket(ANN);
    assert_eq!(drawn.ticket(ANN), (TicketState::Left, number));
    assert_eq!(drawn.ticket(CAT), (TicketState::Waiting, number));
}

#[test]
fn a_visit_does_not_move() {
    let inside = two_in_line().and(admitted(at(1), &[(ANN, 1)])).and(entered(ANN, at(1)));
    inside.when(join_as(CAT, KIM)).then_refused(Refusal::InsideElsewhere);
}

#[test]
fn who_had_their_turn_or_spent_it_does_not_join_again() {
    for state in [TicketState::Done, TicketState::Spent] {
        let inside = two_in_line().and(admitted(at(1), &[(ANN, 1)])).and(entered(ANN, at(1)));
        let after = inside.and(visit_ended(at(1), ANN, state));
        after.when(join_as(CAT, KIM)).then_refused(Refusal::AlreadyServed { state });
    }
    let spent = AdmissionsExpired { at: at(1), away: vec![], spent: vec![ANN] };
    let after = two_in_line().and(admitted(at(1), &[(ANN, 1)])).and(spent.into());
    after.when(join_as(CAT, KIM)).then_refused(Refusal::AlreadyServed { state: TicketState::Spent });
}

#[test]
fn who_left_may_join_again_at_the_end_of_the_line() {
    let after = two_in_line().and(left(at(1), ANN));
    let third = VisitorJoined { at: at(1), ticket: CAT, number: Some(3), subject: Some(KIM) };
    after.when(join_as(CAT, KIM)).then(third.clone());
    after.and(third.into()).when(join_as(DAN, KIM)).then(moved(CAT, DAN, Some(3), TicketState::Waiting));
}

#[test]
fn nobody_makes_tickets_without_end() {
    let mut line = two_in_line();
    let mut from = ANN;
    for number in 100..115 {
        let to = visitor(number);
        line = line.and(moved(from, to, Some(1), TicketState::Waiting).into());
        from = to;
    }
    let refusal = Refusal::TooManyTickets { max_tickets: 16 };
    line.when(join_as(CAT, KIM)).then_refused(refusal.clone());
    let line = line.and(left(at(1), from));
    line.when(join_as(CAT, KIM)).then_refused(refusal);
    line.when(join_as(CAT, Hash([3; 32]))).event();
}

#[test]
fn a_full_or_draining_opening_still_lets_a_place_move_and_a_closed_one_does_not() {
    let full = Policy { max_tickets: 2, ..for_claims() };
    let mut events = open_with(full);
    events.extend([joined_as(ANN, Some(1), KIM), joined_as(BEN, Some(2), LEE)]);
    let full = given(events).at(at(1));
    full.when(join_as(CAT, Hash([3; 32]))).then_refused(Refusal::Full { max_tickets: 2 });
    let expected = moved(ANN, CAT, Some(1), TicketState::Waiting);
    full.when(join_as(CAT, KIM)).then(expected.clone());
    let draining = two_in_line().and(OpeningDrained { at: at(1) }.into());
    draining.when(join_as(CAT, KIM)).then(expected);
    let closed = two_in_line().and(closed(at(1)));
    let refusal = Refusal::WrongState { state: OpeningState::Closed };
    closed.when(join_as(CAT, KIM)).then_refused(refusal.clone());
    closed.when(Command::Join { ticket: CAT }).then_refused(refusal);
}

#[test]
fn people_are_told_apart_and_a_snapshot_remembers_them() {
    let line = two_in_line();
    let snapshot = serde_json::to_string(&line.opening).unwrap();
    let line = Given { opening: serde_json::from_str(&snapshot).unwrap(), ..line };
    line.when(join_as(CAT, KIM)).then(moved(ANN, CAT, Some(1), TicketState::Waiting));
    let mut close = KIM;
    close.0[15] ^= 1;
    let third = VisitorJoined { at: at(1), ticket: CAT, number: Some(3), subject: Some(close) };
    line.when(join_as(CAT, close)).then(third);
}
