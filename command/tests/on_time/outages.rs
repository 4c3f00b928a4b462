//! An opening keeps its times, whoever was there at that moment.

use usher_command::opening::{Command, Refusal};
use usher_events::event::TicketState;
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use crate::writer::{Writer, at, policy, visitor};

/// Opens at 0, drains after 10 minutes, closes after 20; three in the lobby.
fn planned() -> Writer {
    let mut writer = Writer::with(policy(), Some(at(600)), at(1_200));
    for n in 1..=3 {
        writer.does(Command::Join { ticket: visitor(n) });
    }
    writer
}

/// The opening's states after the lobby, with when each began.
fn course(writer: &Writer) -> Vec<(&'static str, Timestamp)> {
    let begins = ["LobbyClosed", "DrawHeld", "OpeningOpened", "OpeningDrained", "OpeningClosed"];
    let events = writer.events().into_iter();
    events.filter(|(_, e)| begins.contains(&e.kind())).map(|(_, e)| (e.kind(), e.at())).collect()
}

#[test]
fn an_opening_opens_drains_and_closes_on_time_by_itself() {
    let mut writer = planned();
    writer.passes_to(at(2_000));
    let expected = [
        ("LobbyClosed", at(0)),
        ("DrawHeld", at(0)),
        ("OpeningOpened", at(0)),
        ("OpeningDrained", at(600)),
        ("OpeningClosed", at(1_200)),
    ];
    assert_eq!(course(&writer), expected);
    let by_itself = writer.events().into_iter().filter(|(actor, _)| actor.starts_with("timer:"));
    assert!(by_itself.count() >= expected.len());
}

#[test]
fn an_opening_that_nobody_was_there_to_open_opens_as_soon_as_somebody_is() {
    let mut writer = planned();
    writer.passes_to(at(-10));
    writer.is_down_until(at(45));
    let opened = [("LobbyClosed", at(45)), ("DrawHeld", at(45)), ("OpeningOpened", at(45))];
    assert_eq!(course(&writer), opened);
    assert_eq!(writer.admissions().len(), 1);
    assert_eq!(writer.admissions()[0].1, at(45));
    writer.passes_to(at(700));
    assert_eq!(course(&writer)[3..], [("OpeningDrained", at(600))]);
}

#[test]
fn an_opening_that_nobody_was_there_to_drain_takes_no_joins_afterwards() {
    let mut writer = planned();
    writer.passes_to(at(1));
    writer.is_down_until(at(900));
    assert_eq!(course(&writer).last(), Some(&("OpeningDrained", at(900))));
    let late = writer.asks(Command::Join { ticket: visitor(9) });
    assert!(matches!(late, Err(Refusal::WrongState { .. })), "{late:?}");
}

#[test]
fn an_opening_that_was_missed_altogether_runs_its_course_and_admits_nobody_into_its_end() {
    let mut writer = planned();
    writer.passes_to(at(-10));
    writer.is_down_until(at(5_000));
    let kinds: Vec<&str> = course(&writer).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["LobbyClosed", "DrawHeld", "OpeningOpened", "OpeningDrained", "OpeningClosed"]);
    assert_eq!(writer.admissions(), []);
}

#[test]
fn a_command_that_comes_first_after_an_outage_is_decided_after_what_was_due() {
    let mut writer = planned();
    writer.passes_to(at(-10));
    writer.stops();
    writer.now = at(45);
    writer.starts();
    // No timer has fired yet.
    assert_eq!(course(&writer), []);
    writer.does(Command::Join { ticket: visitor(9) });
    assert_eq!(writer.state_of(visitor(9)), TicketState::Waiting, "behind the lobby, not drawn with it");
}

#[test]
fn nobody_loses_a_deadline_to_our_outage() {
    let rules = Policy { enter_within_s: 20, stay_for_s: 60, ..policy() };
    let mut admitted = Writer::open(rules.clone(), 2);
    admitted.is_down_until(at(300));
    assert_eq!(admitted.state_of(visitor(1)), TicketState::Admitted);
    admitted.passes_to(at(329));
    admitted.does(Command::Enter { ticket: visitor(1) });

    let mut inside = Writer::open(rules, 2);
    inside.does(Command::Enter { ticket: visitor(1) });
    inside.is_down_until(at(300));
    inside.passes_to(at(329));
    assert_eq!(inside.state_of(visitor(1)), TicketState::Inside);
    inside.passes_to(at(331));
    assert_eq!(inside.times_of("VisitsEnded"), [at(330)]);
    assert_eq!(inside.admissions()[1], (visitor(2), at(330)));
}

#[test]
fn an_outage_is_followed_by_no_burst() {
    let slow = Policy { capacity: 100, admissions_per_minute: Some(60), ..policy() };
    let mut writer = Writer::open(slow, 30);
    writer.passes_to(at(2));
    let before = writer.admissions().len();
    writer.is_down_until(at(600));
    writer.passes_to(at(602));
    let after = writer.admissions().len() - before;
    assert!((2..=4).contains(&after), "{after} in two seconds at one a second");
}

#[test]
fn who_was_away_before_an_outage_stays_away_until_they_are_heard_of() {
    let mut writer = Writer::open(policy(), 3);
    writer.notices(Command::GoAway { indexes: vec![1] });
    writer.is_down_until(at(30));
    assert_eq!(writer.state_of(visitor(2)), TicketState::Away);
    assert_eq!(writer.state_of(visitor(3)), TicketState::Waiting);
    writer.does(Command::Leave { ticket: visitor(1) });
    writer.passes_to(at(31));
    assert_eq!(writer.admissions()[1].0, visitor(3));
}
