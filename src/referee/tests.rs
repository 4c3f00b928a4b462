//! Histories that keep every rule, and histories that break one.

use usher_events::draw::{drawn_order, merkle_root};
use usher_events::event::*;
use usher_events::ids::{BookingId, Hash, HoldId, OpeningId, PaymentReference, SeatId, ShowingId, Ticket};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::{Broken, Referee, Totals};

const AT: Timestamp = Timestamp(1_800_000_000_000);
const ANN: Ticket = Ticket([1; 32]);
const BEN: Ticket = Ticket([2; 32]);
const CAT: Ticket = Ticket([3; 32]);

fn seen(events: impl IntoIterator<Item = Event>) -> Referee {
    let concert = OpeningId::new("concert").unwrap();
    let mut referee = Referee::default();
    for (offset, event) in (1..).zip(events) {
        referee.see(offset, &concert, &event);
    }
    referee
}

/// What broke, and where.
fn broken(events: impl IntoIterator<Item = Event>) -> Vec<(u64, Broken)> {
    let referee = seen(events);
    assert_eq!(referee.broken(), referee.violations().len() as u64);
    referee.violations().iter().map(|violation| (violation.offset, violation.broken.clone())).collect()
}

fn capacity(capacity: u32) -> Event {
    PolicyChanged { at: AT, policy: Policy { capacity, ..Policy::default() } }.into()
}

fn joined(ticket: Ticket, number: u32) -> Event {
    VisitorJoined { at: AT, ticket, number: (number > 0).then_some(number), subject: None }.into()
}

/// A capacity of two, and Ann, Ben and Cat in line as 1, 2 and 3.
fn line() -> Vec<Event> {
    vec![capacity(2), joined(ANN, 1), joined(BEN, 2), joined(CAT, 3)]
}

fn admitted(who: &[(Ticket, u32)]) -> Event {
    let admitted = who.iter().map(|(ticket, number)| Admitted { ticket: *ticket, number: *number });
    VisitorsAdmitted {
        at: AT,
        admission: None,
        admitted: admitted.collect(),
        enter_by: AT,
        serving_number: 0,
        next_admission_at: AT,
    }
    .into()
}

fn away(ticket: Ticket) -> Event {
    VisitorsWentAway { at: AT, tickets: vec![ticket] }.into()
}

fn returned(ticket: Ticket) -> Event {
    VisitorsReturned { at: AT, tickets: vec![ticket] }.into()
}

fn entered(ticket: Ticket) -> Event {
    VisitorEntered { at: AT, ticket, leave_by: AT }.into()
}

fn left(ticket: Ticket) -> Event {
    VisitorLeft { at: AT, ticket, state: TicketState::Left, released: vec![] }.into()
}

fn after(mut history: Vec<Event>, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    history.extend(more);
    history
}

// --- whose turn it was --------------------------------------------------------

#[test]
fn a_line_that_is_admitted_in_order_breaks_nothing() {
    let referee = seen(after(
        line(),
        [
            admitted(&[(ANN, 1), (BEN, 2)]),
            entered(ANN),
            AdmissionsExpired { at: AT, away: vec![BEN], spent: vec![] }.into(),
            admitted(&[(CAT, 3)]),
            returned(BEN),
            left(ANN),
            admitted(&[(BEN, 2)]),
        ],
    ));
    assert_eq!(referee.violations(), []);
    let totals = Totals {
        joined: 3,
        admitted: 4,
        entered: 1,
        missed: 1,
        returned: 1,
        ended: 1,
        most_in_window: 2,
        ..Totals::default()
    };
    assert_eq!(referee.totals(), totals);
}

#[test]
fn who_is_admitted_before_a_present_visitor_with_a_smaller_number_is_an_inversion() {
    let jumped = after(line(), [admitted(&[(BEN, 2)])]);
    assert_eq!(broken(jumped), [(5, Broken::Inversion { admitted: 2, first: 1 })]);
    let within_one = after(line(), [admitted(&[(BEN, 2), (ANN, 1)])]);
    assert_eq!(broken(within_one), [(5, Broken::Inversion { admitted: 2, first: 1 })]);
}

#[test]
fn who_is_away_may_be_skipped_until_they_are_back() {
    assert_eq!(broken(after(line(), [away(ANN), admitted(&[(BEN, 2)])])), []);
    let back = after(line(), [away(ANN), returned(ANN), admitted(&[(BEN, 2)])]);
    assert_eq!(broken(back), [(7, Broken::Inversion { admitted: 2, first: 1 })]);
}

#[test]
fn who_does_not_wait_must_not_be_admitted() {
    let not_in_line = |ticket, state| Broken::NotInLine { ticket, state };
    let silent = after(line(), [away(ANN), admitted(&[(ANN, 1)])]);
    assert_eq!(broken(silent), [(6, not_in_line(ANN, Some(TicketState::Away)))]);
    let twice = after(line(), [admitted(&[(ANN, 1)]), admitted(&[(ANN, 1)])]);
    assert_eq!(broken(twice), [(6, not_in_line(ANN, Some(TicketState::Admitted)))]);
    let gone = after(line(), [left(ANN), admitted(&[(ANN, 1)])]);
    assert_eq!(broken(gone), [(6, not_in_line(ANN, Some(TicketState::Left)))]);
    let stranger = vec![capacity(2), admitted(&[(ANN, 1)])];
    assert_eq!(broken(stranger), [(2, not_in_line(ANN, None))]);
}

#[test]
fn a_number_belongs_to_one_ticket_and_is_told_as_it_is() {
    let twice = vec![capacity(2), joined(ANN, 1), joined(BEN, 1)];
    assert_eq!(broken(twice), [(3, Broken::NumberTwice { number: 1 })]);
    let told_wrongly = after(line(), [admitted(&[(ANN, 7)])]);
    assert_eq!(broken(told_wrongly), [(5, Broken::WrongNumber { ticket: ANN, told: 7, number: 1 })]);
}

#[test]
fn who_was_not_admitted_must_not_enter() {
    let unasked = after(line(), [entered(ANN)]);
    let state = Some(TicketState::Waiting);
    assert_eq!(broken(unasked), [(5, Broken::EnteredUnasked { ticket: ANN, state })]);
}

// --- the draw -----------------------------------------------------------------

/// Ann, Ben and Cat in the lobby, Ben away; the order that they are drawn in.
fn drawn() -> (Vec<Event>, Vec<Ticket>) {
    let (seed, mut cohort) = (Hash([9; 32]), vec![ANN, BEN, CAT]);
    cohort.sort_unstable();
    let cohort_root = merkle_root(&cohort);
    let order = drawn_order(&seed, &cohort_root, None, &cohort);
    let history = vec![
        capacity(2),
        joined(ANN, 0),
        joined(BEN, 0),
        joined(CAT, 0),
        away(BEN),
        LobbyClosed { at: AT, cohort_root, count: 3 }.into(),
        DrawHeld { at: AT, seed, beacon: None, order_root: merkle_root(&order) }.into(),
    ];
    (history, order)
}

#[test]
fn the_lobby_is_admitted_in_the_order_of_the_draw_without_who_is_away() {
    let (history, order) = drawn();
    let numbered: Vec<(Ticket, u32)> = order.into_iter().zip(1..).collect();
    let present: Vec<(Ticket, u32)> = numbered.iter().filter(|(who, _)| *who != BEN).copied().collect();
    assert_eq!(broken(after(history.clone(), [admitted(&present)])), []);
    let mut backwards = present;
    backwards.reverse();
    let (second, first) = (backwards[0].1, backwards[1].1);
    let inverted = after(history, [admitted(&backwards)]);
    assert_eq!(broken(inverted), [(8, Broken::Inversion { admitted: second, first })]);
}

#[test]
fn a_place_that_moved_before_the_draw_has_the_number_of_the_drawn_ticket() {
    let (mut history, order) = drawn();
    let mover = if order[0] == BEN { order[1] } else { order[0] };
    let number = if order[0] == BEN { 2 } else { 1 };
    let to = Ticket([8; 32]);
    let moved = TicketMoved {
        at: AT,
        from: mover,
        to,
        number: None,
        state: TicketState::Lobby,
        subject: Hash([0; 32]),
    };
    let draw = history.pop().unwrap();
    let history = after(history, [moved.into(), draw]);
    assert_eq!(broken(after(history.clone(), [admitted(&[(to, number)])])), []);
    let state = Some(TicketState::Left);
    let former = after(history, [admitted(&[(mover, number)])]);
    assert_eq!(broken(former)[0], (9, Broken::NotInLine { ticket: mover, state }));
}

#[test]
fn places_that_move_in_circles_end() {
    let (mut history, _) = drawn();
    let subject = Hash([0; 32]);
    let moved = |from, to| TicketMoved { at: AT, from, to, number: None, state: TicketState::Lobby, subject };
    let draw = history.pop().unwrap();
    broken(after(history, [moved(ANN, CAT).into(), moved(CAT, ANN).into(), draw]));
}

// --- how many were let in -------------------------------------------------------

#[test]
fn more_than_the_capacity_admitted_or_inside_is_a_violation() {
    let too_many = after(line(), [admitted(&[(ANN, 1), (BEN, 2), (CAT, 3)])]);
    assert_eq!(broken(too_many), [(5, Broken::OverCapacity { taken: 3, capacity: 2 })]);
    let one_inside = after(line(), [admitted(&[(ANN, 1), (BEN, 2)]), entered(ANN), admitted(&[(CAT, 3)])]);
    assert_eq!(broken(one_inside), [(7, Broken::OverCapacity { taken: 3, capacity: 2 })]);
}

#[test]
fn a_lower_capacity_holds_from_the_next_admission_on() {
    let lowered = after(line(), [admitted(&[(ANN, 1), (BEN, 2)]), capacity(1)]);
    assert_eq!(broken(lowered.clone()), []);
    let admitted_anyway = after(lowered, [left(ANN), admitted(&[(CAT, 3)])]);
    assert_eq!(broken(admitted_anyway), [(8, Broken::OverCapacity { taken: 2, capacity: 1 })]);
}

#[test]
fn a_visit_that_ended_frees_its_slot() {
    let ended = |ticket| {
        let visits = vec![EndedVisit { ticket, state: TicketState::Done, released: vec![] }];
        VisitsEnded { at: AT, visits }.into()
    };
    let history = [admitted(&[(ANN, 1), (BEN, 2)]), entered(ANN), ended(ANN), admitted(&[(CAT, 3)])];
    assert_eq!(broken(after(line(), history)), []);
}

// --- seats ----------------------------------------------------------------------

fn hold_id(id: u128) -> HoldId {
    HoldId(Uuid::from_u128(id))
}

fn evening() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId::new(name).unwrap()).collect()
}

fn held(id: u128, names: &[&str]) -> Event {
    let (showing, seats) = (evening(), seats(names));
    SeatsHeld { at: AT, hold: hold_id(id), ticket: ANN, showing, seats, expires_at: AT, leave_by: AT }.into()
}

fn released(id: u128, names: &[&str]) -> Event {
    let released = ReleasedHold { hold: hold_id(id), showing: evening(), seats: seats(names) };
    HoldReleased { at: AT, ticket: ANN, released }.into()
}

fn booked(id: u128, names: &[&str]) -> Event {
    BookingConfirmed {
        at: AT,
        booking: BookingId(Uuid::from_u128(id)),
        hold: hold_id(id),
        ticket: ANN,
        showing: evening(),
        seats: seats(names),
        payment_reference: PaymentReference::new("p").unwrap(),
        late: false,
        visit_ended: false,
        reference: None,
    }
    .into()
}

fn seat_twice(hold: u128, other: u128) -> Broken {
    let seat = seats(&["G7"]).remove(0);
    Broken::SeatTwice { showing: evening(), seat, hold: hold_id(hold), other: hold_id(other) }
}

#[test]
fn a_seat_in_two_live_holds_is_a_violation() {
    assert_eq!(broken([held(1, &["G7"]), held(2, &["G7", "G8"])]), [(2, seat_twice(2, 1))]);
    assert_eq!(broken([held(1, &["G7"]), released(1, &["G7"]), held(2, &["G7"])]), []);
}

#[test]
fn a_booked_seat_is_nobody_elses_until_the_booking_is_cancelled() {
    assert_eq!(broken([held(1, &["G7"]), booked(1, &["G7"]), held(2, &["G7"])]), [(3, seat_twice(2, 1))]);
    let (booking, showing) = (BookingId(Uuid::from_u128(1)), evening());
    let cancelled = BookingCancelled {
        at: AT,
        booking,
        ticket: ANN,
        payment_reference: PaymentReference::new("p").unwrap(),
        showing,
        freed: seats(&["G7"]),
        remaining: vec![],
    };
    assert_eq!(broken([held(1, &["G7"]), booked(1, &["G7"]), cancelled.into(), held(2, &["G7"])]), []);
}

#[test]
fn a_payment_must_not_book_a_seat_that_another_hold_has() {
    let history = [held(1, &["G7"]), released(1, &["G7"]), held(2, &["G7"]), booked(1, &["G7"])];
    assert_eq!(broken(history), [(4, seat_twice(1, 2))]);
}

#[test]
fn a_hold_gives_back_only_what_it_has() {
    let seat = seats(&["G8"]).remove(0);
    let not_theirs = Broken::NotTheirs { showing: evening(), seat, hold: hold_id(1) };
    assert_eq!(broken([held(1, &["G7"]), released(1, &["G8"])]), [(2, not_theirs)]);
}

// --- reports --------------------------------------------------------------------

#[test]
fn openings_are_judged_apart_and_a_violation_says_where_it_is() {
    let (concert, play) = (OpeningId::new("concert").unwrap(), OpeningId::new("play").unwrap());
    let mut referee = Referee::default();
    referee.see(1, &concert, &held(1, &["G7"]));
    referee.see(2, &play, &held(2, &["G7"]));
    referee.see(3, &play, &held(3, &["G7"]));
    let said: Vec<String> = referee.violations().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("offset 3, opening play: seat G7 of evening"), "{}", said[0]);
}

#[test]
fn all_violations_are_counted_and_only_the_first_are_kept() {
    let referee = seen((1..=1_502).map(|id| held(id, &["G7"])));
    assert_eq!((referee.broken(), referee.violations().len()), (1_501, 1_000));
}
