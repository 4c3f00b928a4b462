//! Scheduling, rescheduling, plans, showings, the policy, the message.

use usher_events::event::*;
use usher_events::plan::Showing;
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use super::facts::*;
use super::{Given, Refusal, Resource, at, given};
use crate::opening::{Command, OpeningState, Schedule};

fn nothing_yet() -> Given {
    given([])
}

fn ask(change: impl FnOnce(&mut Schedule)) -> Command {
    let mut asked = schedule();
    change(&mut asked);
    Command::Schedule(Box::new(asked))
}

#[test]
fn an_opening_is_scheduled_with_all_that_was_asked() {
    nothing_yet().when(ask(|_| {})).then(scheduled());
}

#[test]
fn an_opening_that_was_never_scheduled_knows_no_command() {
    for command in [
        Command::Pause,
        Command::Join { ticket: ANN },
        hold(1, ANN, &["A1"]),
        confirm(1, 1, "p-1"),
        Command::AdmitNext,
    ] {
        nothing_yet().when(command).then_refused(Refusal::UnknownOpening);
    }
}

#[test]
fn a_draw_takes_a_round_that_comes_out_while_the_opening_is_open() {
    let asked = Schedule { beacon: Some(beacon_at(3)), ..schedule() };
    match nothing_yet().when(Command::Schedule(Box::new(asked))).event() {
        Event::OpeningScheduled(event) => assert_eq!(event.beacon, Some(beacon_at(3))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schedule_that_cannot_be_is_refused_with_the_field() {
    let refused = |field: &str, change: fn(&mut Schedule)| {
        nothing_yet().when(ask(change)).then_invalid(field);
    };
    refused("title", |asked| asked.title = " ".to_owned());
    refused("title", |asked| asked.title = "x".repeat(2_001));
    refused("closes_at", |asked| asked.closes_at = OPENS_AT);
    refused("closes_at", |asked| {
        asked.opens_at = at(-9_000);
        asked.closes_at = at(-8_000);
    });
    refused("drains_at", |asked| asked.drains_at = Some(OPENS_AT));
    refused("drains_at", |asked| asked.drains_at = Some(at(36_001)));
    refused("policy.capacity", |asked| asked.policy.capacity = 0);
    refused("beacon.source", |asked| {
        asked.beacon = Some(Beacon { source: "drand-default".to_owned(), ..beacon_at(60) });
    });
    refused("beacon.round", |asked| asked.beacon = Some(Beacon { round: 0, ..beacon_at(60) }));
    refused("beacon.round", |asked| asked.beacon = Some(Beacon { round: u64::MAX, ..beacon_at(60) }));
    refused("beacon.round_at", |asked| {
        asked.beacon = Some(Beacon { round_at: at(61), ..beacon_at(60) });
    });
    refused("beacon.round_at", |asked| asked.beacon = Some(beacon_at(0)));
    refused("beacon.round_at", |asked| asked.beacon = Some(beacon_at(36_000)));
    refused("plans.hall.zones[0].rows[0].seats[1].seat_guid", |asked| {
        let plan = asked.plans.get_mut(&plan_name("hall")).unwrap();
        let row = &mut plan.seating.zones[0].rows[0].seats;
        row[1] = row[0].clone();
    });
    refused("details.hall.blocked", |asked| {
        let plan = asked.plans.get_mut(&plan_name("hall")).unwrap();
        plan.details.blocked.insert(seats(&["Z9"]).remove(0), "gone".to_owned());
    });
    refused("showings[1].plan", |asked| asked.showings[1].plan = plan_name("roof"));
    refused("showings[1].showing", |asked| asked.showings[1].showing = showing_id(EVENING));
    refused("showings[0].title", |asked| asked.showings[0].title = String::new());
    refused("showings", |asked| asked.showings = vec![showing("many"); 501]);
    refused("plans", |asked| {
        asked.plans = (0..101).map(|i| (plan_name(&format!("hall-{i}")), hall())).collect();
    });
}

#[test]
fn an_opening_may_begin_empty_and_at_once() {
    let command = ask(|asked| {
        asked.plans.clear();
        asked.showings.clear();
        asked.opens_at = at(-3_600);
    });
    nothing_yet().when(command).event();
}

// --- rescheduling -----------------------------------------------------------

fn move_to(opens_at: Option<Timestamp>, closes_at: Option<Timestamp>) -> Command {
    Command::Reschedule { title: None, opens_at, drains_at: None, closes_at }
}

fn as_scheduled(now: Timestamp) -> OpeningRescheduled {
    let Schedule { title, opens_at, drains_at, closes_at, .. } = schedule();
    OpeningRescheduled { at: now, title, opens_at, drains_at, closes_at }
}

#[test]
fn what_a_change_does_not_name_stays() {
    let lobby = given([scheduled()]);
    let event = OpeningRescheduled { opens_at: at(60), ..as_scheduled(at(-3_600)) };
    lobby.when(move_to(Some(at(60)), None)).then(event);
    let title = Some("Second night".to_owned());
    let command =
        Command::Reschedule { title, opens_at: None, drains_at: Some(Some(at(50))), closes_at: None };
    let event = OpeningRescheduled {
        title: "Second night".to_owned(),
        drains_at: Some(at(50)),
        ..as_scheduled(at(-3_600))
    };
    lobby.when(command).then(event.clone());
    let drains = lobby.and(event.into());
    let command = Command::Reschedule { title: None, opens_at: None, drains_at: Some(None), closes_at: None };
    let Event::OpeningRescheduled(without) = drains.when(command).event() else {
        panic!("taking the drain away reschedules");
    };
    assert_eq!(without.drains_at, None);
}

#[test]
fn a_change_that_changes_nothing_is_so_already() {
    given([scheduled()]).when(move_to(Some(OPENS_AT), None)).then_already();
}

#[test]
fn the_time_of_opening_is_fixed_once_the_lobby_is_closed() {
    let drawing = given([scheduled(), lobby_closed(&[])]);
    drawing.when(move_to(Some(at(60)), None)).then_refused(Refusal::LobbyClosed);
    drawing.when(move_to(Some(OPENS_AT), Some(at(40_000)))).event();
}

#[test]
fn a_change_of_times_that_cannot_be_is_refused() {
    given([scheduled()]).when(move_to(None, Some(at(-60)))).then_invalid("closes_at");
    given(open()).at(at(500)).when(move_to(None, Some(at(400)))).then_invalid("closes_at");
    let waiting = given([scheduled_as(Schedule { beacon: Some(beacon_at(60)), ..schedule() })]);
    waiting.when(move_to(Some(at(60)), None)).then_invalid("opens_at");
    waiting.when(move_to(None, Some(at(60)))).then_invalid("closes_at");
    waiting.when(move_to(Some(at(59)), Some(at(61)))).event();
}

#[test]
fn a_rescheduled_lobby_closes_at_the_new_time() {
    let later = OpeningRescheduled { opens_at: at(60), ..as_scheduled(at(-60)) };
    let lobby = given([scheduled(), later.into()]);
    assert_eq!(lobby.opening.next_due(), Some(at(60)));
}

// --- plans and showings -----------------------------------------------------

#[test]
fn plans_and_showings_are_added_while_open_and_their_seats_are_sold() {
    let mut inside = given(ann_inside());
    let (name, plan) = (plan_name("roof"), hall());
    inside.when(Command::AddPlan { name: name.clone(), plan: Box::new(plan.clone()) }).then(PlanAdded {
        at: at(1),
        name: name.clone(),
        plan: plan.clone(),
    });
    inside.done(Command::AddPlan { name: name.clone(), plan: Box::new(plan) });
    let showing = Showing { plan: name, ..showing("midnight") };
    inside
        .when(Command::AddShowing { showing: showing.clone() })
        .then(ShowingAdded { at: at(1), showing: showing.clone() });
    inside.done(Command::AddShowing { showing });
    let showing = showing_id("midnight");
    inside
        .when(Command::Hold {
            hold: hold_id(1),
            ticket: ANN,
            showing,
            seats: seats(&["A1"]),
            wheelchair: false,
        })
        .event();
    inside.when(Command::Pause).event();
}

#[test]
fn a_plan_or_showing_is_added_once() {
    let mut open = given(open());
    let add = || Command::AddPlan { name: plan_name("roof"), plan: Box::new(hall()) };
    open.done(add());
    open.when(add()).then_repeated();
    let Command::AddPlan { name, mut plan } = add() else { panic!("a plan is added") };
    plan.seating.name = "Another".to_owned();
    open.when(Command::AddPlan { name, plan }).then_refused(Refusal::IdReused);
    let other = Showing { title: "Another".to_owned(), ..showing(EVENING) };
    open.when(Command::AddShowing { showing: other }).then_refused(Refusal::IdReused);
}

#[test]
fn a_plan_or_showing_that_cannot_be_is_refused() {
    let open = given(open());
    let mut plan = hall();
    plan.seating.zones.clear();
    open.when(Command::AddPlan { name: plan_name("roof"), plan: Box::new(plan) })
        .then_invalid("seating.zones");
    let nowhere = Showing { plan: plan_name("roof"), ..showing("midnight") };
    open.when(Command::AddShowing { showing: nowhere }).then_refused(Refusal::UnknownPlan);
    let untitled = Showing { title: String::new(), ..showing("midnight") };
    open.when(Command::AddShowing { showing: untitled }).then_invalid("title");
}

#[test]
fn an_opening_has_at_most_100_plans_and_500_showings() {
    let mut open = given(open());
    for i in 1..100 {
        open.happened(PlanAdded { at: at(1), name: plan_name(&format!("hall-{i}")), plan: hall() }.into());
    }
    let plan = Box::new(hall());
    open.when(Command::AddPlan { name: plan_name("roof"), plan }).then_invalid("plan");
    for i in 2..500 {
        open.happened(ShowingAdded { at: at(1), showing: showing(&format!("night-{i}")) }.into());
    }
    open.when(Command::AddShowing { showing: showing("midnight") }).then_invalid("showing");
}

// --- the policy and the message ---------------------------------------------

#[test]
fn a_policy_change_lists_the_rules_as_they_are_then() {
    let changed = PolicyChanged { at: at(0), policy: Policy { capacity: 9, ..policy() } };
    given(open()).when(change_policy(serde_json::json!({"capacity": 9}))).then(changed);
}

#[test]
fn null_brings_a_default_back() {
    let limited = Policy { admissions_per_minute: Some(60), ..policy() };
    let patch = serde_json::json!({"admissions_per_minute": null, "capacity": null});
    let changed = PolicyChanged { at: at(0), policy: Policy::default() };
    given(open_with(limited)).when(change_policy(patch)).then(changed);
}

#[test]
fn a_policy_that_cannot_be_is_refused() {
    let open = given(open());
    open.when(change_policy(serde_json::json!({"capacity": 0}))).then_invalid("policy.capacity");
    open.when(change_policy(serde_json::json!({"capacity": "many"}))).then_invalid("policy");
    open.when(change_policy(serde_json::json!({"capacitee": 3}))).then_invalid("policy");
    open.when(change_policy(serde_json::json!([1]))).then_invalid("policy");
}

#[test]
fn every_rule_has_its_bounds() {
    let open = given(open());
    for (field, least, most) in [
        ("capacity", 1_u64, 1_000_000_u64),
        ("admissions_per_minute", 1, 1_000_000),
        ("enter_within_s", 5, 3_600),
        ("stay_for_s", 10, 86_400),
        ("hold_for_s", 5, 86_400),
        ("max_extensions", 0, 10),
        ("max_seats", 1, 100),
        ("late_payment_grace_s", 0, 604_800),
        ("away_after_s", 10, 86_400),
        ("misses", 0, 100),
        ("max_tickets", 1, 2_000_000),
    ] {
        let ask = |value: u64| open.when(change_policy(serde_json::json!({ field: value })));
        ask(least).decided.unwrap();
        ask(most).decided.unwrap();
        ask(most + 1).then_invalid(&format!("policy.{field}"));
        if least > 0 {
            ask(least - 1).then_invalid(&format!("policy.{field}"));
        }
    }
}

#[test]
fn a_policy_that_is_in_force_is_so_already() {
    given(open()).when(change_policy(serde_json::json!({"capacity": 2}))).then_already();
}

#[test]
fn the_word_to_everybody_is_set_and_taken_away() {
    let said = |message: Option<&str>| Command::SetMessage { message: message.map(str::to_owned) };
    let message = Some("Back in five minutes".to_owned());
    let open = given(open());
    let event = MessageChanged { at: at(0), message: message.clone() };
    open.when(said(Some("Back in five minutes"))).then(event.clone());
    open.when(said(None)).then_already();
    open.when(said(Some(""))).then_invalid("message");
    let speaking = open.and(event.into());
    speaking.when(said(None)).then(MessageChanged { at: at(0), message: None });
    let Resource::Opening { message: shown, .. } = speaking.resource(&said(None)) else {
        panic!("the message is the opening's");
    };
    assert_eq!(shown, message);
}

#[test]
fn a_closed_opening_changes_no_more_except_for_its_message() {
    let over = given(open()).and(closed(at(1)));
    let refusal = || Refusal::WrongState { state: OpeningState::Closed };
    over.when(move_to(None, Some(at(90_000)))).then_refused(refusal());
    over.when(change_policy(serde_json::json!({"capacity": 9}))).then_refused(refusal());
    let plan = Box::new(hall());
    over.when(Command::AddPlan { name: plan_name("roof"), plan }).then_refused(refusal());
    over.when(Command::AddShowing { showing: showing("midnight") }).then_refused(refusal());
    over.when(Command::SetMessage { message: Some("Thank you".to_owned()) }).event();
}
