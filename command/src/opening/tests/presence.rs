//! Who is away and who is back: what presence noticed, if it still applies.

use usher_events::event::*;

use super::facts::*;
use super::{Refusal, at, given};
use crate::opening::{Command, MAX_MEMBERS};

fn go_away(indexes: &[u32]) -> Command {
    Command::GoAway { indexes: indexes.to_vec() }
}

fn come_back(indexes: &[u32]) -> Command {
    Command::Return { indexes: indexes.to_vec() }
}

#[test]
fn who_fell_silent_is_away_with_the_place_kept() {
    let mut line = given(four_in_line()).at(at(1));
    line.when(go_away(&[0, 2])).then(went_away(at(1), &[ANN, CAT]));
    line.done(go_away(&[0, 2]));
    assert_eq!(line.ticket(ANN), (TicketState::Away, Some(1)));
    assert_eq!(line.opening.queue().present(), 2);
}

#[test]
fn only_who_waits_and_is_present_goes_away() {
    let line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)])).and(left(at(1), BEN));
    line.when(go_away(&[0, 1, 2])).then(went_away(at(1), &[CAT]));
    line.when(go_away(&[0, 1])).then_refused(Refusal::NotDue);
    line.when(go_away(&[99])).then_refused(Refusal::NotDue);
    let away = line.and(went_away(at(2), &[CAT]));
    away.when(go_away(&[2])).then_refused(Refusal::NotDue);
}

#[test]
fn who_was_away_returns_to_the_old_place() {
    let mut away = given(four_in_line()).and(went_away(at(5), &[ANN]));
    away.when(come_back(&[0, 1])).then(returned(at(5), &[ANN]));
    away.done(come_back(&[0]));
    assert_eq!(away.ticket(ANN), (TicketState::Waiting, Some(1)));
    assert_eq!(away.opening.queue().present(), 4);
}

#[test]
fn nobody_returns_who_was_not_away() {
    let line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)])).and(left(at(1), BEN));
    line.when(come_back(&[0, 1, 2, 3, 99])).then_refused(Refusal::NotDue);
}

#[test]
fn who_returns_goes_first() {
    let mut line = given(four_in_line()).and(admitted(at(1), &[(ANN, 1), (BEN, 2)]));
    let missed = AdmissionsExpired { at: at(121), away: vec![ANN, BEN], spent: vec![] };
    line = line.and(missed.into()).at(at(121));
    line.done(come_back(&[0]));
    assert_eq!(line.timers().len(), 1);
    assert_eq!(line.ticket(ANN).0, TicketState::Admitted);
    assert_eq!(line.ticket(BEN).0, TicketState::Away);
    assert_eq!(line.ticket(CAT).0, TicketState::Admitted);
    assert_eq!(line.ticket(DAN).0, TicketState::Waiting);
}

#[test]
fn presence_counts_in_the_lobby_and_who_is_away_in_it_is_drawn_all_the_same() {
    let lobby = [scheduled(), in_lobby(ANN), in_lobby(BEN)];
    let mut lobby = given(lobby).at(at(-50));
    lobby.done(go_away(&[0]));
    assert_eq!(lobby.ticket(ANN), (TicketState::Away, None));
    lobby.done(come_back(&[0]));
    assert_eq!(lobby.ticket(ANN), (TicketState::Lobby, None));
    lobby.done(go_away(&[0]));
    let mut opened = lobby.at(at(0));
    opened.timers();
    let (state, number) = opened.ticket(ANN);
    assert_eq!(state, TicketState::Away);
    assert!(number.is_some());
    assert_eq!(opened.ticket(BEN).0, TicketState::Admitted, "whoever has which number");
}

#[test]
fn an_event_names_at_most_4096_who_went_away() {
    let mut crowd = given(open()).and(paused(at(0)));
    for number in 1..=5_000 {
        crowd.happened(joined(visitor(number), number));
    }
    let all: Vec<u32> = (0..5_000).collect();
    let Event::VisitorsWentAway(event) = crowd.done(go_away(&all)) else { panic!("nobody went away") };
    assert_eq!(event.tickets.len(), MAX_MEMBERS);
    let Event::VisitorsWentAway(event) = crowd.done(go_away(&all)) else { panic!("nobody went away") };
    assert_eq!(event.tickets.len(), 5_000 - MAX_MEMBERS);
    let Event::VisitorsReturned(event) = crowd.done(come_back(&all)) else { panic!("nobody is back") };
    assert_eq!(event.tickets.len(), MAX_MEMBERS);
}

#[test]
fn presence_ends_with_the_opening() {
    let over = given(four_in_line()).and(went_away(at(1), &[ANN])).and(closed(at(2)));
    over.when(come_back(&[0])).then_refused(Refusal::NotDue);
    over.when(go_away(&[1])).then_refused(Refusal::NotDue);
}
