//! Entering and leaving the seat window.

use usher_events::event::*;
use usher_events::ids::Ticket;
use usher_events::policy::Policy;

use super::facts::*;
use super::{Refusal, Resource, at, given, just_before};
use crate::opening::{Command, OpeningState};

fn enter(ticket: Ticket) -> Command {
    Command::Enter { ticket }
}

fn leave_window(ticket: Ticket) -> Command {
    Command::LeaveWindow { ticket }
}

fn ended(state: TicketState, holds: Vec<ReleasedHold>) -> EndedVisit {
    EndedVisit { ticket: ANN, state, released: holds }
}

#[test]
fn an_admitted_visitor_enters_until_the_policys_time_is_over() {
    let admitted = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)])).at(at(2));
    admitted.when(enter(ANN)).then(VisitorEntered { at: at(2), ticket: ANN, leave_by: at(602) });
}

#[test]
fn entering_again_while_inside_is_answered_from_the_owners_state() {
    let inside = given(ann_inside());
    inside.when(enter(ANN)).then_already();
    let entry =
        Resource::Entry { ticket: ANN, state: TicketState::Inside, leave_by: Some(at(601)), max_seats: 4 };
    assert_eq!(inside.resource(&enter(ANN)), entry);
}

#[test]
fn whose_turn_it_is_not_learns_the_position_among_the_present() {
    let line = given(four_in_line()).and(went_away(at(1), &[BEN])).and(admitted(at(2), &[(ANN, 1)]));
    line.when(enter(DAN)).then_refused(Refusal::NotYourTurn {
        state: TicketState::Waiting,
        number: Some(4),
        position: Some(2),
        serving_number: 1,
    });
    line.when(enter(BEN)).then_refused(Refusal::NotYourTurn {
        state: TicketState::Away,
        number: Some(2),
        position: Some(1),
        serving_number: 1,
    });
}

#[test]
fn in_the_lobby_and_before_the_draw_there_is_no_position() {
    let no_turn = |state, number| {
        let (position, serving_number) = (None, 0);
        Refusal::NotYourTurn { state, number, position, serving_number }
    };
    let lobby = given([scheduled(), in_lobby(ANN)]);
    lobby.when(enter(ANN)).then_refused(no_turn(TicketState::Lobby, None));
    let drawing = lobby.and(lobby_closed(&[ANN])).and(joined(BEN, 2));
    drawing.when(enter(BEN)).then_refused(no_turn(TicketState::Waiting, Some(2)));
}

#[test]
fn a_pause_keeps_nobody_out_who_was_admitted() {
    let paused = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)])).and(paused(at(2)));
    paused.when(enter(ANN)).event();
}

#[test]
fn nobody_enters_a_closed_opening_but_who_is_inside_may_stay() {
    let refusal = Refusal::WrongState { state: OpeningState::Closed };
    let over = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)])).and(closed(at(2)));
    over.when(enter(ANN)).then_refused(refusal);
    given(ann_inside()).and(closed(at(2))).when(enter(ANN)).then_already();
}

#[test]
fn after_the_visit_there_is_no_way_back() {
    for state in [TicketState::Done, TicketState::Left, TicketState::Spent] {
        let over = given(ann_inside()).and(visit_ended(at(5), ANN, state));
        over.when(enter(ANN)).then_refused(Refusal::Gone { state });
        over.when(hold(1, ANN, &["A1"])).then_refused(Refusal::Gone { state });
        over.when(leave_window(ANN)).then_repeated();
    }
}

#[test]
fn leaving_the_seat_window_releases_the_holds_in_the_same_event() {
    let inside =
        given(ann_inside()).and(held(at(2), 1, ANN, &["A1", "A2"])).and(held(at(3), 2, ANN, &["B1"]));
    let holds = vec![of_hold(1, &["A1", "A2"]), of_hold(2, &["B1"])];
    let event = VisitsEnded { at: at(3), visits: vec![ended(TicketState::Left, holds)] };
    inside.when(leave_window(ANN)).then(event.clone());
    let empty = inside.and(event.into()).and(admitted(at(4), &[(BEN, 2)])).and(entered(BEN, at(4)));
    empty.when(hold(3, BEN, &["A1", "A2", "B1"])).event();
}

#[test]
fn who_booked_before_leaving_is_done() {
    let booking = BookingConfirmed { visit_ended: false, ..booked(at(3), 1, ANN, &["A1"]) };
    let inside = given(ann_inside())
        .and(held(at(2), 1, ANN, &["A1"]))
        .and(held(at(2), 2, ANN, &["A2"]))
        .and(booking.into());
    let visits = vec![ended(TicketState::Done, vec![of_hold(2, &["A2"])])];
    inside.when(leave_window(ANN)).then(VisitsEnded { at: at(3), visits });
}

#[test]
fn a_booking_that_was_cancelled_does_not_make_the_ticket_done() {
    let booking = BookingConfirmed { visit_ended: false, ..booked(at(3), 1, ANN, &["A1"]) };
    let cancelled = cancelled(at(4), 1, ANN, &["A1"]);
    let inside = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).and(booking.into());
    let visits = vec![ended(TicketState::Left, vec![])];
    inside.and(cancelled.into()).when(leave_window(ANN)).then(VisitsEnded { at: at(4), visits });
}

#[test]
fn who_is_not_inside_has_no_seat_window_to_leave() {
    let line = given(four_in_line());
    line.when(leave_window(ANN)).then_refused(Refusal::NotInside { state: TicketState::Waiting });
}

#[test]
fn leaving_for_good_from_inside_releases_the_holds_and_frees_the_slot() {
    let inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1"]));
    let released = vec![of_hold(1, &["A1"])];
    let event = VisitorLeft { at: at(2), ticket: ANN, state: TicketState::Left, released };
    inside.when(Command::Leave { ticket: ANN }).then(event.clone());
    let after = inside.and(event.into());
    after.when(hold(2, BEN, &["A1"])).event();
    after.when(Command::AdmitNext).then(admitted(at(2), &[(CAT, 3)]));
}

#[test]
fn a_visit_without_a_booking_ends_on_time_and_the_ticket_is_spent() {
    let mut inside = given(ann_inside()).at(just_before(at(601)));
    inside.when(Command::EndVisits).then_refused(Refusal::NotDue);
    inside.now = at(601);
    let visits = vec![ended(TicketState::Spent, vec![])];
    inside.when(Command::EndVisits).then(VisitsEnded { at: at(601), visits });
}

#[test]
fn a_visit_with_a_booking_ends_on_time_and_the_ticket_is_done() {
    let booking = BookingConfirmed { visit_ended: false, ..booked(at(3), 1, ANN, &["A1"]) };
    let inside = given(ann_inside()).and(held(at(2), 1, ANN, &["A1"])).and(booking.into()).at(at(601));
    let visits = vec![ended(TicketState::Done, vec![])];
    inside.when(Command::EndVisits).then(VisitsEnded { at: at(601), visits });
}

#[test]
fn a_hold_taken_late_lets_the_visit_last_as_long_as_the_hold() {
    let mut inside = given(ann_inside()).and(held(at(600), 1, ANN, &["A1"])).at(at(899));
    assert_eq!(inside.timers().iter().filter(|event| event.kind() == "VisitsEnded").count(), 0);
    inside.now = at(900);
    let events = inside.timers();
    let visits = vec![ended(TicketState::Spent, vec![])];
    let ended = VisitsEnded { at: at(900), visits }.into();
    let order: Vec<&Event> =
        events.iter().filter(|event| ["HoldsExpired", "VisitsEnded"].contains(&event.kind())).collect();
    assert_eq!(order, [&expired(at(900), 1, ANN, &["A1"]), &ended], "the hold expires before the visit");
}

#[test]
fn a_policy_change_moves_no_visits_end() {
    let policy = Policy { stay_for_s: 20, ..policy() };
    let mut inside = given(ann_inside()).and(PolicyChanged { at: at(2), policy }.into()).at(at(600));
    inside.timers();
    assert_eq!(inside.ticket(ANN).0, TicketState::Inside);
}

#[test]
fn more_visits_than_fit_into_one_event_end_in_several() {
    let mut crowd = given(open_with(Policy { capacity: 5_000, ..policy() }));
    for number in 1..=5_000 {
        crowd.happened(joined(visitor(number), number));
        crowd.happened(admitted(at(0), &[(visitor(number), number)]));
        crowd.happened(entered(visitor(number), at(0)));
    }
    crowd.now = at(600);
    let sizes: Vec<usize> = crowd.timers().iter().map(ended_visits).collect();
    assert_eq!(sizes, [4_096, 904]);
}

fn ended_visits(event: &Event) -> usize {
    match event {
        Event::VisitsEnded(event) => event.visits.len(),
        other => panic!("no visit ended: {other:?}"),
    }
}
