//! What tests begin with: an opening, visitors in line and inside, a hold.

use serde_json::{Value, json};
use usher_events::time::Timestamp;

use crate::calls::{Call, MERCHANT, OPERATOR, Visitor, delete, id, patch, post, put};
use crate::instance::Instance;

pub(crate) const CONCERT: &str = "/v1/openings/concert";

/// A time `seconds` from now, as HTTP has it.
pub(crate) fn in_s(seconds: i64) -> String {
    Timestamp(Timestamp::now().0 + seconds * 1_000).to_rfc3339()
}

/// A hall of one row, G1 to G8; G1 is not sold.
pub(crate) fn seating() -> Value {
    let seat = |n: u32| {
        json!({"seat_guid": format!("G{n}"), "seat_number": n.to_string(), "category": "Prime",
               "position": {"x": n * 25, "y": 0}, "radius": 12})
    };
    json!({
        "name": "Hall 1", "made_by": "an editor",
        "categories": [{"name": "Prime", "color": "#b45309"}],
        "zones": [{"name": "Floor", "position": {"x": 0, "y": 0}, "zone_id": "floor", "rows": [
            {"row_number": "G", "position": {"x": 0, "y": 0}, "seats": (1..=8).map(seat).collect::<Vec<_>>()}
        ]}],
        "size": {"width": 250, "height": 100},
    })
}

/// The body of an opening that opens `opens_in_s` from now.
pub(crate) fn opening(opens_in_s: i64) -> Value {
    json!({
        "title": "Northern Lights",
        "opens_at": in_s(opens_in_s),
        "closes_at": in_s(opens_in_s + 3_600),
        "policy": {"capacity": 10, "max_seats": 4},
        "plans": {"hall-1": seating()},
        "details": {"hall-1": {"blocked": {"G1": "a pillar"}, "kinds": {"G8": "companion"}}},
        "showings": [
            {"showing": "evening", "title": "Evening", "starts_at": in_s(90_000), "plan": "hall-1"}
        ],
    })
}

pub(crate) fn schedule(body: &Value) -> Call {
    put(CONCERT).by(OPERATOR).json(body)
}

pub(crate) fn join(visitor: &Visitor) -> Call {
    put(format!("{CONCERT}/tickets/{}", visitor.ticket))
}

pub(crate) fn leave(visitor: &Visitor) -> Call {
    delete(format!("{CONCERT}/tickets/{}", visitor.ticket)).by(&visitor.secret)
}

pub(crate) fn present(visitor: &Visitor) -> Call {
    post(format!("{CONCERT}/tickets/{}/presence", visitor.ticket)).by(&visitor.secret)
}

pub(crate) fn enter(visitor: &Visitor) -> Call {
    put(format!("{CONCERT}/tickets/{}/entry", visitor.ticket)).by(&visitor.secret)
}

pub(crate) fn leave_window(visitor: &Visitor) -> Call {
    delete(format!("{CONCERT}/tickets/{}/entry", visitor.ticket)).by(&visitor.secret)
}

pub(crate) fn admit(n: u128, count: u32) -> Call {
    put(format!("{CONCERT}/admissions/{}", id(n))).by(OPERATOR).json(&json!({"count": count}))
}

pub(crate) fn hold(n: u128, visitor: &Visitor, seats: &[&str]) -> Call {
    put(format!("{CONCERT}/holds/{}", id(n)))
        .by(&visitor.secret)
        .json(&json!({"showing": "evening", "seats": seats}))
}

pub(crate) fn hold_best(n: u128, visitor: &Visitor, best: Value) -> Call {
    put(format!("{CONCERT}/holds/{}", id(n)))
        .by(&visitor.secret)
        .json(&json!({"showing": "evening", "best": best}))
}

pub(crate) fn swap(n: u128, key: u128, visitor: &Visitor, seats: &[&str]) -> Call {
    patch(format!("{CONCERT}/holds/{}", id(n))).by(&visitor.secret).key(key).json(&json!({"seats": seats}))
}

pub(crate) fn extend(n: u128, extension: u128, visitor: &Visitor) -> Call {
    put(format!("{CONCERT}/holds/{}/extensions/{}", id(n), id(extension))).by(&visitor.secret)
}

pub(crate) fn release(n: u128, visitor: &Visitor) -> Call {
    delete(format!("{CONCERT}/holds/{}", id(n))).by(&visitor.secret)
}

pub(crate) fn confirm(n: u128, hold: u128, reference: &str) -> Call {
    put(format!("{CONCERT}/bookings/{}", id(n)))
        .by(MERCHANT)
        .json(&json!({"hold": id(hold), "payment_reference": reference}))
}

pub(crate) fn cancel(n: u128) -> Call {
    delete(format!("{CONCERT}/bookings/{}", id(n))).by(MERCHANT)
}

pub(crate) fn cancel_seat(n: u128, seat: &str) -> Call {
    delete(format!("{CONCERT}/bookings/{}/seats/{seat}", id(n))).by(MERCHANT)
}

impl Instance {
    /// The lobby of the concert is open.
    pub(crate) async fn lobby(&self) {
        self.send(&schedule(&opening(3_600))).await.expect(201);
    }

    /// The concert is open, and admits by hand only.
    pub(crate) async fn open(&self) {
        self.open_with(opening(-1)).await;
    }

    pub(crate) async fn open_with(&self, body: Value) {
        self.send(&schedule(&body)).await.expect(201);
        self.send(&post(format!("{CONCERT}/pause")).by(OPERATOR).key(900)).await.expect(200);
    }

    /// The concert is open, and these are inside the seat window.
    pub(crate) async fn inside<const N: usize>(&self, letters: [char; N]) -> [Visitor; N] {
        self.open().await;
        self.let_in(letters).await
    }

    pub(crate) async fn let_in<const N: usize>(&self, letters: [char; N]) -> [Visitor; N] {
        let visitors = letters.map(crate::calls::visitor);
        for (n, visitor) in (910..).zip(&visitors) {
            self.send(&join(visitor)).await.expect(201);
            self.send(&admit(n, 1)).await.expect(201);
            self.send(&enter(visitor)).await.expect(201);
        }
        visitors
    }
}
