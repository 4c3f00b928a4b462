//! Whoever frees a slot of the seat window lets the next one in.

use usher_command::opening::{Command, Refusal};
use usher_events::event::{Event, TicketState};
use usher_events::ids::{AdmissionId, BookingId, HoldId, PaymentReference, Ticket};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

use crate::writer::{Writer, at, evening, ms, policy, seat, visitor};

/// How long a free slot may wait for the next visitor, in milliseconds.
const WITHIN_MS: i64 = 200;

fn enter(n: u8) -> Command {
    Command::Enter { ticket: visitor(n) }
}

fn leave(n: u8) -> Command {
    Command::Leave { ticket: visitor(n) }
}

fn hold(seats: &[&str]) -> Command {
    let seats = seats.iter().map(|name| seat(name)).collect();
    Command::Hold {
        hold: HoldId(Uuid::from_u128(1)),
        ticket: visitor(1),
        showing: evening(),
        seats,
        wheelchair: false,
    }
}

fn book() -> Command {
    let payment_reference = PaymentReference::new("none").unwrap();
    let (booking, hold) = (BookingId(Uuid::from_u128(2)), HoldId(Uuid::from_u128(1)));
    Command::Confirm { booking, hold, payment_reference }
}

fn change(patch: serde_json::Value) -> Command {
    Command::ChangePolicy { patch }
}

/// One place in the seat window, the first visitor in it since a second, and
/// two more in line.
fn one_inside() -> Writer {
    let mut writer = Writer::open(policy(), 3);
    writer.does(enter(1));
    writer.passes_to(at(1));
    assert_eq!(writer.admissions(), [(visitor(1), at(0))]);
    writer
}

/// That the second visitor was admitted soon after `freed`.
#[track_caller]
fn the_second_followed(writer: &mut Writer, freed: Timestamp) {
    writer.passes_to(Timestamp(freed.0 + 1_000));
    let (next, admitted_at) = writer.admissions()[1];
    let waited = admitted_at.ms_since(freed);
    assert_eq!(next, visitor(2));
    assert!((0..=WITHIN_MS).contains(&waited), "the next one waited {waited} ms");
}

#[test]
fn leaving_the_seat_window_admits_the_next_within_a_moment() {
    let mut writer = one_inside();
    writer.does(Command::LeaveWindow { ticket: visitor(1) });
    the_second_followed(&mut writer, at(1));
}

#[test]
fn leaving_for_good_admits_the_next_within_a_moment() {
    let mut writer = one_inside();
    writer.does(leave(1));
    the_second_followed(&mut writer, at(1));
    let mut not_entered = Writer::open(policy(), 3);
    not_entered.passes_to(at(1));
    not_entered.does(leave(1));
    the_second_followed(&mut not_entered, at(1));
}

#[test]
fn booking_admits_the_next_within_a_moment() {
    let mut writer = one_inside();
    writer.does(hold(&["G7"]));
    writer.passes_to(at(2));
    writer.does(book());
    assert_eq!(writer.state_of(visitor(1)), TicketState::Done);
    the_second_followed(&mut writer, at(2));
}

#[test]
fn an_admission_that_was_missed_admits_the_next_within_a_moment() {
    let mut writer = Writer::open(Policy { enter_within_s: 20, ..policy() }, 3);
    writer.passes_to(at(30));
    assert_eq!(writer.times_of("AdmissionsExpired"), [at(20)]);
    the_second_followed(&mut writer, at(20));
}

#[test]
fn a_visit_that_is_over_admits_the_next_within_a_moment() {
    let mut writer = Writer::open(Policy { stay_for_s: 60, ..policy() }, 3);
    writer.does(enter(1));
    writer.passes_to(at(70));
    assert_eq!(writer.times_of("VisitsEnded"), [at(60)]);
    the_second_followed(&mut writer, at(60));
}

#[test]
fn a_hold_in_progress_extends_the_visit_and_its_end_admits_the_next() {
    let rules = Policy { stay_for_s: 60, hold_for_s: 300, ..policy() };
    let mut writer = Writer::open(rules, 3);
    writer.does(enter(1));
    writer.passes_to(at(50));
    writer.does(hold(&["G7"]));
    writer.passes_to(at(349));
    assert_eq!(writer.state_of(visitor(1)), TicketState::Inside);
    writer.passes_to(at(400));
    assert_eq!(
        (writer.times_of("HoldsExpired"), writer.times_of("VisitsEnded")),
        (vec![at(350)], vec![at(350)])
    );
    the_second_followed(&mut writer, at(350));
}

#[test]
fn slots_that_free_one_after_the_other_are_each_given_within_a_moment() {
    let mut writer = Writer::open(Policy { capacity: 2, ..policy() }, 9);
    let mut freed = Vec::new();
    for n in 1..=7 {
        // Much faster than one event for each would be worth.
        writer.passes_to(Timestamp(ms(1_000 + i64::from(n) * 30).0.max(writer.now.0)));
        while writer.asks(enter(n)).is_err() {
            writer.passes_to(Timestamp(writer.now.0 + 10));
        }
        writer.does(leave(n));
        freed.push(writer.now);
    }
    writer.passes_to(at(10));
    let admitted: Vec<Timestamp> = writer.admissions().iter().skip(2).map(|(_, at)| *at).collect();
    assert_eq!(admitted.len(), 7);
    for (freed, admitted) in freed.iter().zip(&admitted) {
        let waited = admitted.ms_since(*freed);
        assert!((0..=WITHIN_MS).contains(&waited), "{waited} ms: {freed:?} {admitted:?}");
    }
}

#[test]
fn a_rate_lets_the_next_one_wait_for_its_turn_and_nobody_longer() {
    let slow = Policy { capacity: 2, admissions_per_minute: Some(6), ..policy() };
    let mut writer = Writer::open(slow, 4);
    writer.passes_to(at(60));
    let times =
        |writer: &Writer| -> Vec<Timestamp> { writer.admissions().into_iter().map(|(_, at)| at).collect() };
    assert_eq!(times(&writer), [at(0), at(10)], "the rate, then the capacity");
    writer.does(leave(1));
    writer.does(leave(2));
    writer.passes_to(at(65));
    assert_eq!(times(&writer)[2..], [at(60)], "no burst of what the capacity held back");
    writer.passes_to(at(80));
    // A tenth of a second of the rate's time may be caught up.
    let fourth = times(&writer)[3];
    assert!((ms(69_900)..=at(70)).contains(&fourth), "{fourth}");
}

// --- who is away ------------------------------------------------------------------

fn go_away(index: u32) -> Command {
    Command::GoAway { indexes: vec![index] }
}

fn come_back(index: u32) -> Command {
    Command::Return { indexes: vec![index] }
}

fn admitted(writer: &Writer) -> Vec<Ticket> {
    writer.admissions().into_iter().map(|(ticket, _)| ticket).collect()
}

#[test]
fn who_is_away_is_not_admitted_and_goes_first_when_they_are_back() {
    let mut writer = one_inside();
    writer.notices(go_away(1));
    writer.does(leave(1));
    writer.passes_to(at(2));
    assert_eq!(admitted(&writer), [visitor(1), visitor(3)]);
    writer.does(Command::Join { ticket: visitor(4) });
    writer.notices(come_back(1));
    writer.does(leave(3));
    writer.passes_to(at(3));
    assert_eq!(admitted(&writer), [visitor(1), visitor(3), visitor(2)]);
}

#[test]
fn who_is_back_while_a_slot_is_free_is_admitted_within_a_moment() {
    let mut writer = one_inside();
    writer.notices(go_away(1));
    writer.notices(go_away(2));
    writer.does(leave(1));
    writer.passes_to(at(5));
    assert_eq!(admitted(&writer), [visitor(1)]);
    writer.notices(come_back(1));
    the_second_followed(&mut writer, at(5));
}

#[test]
fn what_presence_notices_is_caused_by_its_timers_and_once() {
    let mut writer = one_inside();
    for command in [go_away(1), go_away(1), come_back(1), come_back(1)] {
        writer.notices(command);
    }
    let noticed: Vec<(String, &str)> = writer
        .events()
        .into_iter()
        .filter(|(_, event)| matches!(event, Event::VisitorsWentAway(_) | Event::VisitorsReturned(_)))
        .map(|(actor, event)| (actor, event.kind()))
        .collect();
    let expected = [("timer:go-away", "VisitorsWentAway"), ("timer:return", "VisitorsReturned")];
    assert_eq!(noticed, expected.map(|(actor, kind)| (actor.to_owned(), kind)));
}

// --- who runs the opening -----------------------------------------------------------

#[test]
fn a_larger_capacity_counts_at_once_and_the_log_says_who_wanted_it() {
    let mut writer = one_inside();
    writer.does(change(serde_json::json!({"capacity": 2})));
    the_second_followed(&mut writer, at(1));
    let (actor, event) =
        writer.events().into_iter().find(|(_, event)| event.kind() == "PolicyChanged").unwrap();
    assert_eq!((actor.as_str(), event.at()), ("operator:desk", at(1)));
}

#[test]
fn a_smaller_capacity_throws_nobody_out_and_admits_nobody_until_there_is_room() {
    let mut writer = Writer::open(Policy { capacity: 3, ..policy() }, 5);
    for n in 1..=3 {
        writer.passes_to(ms(i64::from(n) * 100));
        writer.does(enter(n));
    }
    writer.does(change(serde_json::json!({"capacity": 1})));
    writer.passes_to(at(10));
    for n in 1..=3 {
        assert_eq!(writer.state_of(visitor(n)), TicketState::Inside);
    }
    writer.does(leave(1));
    writer.does(leave(2));
    writer.passes_to(at(20));
    assert_eq!(writer.admissions().len(), 3);
    writer.does(leave(3));
    writer.passes_to(at(21));
    assert_eq!(admitted(&writer)[3..], [visitor(4)]);
}

#[test]
fn a_pause_stops_admissions_and_nothing_else_and_may_be_said_twice() {
    let mut writer = one_inside();
    writer.does(Command::Pause);
    writer.does(Command::Pause);
    writer.does(leave(1));
    writer.does(Command::Join { ticket: visitor(4) });
    writer.passes_to(at(30));
    assert_eq!(admitted(&writer), [visitor(1)]);
    writer.does(Command::AdmitByHand { admission: AdmissionId(Uuid::from_u128(9)), count: 1 });
    writer.does(leave(2));
    writer.does(Command::Resume);
    writer.does(Command::Resume);
    writer.passes_to(at(31));
    assert_eq!(admitted(&writer), [visitor(1), visitor(2), visitor(3)]);
    for kind in ["OpeningPaused", "OpeningResumed"] {
        assert_eq!(writer.times_of(kind).len(), 1, "{kind}");
    }
}

#[test]
fn draining_takes_no_joins_serves_who_is_in_line_and_closes_when_they_are_gone() {
    let mut writer = one_inside();
    writer.does(Command::Drain);
    writer.does(Command::Drain);
    let refused = writer.asks(Command::Join { ticket: visitor(4) });
    assert!(matches!(refused, Err(Refusal::WrongState { .. })), "{refused:?}");
    for n in 1..=3 {
        writer.does(leave(n));
        writer.passes_to(Timestamp(writer.now.0 + 200));
    }
    assert_eq!(admitted(&writer), [visitor(1), visitor(2), visitor(3)]);
    assert_eq!((writer.times_of("OpeningDrained").len(), writer.times_of("OpeningClosed").len()), (1, 1));
    writer.does(Command::Close);
    assert_eq!(writer.times_of("OpeningClosed").len(), 1);
}
