//! Who falls silent, who is back, and who is asked how often.

use usher_events::event::TicketState;
use usher_events::ids::{OpeningId, Ticket};

use super::{Change, Here, Notice, Presence, Rules, TicketNow, What};
use crate::opening::{MAX_MEMBERS, Refusal};
use crate::writer::PartitionState;

const ANN: u32 = 1;
const BEN: u32 = 2;
const RULES: Rules = Rules { away_after_s: 600, serving_number: 0, over: false };

const NOBODY: [u32; 0] = [];

/// The longest that may pass between a deadline and the notice of it, in seconds.
const LATE_S: u32 = 4;

fn concert() -> OpeningId {
    OpeningId::new("concert").unwrap()
}

fn ticket(visitor: u32) -> Ticket {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&visitor.to_be_bytes());
    Ticket(bytes)
}

/// One partition with one opening, owned since this very second.
struct Line(Presence);

impl Line {
    fn empty(rules: Rules) -> Self {
        let line = Self(Presence::new(1));
        line.0.begin(0, &PartitionState::default());
        line.happened(What::Rules(rules));
        line
    }

    /// Ann and Ben wait, with the numbers 1 and 2.
    fn ann_and_ben() -> Self {
        let line = Self::empty(RULES);
        line.is(ANN, 1, TicketState::Waiting);
        line.is(BEN, 2, TicketState::Waiting);
        line
    }

    fn happened(&self, what: What) {
        self.0.apply(0, vec![Change { opening: concert(), what }], 1);
    }

    fn is(&self, visitor: u32, number: u32, state: TicketState) {
        let now = TicketNow { index: visitor, ticket: ticket(visitor), number, state };
        self.happened(What::Ticket(now));
    }

    fn heartbeat(&self, visitor: u32) -> Result<Here, Refusal> {
        self.0.heartbeat(0, &concert(), &ticket(visitor)).unwrap().1
    }

    /// When to come again.
    fn told(&self, visitor: u32) -> u32 {
        self.heartbeat(visitor).unwrap().next_in_s
    }

    fn command(&self, visitor: u32) {
        self.0.sign_of_life(0, &concert(), &ticket(visitor));
    }

    /// Who fell silent in the next `seconds`.
    fn silent_within(&self, seconds: u32) -> Vec<u32> {
        let second = |_| {
            self.0.second_passed();
            indexes(self.0.silent(0, 100))
        };
        (0..seconds).flat_map(second).collect()
    }

    /// The visitor falls silent, and the log says so.
    fn goes_away(&self, visitor: u32) {
        self.told(visitor);
        assert!(self.silent_within(36).contains(&visitor));
        self.is(visitor, visitor, TicketState::Away);
    }

    fn back(&self) -> Vec<u32> {
        indexes(self.0.back(0, 100))
    }
}

fn indexes(notices: Vec<Notice>) -> Vec<u32> {
    notices.into_iter().flat_map(|notice| notice.indexes).collect()
}

// --- silence --------------------------------------------------------------------

#[test]
fn who_was_told_when_to_come_again_is_away_after_three_times_that() {
    let line = Line::ann_and_ben();
    assert!((9..=10).contains(&line.told(ANN)));
    line.told(BEN);
    assert_eq!(line.silent_within(20), NOBODY);
    line.told(BEN);
    assert_eq!(line.silent_within(10), NOBODY, "not before the time");
    assert_eq!(line.silent_within(1 + LATE_S), [ANN]);
}

#[test]
fn who_joined_and_was_told_nothing_yet_has_the_longest_time() {
    let line = Line::ann_and_ben();
    assert_eq!(line.silent_within(600), NOBODY);
    let mut silent = line.silent_within(1 + LATE_S);
    silent.sort_unstable();
    assert_eq!(silent, [ANN, BEN]);
}

#[test]
fn nobody_is_silent_longer_than_the_policy_lets_them() {
    let line = Line::empty(Rules { away_after_s: 10, ..RULES });
    line.is(ANN, 900_000, TicketState::Waiting);
    assert_eq!(line.told(ANN), 3);
    assert_eq!(line.silent_within(9), NOBODY);
    assert_eq!(line.silent_within(1 + LATE_S), [ANN]);
}

#[test]
fn a_command_shows_that_its_sender_is_there() {
    let line = Line::ann_and_ben();
    line.told(ANN);
    line.told(BEN);
    assert_eq!(line.silent_within(25), NOBODY);
    line.command(ANN);
    assert_eq!(line.silent_within(10), [BEN]);
}

#[test]
fn what_another_page_of_the_visitor_was_told_is_kept() {
    let line = Line::empty(RULES);
    line.is(ANN, 100_000, TicketState::Waiting);
    assert!(line.told(ANN) >= 175, "one page");
    line.happened(What::Rules(Rules { serving_number: 99_999, ..RULES }));
    assert!(line.told(ANN) <= 10, "another one, which is closed at once");
    assert_eq!(line.silent_within(590), NOBODY, "the first one comes in time");
}

#[test]
fn silence_is_told_again_until_the_log_says_it() {
    let line = Line::ann_and_ben();
    line.told(ANN);
    assert_eq!(line.silent_within(36), [ANN]);
    assert_eq!(line.silent_within(5 + LATE_S), [ANN]);
    line.is(ANN, 1, TicketState::Away);
    assert_eq!(line.silent_within(60), NOBODY);
    assert_eq!(line.back(), NOBODY);
}

#[test]
fn who_is_admitted_or_inside_or_gone_may_be_silent() {
    for state in [TicketState::Admitted, TicketState::Inside, TicketState::Left, TicketState::Away] {
        let line = Line::ann_and_ben();
        line.told(ANN);
        line.is(ANN, 1, state);
        assert_eq!(line.silent_within(100), NOBODY, "{state:?}");
    }
}

#[test]
fn nobody_falls_silent_in_an_opening_that_is_over() {
    let line = Line::ann_and_ben();
    line.happened(What::Rules(Rules { over: true, ..RULES }));
    assert_eq!(line.silent_within(1_000), NOBODY);
    line.is(ANN, 1, TicketState::Away);
    line.heartbeat(ANN).unwrap();
    assert_eq!(line.back(), NOBODY);
}

#[test]
fn nobody_falls_silent_while_this_process_stands_still() {
    let line = Line::ann_and_ben();
    line.told(ANN);
    // No second passes here, however long it takes outside.
    assert_eq!(indexes(line.0.silent(0, 100)), NOBODY);
}

#[test]
fn a_notice_names_at_most_as_many_as_an_event_and_the_rest_comes_later() {
    let line = Line::empty(Rules { away_after_s: 10, ..RULES });
    let crowd = 3 * MAX_MEMBERS as u32;
    for visitor in 0..crowd {
        line.is(visitor, visitor + 1, TicketState::Waiting);
    }
    let mut silent = Vec::new();
    for _ in 0..30 {
        line.0.second_passed();
        let notices = line.0.silent(0, 1);
        assert!(notices.len() <= 1 && notices.iter().all(|notice| notice.indexes.len() <= MAX_MEMBERS));
        for visitor in indexes(notices) {
            line.is(visitor, visitor + 1, TicketState::Away);
            silent.push(visitor);
        }
    }
    silent.sort_unstable();
    assert_eq!(silent, (0..crowd).collect::<Vec<_>>());
}

// --- return ---------------------------------------------------------------------

#[test]
fn who_is_away_and_heard_of_is_back_and_stays_when_they_come_again() {
    let line = Line::ann_and_ben();
    line.goes_away(ANN);
    let here = Here { state: TicketState::Away, next_in_s: 2 };
    assert_eq!(line.heartbeat(ANN), Ok(here), "by the log they are not back yet");
    assert_eq!(line.back(), [ANN]);
    line.is(ANN, 1, TicketState::Waiting);
    assert_eq!(line.heartbeat(ANN).unwrap().state, TicketState::Waiting);
    assert_eq!(line.silent_within(30), NOBODY);
    assert_eq!(line.silent_within(1 + LATE_S), [ANN]);
}

#[test]
fn who_comes_back_only_for_a_moment_is_away_again_soon() {
    let line = Line::ann_and_ben();
    line.goes_away(ANN);
    line.heartbeat(ANN).unwrap();
    line.is(ANN, 1, TicketState::Waiting);
    assert_eq!(line.silent_within(31 + LATE_S), [ANN]);
}

#[test]
fn a_command_of_who_was_away_brings_them_back_too() {
    let line = Line::ann_and_ben();
    line.goes_away(ANN);
    line.command(ANN);
    assert_eq!(line.back(), [ANN]);
}

#[test]
fn a_return_is_told_once_and_again_when_nothing_came_of_it() {
    let line = Line::ann_and_ben();
    line.goes_away(ANN);
    line.heartbeat(ANN).unwrap();
    line.heartbeat(ANN).unwrap();
    assert_eq!(line.back(), [ANN]);
    assert_eq!(line.silent_within(2), NOBODY);
    line.heartbeat(ANN).unwrap();
    assert_eq!(line.back(), [ANN]);
}

#[test]
fn who_is_heard_of_after_their_silence_was_told_is_back_at_once() {
    let line = Line::ann_and_ben();
    line.told(ANN);
    assert_eq!(line.silent_within(36), [ANN]);
    line.told(ANN);
    line.is(ANN, 1, TicketState::Away);
    assert_eq!(line.back(), [ANN]);
}

#[test]
fn who_missed_their_admission_is_back_only_when_they_are_heard_of_after_it() {
    let line = Line::ann_and_ben();
    line.is(ANN, 1, TicketState::Admitted);
    line.heartbeat(ANN).unwrap();
    line.is(ANN, 1, TicketState::Away);
    assert_eq!(line.back(), NOBODY);
    line.heartbeat(ANN).unwrap();
    assert_eq!(line.back(), [ANN]);
}

// --- how often ------------------------------------------------------------------

#[test]
fn who_is_next_is_asked_most_often() {
    let line = Line::empty(RULES);
    line.is(ANN, 50_001, TicketState::Waiting);
    assert!((97..=110).contains(&line.told(ANN)));
    line.happened(What::Rules(Rules { serving_number: 50_000, ..RULES }));
    assert!((9..=10).contains(&line.told(ANN)));
}

#[test]
fn the_lobby_is_asked_as_often_as_it_is_large_and_after_the_draw_by_number() {
    let line = Line::empty(RULES);
    line.is(49_999, 0, TicketState::Lobby);
    line.is(ANN, 0, TicketState::Lobby);
    let lobby = line.heartbeat(ANN).unwrap();
    assert_eq!(lobby.state, TicketState::Lobby);
    assert!((97..=110).contains(&lobby.next_in_s), "{lobby:?}");
    let mut numbers = vec![0; 50_000];
    numbers[ANN as usize] = 1;
    line.happened(What::Numbers(numbers));
    let drawn = line.heartbeat(ANN).unwrap();
    assert_eq!(drawn.state, TicketState::Waiting);
    assert!((9..=10).contains(&drawn.next_in_s), "{drawn:?}");
}

#[test]
fn a_crowd_that_came_together_does_not_go_on_coming_together() {
    let line = Line::empty(RULES);
    let told: std::collections::BTreeSet<u32> = (0..200)
        .map(|visitor| {
            line.is(visitor, 1_000_000 + visitor, TicketState::Waiting);
            line.told(visitor)
        })
        .collect();
    assert!(told.len() > 10 && told.first() >= Some(&175) && told.last() <= Some(&200), "{told:?}");
}

// --- who is known ---------------------------------------------------------------

#[test]
fn who_is_unknown_or_gone_is_told_so() {
    let line = Line::ann_and_ben();
    assert_eq!(line.heartbeat(99), Err(Refusal::UnknownTicket));
    let other = OpeningId::new("other").unwrap();
    let unknown = line.0.heartbeat(0, &other, &ticket(ANN)).unwrap();
    assert_eq!(unknown, (1, Err(Refusal::UnknownOpening)));
    for state in [TicketState::Done, TicketState::Left, TicketState::Spent] {
        line.is(ANN, 1, state);
        assert_eq!(line.heartbeat(ANN), Err(Refusal::Gone { state }));
    }
}

#[test]
fn every_state_is_answered_as_it_is() {
    use TicketState::*;
    let line = Line::ann_and_ben();
    for state in [Waiting, Away, Admitted, Inside, Lobby] {
        let number = u32::from(state != Lobby);
        line.is(7, number, state);
        assert_eq!(line.heartbeat(7).unwrap().state, if number == 0 { Lobby } else { state });
    }
}

#[test]
fn what_is_not_owned_is_not_answered() {
    let line = Line::ann_and_ben();
    line.0.end(0);
    assert_eq!(line.0.heartbeat(0, &concert(), &ticket(ANN)), None);
    line.command(ANN);
    assert_eq!(line.silent_within(1_000), NOBODY);
}
