//! The seats of a plan as they are drawn.

use std::collections::BTreeMap;

use usher_events::plan::{Money, OpensAt, Plan, Row, Seat, SeatKind, Zone};
use usher_events::time::Timestamp;

/// A seat, and what is special about it.
#[derive(Debug)]
pub(super) struct Drawn<'a> {
    pub(super) seat: &'a Seat,
    /// In the drawing's units.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) kind: Option<SeatKind>,
    pub(super) blocked: Option<&'a str>,
    /// From when on it is sold, if not at once.
    pub(super) opens_at: Option<Timestamp>,
    pub(super) price: Option<&'a Money>,
}

impl<'a> Drawn<'a> {
    pub(super) fn new(plan: &'a Plan, zone: &Zone, row: &Row, seat: &'a Seat) -> Self {
        let details = &plan.details;
        let price = details.seat_prices.get(&seat.seat_guid);
        Self {
            seat,
            x: zone.position.x + row.position.x + seat.position.x,
            y: zone.position.y + row.position.y + seat.position.y,
            kind: details.kinds.get(&seat.seat_guid).copied(),
            blocked: details.blocked.get(&seat.seat_guid).map(String::as_str),
            opens_at: details.opens_at.get(&seat.seat_guid).map(|OpensAt(at)| *at),
            price: price.or_else(|| details.category_prices.get(&seat.category)),
        }
    }
}

/// A kind as people read it.
pub(super) fn kind_name(kind: SeatKind) -> &'static str {
    match kind {
        SeatKind::Wheelchair => "wheelchair place",
        SeatKind::Companion => "companion seat",
        SeatKind::RestrictedView => "restricted view",
        SeatKind::House => "kept for the house",
    }
}

/// The places of categories in the plan's list.
pub(super) fn categories(plan: &Plan) -> BTreeMap<&str, usize> {
    plan.seating.categories.iter().enumerate().map(|(i, category)| (category.name.as_str(), i)).collect()
}
