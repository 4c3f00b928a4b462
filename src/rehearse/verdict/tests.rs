//! Logs that keep the rules, and logs that break one: the verdict bites.

use std::collections::BTreeMap;

use usher_events::event::*;
use usher_events::ids::{BookingId, CommandId, Hash, PaymentReference, ShowingId};
use usher_events::policy::Policy;
use usher_events::record::{Headers, Record, encode};
use usher_events::tenure::{Stamp, named};
use uuid::Uuid;

use super::*;
use crate::rehearse::report::Verdict;
use crate::rehearse::{BROKEN, NO_VERDICT, exit_code};

const AT: Timestamp = Timestamp(1_800_000_000_000);
const DRAWN: u64 = 77;

fn opening() -> OpeningId {
    OpeningId::new("rehearsal-1").unwrap()
}

fn script() -> Script {
    Script::new(opening(), vec!["evening".to_owned()], None, 0.0)
}

/// The log of one tenure that holds these events.
fn log(events: Vec<Event>) -> Vec<StoredRecord> {
    let (address, version) = ("http://127.0.0.1:1".to_owned(), "0".to_owned());
    let claimed = WriterClaimed { at: AT, address, version, partitions: 1 };
    let claim = Record::of_writer(Stamp { tenure: DRAWN, n: 0 }, &claimed.into()).unwrap();
    let event = |(n, event): (u64, Event)| Record {
        key: Some(opening()),
        value: encode(&event).unwrap(),
        headers: Headers {
            tenure: named(DRAWN, 0),
            n,
            seq: n,
            command_id: CommandId(Uuid::nil()),
            digest: Hash::default(),
            actor: "timer:test".into(),
            chain: Hash::default(),
        },
    };
    let records = std::iter::once(claim).chain((1..).zip(events).map(event));
    let stored = |(offset, record)| StoredRecord { offset, appended_at: AT, record };
    (0..).zip(records).map(stored).collect()
}

/// The verdict on a log with three visitors, who were told what `ledger` says.
fn verdict(script: &Script, events: Vec<Event>, ledger: &Ledger) -> Verdict {
    let mut judge = Judge::new(opening(), script, 3);
    log(events).iter().for_each(|record| judge.see(record).unwrap());
    Verdict::given("a log".to_owned(), &judge, judge.findings(script, ledger), ledger)
}

/// How often each rule was broken, of those that were.
fn broken(verdict: &Verdict) -> BTreeMap<Rule, u64> {
    let rules = verdict.rules.iter().map(|rule| (rule.rule, rule.finding.broken));
    rules.filter(|(_, broken)| *broken > 0).collect()
}

fn capacity(capacity: u32) -> Event {
    PolicyChanged { at: AT, policy: Policy { capacity, ..Policy::default() } }.into()
}

fn joined(script: &Script, visitor: u32) -> Event {
    VisitorJoined { at: AT, ticket: script.ticket(visitor), number: Some(visitor + 1), subject: None }.into()
}

fn admitted(script: &Script, visitors: &[u32]) -> Event {
    let one = |visitor: &u32| Admitted { ticket: script.ticket(*visitor), number: visitor + 1 };
    VisitorsAdmitted {
        at: AT,
        admission: None,
        admitted: visitors.iter().map(one).collect(),
        enter_by: AT,
        serving_number: 0,
        next_admission_at: AT,
    }
    .into()
}

fn entered(script: &Script, visitor: u32) -> Event {
    VisitorEntered { at: AT, ticket: script.ticket(visitor), leave_by: AT }.into()
}

fn seats() -> Vec<SeatId> {
    ["G7", "G8"].iter().map(|seat| SeatId::new(seat).unwrap()).collect()
}

fn held(script: &Script, visitor: u32) -> Event {
    SeatsHeld {
        at: AT,
        hold: HoldId(script.hold(visitor)),
        ticket: script.ticket(visitor),
        showing: ShowingId::new("evening").unwrap(),
        seats: seats(),
        expires_at: AT,
        leave_by: AT,
    }
    .into()
}

fn booked(script: &Script, visitor: u32) -> Event {
    BookingConfirmed {
        at: AT,
        booking: BookingId(script.booking(visitor)),
        hold: HoldId(script.hold(visitor)),
        ticket: script.ticket(visitor),
        showing: ShowingId::new("evening").unwrap(),
        seats: seats(),
        payment_reference: PaymentReference::new("p").unwrap(),
        late: false,
        visit_ended: true,
        reference: None,
    }
    .into()
}

/// All three in line, with two places in the window.
fn line(script: &Script) -> Vec<Event> {
    vec![capacity(2), joined(script, 0), joined(script, 1), joined(script, 2)]
}

fn after(mut history: Vec<Event>, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    history.extend(more);
    history
}

fn told(what: impl IntoIterator<Item = (u32, Acknowledged)>) -> Ledger {
    Ledger { acknowledged: what.into_iter().collect(), ..Ledger::default() }
}

fn told_seats() -> Box<[Box<str>]> {
    // In whatever order they were asked for.
    Box::from([Box::from("G8"), Box::from("G7")])
}

#[test]
fn an_evening_in_order_breaks_nothing_and_ends_with_0() {
    let script = script();
    let evening = [
        admitted(&script, &[0, 1]),
        entered(&script, 0),
        held(&script, 0),
        booked(&script, 0),
        admitted(&script, &[2]),
    ];
    let ledger = told([
        (0, Acknowledged::Joined),
        (0, Acknowledged::Numbered(1)),
        (0, Acknowledged::Entered),
        (0, Acknowledged::Held { seats: told_seats() }),
        (0, Acknowledged::Booked { seats: told_seats() }),
        (2, Acknowledged::Joined),
    ]);
    let verdict = verdict(&script, after(line(&script), evening), &ledger);
    assert_eq!(broken(&verdict), BTreeMap::new());
    assert_eq!((verdict.held, exit_code(&verdict)), (Some(true), 0));
    assert_eq!((verdict.records, verdict.totals.booked), (10, 2));
}

#[test]
fn an_inversion_in_the_log_ends_with_1() {
    let script = script();
    let verdict = verdict(&script, after(line(&script), [admitted(&script, &[1])]), &Ledger::default());
    assert_eq!(broken(&verdict), BTreeMap::from([(Rule::Order, 1)]));
    assert_eq!(exit_code(&verdict), BROKEN);
    let example = &verdict.rules[0].finding.examples[0];
    assert!(example.contains("number 2 was admitted before 1, who was present"), "{example}");
}

#[test]
fn too_many_in_the_window_a_seat_for_two_and_an_entry_unasked_are_found() {
    let script = script();
    let more = [admitted(&script, &[0, 1, 2])];
    let found = |more: Vec<Event>| broken(&verdict(&script, after(line(&script), more), &Ledger::default()));
    assert_eq!(found(more.to_vec()), BTreeMap::from([(Rule::Capacity, 1)]));
    let twice = vec![held(&script, 0), held(&script, 1)];
    assert_eq!(found(twice), BTreeMap::from([(Rule::Seats, 2)]), "both of the two seats");
    assert_eq!(found(vec![entered(&script, 0)]), BTreeMap::from([(Rule::Entry, 1)]));
}

#[test]
fn what_was_acknowledged_and_is_not_in_the_log_is_found() {
    let script = script();
    let lost = told([
        (0, Acknowledged::Joined),
        (0, Acknowledged::Entered),
        (1, Acknowledged::Left),
        (1, Acknowledged::Held { seats: told_seats() }),
        (2, Acknowledged::Booked { seats: told_seats() }),
        (2, Acknowledged::Released),
    ]);
    let verdict = verdict(&script, vec![capacity(2)], &lost);
    assert_eq!(broken(&verdict), BTreeMap::from([(Rule::Durable, 6)]));
}

#[test]
fn other_seats_than_were_told_are_not_what_was_told() {
    let script = script();
    let other = told([(0, Acknowledged::Held { seats: Box::from([Box::from("G7")]) })]);
    let history = after(line(&script), [held(&script, 0)]);
    assert_eq!(broken(&verdict(&script, history, &other)), BTreeMap::from([(Rule::Durable, 1)]));
}

#[test]
fn a_record_of_a_broken_tenure_counts_for_nobody() {
    let script = script();
    let mut judge = Judge::new(opening(), &script, 3);
    let mut records = log(line(&script));
    records[1].record.headers.n = 9;
    records.iter().for_each(|record| judge.see(record).unwrap());
    let ledger = told([(0, Acknowledged::Joined)]);
    let findings = judge.findings(&script, &ledger);
    assert_eq!((judge.void, findings[&Rule::Durable].broken), (4, 1));
}

#[test]
fn a_second_effect_and_another_number_are_found() {
    let script = script();
    let twice = after(line(&script), [held(&script, 0), held(&script, 0)]);
    assert_eq!(broken(&verdict(&script, twice, &Ledger::default())), BTreeMap::from([(Rule::Once, 1)]));
    let other = told([(2, Acknowledged::Numbered(4))]);
    assert_eq!(broken(&verdict(&script, line(&script), &other)), BTreeMap::from([(Rule::Kept, 1)]));
}

#[test]
fn promises_broken_before_the_visitors_eyes_count() {
    let mut ledger = Ledger::default();
    ledger.broken(0, Promise::NumberChanged { before: 1, now: 2 });
    ledger.broken(
        1,
        Promise::AnsweredOtherwise { kind: crate::rehearse::ask::Kind::Hold, answer: "201".to_owned() },
    );
    let script = script();
    let found = broken(&verdict(&script, line(&script), &ledger));
    assert_eq!(found, BTreeMap::from([(Rule::Kept, 1), (Rule::Once, 1)]));
}

#[test]
fn without_a_log_there_is_no_verdict_and_another_exit_code() {
    let verdict = Verdict::not_given("as it cannot be reached".to_owned(), &Ledger::default());
    assert_eq!((verdict.held, exit_code(&verdict)), (None, NO_VERDICT));
}
