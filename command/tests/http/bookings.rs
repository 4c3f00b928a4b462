//! Settling payments and cancelling bookings.

use serde_json::json;

use crate::calls::{MERCHANT, OPERATOR, id};
use crate::instance::Instance;
use crate::scenes::{cancel, cancel_seat, confirm, enter, extend, hold, opening, release};

#[tokio::test]
async fn a_paid_hold_is_booked_once_under_whatever_booking_id() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    instance.send(&hold(1, &a, &["G7", "G8"])).await.expect(201);
    let booked = instance.send(&confirm(2, 1, "p-1")).await.expect(201);
    assert_eq!(booked["booking"], id(2).to_string());
    assert_eq!((&booked["state"], &booked["late"]), (&json!("booked"), &json!(false)));
    assert_eq!((&booked["showing"], &booked["seats"]), (&json!("evening"), &json!(["G7", "G8"])));
    let before = instance.records().await;
    for booking in [2, 3] {
        let repeated = instance.send(&confirm(booking, 1, "p-1")).await.expect(200);
        assert_eq!(repeated["booking"], id(2).to_string());
    }
    assert_eq!(instance.records().await, before);
    instance.refused(enter(&a)).await.problem(410, "gone");
}

#[tokio::test]
async fn a_payment_that_cannot_book_is_due_back_and_that_is_final() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.send(&release(1, &a)).await.expect(200);
    let due = instance.send(&confirm(2, 1, "p-1")).await.problem(409, "refund-due");
    assert_eq!((&due["reason"], &due["payment_reference"]), (&json!("hold-released"), &json!("p-1")));
    assert_eq!((&due["booking"], &due["hold"]), (&json!(id(2)), &json!(id(1))));
    for booking in [2, 3] {
        let repeated = instance.refused(confirm(booking, 1, "p-1")).await.problem(409, "refund-due");
        assert_eq!(repeated["booking"], id(2).to_string());
    }
    instance.send(&hold(4, &b, &["G7"])).await.expect(201);
    instance.send(&confirm(5, 4, "p-2")).await.expect(201);
    let twice = instance.send(&confirm(6, 4, "p-3")).await.problem(409, "refund-due");
    assert_eq!(twice["reason"], "already-booked");
}

#[tokio::test]
async fn a_payment_for_a_hold_that_never_was_is_a_final_404() {
    let instance = Instance::new().await;
    instance.open().await;
    instance.refused(confirm(2, 1, "p-1")).await.problem(404, "unknown-hold");
}

#[tokio::test]
async fn visitors_confirm_only_where_nothing_is_paid_and_only_their_own() {
    let instance = Instance::new().await;
    let [a] = instance.inside(['a']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.refused(confirm(2, 1, "p-1").by(&a.secret)).await.problem(403, "merchant-confirms");

    let instance = Instance::new().await;
    let mut body = opening(-1);
    body["policy"]["payment"] = json!("none");
    instance.open_with(body).await;
    let [a, b] = instance.let_in(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.refused(confirm(2, 1, "p-1").by(&b.secret)).await.problem(404, "unknown-hold");
    instance.send(&confirm(2, 1, "p-1").by(&a.secret)).await.expect(201);
    instance.refused(confirm(2, 1, "p-1").by(&b.secret)).await.problem(404, "unknown-hold");
}

#[tokio::test]
async fn a_cancelled_booking_frees_its_seats_and_stays_cancelled() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.send(&confirm(2, 1, "p-1")).await.expect(201);
    instance.refused(release(1, &a)).await.problem(409, "hold-booked");
    instance.refused(extend(1, 9, &a)).await.problem(409, "hold-booked");
    let cancelled = instance.send(&cancel(2)).await.expect(200);
    assert_eq!((&cancelled["state"], &cancelled["seats"]), (&json!("cancelled"), &json!([])));
    for by in [MERCHANT, OPERATOR] {
        assert_eq!(instance.send(&cancel(2).by(by)).await.expect(200)["state"], "cancelled");
    }
    instance.send(&hold(3, &b, &["G7"])).await.expect(201);
    let repeated = instance.send(&confirm(2, 1, "p-1")).await.expect(200);
    assert_eq!(repeated["state"], "cancelled");
}

#[tokio::test]
async fn one_seat_of_a_booking_is_cancelled_and_the_booking_keeps_its_reference() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7", "G8"])).await.expect(201);
    let booked = instance.send(&confirm(2, 1, "p-1")).await.expect(201);
    for by in [MERCHANT, OPERATOR] {
        let left = instance.send(&cancel_seat(2, "G7").by(by)).await.expect(200);
        assert_eq!((&left["state"], &left["seats"]), (&json!("booked"), &json!(["G8"])));
        assert_eq!(left["reference"], booked["reference"]);
    }
    instance.send(&hold(3, &b, &["G7"])).await.expect(201);
    instance.refused(hold(4, &b, &["G8"])).await.problem(409, "seats-taken");
    instance.refused(cancel_seat(2, "G6")).await.problem(422, "unknown-seats");
    instance.refused(cancel_seat(3, "G7")).await.problem(404, "unknown-booking");
    instance.refused(cancel_seat(2, "G8").by(&a.secret)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_booking_that_never_was_cannot_be_cancelled() {
    let instance = Instance::new().await;
    instance.open().await;
    instance.refused(cancel(2)).await.problem(404, "unknown-booking");
}

#[tokio::test]
async fn a_bookings_id_names_one_booking() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
    instance.send(&hold(2, &b, &["G6"])).await.expect(201);
    instance.send(&confirm(3, 1, "p-1")).await.expect(201);
    instance.refused(confirm(3, 2, "p-2")).await.problem(422, "id-reused");
    instance.refused(hold(3, &b, &["G5"])).await.problem(409, "id-in-use");
}
