//! Pausing, resuming, draining, closing by hand.

use usher_events::event::*;

use super::facts::*;
use super::{Given, Refusal, at, given};
use crate::opening::{Command, OpeningState};

fn in_state(state: OpeningState) -> Given {
    let over = |event| given(open()).and(event);
    match state {
        OpeningState::Scheduled => given([scheduled()]),
        OpeningState::Drawing => given([scheduled(), lobby_closed(&[])]),
        OpeningState::Open => given(open()),
        OpeningState::Paused => over(paused(at(1))),
        OpeningState::Draining => over(drained(at(1))),
        OpeningState::Closed => over(closed(at(1))),
    }
}

const ALL: [OpeningState; 6] = [
    OpeningState::Scheduled,
    OpeningState::Drawing,
    OpeningState::Open,
    OpeningState::Paused,
    OpeningState::Draining,
    OpeningState::Closed,
];

/// From which states `command` leads to an event of `kind`, and in which it
/// is so already; from all others it is refused.
fn leads(command: &Command, kind: &str, from: &[OpeningState], already: OpeningState) {
    for state in ALL {
        let outcome = in_state(state).when(command.clone());
        if from.contains(&state) {
            assert_eq!(outcome.event().kind(), kind, "{state:?}");
        } else if state == already {
            outcome.then_already();
        } else {
            outcome.then_refused(Refusal::WrongState { state });
        }
    }
}

#[test]
fn an_open_opening_is_paused_and_a_paused_one_resumed() {
    leads(&Command::Pause, "OpeningPaused", &[OpeningState::Open], OpeningState::Paused);
    leads(&Command::Resume, "OpeningResumed", &[OpeningState::Paused], OpeningState::Open);
}

#[test]
fn an_open_or_paused_opening_is_drained() {
    let from = [OpeningState::Open, OpeningState::Paused];
    leads(&Command::Drain, "OpeningDrained", &from, OpeningState::Draining);
}

#[test]
fn an_opening_is_closed_from_every_state() {
    leads(&Command::Close, "OpeningClosed", &ALL[..5], OpeningState::Closed);
}

#[test]
fn each_state_is_entered_by_its_event() {
    for state in ALL {
        assert_eq!(in_state(state).opening.state(), state);
    }
    assert_eq!(in_state(OpeningState::Paused).and(resumed(at(2))).opening.state(), OpeningState::Open);
}

#[test]
fn an_opening_that_was_closed_in_its_lobby_never_draws() {
    let mut over = given([scheduled(), in_lobby(ANN), closed(at(-5))]).at(at(100_000));
    assert_eq!(over.timers(), []);
    assert_eq!(over.opening.next_due(), None);
    assert_eq!(over.ticket(ANN).0, TicketState::Lobby);
}
