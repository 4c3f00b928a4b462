//! Random histories of one opening, hostile ones too, straight through the
//! aggregate; every event is judged by the rules that know nothing of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[macro_use]
#[path = "../rules/mod.rs"]
mod rules;

mod asks;
mod life;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use proptest::prelude::*;
use usher_command::opening::{Decision, Fact, Opening, Refusal};

use crate::asks::Step;
use crate::life::{Happened, Life};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

fn lived(steps: Vec<Step>) -> Result<Life, TestCaseError> {
    let mut life = Life::new();
    for step in steps {
        life.step(&step).map_err(|broken| TestCaseError::fail(format!("{step:?}: {broken}")))?;
    }
    Ok(life)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_command_at_no_time_breaks_a_rule(steps in asks::history(150)) {
        lived(steps)?;
    }

    #[test]
    fn a_history_folded_from_scratch_is_the_state_that_lived_it(steps in asks::history(80)) {
        let life = lived(steps)?;
        let mut again = Opening::default();
        for happened in &life.history {
            match happened {
                // As it comes from the log, without the numbers that were hashed.
                Happened::Fact(fact) => again.fold(&Fact { numbering: None, ..fact.clone() }),
                Happened::Claim(at) => again.claimed(*at),
            }
        }
        prop_assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&life.opening).unwrap());
    }

    #[test]
    fn a_snapshot_goes_on_exactly_as_what_it_was_taken_of(
        before in asks::history(60),
        after in asks::history(60),
    ) {
        let mut life = lived(before)?;
        let mut restored = life.clone();
        restored.opening = serde_json::from_str(&serde_json::to_string(&life.opening).unwrap()).unwrap();
        for step in after {
            let told = life.step(&step).map_err(TestCaseError::fail)?;
            let again = restored.step(&step).map_err(TestCaseError::fail)?;
            prop_assert_eq!(told, again, "{:?}", step);
        }
        prop_assert_eq!(&life.history, &restored.history);
    }

    #[test]
    fn the_frameworks_handle_is_decide_and_what_is_refused_changes_nothing(steps in asks::history(60)) {
        let mut life = Life::new();
        for step in steps {
            if let Some(request) = life.request(&step) {
                let mut handled = life.opening.clone();
                let before = serde_json::to_value(&handled).unwrap();
                let decided = handled.decide(&request);
                let (outcome, facts) = handle(&mut handled, request.clone());
                let after = serde_json::to_value(&handled).unwrap();
                match decided {
                    Ok(Decision::Accepted(event)) => {
                        let fact = Fact { command_id: request.id, digest: request.digest, event, numbering: None };
                        let mut folded = life.opening.clone();
                        folded.fold(&fact);
                        prop_assert_eq!((outcome, facts), (Ok(()), vec![fact]));
                        prop_assert_eq!(after, serde_json::to_value(&folded).unwrap());
                    }
                    Ok(Decision::Repeated | Decision::Already) => {
                        prop_assert_eq!((outcome, facts), (Ok(()), vec![]));
                        prop_assert_eq!(after, before);
                    }
                    Err(refusal) => {
                        prop_assert_eq!((outcome, facts), (Err(refusal), vec![]));
                        prop_assert_eq!(after, before);
                    }
                }
            }
            life.step(&step).map_err(TestCaseError::fail)?;
        }
    }
}

fn handle(
    opening: &mut Opening,
    request: usher_command::opening::Request,
) -> (Result<(), Refusal>, Vec<Fact>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let sink = EventSink::default();
        let outcome = opening.handle(request, &(), &sink).await;
        (outcome, sink.collect().await)
    })
}

/// Without this, the others could pass on histories in which nothing happens.
#[test]
fn random_histories_reach_everything_that_an_opening_can_come_to() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut met = std::collections::BTreeMap::<&str, usize>::new();
    for _ in 0..256 {
        let steps = asks::history(150).new_tree(&mut runner).unwrap().current();
        for happened in lived(steps).unwrap().history {
            if let Happened::Fact(fact) = happened {
                *met.entry(fact.event.kind()).or_default() += 1;
            }
        }
    }
    for kind in [
        "OpeningRescheduled",
        "PlanAdded",
        "ShowingAdded",
        "PolicyChanged",
        "MessageChanged",
        "OpeningPaused",
        "OpeningResumed",
        "OpeningDrained",
        "OpeningClosed",
        "VisitorJoined",
        "VisitorLeft",
        "LobbyClosed",
        "DrawHeld",
        "VisitorsAdmitted",
        "AdmissionsExpired",
        "VisitorsWentAway",
        "VisitorsReturned",
        "VisitorEntered",
        "VisitsEnded",
        "SeatsHeld",
        "HoldExtended",
        "HoldReleased",
        "HoldsExpired",
        "BookingConfirmed",
        "BookingCancelled",
        "RefundDue",
    ] {
        assert!(met.get(kind).is_some_and(|count| *count >= 8), "{kind} in {met:?}");
    }
}
