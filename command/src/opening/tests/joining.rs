//! Getting in line, leaving it, being away and coming back.

use usher_events::event::*;
use usher_events::policy::Policy;

use super::facts::*;
use super::{Refusal, Resource, at, given};
use crate::opening::{Command, OpeningState, Schedule};

fn join(ticket: usher_events::ids::Ticket) -> Command {
    Command::Join { ticket }
}

#[test]
fn who_joins_before_the_opening_is_in_the_lobby_without_a_number() {
    let lobby = given([scheduled(), in_lobby(ANN)]).at(at(-30));
    lobby.when(join(BEN)).then(VisitorJoined { at: at(-30), ticket: BEN, number: None, subject: None });
    assert_eq!(lobby.ticket(ANN), (TicketState::Lobby, None));
}

#[test]
fn who_joins_after_the_lobby_closed_is_numbered_behind_all_of_it() {
    let drawing = given([scheduled(), in_lobby(ANN), in_lobby(BEN), lobby_closed(&[ANN, BEN])]);
    let third = VisitorJoined { at: at(0), ticket: CAT, number: Some(3), subject: None };
    drawing.when(join(CAT)).then(third.clone());
    let drawing = drawing.and(third.into());
    drawing.when(join(DAN)).then(VisitorJoined { at: at(0), ticket: DAN, number: Some(4), subject: None });
}

#[test]
fn who_joins_an_open_or_paused_opening_is_last_in_line() {
    let fifth = |now| VisitorJoined { at: now, ticket: visitor(5), number: Some(5), subject: None };
    given(four_in_line()).at(at(1)).when(join(visitor(5))).then(fifth(at(1)));
    given(four_in_line()).and(paused(at(2))).when(join(visitor(5))).then(fifth(at(2)));
}

#[test]
fn numbers_of_those_who_left_are_not_given_again() {
    let line = given(four_in_line()).and(left(at(1), DAN));
    line.when(join(visitor(5))).then(VisitorJoined {
        at: at(1),
        ticket: visitor(5),
        number: Some(5),
        subject: None,
    });
}

#[test]
fn joining_again_changes_nothing_and_tells_what_the_ticket_is_now() {
    let inside = given(ann_inside());
    inside.when(join(ANN)).then_repeated();
    let ticket = Resource::Ticket { ticket: ANN, state: TicketState::Inside, number: Some(1) };
    assert_eq!(inside.resource(&join(ANN)), ticket);
}

#[test]
fn who_left_gets_no_new_place_with_the_same_ticket() {
    let line = given(four_in_line()).and(left(at(1), ANN));
    line.when(join(ANN)).then_repeated();
    assert_eq!(line.ticket(ANN), (TicketState::Left, Some(1)));
}

#[test]
fn nobody_joins_an_opening_that_drains_or_is_closed() {
    let refusal = |state| Refusal::WrongState { state };
    given(open()).and(drained(at(1))).when(join(ANN)).then_refused(refusal(OpeningState::Draining));
    given(open()).and(closed(at(1))).when(join(ANN)).then_refused(refusal(OpeningState::Closed));
}

#[test]
fn an_opening_takes_no_more_tickets_than_its_policy_says() {
    let small = Schedule { policy: Policy { max_tickets: 2, ..policy() }, ..schedule() };
    let lobby = given([scheduled_as(small.clone()), in_lobby(ANN), in_lobby(BEN)]);
    lobby.when(join(CAT)).then_refused(Refusal::Full { max_tickets: 2 });
    lobby.when(join(ANN)).then_repeated();
    let one_left = given([scheduled_as(small), in_lobby(ANN)]);
    one_left.when(join(BEN)).event();
}

#[test]
fn leaving_gives_the_place_up_for_good() {
    let lobby = given([scheduled(), in_lobby(ANN)]);
    lobby.when(Command::Leave { ticket: ANN }).then(left(at(-60), ANN));
    let line = given(four_in_line());
    line.when(Command::Leave { ticket: BEN }).then(left(at(0), BEN));
}

#[test]
fn leaving_twice_is_leaving_once() {
    given(four_in_line()).and(left(at(1), ANN)).when(Command::Leave { ticket: ANN }).then_repeated();
}

#[test]
fn an_unknown_ticket_can_neither_leave_nor_enter_nor_hold() {
    let line = given(four_in_line());
    let ticket = visitor(99);
    for command in [
        Command::Leave { ticket },
        Command::Enter { ticket },
        Command::LeaveWindow { ticket },
        hold(1, ticket, &["A1"]),
    ] {
        line.when(command).then_refused(Refusal::UnknownTicket);
    }
}

#[test]
fn a_place_that_was_taken_over_goes_on_where_it_was() {
    let moved = |number, state| {
        let subject = usher_events::ids::Hash([9; 32]);
        TicketMoved { at: at(2), from: ANN, to: visitor(9), number, state, subject }
    };
    let waiting = given(four_in_line()).and(moved(Some(1), TicketState::Waiting).into());
    assert_eq!(waiting.ticket(ANN), (TicketState::Left, Some(1)));
    assert_eq!(waiting.ticket(visitor(9)), (TicketState::Waiting, Some(1)));
    assert_eq!(waiting.opening.queue().present(), 4);

    let admitted = given(four_in_line()).and(admitted(at(1), &[(ANN, 1)]));
    let mut admitted = admitted.and(moved(Some(1), TicketState::Admitted).into()).at(at(121));
    let missed = AdmissionsExpired { at: at(121), away: vec![visitor(9)], spent: vec![] };
    assert!(admitted.timers().contains(&missed.into()), "the deadline to enter goes along");
}
