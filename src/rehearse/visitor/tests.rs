//! What a visitor does next, told step by step.

use serde_json::{Value, json};

use super::*;
use crate::rehearse::ask::Lost;
use crate::rehearse::plan::Ending;

const NEVER: u64 = u64::MAX;

/// Arrives at once, and does nothing but wait, enter, hold two seats and pay.
fn plain() -> Plan {
    Plan {
        arrives_ms: 0,
        listens: false,
        reloads_ms: None,
        away: None,
        leaves_ms: None,
        no_show: false,
        no_show_back_ms: None,
        hesitates_ms: 500,
        chooses_ms: 2_000,
        pays_ms: 3_000,
        extends: false,
        seats: 2,
        showing: 0,
        ending: Ending::Pays,
    }
}

/// A visitor with their ledger, at a time.
struct One {
    visitor: Visitor,
    ledger: Ledger,
    now: u64,
}

impl One {
    fn new(plan: Plan) -> Self {
        Self::repeating(plan, 0.0)
    }

    fn repeating(plan: Plan, repeat: f64) -> Self {
        let habits = Habits { repeat, note_estimates_of: 1 };
        let visitor = Visitor::new(0, plan, Dice::new(1, 0), habits);
        Self { visitor, ledger: Ledger::default(), now: 0 }
    }

    fn next(&mut self) -> Move {
        self.visitor.step(self.now)
    }

    /// What is asked next, as soon as something is, and when.
    fn asks(&mut self) -> Kind {
        loop {
            match self.next() {
                Move::Ask(kind) => return kind,
                Move::RestUntil(at) => self.now = at,
                Move::Over => panic!("it is over: {:?}", self.visitor.end()),
            }
        }
    }

    fn told(&mut self, kind: Kind, status: u16, body: Value) -> &mut Self {
        let said = serde_json::from_value(body).unwrap();
        self.heard(kind, Outcome::Told { status, said })
    }

    fn heard(&mut self, kind: Kind, outcome: Outcome) -> &mut Self {
        assert_eq!(self.next(), Move::Ask(kind));
        self.visitor.hear(self.now, kind, &outcome, &mut self.ledger);
        self
    }

    /// In line as number 7, everything asked for once.
    fn in_line(plan: Plan) -> Self {
        let mut one = Self::new(plan);
        one.told(Kind::Join, 201, json!({"state": "waiting", "number": 7, "as_of": "0.5"}));
        one.told(Kind::Place, 200, json!({"state": "waiting", "number": 7, "ahead": 6}));
        one.told(Kind::Status, 200, status(0));
        one
    }

    /// In the seat window.
    fn inside(plan: Plan) -> Self {
        let mut one = Self::in_line(plan);
        one.turn();
        assert_eq!(one.asks(), Kind::Entry);
        one.told(Kind::Entry, 201, json!({"state": "inside"}));
        one
    }

    /// Is told that it may be their turn, and that it is.
    fn turn(&mut self) {
        while self.asks() != Kind::Status {
            self.told(Kind::Presence, 200, json!({"state": "waiting", "next_in_s": 3_600}));
        }
        self.told(Kind::Status, 200, status(7));
        self.told(Kind::Place, 200, json!({"state": "admitted", "number": 7}));
    }

    fn holding(plan: Plan) -> Self {
        let mut one = Self::inside(plan);
        assert_eq!(one.asks(), Kind::SeatMap);
        one.chose(&["G7", "G8"]);
        one.told(Kind::Hold, 201, json!({"state": "live"}));
        one
    }

    fn chose(&mut self, seats: &[&str]) {
        let chosen = seats.iter().map(|seat| Box::from(*seat)).collect();
        self.heard(Kind::SeatMap, Outcome::Told { status: 200, said: Said { chosen, ..Said::default() } });
    }
}

fn status(serving_number: u32) -> Value {
    json!({"state": "open", "serving_number": serving_number, "poll_after_ms": 4_000, "poll_jitter": 0.0})
}

fn problem(kind: &str) -> Value {
    json!({"type": format!("urn:usher:problem:{kind}")})
}

#[test]
fn a_visitor_comes_when_planned_and_asks_for_their_place_and_the_status() {
    let mut one = One::new(Plan { arrives_ms: 900, ..plain() });
    assert_eq!(one.next(), Move::RestUntil(900));
    assert_eq!(one.asks(), Kind::Join);
    one.told(Kind::Join, 201, json!({"state": "lobby", "as_of": "3.14"}));
    assert_eq!(one.visitor.after.as_deref(), Some("3.14"), "a view that has the join");
    one.told(Kind::Place, 200, json!({"state": "lobby"}));
    assert_eq!(one.next(), Move::Ask(Kind::Status));
    assert_eq!(one.ledger.acknowledged, [(0, Acknowledged::Joined)]);
}

#[test]
fn the_status_is_asked_for_at_the_pace_that_the_server_tells() {
    let mut one = One::in_line(plain());
    one.visitor.beat_at = NEVER;
    assert_eq!(one.next(), Move::RestUntil(4_000));
    one.now = 4_000;
    let slower = json!({"state": "open", "serving_number": 0, "poll_after_ms": 9_000, "poll_jitter": 0.5});
    one.told(Kind::Status, 200, slower);
    let Move::RestUntil(at) = one.next() else { panic!("rests") };
    assert!((13_000..17_500).contains(&at), "{at}");
}

#[test]
fn the_own_place_is_asked_for_at_the_turn_and_else_seldom() {
    let mut one = One::in_line(plain());
    one.visitor.beat_at = NEVER;
    for _ in 0..3 {
        assert_eq!(one.asks(), Kind::Status);
        one.told(Kind::Status, 200, status(3));
    }
    assert_eq!((one.asks(), one.now), (Kind::Status, 16_000));
    one.told(Kind::Status, 200, status(3));
    assert_eq!(one.next(), Move::Ask(Kind::Place), "a quarter of a minute is over");
    one.told(Kind::Place, 200, json!({"state": "waiting", "number": 7}));
    assert_eq!(one.asks(), Kind::Status);
    one.told(Kind::Status, 200, status(7));
    assert_eq!(one.next(), Move::Ask(Kind::Place), "the turn may have come");
}

#[test]
fn whoever_listens_polls_seldom() {
    let mut one = One::in_line(Plan { listens: true, ..plain() });
    assert!(one.visitor.listens());
    one.visitor.told_by_events = true;
    one.visitor.beat_at = NEVER;
    assert_eq!((one.asks(), one.now), (Kind::Status, 4_000));
    one.told(Kind::Status, 200, status(0));
    assert_eq!(one.next(), Move::RestUntil(64_000));
    one.now = 5_000;
    one.visitor.told_status(5_000, &serde_json::from_value(status(7)).unwrap());
    assert_eq!(one.next(), Move::Ask(Kind::Place), "an event tells the turn");
}

#[test]
fn a_whole_evening_ends_in_a_booking() {
    let mut one = One::holding(plain());
    assert_eq!(one.asks(), Kind::Booking);
    one.told(Kind::Booking, 201, json!({"state": "booked"}));
    assert_eq!((one.next(), one.visitor.end()), (Move::Over, Some(End::Booked)));
    let seats = || Box::from([Box::from("G7"), Box::from("G8")]);
    let told: Vec<Acknowledged> = one.ledger.acknowledged.into_iter().map(|(_, what)| what).collect();
    let (held, booked) = (Acknowledged::Held { seats: seats() }, Acknowledged::Booked { seats: seats() });
    assert_eq!(told, [Acknowledged::Numbered(7), Acknowledged::Joined, Acknowledged::Entered, held, booked]);
}

#[test]
fn whoever_does_not_show_up_comes_back_or_does_not() {
    let mut one = One::in_line(Plan { no_show: true, ..plain() });
    one.turn();
    assert_eq!((one.next(), one.visitor.end()), (Move::Over, Some(End::NoShow)));

    let mut one = One::in_line(Plan { no_show: true, no_show_back_ms: Some(30_000), ..plain() });
    one.turn();
    let silent_until = one.now + 30_000;
    assert_eq!(one.next(), Move::RestUntil(silent_until));
    assert_eq!((one.asks(), one.now), (Kind::Presence, silent_until));
    one.told(Kind::Presence, 200, json!({"state": "admitted", "next_in_s": 40}));
    one.told(Kind::Place, 200, json!({"state": "admitted", "number": 7}));
    assert_eq!(one.asks(), Kind::Entry, "this time they are there");
}

#[test]
fn whoever_falls_silent_asks_nothing_until_they_are_back() {
    let away = Absence { after_ms: 1_000, for_ms: 60_000 };
    let mut one = One::in_line(Plan { away: Some(away), listens: true, ..plain() });
    one.now = 1_000;
    assert_eq!(one.next(), Move::RestUntil(61_000));
    assert!(!one.visitor.listens());
    assert_eq!((one.asks(), one.now), (Kind::Presence, 61_000));
}

#[test]
fn whoever_gives_up_leaves_and_whoever_reloads_asks_for_their_place() {
    let mut one = One::in_line(Plan { leaves_ms: Some(2_000), ..plain() });
    assert_eq!((one.asks(), one.now), (Kind::Leave, 2_000));
    one.told(Kind::Leave, 200, json!({"state": "left"}));
    assert_eq!(one.visitor.end(), Some(End::LeftLine));

    let mut one = One::in_line(Plan { reloads_ms: Some(2_000), ..plain() });
    assert_eq!((one.asks(), one.now), (Kind::Place, 2_000));
}

#[test]
fn a_command_without_a_definite_answer_is_sent_again_until_it_has_one() {
    let mut one = One::holding(plain());
    assert_eq!(one.asks(), Kind::Booking);
    let begun = one.now;
    one.heard(Kind::Booking, Outcome::Lost(Lost::Cut));
    assert_eq!(one.asks(), Kind::Booking);
    let unknown = Outcome::Later { status: 503, problem: "outcome-unknown".into(), retry_after_ms: 3_000 };
    let sent = one.now;
    assert!(sent > begun, "not at once");
    one.heard(Kind::Booking, unknown);
    assert_eq!(one.asks(), Kind::Booking);
    assert!(one.now >= sent + 3_000, "not before the server says");
    one.told(Kind::Booking, 200, json!({"state": "booked"}));
    assert_eq!(one.visitor.end(), Some(End::Booked));
}

#[test]
fn whoever_finds_seats_taken_chooses_others_and_goes_when_there_are_none() {
    let mut one = One::inside(plain());
    for _ in 1..SEAT_TRIES {
        assert_eq!(one.asks(), Kind::SeatMap);
        one.chose(&["G7"]);
        one.told(Kind::Hold, 409, problem("seats-taken"));
    }
    assert_eq!(one.asks(), Kind::SeatMap);
    for _ in 1..SHOWING_TRIES {
        one.chose(&[]);
        assert_eq!(one.asks(), Kind::SeatMap, "another showing");
    }
    one.chose(&[]);
    one.told(Kind::LeaveWindow, 200, json!({"state": "left"}));
    assert_eq!(one.visitor.end(), Some(End::SoldOut));
}

#[test]
fn whoever_does_not_pay_gives_the_seats_back_or_vanishes() {
    let mut one = One::holding(Plan { ending: Ending::Releases, ..plain() });
    assert_eq!(one.asks(), Kind::Release);
    one.told(Kind::Release, 200, json!({"state": "released"}));
    one.told(Kind::LeaveWindow, 200, json!({"state": "left"}));
    assert_eq!(one.visitor.end(), Some(End::GaveBack));

    let mut one = One::holding(Plan { ending: Ending::Vanishes, extends: true, ..plain() });
    assert_eq!(one.asks(), Kind::Extension);
    one.told(Kind::Extension, 201, json!({"state": "live"}));
    let Move::RestUntil(until) = one.next() else { panic!("rests") };
    one.now = until;
    assert_eq!((one.next(), one.visitor.end()), (Move::Over, Some(End::Vanished)));
}

#[test]
fn a_success_that_is_asked_for_again_must_be_told_again() {
    let mut one = One::repeating(plain(), 100.0);
    one.told(Kind::Join, 201, json!({"state": "waiting", "number": 7}));
    assert_eq!(one.asks(), Kind::Join);
    one.told(Kind::Join, 200, json!({"state": "waiting", "number": 7}));
    assert_eq!((one.ledger.promises_broken, one.asks()), (0, Kind::Place));

    let mut one = One::repeating(plain(), 100.0);
    one.told(Kind::Join, 201, json!({"state": "waiting", "number": 7}));
    assert_eq!(one.asks(), Kind::Join);
    one.told(Kind::Join, 201, json!({"state": "waiting", "number": 8}));
    let answer = "201 no problem document".to_owned();
    assert_eq!(one.ledger.promises, [(0, Promise::AnsweredOtherwise { kind: Kind::Join, answer })]);
}

#[test]
fn a_number_that_changes_and_a_ticket_that_is_forgotten_are_broken_promises() {
    let mut one = One::in_line(plain());
    assert_eq!(one.asks(), Kind::Status);
    one.told(Kind::Status, 200, status(7));
    one.told(Kind::Place, 200, json!({"state": "waiting", "number": 8}));
    assert_eq!(one.ledger.promises, [(0, Promise::NumberChanged { before: 7, now: 8 })]);
    one.visitor.beat_at = one.now;
    one.told(Kind::Presence, 404, problem("unknown-ticket"));
    assert_eq!(one.ledger.promises[1], (0, Promise::TicketForgotten { kind: Kind::Presence }));
    assert_eq!(one.visitor.end(), Some(End::Astray));
}

#[test]
fn what_is_told_of_the_turn_is_noted_to_be_compared() {
    let mut one = One::new(plain());
    one.told(Kind::Join, 201, json!({"state": "waiting", "number": 7}));
    let eta = json!({"expected": "2026-03-01T11:20:00Z", "early": "2026-03-01T11:18:30Z", "late": "2026-03-01T11:22:10Z"});
    one.told(Kind::Place, 200, json!({"state": "waiting", "number": 7, "ahead": 6, "eta": eta}));
    assert_eq!(one.ledger.estimates.len(), 1);
    assert!(one.ledger.estimates[0].early < one.ledger.estimates[0].late);
}
