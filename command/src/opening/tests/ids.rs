//! Commands that come again, and ids that come with something else.

use std::collections::HashSet;

use usher_events::event::*;
use usher_events::ids::{Actor, HoldId, OpeningId, SeatId};
use uuid::Uuid;

use super::facts::*;
use super::{Refusal, at, given, opening_id};
use crate::opening::{Command, schedule_id};

#[test]
fn an_accepted_command_that_comes_again_has_no_second_effect() {
    let mut inside = given(ann_and_ben_inside());
    inside.done(hold(1, ANN, &["A1"]));
    inside.when(hold(1, ANN, &["A1"])).then_repeated();
    let over = inside.and(released(at(3), 1, ANN, &["A1"]));
    over.when(hold(1, ANN, &["A1"])).then_repeated();
}

#[test]
fn an_own_id_with_other_content_is_reused() {
    let inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1"]));
    inside.when(hold(1, ANN, &["A2"])).then_refused(Refusal::IdReused);
}

#[test]
fn another_visitors_id_is_in_use() {
    let mut inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1"]));
    inside.done(extend(1, ANN, 1));
    inside.happened(held(at(3), 2, BEN, &["A2"]));
    inside.when(hold(1, BEN, &["A3"])).then_refused(Refusal::IdInUse);
    inside.when(extend(2, BEN, 1)).then_refused(Refusal::IdInUse);
}

#[test]
fn an_operators_id_is_in_use_for_every_visitor() {
    let mut inside = given(ann_inside());
    inside.done(admit(1, 1));
    let id = admission_id(1).0.as_u128();
    inside.when_with_id(id, hold(1, ANN, &["A1"])).then_refused(Refusal::IdInUse);
}

#[test]
fn a_booking_id_is_used_for_one_settlement() {
    let inside = given(ann_inside())
        .and(held(at(2), 1, ANN, &["A1"]))
        .and(held(at(2), 2, ANN, &["A2"]))
        .and(BookingConfirmed { visit_ended: false, ..booked(at(3), 1, ANN, &["A1"]) }.into());
    inside.when(confirm(1, 2, "p-1")).then_refused(Refusal::IdReused);
    inside.when(confirm(1, 1, "p-2")).then_refused(Refusal::IdReused);
}

#[test]
fn an_idempotency_key_is_used_for_one_change() {
    let mut open = given(open());
    let raise = change_policy(serde_json::json!({"capacity": 9}));
    open.done(raise.clone());
    open.when(raise).then_repeated();
    open.when(change_policy(serde_json::json!({"capacity": 3}))).then_refused(Refusal::IdReused);
    open.when_with_id(2, change_policy(serde_json::json!({"capacity": 3}))).event();
}

#[test]
fn a_pause_that_comes_again_after_the_resume_pauses_nothing() {
    let mut open = given(open());
    open.done(Command::Pause);
    let resumed = open.and(resumed(at(5)));
    resumed.when(Command::Pause).then_repeated();
    resumed.when_with_id(2, Command::Pause).event();
}

#[test]
fn scheduling_again_is_a_repeat_and_with_other_content_it_is_not() {
    let lobby = given([scheduled()]);
    lobby.when(Command::Schedule(Box::new(schedule()))).then_repeated();
    let mut other = schedule();
    other.title = "Another night".to_owned();
    lobby.when(Command::Schedule(Box::new(other))).then_refused(Refusal::IdReused);
}

#[test]
fn what_the_writer_adds_to_a_schedule_does_not_make_it_another() {
    let mut again = schedule();
    again.draw_key_id = "key-2".to_owned();
    again.seed_commitment = Default::default();
    given([scheduled()]).when(Command::Schedule(Box::new(again))).then_repeated();
}

#[test]
fn a_digest_depends_on_the_opening_the_verb_and_all_of_the_content() {
    let other = OpeningId::new("second-night").unwrap();
    let mut digests = HashSet::new();
    for command in [
        Command::Join { ticket: ANN },
        Command::Join { ticket: BEN },
        Command::Leave { ticket: ANN },
        Command::Enter { ticket: ANN },
        Command::LeaveWindow { ticket: ANN },
        hold(1, ANN, &["A1"]),
        hold(1, ANN, &["A1", "A2"]),
        hold(2, ANN, &["A1"]),
        hold(1, BEN, &["A1"]),
        Command::Pause,
        Command::Resume,
        change_policy(serde_json::json!({"capacity": 1})),
        change_policy(serde_json::json!({"capacity": 2})),
    ] {
        assert!(digests.insert(command.digest(&opening_id())), "{command:?}");
        assert!(digests.insert(command.digest(&other)), "{command:?}");
    }
    let seats: Vec<SeatId> = seats(&["A1"]);
    assert_eq!(hold(1, ANN, &["A1"]).digest(&other), {
        let showing = showing_id(EVENING);
        Command::Hold { hold: hold_id(1), ticket: ANN, showing, seats, wheelchair: false }.digest(&other)
    });
}

#[test]
fn resources_bring_their_own_ids_and_changes_need_a_key() {
    let id = |command: &Command| command.own_id(&command.digest(&opening_id())).map(|id| id.0);
    assert_eq!(id(&hold(1, ANN, &["A1"])), Some(hold_id(1).0));
    assert_eq!(id(&extend(1, ANN, 2)), Some(extension_id(2).0));
    assert_eq!(id(&confirm(3, 1, "p-1")), Some(booking_id(3).0));
    assert_eq!(id(&admit(4, 1)), Some(admission_id(4).0));
    for command in [
        Command::Pause,
        Command::Resume,
        Command::Drain,
        Command::Close,
        Command::SetMessage { message: None },
        change_policy(serde_json::json!({})),
    ] {
        assert_eq!(id(&command), None, "{command:?}");
    }
    let join: Vec<Option<Uuid>> =
        [ANN, ANN, BEN].iter().map(|ticket| id(&Command::Join { ticket: *ticket })).collect();
    assert!(join[0].is_some() && join[0] == join[1] && join[0] != join[2]);
    assert_ne!(schedule_id(&opening_id()), schedule_id(&OpeningId::new("second-night").unwrap()));
}

#[test]
fn a_timers_id_is_made_of_the_opening_what_is_due_and_when() {
    let id = |command: &Command, due| command.timer_id(&opening_id(), due);
    let expire = Command::ExpireHolds;
    assert_eq!(id(&expire, at(1)), id(&expire, at(1)));
    assert_ne!(id(&expire, at(1)), id(&expire, at(2)));
    assert_ne!(id(&expire, at(1)), id(&Command::EndVisits, at(1)));
    let other = OpeningId::new("second-night").unwrap();
    assert_ne!(id(&expire, at(1)), expire.timer_id(&other, at(1)));
}

#[test]
fn a_visitor_who_is_nobodys_does_not_pass_for_the_owner() {
    let mut open = given(open());
    open.done(Command::Pause);
    let stranger = Actor::Visitor(visitor(99));
    let command = change_policy(serde_json::json!({"capacity": 3}));
    open.when_by(stranger, command).then_refused(Refusal::IdInUse);
}

#[test]
fn whoever_takes_a_timers_id_stops_no_timer() {
    let mut inside = given(ann_and_ben_inside()).and(held(at(2), 1, ANN, &["A1"])).at(at(3));
    for (timer, due) in
        [(Command::ExpireHolds, at(302)), (Command::EndVisits, at(601)), (Command::CloseOnTime, at(36_000))]
    {
        let hold = HoldId(timer.timer_id(&opening_id(), due).0);
        inside.done(Command::Hold {
            hold,
            ticket: BEN,
            showing: showing_id(EVENING),
            seats: seats(&["B1"]),
            wheelchair: false,
        });
        inside.done(Command::Release { hold, ticket: BEN });
    }
    for (timer, due) in
        [(Command::ExpireHolds, at(302)), (Command::EndVisits, at(601)), (Command::CloseOnTime, at(36_000))]
    {
        inside.now = due;
        let id = timer.timer_id(&opening_id(), due).0.as_u128();
        inside.when_with_id(id, timer.clone()).event();
        inside.done(timer);
    }
}

#[test]
fn whoever_takes_the_id_of_anothers_command_keeps_nobody_out() {
    let mut line = given(ann_and_ben_inside())
        .and(held(at(2), 1, ANN, &["A1"]))
        .and(booked(at(3), 1, ANN, &["A1"]).into())
        .and(admitted(at(4), &[(CAT, 3)]));
    for command in [
        Command::Enter { ticket: CAT },
        Command::LeaveWindow { ticket: CAT },
        Command::Leave { ticket: DAN },
        Command::Join { ticket: visitor(5) },
        cancel(1),
    ] {
        let taken = command.own_id(&command.digest(&opening_id())).unwrap();
        let hold = HoldId(taken.0);
        let seats = seats(&["B1"]);
        line.done(Command::Hold {
            hold,
            ticket: BEN,
            showing: showing_id(EVENING),
            seats,
            wheelchair: false,
        });
        line.done(Command::Release { hold, ticket: BEN });
        line.done(command);
    }
    line.when(cancel(1)).then_repeated();
}
