//! Where a hall's seats stand, as far as choosing among them needs it.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use usher_events::plan::{Plan, Point, Row, SeatKind, Zone};

/// How far the farthest seat of a hall is from its focal point.
pub(super) const FARTHEST: u16 = 10_000;
/// Beyond this many times the usual gap of its zone there is an aisle.
const AISLE: f64 = 1.5;
/// Beyond this many times the distance of two rows a seat is not behind another.
const ASIDE: f64 = 1.25;

/// The seats of a hall in the order of its plan: 24 bytes each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::opening) struct Floor {
    spots: Vec<Spot>,
    categories: Vec<String>,
}

/// Where one seat stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Spot {
    x: f32,
    y: f32,
    /// The seat behind it in the next row of its zone; never the plan's first.
    behind: Option<NonZeroU32>,
    /// From the focal point, up to [`FARTHEST`].
    far: u16,
    category: u16,
    /// Whether the seat before it in the plan is its neighbour.
    beside: bool,
    kind: Option<SeatKind>,
}

impl Floor {
    pub(in crate::opening) fn new(plan: &Plan) -> Self {
        let categories: Vec<String> =
            plan.seating.categories.iter().map(|category| category.name.clone()).collect();
        let mut floor = Self { spots: Vec::new(), categories };
        for zone in &plan.seating.zones {
            floor.add_zone(zone, plan);
        }
        floor.measure();
        floor
    }

    fn add_zone(&mut self, zone: &Zone, plan: &Plan) {
        let rows: Vec<Vec<Point>> = zone.rows.iter().map(|row| places(zone, row)).collect();
        let aisle = AISLE * usual_gap(&rows);
        for (r, row) in zone.rows.iter().enumerate() {
            let places = &rows[r];
            let behind = seats_behind(places, rows.get(r + 1).map(Vec::as_slice).unwrap_or_default());
            let first_behind = self.spots.len() + places.len();
            for (i, seat) in row.seats.iter().enumerate() {
                let Point { x, y } = places[i];
                let category = self.categories.iter().position(|known| *known == seat.category);
                self.spots.push(Spot {
                    x: x as f32,
                    y: y as f32,
                    behind: behind[i].and_then(|at| index(first_behind + at)),
                    far: 0,
                    category: category.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX),
                    beside: i > 0 && distance(places[i - 1], places[i]) <= aisle,
                    kind: plan.details.kinds.get(&seat.seat_guid).copied(),
                });
            }
        }
    }

    /// How far each seat is from the focal point: in the middle across, two
    /// thirds of the way to the back. A restricted view is as bad as it gets.
    fn measure(&mut self) {
        let (left, right) = extent(self.spots.iter().map(|spot| spot.x));
        let (front, back) = extent(self.spots.iter().map(|spot| spot.y));
        let focal = Point { x: (left + right) / 2.0, y: front + (back - front) * 2.0 / 3.0 };
        let far = self.distances(focal);
        for (spot, far) in self.spots.iter_mut().zip(far) {
            spot.far = if spot.kind == Some(SeatKind::RestrictedView) { FARTHEST } else { far };
        }
    }

    /// How far each seat is from `from`, the farthest at [`FARTHEST`].
    fn distances(&self, from: Point) -> Vec<u16> {
        let from_here = |spot: &Spot| distance(from, spot.place());
        let distances: Vec<f64> = self.spots.iter().map(from_here).collect();
        let farthest = distances.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        distances.iter().map(|far| (far / farthest * f64::from(FARTHEST)).round() as u16).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.spots.len()
    }

    /// How far a seat is from the focal point.
    pub(in crate::opening) fn far(&self, seat: usize) -> u16 {
        self.spots[seat].far
    }

    /// Whether a seat and the one before it in the plan are neighbours.
    pub(super) fn beside(&self, seat: usize) -> bool {
        self.spots[seat].beside
    }

    /// The seat behind it in the next row.
    pub(super) fn behind(&self, seat: usize) -> Option<usize> {
        self.spots[seat].behind.map(|behind| behind.get() as usize)
    }

    /// The number of a category that the hall has.
    pub(in crate::opening) fn category(&self, name: &str) -> Option<u16> {
        self.categories.iter().position(|known| known == name).and_then(|at| u16::try_from(at).ok())
    }

    pub(super) fn category_of(&self, seat: usize) -> u16 {
        self.spots[seat].category
    }

    /// The category of all of `seats`, if they are of one.
    pub(in crate::opening) fn common_category(&self, seats: &[u32]) -> Option<u16> {
        let mut categories = seats.iter().map(|seat| self.category_of(*seat as usize));
        let first = categories.next()?;
        categories.all(|category| category == first).then_some(first)
    }

    /// How far each seat is from the middle of `seats`.
    pub(in crate::opening) fn far_from(&self, seats: &[u32]) -> Vec<u16> {
        let count = seats.len().max(1) as f64;
        let places = || seats.iter().map(|seat| self.spots[*seat as usize].place());
        let (x, y) = (places().map(|at| at.x).sum::<f64>(), places().map(|at| at.y).sum::<f64>());
        self.distances(Point { x: x / count, y: y / count })
    }

    pub(super) fn kind(&self, seat: usize) -> Option<SeatKind> {
        self.spots[seat].kind
    }

    /// Whether a seat is neither a wheelchair place nor one beside it, nor the
    /// house's.
    pub(in crate::opening) fn is_for_all(&self, seat: usize) -> bool {
        self.special_kind(seat).is_none() && self.kind(seat) != Some(SeatKind::House)
    }

    /// The places for wheelchairs.
    pub(in crate::opening) fn wheelchair_places(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|seat| self.kind(*seat) == Some(SeatKind::Wheelchair))
    }

    /// Whether a seat is for who comes along with who sits at `place`.
    pub(in crate::opening) fn is_companion_of(&self, seat: usize, place: usize) -> bool {
        self.kind(seat) == Some(SeatKind::Companion)
            && self.wheelchairs_of(seat).iter().any(|of| *of as usize == place)
    }

    /// What a seat is that is a wheelchair place or one beside it.
    pub(in crate::opening) fn special_kind(&self, seat: usize) -> Option<SeatKind> {
        self.kind(seat).filter(|kind| matches!(kind, SeatKind::Wheelchair | SeatKind::Companion))
    }

    /// What those of `seats` are that are wheelchair places or beside them.
    pub(in crate::opening) fn special_kinds(&self, seats: &[u32]) -> Vec<SeatKind> {
        seats.iter().filter_map(|seat| self.special_kind(*seat as usize)).collect()
    }

    /// The wheelchair places of a companion's: those that are side by side
    /// with it, with nothing but such places between.
    pub(super) fn wheelchairs_of(&self, companion: usize) -> Vec<u32> {
        let special = |seat: &usize| self.special_kind(*seat).is_some();
        let before = (0..companion).rev().take_while(|seat| self.beside(seat + 1) && special(seat));
        let after = (companion + 1..self.len()).take_while(|seat| self.beside(*seat) && special(seat));
        before
            .chain(after)
            .filter(|seat| self.kind(*seat) == Some(SeatKind::Wheelchair))
            .filter_map(|seat| u32::try_from(seat).ok())
            .collect()
    }
}

impl Spot {
    fn place(&self) -> Point {
        Point { x: f64::from(self.x), y: f64::from(self.y) }
    }
}

fn places(zone: &Zone, row: &Row) -> Vec<Point> {
    let (x, y) = (zone.position.x + row.position.x, zone.position.y + row.position.y);
    row.seats.iter().map(|seat| Point { x: x + seat.position.x, y: y + seat.position.y }).collect()
}

/// The median of the gaps from seat to seat: whatever the drawing's units are,
/// most neighbours have no aisle between them.
fn usual_gap(rows: &[Vec<Point>]) -> f64 {
    let gaps = rows.iter().flat_map(|row| row.windows(2).map(|pair| distance(pair[0], pair[1])));
    let mut gaps: Vec<f64> = gaps.collect();
    gaps.sort_unstable_by(f64::total_cmp);
    gaps.get(gaps.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// For each seat of a row the one of the next row that is behind it. Walks
/// along the next row with the first, so that long rows cost no square.
fn seats_behind(row: &[Point], next: &[Point]) -> Vec<Option<usize>> {
    if next.is_empty() {
        return vec![None; row.len()];
    }
    let mut at = 0;
    let mut nearest = Vec::with_capacity(row.len());
    for seat in row {
        let far = |at: usize| distance(*seat, next[at]);
        while at + 1 < next.len() && far(at + 1) < far(at) {
            at += 1;
        }
        while at > 0 && far(at - 1) < far(at) {
            at -= 1;
        }
        nearest.push((at, far(at)));
        at = (at + 1).min(next.len() - 1);
    }
    let apart = nearest.iter().map(|(_, far)| *far).fold(f64::INFINITY, f64::min);
    nearest.iter().map(|(at, far)| (*far <= apart * ASIDE).then_some(*at)).collect()
}

fn index(seat: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(seat).ok()?)
}

fn extent(along: impl Iterator<Item = f32>) -> (f64, f64) {
    let (least, most) = along.fold((f32::MAX, f32::MIN), |(least, most), at| (least.min(at), most.max(at)));
    (f64::from(least), f64::from(most))
}

fn distance(a: Point, b: Point) -> f64 {
    let (x, y) = (a.x - b.x, a.y - b.y);
    (x * x + y * y).sqrt()
}
