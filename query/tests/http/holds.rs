//! Holds and bookings, and who may read them.

use serde_json::json;
use usher_events::ids::Hash;
use usher_events::reference::BookingReference;

use crate::calls::{Call, MERCHANT, OPERATOR, OTHER_OPERATOR, WRITER, get, visitor};
use crate::happenings::*;
use crate::world::{PREMIERE, World, partition};

fn hold(opening: &str) -> Call {
    get(format!("/v1/openings/{opening}/holds/{}", hold_id(1)))
}

fn booking(opening: &str) -> Call {
    get(format!("/v1/openings/{opening}/bookings/{}", booking_id(1)))
}

#[tokio::test]
async fn a_hold_is_told_as_it_is_now() {
    let (secret, ticket) = visitor('a');
    let world = World::after(holds(ticket)).await;
    let expected = json!({
        "hold": hold_id(1), "state": "live", "showing": "evening", "seats": ["A1", "A2"],
        "expires_at": at(105).to_rfc3339(), "booking": null, "as_of": format!("{}.8", partition("premiere")),
    });
    assert_eq!(world.send(&hold("premiere").by(&secret)).await.expect(200), expected);
    world.happen("premiere", [released(ticket, hold_id(1), &["A1", "A2"])]).await;
    assert_eq!(world.send(&hold("premiere").by(&secret)).await.expect(200)["state"], "released");
}

#[tokio::test]
async fn a_booking_is_told_as_it_is_now() {
    let (secret, ticket) = visitor('a');
    let world = World::after(holds(ticket)).await;
    world.happen("premiere", [booked(ticket, hold_id(1), &["A1", "A2"])]).await;
    let expected = json!({
        "booking": booking_id(1), "state": "booked", "hold": hold_id(1), "showing": "evening",
        "seats": ["A1", "A2"], "payment_reference": "pay-1", "reference": REFERENCE, "late": false,
        "as_of": format!("{}.9", partition("premiere")),
    });
    assert_eq!(world.send(&booking("premiere").by(&secret)).await.expect(200), expected);
    let held = world.send(&hold("premiere").by(&secret)).await.expect(200);
    assert_eq!((&held["state"], &held["booking"]), (&json!("booked"), &json!(booking_id(1))));
}

#[tokio::test]
async fn a_booking_is_found_by_what_people_read_out() {
    let (secret, ticket) = visitor('a');
    let world = World::after(holds(ticket)).await;
    world.happen("premiere", [booked(ticket, hold_id(1), &["A1", "A2"])]).await;
    let by_id = world.send(&booking("premiere").by(&secret)).await.expect(200);
    let called = |reference: &str| get(format!("/v1/openings/premiere/bookings/{reference}"));
    for reader in [&*secret, MERCHANT, OPERATOR] {
        for written in [REFERENCE, "4k9mqa4", "4K9%20MQA4"] {
            assert_eq!(world.send(&called(written).by(reader)).await.expect(200), by_id);
        }
    }
    world.send(&called(REFERENCE)).await.problem(404, "not-found");
    let (other, of_none) = (visitor('b').0, BookingReference::nth(&Hash::default(), 3).to_string());
    world.send(&called(REFERENCE).by(&other)).await.problem(404, "not-found");
    world.send(&called(&of_none).by(OPERATOR)).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_reference_that_was_misheard_is_said_to_be_wrong() {
    let world = World::after(holds(visitor('a').1)).await;
    for (written, why) in [
        ("4K9-MQA6", "a wrong letter"),
        ("K49-MQA4", "exchanged"),
        ("4K9-MQA0", "a reference like"),
        ("G7", "a reference like"),
    ] {
        let call = get(format!("/v1/openings/premiere/bookings/{written}")).by(OPERATOR);
        let problem = world.send(&call).await.problem(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
}

#[tokio::test]
async fn their_visitor_the_merchant_and_the_operator_read_them_and_to_all_others_they_are_not_there() {
    let ((own, ticket), (foreign, _)) = (visitor('a'), visitor('b'));
    let world = World::new();
    for opening in ["premiere", "play-1"] {
        let events = holds(ticket).into_iter().chain([booked(ticket, hold_id(1), &["A1", "A2"])]);
        world.happen(opening, events).await;
    }
    for (opening, readers, others) in [
        ("premiere", vec![&*own, MERCHANT, OPERATOR], vec![&*foreign, OTHER_OPERATOR, WRITER]),
        ("play-1", vec![&own, MERCHANT, OPERATOR, OTHER_OPERATOR], vec![&foreign, WRITER]),
    ] {
        for there in [hold(opening), booking(opening)] {
            for reader in &readers {
                world.send(&there.clone().by(reader)).await.expect(200);
            }
            let of_nobody = world.send(&there).await.problem(404, "not-found");
            for other in &others {
                let problem = world.send(&there.clone().by(other)).await.problem(404, "not-found");
                assert_eq!(problem, of_nobody, "{other}");
            }
            // The same as of one that never was.
            let path = there.path.rsplit_once('/').unwrap().0;
            let missing = get(format!("{path}/{}", hold_id(99))).by(&own);
            assert_eq!(world.send(&missing).await.problem(404, "not-found"), of_nobody);
        }
    }
}

#[tokio::test]
async fn credentials_that_nobody_knows_are_401_whether_there_is_such_a_hold_or_not() {
    let world = World::after(holds(ANN)).await;
    for n in [1, 2] {
        let call = get(format!("{PREMIERE}/holds/{}", hold_id(n))).by("nobody");
        let answer = world.send(&call).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answer.problem(401, "unauthorized");
    }
}
