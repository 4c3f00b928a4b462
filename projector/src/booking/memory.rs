//! Booking views in memory: the embedded default, and the oracle for Postgres.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use usher_events::ids::{BookingId, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId};
use usher_events::log::Partition;
use usher_events::plan::{Plan, Showing};
use usher_events::reference::BookingReference;

use super::{
    BookingReader, BookingView, Change, HoldView, OPERATED_SHOWN, Operated, SeatChanges, SeatCounts, SeatMap,
    SeatState, SeatView, SettlementView,
};
use crate::stops::Stops;
use crate::store::{Act, AsOf, Batch, Located, Place, Skip, Stop, Store, StoreError, ViewError};

/// One showing: each seat with the version that changed it last.
#[derive(Debug)]
struct Seats {
    showing: Showing,
    version: u64,
    seats: BTreeMap<SeatId, (SeatState, u64)>,
}

#[derive(Debug, Default)]
struct Bookings {
    plans: HashMap<PlanName, Plan>,
    showings: Vec<Seats>,
    holds: HashMap<HoldId, HoldView>,
    bookings: HashMap<BookingId, BookingView>,
    references: HashMap<String, BookingId>,
    settlements: HashMap<(HoldId, PaymentReference), SettlementView>,
    /// The newest acts of operators, newest first.
    operated: VecDeque<Operated>,
}

#[derive(Debug, Default)]
struct Lane {
    place: Place,
    stops: Stops,
    openings: HashMap<OpeningId, Bookings>,
}

/// Booking views in memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBookings {
    lanes: Arc<Vec<RwLock<Lane>>>,
}

impl MemoryBookings {
    /// Empty views of `partitions` partitions.
    pub fn new(partitions: u32) -> Self {
        Self { lanes: Arc::new((0..partitions).map(|_| RwLock::default()).collect()) }
    }

    fn lane(&self, partition: Partition) -> Result<&RwLock<Lane>, ViewError> {
        let missing =
            || ViewError { view: "booking view", reason: format!("there is no partition {partition}") };
        self.lanes.get(partition as usize).ok_or_else(missing)
    }

    fn read<T>(
        &self,
        opening: &OpeningId,
        partition: Partition,
        read: impl FnOnce(Option<&Bookings>) -> T,
    ) -> Result<AsOf<T>, ViewError> {
        let lane = self.lane(partition)?.read().unwrap_or_else(PoisonError::into_inner);
        let value = read(lane.openings.get(opening));
        Ok(AsOf { position: lane.place.position, claim: lane.place.claim, value })
    }

    fn write<T>(
        &self,
        partition: Partition,
        write: impl FnOnce(&mut Lane) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lane = self.lane(partition).map_err(|error| StoreError::Unavailable(error.reason))?;
        write(&mut lane.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lane {
    fn apply(&mut self, located: &Located) -> Result<(), StoreError> {
        let changes = Change::of(located);
        if changes.is_empty() {
            return Ok(());
        }
        let opening = self.openings.entry(located.opening.clone()).or_default();
        opening.check(&changes).map_err(|reason| StoreError::Poison { offset: located.offset, reason })?;
        let mut bumped = Vec::new();
        changes.into_iter().for_each(|change| opening.apply(change, &mut bumped));
        Ok(())
    }
}

impl Bookings {
    /// Says which of `changes` cannot be applied, before any is.
    fn check(&self, changes: &[Change]) -> Result<(), String> {
        let new = |there: bool, what: &dyn std::fmt::Display| {
            if there { Err(format!("{what} is there already")) } else { Ok(()) }
        };
        let old = |there: bool, what: &dyn std::fmt::Display| {
            if there { Ok(()) } else { Err(format!("{what} is not there")) }
        };
        let comes = |name: &PlanName| {
            changes.iter().any(|change| matches!(change, Change::Plan(new, _) if new == name))
        };
        for change in changes {
            match change {
                Change::Plan(name, _) => new(self.plans.contains_key(name), name)?,
                Change::Showing(showing) => {
                    new(self.showing(&showing.showing).is_some(), &showing.showing)?;
                    old(self.plans.contains_key(&showing.plan) || comes(&showing.plan), &showing.plan)?;
                }
                Change::Seats { showing, seats, .. } => {
                    let shown = self.showing(showing);
                    old(shown.is_some(), showing)?;
                    let missing =
                        |seat: &&SeatId| shown.is_some_and(|shown| !shown.seats.contains_key(*seat));
                    seats.iter().find(missing).map_or(Ok(()), |seat| old(false, seat))?;
                }
                Change::Hold(hold) => new(self.holds.contains_key(&hold.hold), &hold.hold)?,
                Change::HoldState(hold, _) | Change::HoldSeats(hold, _) | Change::HoldDeadline(hold, _) => {
                    old(self.holds.contains_key(hold), hold)?;
                }
                Change::Booking(booking) => {
                    new(self.bookings.contains_key(&booking.booking), &booking.booking)?;
                }
                Change::BookingSeats(booking, _) => old(self.bookings.contains_key(booking), booking)?,
                Change::Settlement(hold, payment, _) => {
                    new(self.settlements.contains_key(&(*hold, payment.clone())), payment)?;
                }
                Change::Operated(_) => {}
            }
        }
        Ok(())
    }

    /// Applies one change that was checked; `bumped` lists the showings whose
    /// version this event has raised already.
    fn apply(&mut self, change: Change, bumped: &mut Vec<ShowingId>) {
        match change {
            Change::Plan(name, plan) => drop(self.plans.insert(name, *plan)),
            Change::Showing(showing) => self.add_showing(showing),
            Change::Seats { showing, seats, state } => self.set_seats(&showing, &seats, state, bumped),
            Change::Hold(hold) => drop(self.holds.insert(hold.hold, hold)),
            Change::HoldState(hold, state) => self.change_hold(hold, |known| known.state = state),
            Change::HoldSeats(hold, seats) => self.change_hold(hold, |known| known.seats = seats),
            Change::HoldDeadline(hold, until) => self.change_hold(hold, |known| known.expires_at = until),
            Change::Booking(booking) => {
                self.change_hold(booking.hold, |known| known.booking = Some(booking.booking));
                if let Some(reference) = &booking.reference {
                    self.references.insert(reference.clone(), booking.booking);
                }
                self.bookings.insert(booking.booking, booking);
            }
            Change::BookingSeats(booking, seats) => {
                if let Some(known) = self.bookings.get_mut(&booking) {
                    known.keep(seats);
                }
            }
            Change::Settlement(hold, payment, settlement) => {
                self.settlements.insert((hold, payment), settlement);
            }
            Change::Operated(act) => {
                self.operated.push_front(act);
                self.operated.truncate(OPERATED_SHOWN);
            }
        }
    }

    fn add_showing(&mut self, showing: Showing) {
        let Some(plan) = self.plans.get(&showing.plan) else { return };
        let blocked = plan.details.blocked_at_first();
        let state = |seat| if blocked.contains(seat) { SeatState::Blocked } else { SeatState::Free };
        let seats = plan.seating.seats().map(|seat| (seat.seat_guid.clone(), (state(&seat.seat_guid), 0)));
        self.showings.push(Seats { version: 0, seats: seats.collect(), showing });
    }

    fn set_seats(
        &mut self,
        showing: &ShowingId,
        seats: &[SeatId],
        state: SeatState,
        bumped: &mut Vec<ShowingId>,
    ) {
        let Some(shown) = self.showings.iter_mut().find(|known| known.showing.showing == *showing) else {
            return;
        };
        if !bumped.contains(showing) {
            shown.version += 1;
            bumped.push(showing.clone());
        }
        for seat in seats {
            if let Some(known) = shown.seats.get_mut(seat) {
                *known = (state, shown.version);
            }
        }
    }

    fn change_hold(&mut self, hold: HoldId, change: impl FnOnce(&mut HoldView)) {
        if let Some(known) = self.holds.get_mut(&hold) {
            change(known);
        }
    }

    fn showing(&self, showing: &ShowingId) -> Option<&Seats> {
        self.showings.iter().find(|known| known.showing.showing == *showing)
    }
}

impl Seats {
    fn all(&self) -> Vec<SeatView> {
        self.those(|_| true)
    }

    fn since(&self, since: u64) -> Vec<SeatView> {
        self.those(|version| version > since)
    }

    fn those(&self, wanted: impl Fn(u64) -> bool) -> Vec<SeatView> {
        let wanted = self.seats.iter().filter(|(_, (_, version))| wanted(*version));
        let view = |(seat, (state, version)): (&SeatId, &(SeatState, u64))| SeatView {
            seat: seat.clone(),
            state: *state,
            version: *version,
        };
        wanted.map(view).collect()
    }
}

#[async_trait]
impl Store for MemoryBookings {
    fn projection(&self) -> &'static str {
        "booking"
    }

    async fn place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.write(partition, |lane| Ok(lane.place))
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch.partition, |lane| {
            if lane.place.position != batch.follows.position {
                return Err(StoreError::Refused);
            }
            for located in &batch.events {
                lane.place = located.before;
                lane.apply(located)?;
            }
            lane.place = batch.to;
            Ok(())
        })
    }

    async fn stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        self.write(partition, |lane| {
            lane.stops.stop = Some(stop.clone());
            Ok(())
        })
    }

    async fn stopped(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        self.write(partition, |lane| Ok(lane.stops.stop.clone()))
    }

    async fn go_on(&self, partition: Partition, skip: Option<&Skip>, act: &Act) -> Result<(), StoreError> {
        self.write(partition, |lane| lane.stops.go_on(&mut lane.place, skip, act))
    }

    async fn acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        self.write(partition, |lane| Ok(lane.stops.acts()))
    }
}

#[async_trait]
impl BookingReader for MemoryBookings {
    async fn showings(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Vec<Showing>>, ViewError> {
        self.read(opening, partition, |bookings| {
            let showings = bookings.map(|bookings| bookings.showings.iter());
            showings.into_iter().flatten().map(|shown| shown.showing.clone()).collect()
        })
    }

    async fn plan(
        &self,
        opening: &OpeningId,
        partition: Partition,
        plan: &PlanName,
    ) -> Result<AsOf<Option<Plan>>, ViewError> {
        self.read(opening, partition, |bookings| {
            bookings.and_then(|bookings| bookings.plans.get(plan).cloned())
        })
    }

    async fn seats(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
    ) -> Result<AsOf<Option<SeatMap>>, ViewError> {
        self.read(opening, partition, |bookings| {
            let shown = bookings.and_then(|bookings| bookings.showing(showing))?;
            Some(SeatMap { version: shown.version, seats: shown.all() })
        })
    }

    async fn changes(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
        since: u64,
    ) -> Result<AsOf<Option<SeatChanges>>, ViewError> {
        self.read(opening, partition, |bookings| {
            let shown = bookings.and_then(|bookings| bookings.showing(showing))?;
            (since <= shown.version)
                .then(|| SeatChanges { version: shown.version, seats: shown.since(since) })
        })
    }

    async fn counts(&self, opening: &OpeningId, partition: Partition) -> Result<AsOf<SeatCounts>, ViewError> {
        self.read(opening, partition, |bookings| {
            let mut counts = SeatCounts::new();
            let showings = bookings.map(|bookings| bookings.showings.iter());
            for (state, _) in showings.into_iter().flatten().flat_map(|shown| shown.seats.values()) {
                *counts.entry(*state).or_default() += 1;
            }
            counts
        })
    }

    async fn hold(
        &self,
        opening: &OpeningId,
        partition: Partition,
        hold: HoldId,
    ) -> Result<AsOf<Option<HoldView>>, ViewError> {
        self.read(opening, partition, |bookings| {
            bookings.and_then(|bookings| bookings.holds.get(&hold).cloned())
        })
    }

    async fn booking(
        &self,
        opening: &OpeningId,
        partition: Partition,
        booking: BookingId,
    ) -> Result<AsOf<Option<BookingView>>, ViewError> {
        self.read(opening, partition, |bookings| {
            bookings.and_then(|bookings| bookings.bookings.get(&booking).cloned())
        })
    }

    async fn booking_called(
        &self,
        opening: &OpeningId,
        partition: Partition,
        reference: &BookingReference,
    ) -> Result<AsOf<Option<BookingView>>, ViewError> {
        self.read(opening, partition, |bookings| {
            let bookings = bookings?;
            bookings.bookings.get(bookings.references.get(&reference.to_string())?).cloned()
        })
    }

    async fn settlement(
        &self,
        opening: &OpeningId,
        partition: Partition,
        hold: HoldId,
        payment_reference: &PaymentReference,
    ) -> Result<AsOf<Option<SettlementView>>, ViewError> {
        self.read(opening, partition, |bookings| {
            bookings
                .and_then(|bookings| bookings.settlements.get(&(hold, payment_reference.clone())).cloned())
        })
    }

    async fn operated(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Vec<Operated>>, ViewError> {
        self.read(opening, partition, |bookings| {
            bookings.into_iter().flat_map(|bookings| &bookings.operated).cloned().collect()
        })
    }

    async fn reached(&self, partition: Partition) -> Result<Place, ViewError> {
        Ok(self.lane(partition)?.read().unwrap_or_else(PoisonError::into_inner).place)
    }
}
