//! What each event changes in a queue view.

use std::collections::BTreeMap;

use usher_events::draw::commitment;
use usher_events::event::*;
use usher_events::ids::Hash;
use usher_events::policy::Policy;
use usher_projector::queue::{OpeningState, QueueReader};

use crate::history::{Fact, PARTITION};
use crate::play::{schedule, visitor};
use crate::told::*;

#[tokio::test]
async fn a_scheduled_opening_is_shown_with_its_title_times_rules_and_commitment() {
    let status = after([scheduled()]).await.status().await;
    let asked = schedule();
    assert_eq!((status.title, status.opens_at, status.policy), (asked.title, asked.opens_at, asked.policy));
    assert_eq!(status.draw.seed_commitment, commitment(&SEED));
    assert_eq!(status.state, OpeningState::Scheduled);
}

#[tokio::test]
async fn a_join_before_the_opening_is_in_the_lobby_without_number_or_position() {
    let ann = after([scheduled(), joined(ANN, None)]).await.ticket(ANN).await;
    assert_eq!((ann.state, ann.number, ann.ahead), (TicketState::Lobby, None, None));
}

#[tokio::test]
async fn the_draw_numbers_the_lobby_in_drawn_order_and_nobody_sees_a_position_before() {
    let cohort = [ANN, BEN, CAT];
    let (order, draw) = drawn(&cohort);
    let late = visitor(9);
    let lobby = [scheduled(), joined(BEN, None), joined(CAT, None), joined(ANN, None), lobby_closed(&cohort)];
    let before = after(lobby.clone().into_iter().chain([joined(late, Some(4))])).await;
    assert_eq!(before.ticket(ANN).await.state, TicketState::Lobby);
    let waits = before.ticket(late).await;
    assert_eq!((waits.state, waits.number, waits.ahead), (TicketState::Waiting, Some(4), None));
    assert_eq!(before.status().await.state, OpeningState::Drawing);
    assert_eq!(*before.queues.cohort(&opening()).await.unwrap(), cohort);

    let views = after(lobby.into_iter().chain([joined(late, Some(4)), draw])).await;
    for (ahead, ticket) in (0..).zip(order.iter().chain([&late])) {
        let view = views.ticket(*ticket).await;
        let shown = (view.state, view.number, view.ahead);
        assert_eq!(shown, (TicketState::Waiting, Some(ahead + 1), Some(ahead)));
    }
    assert_eq!(*views.queues.order(&opening()).await.unwrap(), order);
}

#[tokio::test]
async fn who_fell_silent_in_the_lobby_is_drawn_too_and_stays_away() {
    let cohort = [ANN, BEN];
    let silent = VisitorsWentAway { at: at(5), tickets: vec![ANN] };
    let events = [
        scheduled(),
        joined(ANN, None),
        joined(BEN, None),
        silent.into(),
        lobby_closed(&cohort),
        drawn(&cohort).1,
    ];
    let views = after(events).await;
    let ann = views.ticket(ANN).await;
    assert_eq!(ann.state, TicketState::Away);
    assert!(ann.number.is_some());
    assert_eq!(views.ticket(BEN).await.ahead, Some(0));
}

#[tokio::test]
async fn a_place_taken_over_in_the_lobby_gets_the_drawn_number_of_the_ticket_that_was_drawn() {
    let cohort = [ANN, BEN];
    let (order, draw) = drawn(&cohort);
    let moved = TicketMoved {
        at: at(60),
        from: ANN,
        to: CAT,
        number: None,
        state: TicketState::Lobby,
        subject: Hash::default(),
    };
    let events =
        [scheduled(), joined(ANN, None), joined(BEN, None), lobby_closed(&cohort), moved.into(), draw];
    let views = after(events).await;
    let (ann, cat) = (views.ticket(ANN).await, views.ticket(CAT).await);
    let number = u32::try_from(order.iter().position(|ticket| *ticket == ANN).unwrap()).unwrap() + 1;
    assert_eq!((cat.state, cat.number, cat.moved_from), (TicketState::Waiting, Some(number), Some(ANN)));
    assert_eq!((ann.state, ann.ahead, ann.moved_to), (TicketState::Left, None, Some(CAT)));
    assert_eq!(views.status().await.count(TicketState::Waiting), 2);
}

#[tokio::test]
async fn a_place_taken_over_while_admitted_keeps_its_deadline() {
    let moved = TicketMoved {
        at: at(75),
        from: ANN,
        to: CAT,
        number: Some(1),
        state: TicketState::Admitted,
        subject: Hash::default(),
    };
    let views = after(in_line([joined(ANN, Some(1)), admitted(ANN, 1, 70), moved.into()])).await;
    assert_eq!(views.ticket(CAT).await.deadline.unwrap().at, at(90));
}

#[tokio::test]
async fn positions_count_only_those_present_and_the_away_keep_their_place() {
    let away = VisitorsWentAway { at: at(65), tickets: vec![ANN] };
    let back = VisitorsReturned { at: at(66), tickets: vec![ANN] };
    let line = in_line([joined(ANN, Some(1)), joined(BEN, Some(2)), joined(CAT, Some(3)), away.into()]);
    let views = after(line.clone()).await;
    assert_eq!(views.ticket(CAT).await.ahead, Some(1));
    assert_eq!(views.ticket(ANN).await.ahead, Some(0));
    let views = after(line.into_iter().chain([back.into()])).await;
    assert_eq!(views.ticket(CAT).await.ahead, Some(2));
}

#[tokio::test]
async fn an_admission_raises_the_serving_number_and_the_outflow_and_gives_a_deadline() {
    let views = after(in_line([joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70)])).await;
    let (ann, status) = (views.ticket(ANN).await, views.status().await);
    assert_eq!((ann.state, ann.ahead), (TicketState::Admitted, None));
    assert_eq!(ann.deadline.unwrap().at, at(90));
    assert_eq!((status.serving_number, status.outflow.values().sum::<u32>()), (1, 1));
    assert_eq!(views.ticket(BEN).await.ahead, Some(0));
}

#[tokio::test]
async fn admissions_older_than_five_minutes_before_the_newest_are_forgotten() {
    let line = [joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70), admitted(BEN, 2, 370)];
    let status = after(in_line(line)).await.status().await;
    assert_eq!(status.outflow.into_iter().collect::<Vec<_>>(), [(at(370).0, 1)]);
}

#[tokio::test]
async fn a_missed_admission_makes_away_and_one_too_many_spends() {
    let missed = AdmissionsExpired { at: at(95), away: vec![ANN], spent: vec![BEN] };
    let line = [joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70), admitted(BEN, 2, 70)];
    let views = after(in_line(line.into_iter().chain([missed.into()]))).await;
    assert_eq!(views.ticket(ANN).await.state, TicketState::Away);
    assert_eq!(views.ticket(BEN).await.state, TicketState::Spent);
}

#[tokio::test]
async fn a_claim_raises_the_deadlines_given_before_it_and_no_others() {
    let mut before = facts(in_line([joined(ANN, Some(1)), joined(BEN, Some(2)), admitted(ANN, 1, 70)]));
    before.push(Fact::Claimed(at(85)));
    before.extend(facts([admitted(BEN, 2, 86)]));
    let views = after_facts(&before).await;
    let found = views.queues.ticket(&opening(), PARTITION, &ANN).await.unwrap();
    assert_eq!(found.value.unwrap().deadline.unwrap().falls(found.claim), at(115));
    let found = views.queues.ticket(&opening(), PARTITION, &BEN).await.unwrap();
    assert_eq!(found.value.unwrap().deadline.unwrap().falls(found.claim), at(106));
}

#[tokio::test]
async fn what_an_operator_changes_is_shown() {
    let policy = Policy { capacity: 9, ..Policy::default() };
    let events = [
        scheduled(),
        OpeningRescheduled {
            at: at(1),
            title: "New".to_owned(),
            opens_at: at(100),
            drains_at: Some(at(200)),
            closes_at: at(300),
        }
        .into(),
        PolicyChanged { at: at(2), policy: policy.clone() }.into(),
        MessageChanged { at: at(3), message: Some("Hello".to_owned()) }.into(),
    ];
    let status = after(events).await.status().await;
    assert_eq!((status.title.as_str(), status.opens_at, status.drains_at), ("New", at(100), Some(at(200))));
    assert_eq!((status.policy, status.message), (policy, Some("Hello".to_owned())));
}

#[tokio::test]
async fn each_state_of_an_opening_is_entered_by_its_event() {
    let steps: [(Event, OpeningState); 5] = [
        (OpeningOpened { at: at(62) }.into(), OpeningState::Open),
        (OpeningPaused { at: at(63) }.into(), OpeningState::Paused),
        (OpeningResumed { at: at(64) }.into(), OpeningState::Open),
        (OpeningDrained { at: at(65) }.into(), OpeningState::Draining),
        (OpeningClosed { at: at(66) }.into(), OpeningState::Closed),
    ];
    let mut events = vec![scheduled()];
    for (event, state) in steps {
        events.push(event);
        assert_eq!(after(events.clone()).await.status().await.state, state);
    }
}

#[tokio::test]
async fn counts_tell_how_many_tickets_are_in_each_state() {
    let left = VisitorLeft { at: at(67), ticket: CAT, state: TicketState::Left, released: Vec::new() };
    let line =
        [joined(ANN, Some(1)), joined(BEN, Some(2)), joined(CAT, Some(3)), admitted(ANN, 1, 66), left.into()];
    let counts = after(in_line(line)).await.status().await.counts;
    let expected =
        BTreeMap::from([(TicketState::Waiting, 1), (TicketState::Admitted, 1), (TicketState::Left, 1)]);
    assert_eq!(counts, expected);
}
