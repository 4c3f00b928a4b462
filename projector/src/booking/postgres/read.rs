//! Reading booking views from Postgres.
//!
//! Each answer is one statement, which also reads the place: a statement sees
//! one moment. There is no transaction that a caller who went away could leave
//! open.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;
use usher_events::event::RefundReason;
use usher_events::ids::{
    BookingId, HoldId, InvalidId, OpeningId, PaymentReference, PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::log::Partition;
use usher_events::plan::{Plan, Showing};
use usher_events::reference::BookingReference;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::super::{
    BookingReader, BookingState, BookingView, HoldState, HoldView, OPERATED_SHOWN, Operated, SeatChanges,
    SeatCounts, SeatMap, SeatState, SeatView, SettlementView,
};
use super::PostgresBookings;
use super::write::seats_of;
use crate::places::{signed, unreadable, unsigned};
use crate::store::{AsOf, Claim, Deadline, Place, ViewError};

/// A query whose rows come with the partition's place, `$1`. A row of the
/// answer has `found`; when there is none, one row has the place alone.
macro_rules! with_place {
    ($answer:literal) => {
        sqlx::query(concat!(
            "SELECT places.position AS at_position, places.claim_offset, places.claim_at, answer.*
             FROM (VALUES (0)) AS once
             LEFT JOIN places ON places.projection = 'booking' AND places.partition = $1
             LEFT JOIN (",
            $answer,
            ") AS answer ON true"
        ))
    };
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

impl PostgresBookings {
    async fn rows(&self, query: Query<'_>) -> Result<AsOf<Vec<PgRow>>, ViewError> {
        let rows = query.fetch_all(&self.places.pool).await.map_err(unreadable)?;
        placed(rows).map_err(unreadable)
    }
}

/// The rows of the answer, and the place that came with them.
fn placed(mut rows: Vec<PgRow>) -> Result<AsOf<Vec<PgRow>>, sqlx::Error> {
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let position: Option<i64> = first.try_get("at_position")?;
    let claim_offset: Option<i64> = first.try_get("claim_offset")?;
    let claim_at: Option<i64> = first.try_get("claim_at")?;
    let claim = claim_offset.zip(claim_at);
    let claim = claim.map(|(offset, at)| Claim { offset: unsigned(offset), at: Timestamp(at) });
    if first.try_get::<Option<bool>, _>("found")?.is_none() {
        rows.clear();
    }
    Ok(AsOf { position: unsigned(position.unwrap_or(0)), claim, value: rows })
}

fn decoded<T>(
    rows: AsOf<Vec<PgRow>>,
    decode: impl FnOnce(Vec<PgRow>) -> Result<T, sqlx::Error>,
) -> Result<AsOf<T>, ViewError> {
    let AsOf { position, claim, value } = rows;
    Ok(AsOf { position, claim, value: decode(value).map_err(unreadable)? })
}

fn id<T>(made: Result<T, InvalidId>) -> Result<T, sqlx::Error> {
    made.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn ticket(row: &PgRow) -> Result<Ticket, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get("ticket")?;
    let bytes = bytes.try_into().map_err(|_| sqlx::Error::Decode("a ticket has 32 bytes".into()))?;
    Ok(Ticket(bytes))
}

fn booking_of(row: &PgRow) -> Result<BookingView, sqlx::Error> {
    let cancelled: bool = row.try_get("cancelled")?;
    Ok(BookingView {
        booking: BookingId(row.try_get("booking")?),
        ticket: ticket(row)?,
        hold: HoldId(row.try_get("hold")?),
        showing: id(ShowingId::new(row.try_get("showing")?))?,
        seats: seats_of(row.try_get("seats")?)?,
        state: if cancelled { BookingState::Cancelled } else { BookingState::Booked },
        payment_reference: id(PaymentReference::new(row.try_get("payment_reference")?))?,
        reference: row.try_get("reference")?,
        late: row.try_get("late")?,
    })
}

fn seat_state(code: i16) -> Result<SeatState, sqlx::Error> {
    match code {
        0 => Ok(SeatState::Free),
        1 => Ok(SeatState::Held),
        2 => Ok(SeatState::Booked),
        3 => Ok(SeatState::Blocked),
        _ => Err(sqlx::Error::Decode("unknown state of a seat".into())),
    }
}

fn hold_state(code: i16) -> Result<HoldState, sqlx::Error> {
    match code {
        0 => Ok(HoldState::Live),
        1 => Ok(HoldState::Released),
        2 => Ok(HoldState::Expired),
        3 => Ok(HoldState::Booked),
        _ => Err(sqlx::Error::Decode("unknown state of a hold".into())),
    }
}

fn seat_view(row: &PgRow) -> Result<SeatView, sqlx::Error> {
    Ok(SeatView {
        seat: id(SeatId::new(row.try_get("seat")?))?,
        state: seat_state(row.try_get("state")?)?,
        version: unsigned(row.try_get("changed_in")?),
    })
}

/// The showing's version stands in each row; a row without a seat only tells it.
fn versioned(rows: &[PgRow]) -> Result<Option<(u64, Vec<SeatView>)>, sqlx::Error> {
    let Some(first) = rows.first() else { return Ok(None) };
    let version: i64 = first.try_get("version")?;
    let mut seats = Vec::with_capacity(rows.len());
    for row in rows {
        if row.try_get::<Option<&str>, _>("seat")?.is_some() {
            seats.push(seat_view(row)?);
        }
    }
    seats.sort_unstable_by(|a, b| a.seat.cmp(&b.seat));
    Ok(Some((unsigned(version), seats)))
}

#[async_trait]
impl BookingReader for PostgresBookings {
    async fn showings(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Vec<Showing>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, showing, title, starts_at, plan, rank FROM showings WHERE opening = $2"
        );
        let rows = self.rows(query.bind(partition.cast_signed()).bind(opening.as_str())).await?;
        decoded(rows, |mut rows| {
            rows.sort_by_key(|row| row.try_get::<i64, _>("rank").unwrap_or(i64::MAX));
            let showing = |row: &PgRow| -> Result<Showing, sqlx::Error> {
                Ok(Showing {
                    showing: id(ShowingId::new(row.try_get("showing")?))?,
                    title: row.try_get("title")?,
                    starts_at: Timestamp(row.try_get("starts_at")?),
                    plan: id(PlanName::new(row.try_get("plan")?))?,
                })
            };
            rows.iter().map(showing).collect()
        })
    }

    async fn plan(
        &self,
        opening: &OpeningId,
        partition: Partition,
        plan: &PlanName,
    ) -> Result<AsOf<Option<Plan>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, body::text AS body FROM plans WHERE opening = $2 AND plan = $3"
        );
        let rows =
            self.rows(query.bind(partition.cast_signed()).bind(opening.as_str()).bind(plan.as_str())).await?;
        decoded(rows, |rows| {
            let Some(row) = rows.first() else { return Ok(None) };
            let plan = serde_json::from_str(row.try_get("body")?);
            plan.map(Some).map_err(|error| sqlx::Error::Decode(Box::new(error)))
        })
    }

    async fn seats(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
    ) -> Result<AsOf<Option<SeatMap>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, showings.version, seats.seat, seats.state, seats.version AS changed_in FROM showings
             LEFT JOIN seats ON seats.opening = showings.opening AND seats.showing = showings.showing
             WHERE showings.opening = $2 AND showings.showing = $3"
        );
        let rows = self
            .rows(query.bind(partition.cast_signed()).bind(opening.as_str()).bind(showing.as_str()))
            .await?;
        decoded(rows, |rows| Ok(versioned(&rows)?.map(|(version, seats)| SeatMap { version, seats })))
    }

    async fn changes(
        &self,
        opening: &OpeningId,
        partition: Partition,
        showing: &ShowingId,
        since: u64,
    ) -> Result<AsOf<Option<SeatChanges>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, showings.version, seats.seat, seats.state, seats.version AS changed_in FROM showings
             LEFT JOIN seats ON seats.opening = showings.opening AND seats.showing = showings.showing
                            AND seats.version > $4
             WHERE showings.opening = $2 AND showings.showing = $3 AND showings.version >= $4"
        );
        let query = query.bind(partition.cast_signed()).bind(opening.as_str()).bind(showing.as_str());
        let rows = self.rows(query.bind(signed(since))).await?;
        decoded(rows, |rows| Ok(versioned(&rows)?.map(|(version, seats)| SeatChanges { version, seats })))
    }

    async fn counts(&self, opening: &OpeningId, partition: Partition) -> Result<AsOf<SeatCounts>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, state, count(*) AS count FROM seats WHERE opening = $2 GROUP BY state"
        );
        let rows = self.rows(query.bind(partition.cast_signed()).bind(opening.as_str())).await?;
        decoded(rows, |rows| {
            let count =
                |row: &PgRow| Ok((seat_state(row.try_get("state")?)?, unsigned(row.try_get("count")?)));
            rows.iter().map(count).collect()
        })
    }

    async fn hold(
        &self,
        opening: &OpeningId,
        partition: Partition,
        hold: HoldId,
    ) -> Result<AsOf<Option<HoldView>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, ticket, showing, seats::text AS seats, state, expires_at, given, booking FROM holds
             LEFT JOIN (SELECT opening, hold, booking FROM settlements WHERE refund IS NULL) AS booked
                       USING (opening, hold)
             WHERE opening = $2 AND hold = $3"
        );
        let rows = self.rows(query.bind(partition.cast_signed()).bind(opening.as_str()).bind(hold.0)).await?;
        decoded(rows, |rows| {
            let Some(row) = rows.first() else { return Ok(None) };
            Ok(Some(HoldView {
                hold,
                ticket: ticket(row)?,
                showing: id(ShowingId::new(row.try_get("showing")?))?,
                seats: seats_of(row.try_get("seats")?)?,
                state: hold_state(row.try_get("state")?)?,
                expires_at: Deadline {
                    at: Timestamp(row.try_get("expires_at")?),
                    given: unsigned(row.try_get("given")?),
                },
                booking: row.try_get::<Option<Uuid>, _>("booking")?.map(BookingId),
            }))
        })
    }

    async fn booking(
        &self,
        opening: &OpeningId,
        partition: Partition,
        booking: BookingId,
    ) -> Result<AsOf<Option<BookingView>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, booking, ticket, hold, showing, seats::text AS seats, cancelled,
                    payment_reference, reference, late
             FROM bookings WHERE opening = $2 AND booking = $3"
        );
        let query = query.bind(partition.cast_signed()).bind(opening.as_str()).bind(booking.0);
        decoded(self.rows(query).await?, |rows| rows.first().map(booking_of).transpose())
    }

    async fn booking_called(
        &self,
        opening: &OpeningId,
        partition: Partition,
        reference: &BookingReference,
    ) -> Result<AsOf<Option<BookingView>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, booking, ticket, hold, showing, seats::text AS seats, cancelled,
                    payment_reference, reference, late
             FROM bookings WHERE opening = $2 AND reference = $3"
        );
        let query = query.bind(partition.cast_signed()).bind(opening.as_str()).bind(reference.to_string());
        decoded(self.rows(query).await?, |rows| rows.first().map(booking_of).transpose())
    }

    async fn settlement(
        &self,
        opening: &OpeningId,
        partition: Partition,
        hold: HoldId,
        payment_reference: &PaymentReference,
    ) -> Result<AsOf<Option<SettlementView>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, booking, refund FROM settlements
             WHERE opening = $2 AND hold = $3 AND payment_reference = $4"
        );
        let query = query.bind(partition.cast_signed()).bind(opening.as_str()).bind(hold.0);
        let rows = self.rows(query.bind(payment_reference.as_str())).await?;
        decoded(rows, |rows| {
            let Some(row) = rows.first() else { return Ok(None) };
            let refund: Option<&str> = row.try_get("refund")?;
            let refund = refund.map(serde_json::from_str::<RefundReason>).transpose();
            let booking: Uuid = row.try_get("booking")?;
            Ok(Some(SettlementView {
                booking: BookingId(booking),
                refund: refund.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            }))
        })
    }

    async fn operated(
        &self,
        opening: &OpeningId,
        partition: Partition,
    ) -> Result<AsOf<Vec<Operated>>, ViewError> {
        let query = with_place!(
            "SELECT true AS found, at_offset, at, by_whom, what, detail FROM operated
             WHERE opening = $2 ORDER BY at_offset DESC LIMIT $3"
        );
        let shown = i64::try_from(OPERATED_SHOWN).unwrap_or(i64::MAX);
        let query = query.bind(partition.cast_signed()).bind(opening.as_str()).bind(shown);
        decoded(self.rows(query).await?, |mut rows| {
            rows.sort_by_key(|row| std::cmp::Reverse(row.try_get::<i64, _>("at_offset").unwrap_or(0)));
            let act = |row: &PgRow| -> Result<Operated, sqlx::Error> {
                Ok(Operated {
                    at: Timestamp(row.try_get("at")?),
                    by: row.try_get("by_whom")?,
                    what: row.try_get("what")?,
                    detail: row.try_get("detail")?,
                })
            };
            rows.iter().map(act).collect()
        })
    }

    async fn reached(&self, partition: Partition) -> Result<Place, ViewError> {
        self.places.get(partition).await.map_err(unreadable)
    }
}
