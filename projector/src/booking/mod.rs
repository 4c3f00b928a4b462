//! Booking views: which seats are whose.

mod change;
pub mod memory;
mod operated;
pub mod postgres;
mod rows;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use usher_events::event::RefundReason;
use usher_events::ids::{
    BookingId, HoldId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::log::Partition;
use usher_events::plan::{Plan, Showing};
use usher_events::reference::BookingReference;

use crate::store::{AsOf, Deadline, Place, ViewError};

pub use change::Change;
pub use operated::{OPERATED_SHOWN, Operated};

/// What a seat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatState {
    /// Anyone inside the seat window may hold it.
    Free,
    /// Kept for a visitor.
    Held,
    /// Sold.
    Booked,
    /// Not sold.
    Blocked,
}

/// What a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// The seats are kept.
    Live,
    /// Given back.
    Released,
    /// Ran out.
    Expired,
    /// Became a booking.
    Booked,
}

/// What a booking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookingState {
    /// The seats are sold.
    Booked,
    /// The seats are free again.
    Cancelled,
}

/// A seat of a showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatView {
    /// Which seat.
    pub seat: SeatId,
    /// What it is.
    pub state: SeatState,
    /// The showing's version that changed it last.
    #[serde(skip)]
    pub version: u64,
}

/// All seats of a showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMap {
    /// Counts the events that changed a seat of the showing.
    pub version: u64,
    /// The seats, by id.
    pub seats: Vec<SeatView>,
}

/// The changes of a showing's seats since a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatChanges {
    /// The version that they lead to.
    pub version: u64,
    /// Every changed seat as it is now, by id.
    pub seats: Vec<SeatView>,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    /// The hold.
    pub hold: HoldId,
    /// Whose.
    pub ticket: Ticket,
    /// Of which showing.
    pub showing: ShowingId,
    /// Which seats.
    pub seats: Vec<SeatId>,
    /// What it is.
    pub state: HoldState,
    /// Until when.
    pub expires_at: Deadline,
    /// The booking that it became.
    pub booking: Option<BookingId>,
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingView {
    /// The booking.
    pub booking: BookingId,
    /// Whose.
    pub ticket: Ticket,
    /// The hold that became it.
    pub hold: HoldId,
    /// Of which showing.
    pub showing: ShowingId,
    /// The seats that are still booked.
    pub seats: Vec<SeatId>,
    /// What it is.
    pub state: BookingState,
    /// The merchant's payment.
    pub payment_reference: PaymentReference,
    /// What people read out; none for bookings older than references.
    pub reference: Option<String>,
    /// Whether the payment came after the hold's end.
    pub late: bool,
}

impl BookingView {
    /// These seats stay booked; with none of them it is cancelled.
    fn keep(&mut self, seats: Vec<SeatId>) {
        self.state = if seats.is_empty() { BookingState::Cancelled } else { BookingState::Booked };
        self.seats = seats;
    }
}

/// How a payment of a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementView {
    /// The booking id that it was asked under.
    pub booking: BookingId,
    /// Why the money must go back; none: it is booked.
    pub refund: Option<RefundReason>,
}

/// How many seats of an opening are in each state.
pub type SeatCounts = BTreeMap<SeatState, u64>;

/// Booking views, as queries read them.
#[async_trait]
pub trait BookingReader: Send + Sync + 'static {
    /// The showings of an opening, in the order they were added.
    async fn showings(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Vec<Showing>>, ViewError>;

    /// A plan.
    async fn plan(
        &self,
        opening: &OpeningId,
        partition: Partition,
        plan: &PlanName,
    ) -> Result<AsOf<Option<Plan>>, ViewError>;

    /// All seats of a showing.
    async fn seats(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
    ) -> Result<AsOf<Option<SeatMap>>, ViewError>;

    /// The seats that changed after version `since`; none when there is no
    /// such showing, or it never had that version.
    async fn changes(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
        since: u64,
    ) -> Result<AsOf<Option<SeatChanges>>, ViewError>;

    /// How many seats of an opening are in each state.
    async fn counts(&self, opening: &OpeningId, partition: Partition) -> Result<AsOf<SeatCounts>, ViewError>;

    /// A hold.
    async fn hold(
        &self,
        opening: &OpeningId,
        partition: Partition,
        hold: HoldId,
    ) -> Result<AsOf<Option<HoldView>>, ViewError>;

    /// A booking.
    async fn booking(
        &self,
        opening: &OpeningId,
        partition: Partition,
        booking: BookingId,
    ) -> Result<AsOf<Option<BookingView>>, ViewError>;

    /// The booking that people call so.
    async fn booking_called(
        &self,
        opening: &OpeningId,
        partition: Partition,
        reference: &BookingReference,
    ) -> Result<AsOf<Option<BookingView>>, ViewError>;

    /// How a payment of a hold ended.
    async fn settlement(
        &self,
        opening: &OpeningId,
        partition: Partition,
        hold: HoldId,
        payment_reference: &PaymentReference,
    ) -> Result<AsOf<Option<SettlementView>>, ViewError>;

    /// What operators did, newest first, at most [`OPERATED_SHOWN`].
    async fn operated(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Vec<Operated>>, ViewError>;

    /// How far the view of `partition` is.
    async fn reached(&self, partition: Partition) -> Result<Place, ViewError>;
}
