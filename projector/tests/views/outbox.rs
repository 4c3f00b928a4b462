//! What waits for merchants: the rules of an outbox, for each of its adapters.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use usher_events::event::*;
use usher_events::log::Log;
use usher_projector::store::{Store, StoreError};
use usher_projector::webhooks::*;

use crate::every_event::every_event;
use crate::history::{Fact, PARTITION, batches, records};
use crate::servers::PostgresDatabase;
use crate::stage::{Disk, Kept, caught_up, start, until};
use crate::told::*;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const LEASE: Duration = Duration::from_mins(1);

/// An outbox, and where it is.
pub(crate) enum Corner {
    File(TempDir),
    Database(PostgresDatabase),
}

impl Corner {
    pub(crate) async fn all() -> [Self; 2] {
        [Self::File(tempfile::tempdir().unwrap()), Self::Database(PostgresDatabase::new().await)]
    }

    /// The outbox as a process opens it.
    pub(crate) async fn open(&self, receivers: &Arc<Vec<Receiver>>) -> Arc<dyn Outbox> {
        let outbox: Arc<dyn Outbox> = match self {
            Self::File(dir) => {
                let file = dir.path().join("webhooks.redb");
                Arc::new(EmbeddedOutbox::open(&file, Arc::clone(receivers)).unwrap())
            }
            Self::Database(database) => {
                Arc::new(PostgresOutbox::new(database.pool.clone(), Arc::clone(receivers)))
            }
        };
        outbox.know(&["shop".to_owned()]).await.unwrap();
        outbox
    }

    pub(crate) async fn remove(self) {
        if let Self::Database(database) = self {
            database.remove().await;
        }
    }
}

pub(crate) fn receivers(url: &str) -> Arc<Vec<Receiver>> {
    let config = |name: &str| ReceiverConfig {
        name: name.into(),
        url: url.into(),
        secrets: vec![SECRET.into()],
        prefixes: Vec::new(),
        types: Vec::new(),
    };
    Arc::new(Receiver::all(vec![config("shop")]).unwrap())
}

fn nowhere() -> Arc<Vec<Receiver>> {
    receivers("http://127.0.0.1:1/")
}

async fn with_facts(corner: &Corner, facts: &[Fact]) -> Arc<dyn Outbox> {
    let outbox = corner.open(&nowhere()).await;
    apply(&*outbox, facts, 3).await;
    outbox
}

/// Ann holds A1 and A2, then others instead, and then for longer.
fn three_messages() -> Vec<Fact> {
    facts(ann_holds().into_iter().chain([swapped(&["A2", "A3"]), extended(at(150))]))
}

async fn take_one(outbox: &dyn Outbox) -> Line {
    let mut lines = outbox.take("shop", 9, LEASE).await.unwrap();
    assert_eq!(lines.len(), 1);
    lines.pop().unwrap()
}

async fn waiting(outbox: &dyn Outbox) -> Vec<String> {
    let line = take_one(outbox).await;
    let messages = outbox.next(&line, 1_000).await.unwrap();
    outbox.give_back(&line).await.unwrap();
    messages.into_iter().map(|message| message.id).collect()
}

fn failure(fault: &str, refused: bool) -> Failure {
    Failure { fault: fault.to_owned(), refused }
}

#[tokio::test]
async fn everything_that_happens_to_holds_and_bookings_is_told_in_order() {
    let (happened, _) = every_event();
    let mut of_each = Vec::new();
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &happened).await;
        let line = take_one(&*outbox).await;
        let messages = outbox.next(&line, 1_000).await.unwrap();
        let told = messages.iter().map(|message| {
            let body: Value = serde_json::from_str(&message.body).unwrap();
            assert_eq!((&body["id"], &body["specversion"]), (&json!(message.id), &json!("1.0")));
            assert_eq!(body["source"], "/v1/openings/premiere");
            assert_eq!(body["type"], message.kind.name());
            (message.order, body)
        });
        let told: Vec<_> = told.collect();
        assert!(told.is_sorted_by(|a, b| {
            a.0 < b.0 && a.1["sequence"].as_str().unwrap() < b.1["sequence"].as_str().unwrap()
        }));
        of_each.push(told);
        corner.remove().await;
    }
    assert_eq!(of_each[0], of_each[1]);
    let listed = |field: &'static str| {
        let value = |(_, body): &(Order, Value)| body[field].as_str().unwrap().to_owned();
        of_each[0].iter().map(value).collect::<Vec<_>>()
    };
    insta::assert_json_snapshot!(json!({
        "types": listed("type"), "subjects": listed("subject"), "first": of_each[0][0].1,
        "confirmed": of_each[0].iter().find(|(_, body)| body["type"] == "booking.confirmed").unwrap().1,
    }));
}

#[tokio::test]
async fn an_event_that_ends_several_holds_tells_of_each() {
    let released = |hold: u128, names: &[&str]| ReleasedHold {
        hold: hold_id(hold),
        showing: evening(),
        seats: seats(names),
    };
    let (ticket, state) = (ANN, TicketState::Left);
    let both = vec![released(1, &["A1", "A2"]), released(2, &["B1"])];
    let visit = EndedVisit { ticket, state, released: both.clone() };
    let ends: [Event; 3] = [
        VisitsEnded { at: at(95), visits: vec![visit] }.into(),
        VisitorLeft { at: at(95), ticket, state, released: both.clone() }.into(),
        HoldsExpired {
            at: at(95),
            holds: both.into_iter().map(|released| ExpiredHold { ticket, released }).collect(),
        }
        .into(),
    ];
    for end in ends {
        let corner = Corner::File(tempfile::tempdir().unwrap());
        let events = ann_holds().into_iter().chain([held(ANN, hold_id(2), &["B1"]), end]);
        let outbox = with_facts(&corner, &facts(events)).await;
        let line = take_one(&*outbox).await;
        let told = outbox.next(&line, 9).await.unwrap().split_off(2);
        let ids: Vec<_> = told.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(ids, ["premiere-10-0", "premiere-10-1"]);
        let seats = told.iter().map(|message| {
            let mut body: Value = serde_json::from_str(&message.body).unwrap();
            body["data"]["seats"].take()
        });
        assert_eq!(seats.collect::<Vec<_>>(), [json!(["A1", "A2"]), json!(["B1"])]);
    }
}

#[tokio::test]
async fn a_receiver_is_told_nothing_that_is_older_than_its_first_start() {
    let long_ago = |event: Event| match event {
        Event::SeatsHeld(mut held) => {
            held.at = usher_events::time::Timestamp(1_000);
            held.into()
        }
        other => other,
    };
    for corner in Corner::all().await {
        let events = ann_holds().into_iter().map(long_ago).chain([swapped(&["A2"])]);
        let outbox = with_facts(&corner, &facts(events)).await;
        assert_eq!(waiting(&*outbox).await, ["premiere-9-0"]);
        corner.remove().await;
    }
}

#[tokio::test]
async fn one_courier_at_a_time_has_a_line() {
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &three_messages()).await;
        let line = take_one(&*outbox).await;
        assert_eq!(outbox.take("shop", 9, LEASE).await.unwrap(), []);
        assert_eq!(outbox.take("somebody", 9, LEASE).await.unwrap(), []);
        let message = outbox.next(&line, 1).await.unwrap().pop().unwrap();
        outbox.give_back(&line).await.unwrap();
        // Who gave it back has it no more.
        assert_eq!(outbox.delivered(&line, &message, LEASE).await, Err(OutboxError::Lost));
        assert_eq!(outbox.give_back(&line).await, Err(OutboxError::Lost));
        let next = take_one(&*outbox).await;
        assert_eq!(outbox.next(&next, 1).await.unwrap(), [message]);
        corner.remove().await;
    }
}

#[tokio::test]
async fn a_couriers_line_is_anothers_when_its_lease_is_over() {
    let corner = Corner::Database(PostgresDatabase::new().await);
    let outbox = with_facts(&corner, &three_messages()).await;
    let gone = outbox.take("shop", 1, Duration::ZERO).await.unwrap().pop().unwrap();
    let other = corner.open(&nowhere()).await;
    let line = take_one(&*other).await;
    let message = other.next(&line, 1).await.unwrap().pop().unwrap();
    assert_eq!(outbox.delivered(&gone, &message, LEASE).await, Err(OutboxError::Lost));
    assert_eq!(outbox.failed(&gone, &message, &failure("x", false), LEASE).await, Err(OutboxError::Lost));
    other.delivered(&line, &message, LEASE).await.unwrap();
    corner.remove().await;
}

#[tokio::test]
async fn a_message_that_failed_waits_and_keeps_its_place() {
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &three_messages()).await;
        let all = waiting(&*outbox).await;
        let line = take_one(&*outbox).await;
        let message = outbox.next(&line, 1).await.unwrap().pop().unwrap();
        outbox.failed(&line, &message, &failure("answered 500", false), LEASE).await.unwrap();
        assert_eq!(outbox.take("shop", 9, LEASE).await.unwrap(), []);

        let state = outbox.lines(&opening()).await.unwrap().pop().unwrap();
        let next = state.next.unwrap();
        assert_eq!((state.waiting, next.attempts, next.refusals), (3, 1, 0));
        assert_eq!((next.id, next.fault.as_deref()), (all[0].clone(), Some("answered 500")));
        corner.remove().await;
    }
}

#[tokio::test]
async fn a_message_that_failed_may_go_again_when_its_time_has_come() {
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &three_messages()).await;
        let line = take_one(&*outbox).await;
        let message = outbox.next(&line, 1).await.unwrap().pop().unwrap();
        outbox.failed(&line, &message, &failure("no", true), Duration::from_millis(20)).await.unwrap();
        until("its time", async || !outbox.take("shop", 9, Duration::ZERO).await.unwrap().is_empty()).await;
        let state = outbox.lines(&opening()).await.unwrap().pop().unwrap();
        assert_eq!(state.next.unwrap().refusals, 1);
        corner.remove().await;
    }
}

#[tokio::test]
async fn a_dead_letter_lets_the_others_pass_until_it_is_redriven() {
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &three_messages()).await;
        let all = waiting(&*outbox).await;
        let line = take_one(&*outbox).await;
        let message = outbox.next(&line, 1).await.unwrap().pop().unwrap();
        outbox.bury(&line, &message, &failure("answered 400", true), LEASE).await.unwrap();
        outbox.give_back(&line).await.unwrap();
        assert_eq!(waiting(&*outbox).await, all[1..]);

        let state = outbox.lines(&opening()).await.unwrap().pop().unwrap();
        assert_eq!((state.waiting, state.dead_count, state.dead[0].id.clone()), (2, 1, all[0].clone()));
        assert_eq!(state.dead[0].fault.as_deref(), Some("answered 400"));

        assert_eq!(outbox.redrive("somebody", &opening()).await.unwrap(), 0);
        assert_eq!(outbox.redrive("shop", &opening()).await.unwrap(), 1);
        assert_eq!(waiting(&*outbox).await, all);
        let state = outbox.lines(&opening()).await.unwrap().pop().unwrap();
        let next = state.next.unwrap();
        assert_eq!((state.waiting, state.dead_count, next.attempts, next.refusals), (3, 0, 0, 0));
        assert!(next.since > message.since || message.since > usher_events::time::Timestamp::now());
        corner.remove().await;
    }
}

#[tokio::test]
async fn what_waits_and_what_is_dead_is_there_after_a_restart() {
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &three_messages()).await;
        let all = waiting(&*outbox).await;
        let line = take_one(&*outbox).await;
        let messages = outbox.next(&line, 2).await.unwrap();
        outbox.delivered(&line, &messages[0], LEASE).await.unwrap();
        outbox.bury(&line, &messages[1], &failure("no", true), LEASE).await.unwrap();
        outbox.give_back(&line).await.unwrap();
        drop(outbox);

        let outbox = corner.open(&nowhere()).await;
        assert_eq!(waiting(&*outbox).await, all[2..]);
        let state = outbox.lines(&opening()).await.unwrap().pop().unwrap();
        assert_eq!((state.dead_count, state.dead[0].id.clone()), (1, all[1].clone()));
        let written = batches(&records(&three_messages()), &[1_000]).pop().unwrap();
        assert_eq!(outbox.place(PARTITION).await.unwrap().position, written.to.position);
        corner.remove().await;
    }
}

#[tokio::test]
async fn a_step_that_follows_another_place_tells_nothing() {
    for corner in Corner::all().await {
        let outbox = with_facts(&corner, &three_messages()).await;
        let all = waiting(&*outbox).await;
        let first = batches(&records(&three_messages()), &[1_000]).pop().unwrap();
        assert_eq!(outbox.apply(&first).await, Err(StoreError::Refused));
        assert_eq!(waiting(&*outbox).await, all);
        corner.remove().await;
    }
}

#[tokio::test]
async fn views_that_are_made_again_tell_nobody_anything_again() {
    let database = PostgresDatabase::new().await;
    let pool = database.pool.clone();
    let corner = Corner::Database(database);
    let outbox = with_facts(&corner, &three_messages()).await;
    let line = take_one(&*outbox).await;
    for message in outbox.next(&line, 2).await.unwrap() {
        outbox.delivered(&line, &message, LEASE).await.unwrap();
    }
    outbox.give_back(&line).await.unwrap();
    let left = waiting(&*outbox).await;
    assert_eq!(left.len(), 1);

    sqlx::query("DELETE FROM places").execute(&pool).await.unwrap();
    apply(&*outbox, &three_messages(), 2).await;
    assert_eq!(waiting(&*outbox).await, left);
    corner.remove().await;
}

#[tokio::test]
async fn two_projectors_that_are_killed_write_each_message_once() {
    for corner in Corner::all().await {
        let disk = Disk::new();
        disk.append(&records(&every_event().0)).await;
        let log: Arc<dyn Log> = Arc::new(disk);
        let outbox = corner.open(&nowhere()).await;
        let stores: Vec<Arc<dyn Store>> = vec![outbox.clone(), outbox.clone()];
        let letters = Arc::new(Kept::default());
        for _ in 0..3 {
            start(&log, stores.clone(), &letters).stop().await;
        }
        let projections = start(&log, stores.clone(), &letters);
        caught_up(&log, &stores).await;
        projections.stop().await;
        let told = waiting(&*outbox).await;

        let other = match &corner {
            Corner::File(_) => Corner::File(tempfile::tempdir().unwrap()),
            Corner::Database(_) => Corner::Database(PostgresDatabase::new().await),
        };
        assert_eq!(told, waiting(&*with_facts(&other, &every_event().0).await).await);
        other.remove().await;
        corner.remove().await;
    }
}
