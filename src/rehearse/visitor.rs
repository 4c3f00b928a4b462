//! One visitor: what they do next, and what an answer makes of that. Pure;
//! the time comes in, requests go out.
//!
//! In line they do what our page does: ask for the shared status at the pace
//! that it tells (or are told by server-sent events), for their own place when
//! their turn may have come and now and then, and say that they are there.

use usher_events::event::TicketState;

use super::ask::{Kind, Outcome, Said};
use super::ledger::{Acknowledged, Estimate, Ledger, Promise};
use super::plan::{Absence, Dice, Plan};

/// The own place is asked for at most so often without a reason.
const PLACE_EVERY_MS: u64 = 15_000;
/// While events come, polling only makes sure.
const POLL_BESIDE_EVENTS_MS: u64 = 60_000;
/// Until the first answer says more.
const POLL_FIRST_MS: u64 = 5_000;
/// A view may be a little behind.
const NOT_THERE_YET_MS: u64 = 1_000;
/// How often somebody chooses other seats when others were faster.
const SEAT_TRIES: u8 = 5;
/// In how many showings somebody looks for seats.
const SHOWING_TRIES: u8 = 3;
/// The longest between two tries of the same.
const SLOWEST_MS: u64 = 15_000;

/// How a visitor's evening ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum End {
    Booked,
    /// Left the seat window without seats, as planned.
    GaveBack,
    /// There were not enough free seats.
    SoldOut,
    /// Closed the page with seats held, as planned.
    Vanished,
    /// Gave up waiting, as planned.
    LeftLine,
    /// Never came to their turn, as planned.
    NoShow,
    /// Their visit or their place ran out.
    Spent,
    /// The payment became a refund.
    Refunded,
    /// The opening took no more, or was closed.
    TurnedAway,
    /// Something that must not be: see the verdict.
    Astray,
}

/// What a visitor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Ask(Kind),
    RestUntil(u64),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Coming,
    InLine,
    Silent { until: u64 },
    Called { enter_at: u64 },
    Choosing { until: u64 },
    Holding,
    Paying { until: u64 },
    Going(End),
    Over(End),
}

/// What is the same for all visitors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// How many of a hundred commands are sent again after their answer.
    pub(super) repeat: f64,
    /// Every so many visitors note what they are told of their turn.
    pub(super) note_estimates_of: u32,
}

/// One visitor. Kept small: there may be a million.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) index: u32,
    plan: Plan,
    pub(super) dice: Dice,
    habits: Habits,
    phase: Phase,
    joined_ms: u64,
    pub(super) number: Option<u32>,
    /// The opening's state, as it was told last.
    opening: Option<Box<str>>,
    status_at: u64,
    beat_at: u64,
    place_at: Option<u64>,
    place_asked: u64,
    /// A view that has our join.
    pub(super) after: Option<Box<str>>,
    /// A command that has no definite answer, or that is sent once more.
    again: Option<(Kind, u64)>,
    repeating: bool,
    pub(super) tries: u32,
    missed: bool,
    extended: bool,
    seat_tries: u8,
    showing_tries: u8,
    pub(super) seats: Vec<Box<str>>,
    /// Whether events come.
    pub(super) told_by_events: bool,
}

impl Visitor {
    pub(super) fn new(index: u32, plan: Plan, dice: Dice, habits: Habits) -> Self {
        Self {
            index,
            plan,
            dice,
            habits,
            phase: Phase::Coming,
            joined_ms: 0,
            number: None,
            opening: None,
            status_at: u64::MAX,
            beat_at: u64::MAX,
            place_at: None,
            place_asked: 0,
            after: None,
            again: None,
            repeating: false,
            tries: 0,
            missed: false,
            extended: false,
            seat_tries: 0,
            showing_tries: 0,
            seats: Vec::new(),
            told_by_events: false,
        }
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<End> {
        match self.phase {
            Phase::Over(end) if self.again.is_none() => Some(end),
            _ => None,
        }
    }

    /// Whether this visitor listens to events now.
    pub(super) fn listens(&self) -> bool {
        self.plan.listens && matches!(self.phase, Phase::InLine | Phase::Called { .. })
    }

    /// Which of `showings` is looked at now.
    pub(super) fn showing(&self, showings: u32) -> u32 {
        self.plan.showing.wrapping_add(u32::from(self.showing_tries)) % showings.max(1)
    }

    /// How many seats are wanted.
    pub(super) fn wants(&self) -> usize {
        usize::from(self.plan.seats)
    }

    /// What is next, at `now`.
    pub(super) fn step(&mut self, now: u64) -> Move {
        if let Some((kind, at)) = self.again {
            return if at <= now { Move::Ask(kind) } else { Move::RestUntil(at) };
        }
        let due = |at: u64, kind| if at <= now { Move::Ask(kind) } else { Move::RestUntil(at) };
        match self.phase {
            Phase::Coming => due(self.plan.arrives_ms, Kind::Join),
            Phase::InLine => self.in_line(now),
            Phase::Silent { until } if until > now => Move::RestUntil(until),
            Phase::Silent { .. } => {
                self.phase = Phase::InLine;
                (self.beat_at, self.status_at) = (now, now);
                self.in_line(now)
            }
            Phase::Called { enter_at } => due(enter_at, Kind::Entry),
            Phase::Choosing { until } => due(until, Kind::SeatMap),
            Phase::Holding => Move::Ask(Kind::Hold),
            Phase::Paying { until } if until > now => Move::RestUntil(until),
            Phase::Paying { .. } => self.pay(),
            Phase::Going(_) => Move::Ask(Kind::LeaveWindow),
            Phase::Over(_) => Move::Over,
        }
    }

    fn in_line(&mut self, now: u64) -> Move {
        let since_joined = |after: u64| self.joined_ms.saturating_add(after);
        let leaves = self.plan.leaves_ms.map_or(u64::MAX, since_joined);
        let away = self.plan.away.map_or(u64::MAX, |absence| since_joined(absence.after_ms));
        let reloads = self.plan.reloads_ms.map_or(u64::MAX, since_joined);
        let place = self.place_at.unwrap_or(u64::MAX);
        if leaves <= now {
            return Move::Ask(Kind::Leave);
        }
        if let Some(Absence { for_ms, .. }) = self.plan.away.take_if(|_| away <= now) {
            self.phase = Phase::Silent { until: now + for_ms };
            return Move::RestUntil(now + for_ms);
        }
        if self.plan.reloads_ms.take_if(|_| reloads <= now).is_some() {
            // A page that begins asks for its place first.
            self.status_at = now;
            self.told_by_events = false;
            return Move::Ask(Kind::Place);
        }
        if place <= now {
            return Move::Ask(Kind::Place);
        }
        if self.beat_at <= now {
            return Move::Ask(Kind::Presence);
        }
        if self.status_at <= now {
            return Move::Ask(Kind::Status);
        }
        Move::RestUntil(
            [leaves, away, reloads, place, self.beat_at, self.status_at].into_iter().min().unwrap_or(now),
        )
    }

    fn pay(&mut self) -> Move {
        if self.plan.extends && !self.extended {
            return Move::Ask(Kind::Extension);
        }
        match self.plan.ending {
            super::plan::Ending::Pays => Move::Ask(Kind::Booking),
            super::plan::Ending::Releases => Move::Ask(Kind::Release),
            super::plan::Ending::Vanishes => {
                self.phase = Phase::Over(End::Vanished);
                Move::Over
            }
        }
    }

    /// What became of a request.
    pub(super) fn hear(&mut self, now: u64, kind: Kind, outcome: &Outcome, ledger: &mut Ledger) {
        match outcome {
            Outcome::Lost(_) => self.put_off(now, kind, 0),
            Outcome::Later { retry_after_ms, .. } => self.put_off(now, kind, *retry_after_ms),
            Outcome::Told { status, said } => {
                self.tries = 0;
                self.again = None;
                let done = matches!(status, 200 | 201);
                if std::mem::take(&mut self.repeating) && kind.is_command() {
                    if *status != 200 {
                        let answer = format!("{status} {}", said.reason());
                        ledger.broken(self.index, Promise::AnsweredOtherwise { kind, answer });
                    }
                    return;
                }
                self.told(now, kind, done, said, ledger);
                if done && kind.is_command() && self.dice.chance(self.habits.repeat) {
                    self.repeating = true;
                    self.again = Some((kind, now + self.dice.below(500)));
                }
            }
        }
    }

    /// The same again, later: a command under its id until it is answered.
    fn put_off(&mut self, now: u64, kind: Kind, at_least_ms: u64) {
        let backs_off = (500 << self.tries.min(5)).min(SLOWEST_MS);
        self.tries = self.tries.saturating_add(1);
        let at = now + self.dice.about(at_least_ms.max(backs_off)).max(at_least_ms);
        match kind {
            Kind::Status => self.status_at = at,
            Kind::Place => self.place_at = Some(at),
            Kind::Presence => self.beat_at = at,
            Kind::SeatMap => self.phase = Phase::Choosing { until: at },
            _ => self.again = Some((kind, at)),
        }
    }

    fn told(&mut self, now: u64, kind: Kind, done: bool, said: &Said, ledger: &mut Ledger) {
        if said.reason() == "unknown-ticket" {
            ledger.broken(self.index, Promise::TicketForgotten { kind });
            self.phase = Phase::Over(End::Astray);
            return;
        }
        if matches!(kind, Kind::Join | Kind::Place) && done {
            self.learn_number(said, ledger);
        }
        match (kind, done) {
            (Kind::Join, true) => {
                ledger.note(self.index, Acknowledged::Joined);
                self.phase = Phase::InLine;
                self.joined_ms = now;
                self.after.clone_from(&said.as_of);
                self.place_at = Some(now);
                self.status_at = now;
                self.beat_at = now + POLL_FIRST_MS;
            }
            (Kind::Join, false) => self.phase = Phase::Over(End::TurnedAway),
            (Kind::Status, true) => {
                let poll_ms = match self.told_by_events {
                    true => POLL_BESIDE_EVENTS_MS,
                    false => said.poll_after_ms.unwrap_or(POLL_FIRST_MS),
                };
                #[allow(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "minutes"
                )]
                let jitter_ms = (poll_ms as f64 * said.poll_jitter.unwrap_or(0.0) * self.dice.roll()) as u64;
                self.status_at = now + poll_ms + jitter_ms;
                self.told_status(now, said);
            }
            (Kind::Status, false) => self.put_off(now, kind, NOT_THERE_YET_MS),
            (Kind::Place, _) => self.told_place(now, done, said, ledger),
            (Kind::Presence, true) => {
                let next_ms = said.next_in_s.unwrap_or(30).saturating_mul(1_000);
                self.beat_at = now + next_ms * self.dice.between(86, 104) / 100;
                if said.ticket_state() == Some(TicketState::Admitted) {
                    self.place_at = Some(now);
                }
            }
            (Kind::Presence, false) => {
                self.place_at = Some(now);
                self.beat_at = now + PLACE_EVERY_MS;
            }
            (Kind::Leave, _) => {
                if done {
                    ledger.note(self.index, Acknowledged::Left);
                }
                self.phase = Phase::Over(End::LeftLine);
            }
            _ => self.told_inside(now, kind, done, said, ledger),
        }
    }

    /// The status that everybody sees: whether it may be our turn.
    pub(super) fn told_status(&mut self, now: u64, said: &Said) {
        if !matches!(self.phase, Phase::InLine) {
            return;
        }
        if said.state.as_deref() == Some("closed") {
            self.phase = Phase::Over(End::TurnedAway);
            return;
        }
        let serving = said.serving_number.unwrap_or(0);
        let turn = self.number.is_some_and(|number| number <= serving);
        let changed = self.opening.is_some() && self.opening != said.state;
        if turn || changed || now >= self.place_asked + PLACE_EVERY_MS {
            self.place_at = Some(self.place_at.unwrap_or(now).min(now));
        }
        if self.opening != said.state {
            self.opening.clone_from(&said.state);
        }
    }

    fn told_place(&mut self, now: u64, done: bool, said: &Said, ledger: &mut Ledger) {
        self.place_at = None;
        self.place_asked = now;
        if !done {
            self.place_at = Some(now + NOT_THERE_YET_MS);
            return;
        }
        self.after = None;
        match said.ticket_state() {
            Some(TicketState::Lobby | TicketState::Waiting) => {
                if let Some(eta) =
                    said.eta.filter(|_| self.index.is_multiple_of(self.habits.note_estimates_of))
                {
                    ledger.estimates.push(Estimate::of(self.index, now, eta));
                }
            }
            Some(TicketState::Away) => self.beat_at = now,
            Some(TicketState::Admitted) if self.plan.no_show && !self.missed => {
                self.missed = true;
                self.phase = match self.plan.no_show_back_ms {
                    Some(back_ms) => Phase::Silent { until: now + back_ms },
                    None => Phase::Over(End::NoShow),
                };
            }
            Some(TicketState::Admitted) => {
                ledger.turn_known(self.index, now);
                self.phase = Phase::Called { enter_at: now + self.plan.hesitates_ms };
            }
            Some(TicketState::Inside) => self.phase = Phase::Choosing { until: now },
            Some(TicketState::Spent) => self.phase = Phase::Over(End::Spent),
            Some(TicketState::Done | TicketState::Left) | None => self.phase = Phase::Over(End::Astray),
        }
    }

    /// In the seat window, or on the way into it.
    fn told_inside(&mut self, now: u64, kind: Kind, done: bool, said: &Said, ledger: &mut Ledger) {
        let going = Phase::Going(End::GaveBack);
        self.phase = match (kind, done) {
            (Kind::Entry, true) => {
                ledger.note(self.index, Acknowledged::Entered);
                Phase::Choosing { until: now + self.plan.chooses_ms }
            }
            (Kind::Entry, false) => match said.reason() {
                "not-your-turn" => {
                    (self.place_at, self.beat_at) = (Some(now), now);
                    Phase::InLine
                }
                "wrong-state" => Phase::Over(End::TurnedAway),
                _ => Phase::Over(End::Spent),
            },
            (Kind::SeatMap, true) if !said.chosen.is_empty() => {
                self.seats.clone_from(&said.chosen);
                Phase::Holding
            }
            (Kind::SeatMap, _) if self.showing_tries + 1 < SHOWING_TRIES => {
                self.showing_tries += 1;
                Phase::Choosing { until: now + self.dice.about(1_000) }
            }
            (Kind::SeatMap, _) => Phase::Going(End::SoldOut),
            (Kind::Hold, true) => {
                ledger.note(self.index, Acknowledged::Held { seats: self.seats.clone().into() });
                Phase::Paying { until: now + self.plan.pays_ms }
            }
            (Kind::Hold, false) if said.reason() == "seats-taken" && self.seat_tries + 1 < SEAT_TRIES => {
                self.seat_tries += 1;
                Phase::Choosing { until: now + self.dice.about(1_000) }
            }
            (Kind::Hold, false) => match said.reason() {
                "seats-taken" => Phase::Going(End::SoldOut),
                "wrong-state" => Phase::Going(End::TurnedAway),
                _ => Phase::Over(End::Spent),
            },
            (Kind::Extension, _) => {
                self.extended = true;
                Phase::Paying { until: now + self.dice.about(2_000) }
            }
            (Kind::Booking, true) => {
                ledger.note(self.index, Acknowledged::Booked { seats: self.seats.clone().into() });
                Phase::Over(End::Booked)
            }
            (Kind::Booking, false) => match said.reason() {
                "refund-due" => Phase::Over(End::Refunded),
                "unknown-hold" => {
                    ledger.broken(self.index, Promise::HoldForgotten);
                    Phase::Over(End::Astray)
                }
                _ => Phase::Over(End::Astray),
            },
            (Kind::Release, true) => {
                ledger.note(self.index, Acknowledged::Released);
                going
            }
            (Kind::Release, false) => going,
            (Kind::LeaveWindow, _) => match self.phase {
                Phase::Going(end) => Phase::Over(end),
                _ => Phase::Over(End::GaveBack),
            },
            _ => self.phase,
        };
    }

    fn learn_number(&mut self, said: &Said, ledger: &mut Ledger) {
        let Some(now) = said.number else { return };
        match self.number.replace(now) {
            None => ledger.note(self.index, Acknowledged::Numbered(now)),
            Some(before) if before != now => {
                ledger.broken(self.index, Promise::NumberChanged { before, now });
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
