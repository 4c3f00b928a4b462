//! A history with every type of event, in every store.

use std::collections::BTreeMap;

use usher_events::event::*;
use usher_events::ids::{ExtensionId, Hash, PlanName, Ticket};
use usher_events::plan::OpensAt;
use usher_events::policy::Policy;
use usher_projector::booking::postgres::PostgresBookings;
use uuid::Uuid;

use crate::answers::{Questions, assert_same};
use crate::history::Fact;
use crate::play::{hall, showing, visitor};
use crate::servers::{PostgresCorner, RedisCorner};
use crate::told::*;

/// A history with every type of event, and a ticket that most happens to.
pub(crate) fn every_event() -> (Vec<Fact>, Ticket) {
    let cohort = [BEN, CAT];
    let release = |hold: u128, names: &[&str]| ReleasedHold {
        hold: hold_id(hold),
        showing: evening(),
        seats: seats(names),
    };
    let extra = PlanName::new("annex").unwrap();
    let mut annex = hall();
    annex.details.opens_at = BTreeMap::from([(seats(&["A4"]).remove(0), OpensAt(at(900)))]);
    let for_house = HoldExtended {
        at: at(111),
        hold: hold_id(9),
        ticket: Ticket::HOUSE,
        extension: ExtensionId(Uuid::from_u128(6)),
        expires_at: at(400),
        leave_by: at(400),
    };
    let subject = Hash::default();
    let events: Vec<Event> = vec![
        scheduled(),
        OpeningRescheduled {
            at: at(1),
            title: "New".to_owned(),
            opens_at: at(60),
            drains_at: None,
            closes_at: at(900),
        }
        .into(),
        PolicyChanged { at: at(2), policy: Policy::default() }.into(),
        MessageChanged { at: at(3), message: Some("Hello".to_owned()) }.into(),
        PlanAdded { at: at(4), name: extra, plan: annex }.into(),
        ShowingAdded { at: at(5), showing: showing("extra", "annex") }.into(),
        SeatsBlocked { at: at(6), showing: evening(), seats: seats(&["C4"]), reason: "x".to_owned() }.into(),
        SeatsUnblocked { at: at(7), showing: evening(), seats: seats(&["C4"]) }.into(),
        joined(BEN, None),
        joined(CAT, None),
        lobby_closed(&cohort),
        joined(ANN, Some(3)),
        drawn(&cohort).1,
        OpeningOpened { at: at(62) }.into(),
        OpeningPaused { at: at(63) }.into(),
        OpeningResumed { at: at(64) }.into(),
        VisitorsWentAway { at: at(65), tickets: vec![BEN] }.into(),
        VisitorsReturned { at: at(66), tickets: vec![BEN] }.into(),
        TicketMoved {
            at: at(67),
            from: CAT,
            to: visitor(7),
            number: Some(if drawn(&cohort).0[0] == CAT { 1 } else { 2 }),
            state: TicketState::Waiting,
            subject,
        }
        .into(),
        VisitorsAdmitted {
            at: at(68),
            admission: None,
            admitted: vec![Admitted { ticket: BEN, number: 1 }, Admitted { ticket: ANN, number: 3 }],
            enter_by: at(88),
            serving_number: 3,
            next_admission_at: at(69),
        }
        .into(),
        AdmissionsExpired { at: at(89), away: vec![BEN], spent: vec![] }.into(),
        entered(ANN),
        held(ANN, hold_id(1), &["A1", "A2"]),
        swapped(&["A2", "A3"]),
        extended(at(150)),
        held(visitor(7), hold_id(2), &["B1"]),
        HoldReleased { at: at(93), ticket: visitor(7), released: release(2, &["B1"]) }.into(),
        held(visitor(7), hold_id(3), &["B2"]),
        HoldsExpired {
            at: at(105),
            holds: vec![ExpiredHold { ticket: visitor(7), released: release(3, &["B2"]) }],
        }
        .into(),
        booked(ANN, hold_id(1), &["A2", "A3"], true),
        held(Ticket::HOUSE, hold_id(9), &["C1"]),
        for_house.into(),
        RefundDue {
            at: at(111),
            booking: booking_id(2),
            hold: hold_id(1),
            ticket: ANN,
            payment_reference: payment("pay-2"),
            reason: RefundReason::AlreadyBooked,
        }
        .into(),
        BookingCancelled {
            at: at(112),
            booking: booking_id(1),
            ticket: ANN,
            payment_reference: payment("pay-1"),
            showing: evening(),
            freed: seats(&["A2"]),
            remaining: seats(&["A3"]),
        }
        .into(),
        VisitsEnded {
            at: at(113),
            visits: vec![EndedVisit { ticket: visitor(7), state: TicketState::Spent, released: Vec::new() }],
        }
        .into(),
        VisitorLeft { at: at(114), ticket: BEN, state: TicketState::Left, released: Vec::new() }.into(),
        RefusalsCounted { at: at(115), since: at(55), by_reason: BTreeMap::new(), by_seat: Vec::new() }
            .into(),
        OpeningDrained { at: at(116) }.into(),
        OpeningClosed { at: at(117) }.into(),
    ];
    (facts(events), ANN)
}

#[test]
fn the_history_with_every_event_has_every_event() {
    let (facts, _) = every_event();
    let named: Vec<&str> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Happened(_, event) => Some(event.kind()),
            _ => None,
        })
        .collect();
    let of_writers = ["WriterClaimed", "WriterAlive"];
    let missing: Vec<&str> = Event::TYPES.iter().map(|(kind, _)| *kind).collect();
    let missing: Vec<&str> =
        missing.into_iter().filter(|kind| !named.contains(kind) && !of_writers.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn every_event_means_the_same_in_redis_and_postgres_however_the_log_is_cut() {
    let (facts, _) = every_event();
    let views = after_facts(&facts).await;
    let questions = Questions::about(&facts);
    let (queue, booking) =
        (questions.ask_queue(&views.queues).await, questions.ask_booking(&views.bookings).await);
    for size in [1, 2, 3, 5, 8, 100] {
        let (redis, postgres) = (RedisCorner::new(), PostgresCorner::new().await);
        apply(&redis.queues(), &facts, size).await;
        assert_same("Redis", &questions.ask_queue(&redis.queues()).await, &queue);
        let bookings = PostgresBookings::new(postgres.pool.clone());
        apply(&bookings, &facts, size).await;
        assert_same("Postgres", &questions.ask_booking(&bookings).await, &booking);
        postgres.remove().await;
    }
}
