//! Writing the rows of a batch, a statement for each kind.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::{PgConnection, Row};
use usher_events::ids::{OpeningId, SeatId, ShowingId};
use usher_events::plan::{Plan, Showing};
use usher_events::record::Offset;

use super::super::rows::{HoldPatch, Rows, SeatRows};
use super::super::{BookingState, BookingView, HoldState, HoldView, Operated, SeatState, SettlementView};
use crate::places::signed;
use crate::tables::Fault;

/// A seat's state as the table holds it.
pub(super) fn seat_code(state: SeatState) -> i16 {
    match state {
        SeatState::Free => 0,
        SeatState::Held => 1,
        SeatState::Booked => 2,
        SeatState::Blocked => 3,
    }
}

/// A hold's state as the table holds it.
pub(super) fn hold_code(state: HoldState) -> i16 {
    match state {
        HoldState::Live => 0,
        HoldState::Released => 1,
        HoldState::Expired => 2,
        HoldState::Booked => 3,
    }
}

/// Writes all rows; the transaction is the caller's.
pub(super) async fn all(connection: &mut PgConnection, rows: Rows) -> Result<(), Fault> {
    for (opening, name, plan) in &rows.plans {
        let insert = sqlx::query("INSERT INTO plans (opening, plan, body) VALUES ($1, $2, $3::jsonb)");
        let insert = insert.bind(opening.as_str()).bind(name.as_str()).bind(serde_json::to_string(plan)?);
        insert.execute(&mut *connection).await?;
    }
    for (opening, showing) in &rows.showings {
        add_showing(connection, opening, showing).await?;
    }
    if !rows.seats.is_empty() {
        set_seats(connection, rows.seats.into_iter().collect()).await?;
    }
    if !rows.holds.is_empty() {
        add_holds(connection, &rows.holds.into_iter().collect::<Vec<_>>()).await?;
    }
    if !rows.hold_patches.is_empty() {
        change_holds(connection, &rows.hold_patches.into_iter().collect::<Vec<_>>()).await?;
    }
    if !rows.bookings.is_empty() {
        add_bookings(connection, &rows.bookings.into_iter().collect::<Vec<_>>()).await?;
    }
    for ((opening, booking), seats) in &rows.booking_seats {
        let update =
            "UPDATE bookings SET seats = $3::jsonb, cancelled = $4 WHERE opening = $1 AND booking = $2";
        let update = sqlx::query(update).bind(opening.as_str()).bind(booking.0);
        let update = update.bind(serde_json::to_string(seats)?).bind(seats.is_empty());
        expect(update.execute(&mut *connection).await?.rows_affected(), 1, "booking")?;
    }
    if !rows.settlements.is_empty() {
        add_settlements(connection, &rows.settlements).await?;
    }
    if !rows.operated.is_empty() {
        add_operated(connection, &rows.operated).await?;
    }
    Ok(())
}

fn expect(found: u64, expected: usize, what: &str) -> Result<(), Fault> {
    if found == expected as u64 {
        return Ok(());
    }
    Err(Fault::Missing(format!(
        "{} of {expected} rows of table {what}s are not there",
        expected as u64 - found
    )))
}

async fn add_showing(
    connection: &mut PgConnection,
    opening: &OpeningId,
    showing: &Showing,
) -> Result<(), Fault> {
    let query = sqlx::query("SELECT body::text AS body FROM plans WHERE opening = $1 AND plan = $2");
    let query = query.bind(opening.as_str()).bind(showing.plan.as_str());
    let row = query.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| Fault::Missing(format!("there is no plan `{}`", showing.plan)))?;
    let plan: Plan = serde_json::from_str(row.try_get("body")?)?;
    let insert =
        "INSERT INTO showings (opening, showing, title, starts_at, plan) VALUES ($1, $2, $3, $4, $5)";
    let insert = sqlx::query(insert)
        .bind(opening.as_str())
        .bind(showing.showing.as_str())
        .bind(&showing.title)
        .bind(showing.starts_at.0)
        .bind(showing.plan.as_str());
    insert.execute(&mut *connection).await?;
    let (mut seats, mut states) = (Vec::new(), Vec::new());
    let blocked = plan.details.blocked_at_first();
    for seat in plan.seating.seats() {
        seats.push(seat.seat_guid.as_str());
        states.push(seat_code(if blocked.contains(&seat.seat_guid) {
            SeatState::Blocked
        } else {
            SeatState::Free
        }));
    }
    let insert = sqlx::query(
        "INSERT INTO seats (opening, showing, seat, state, version)
         SELECT $1, $2, seat, state, 0 FROM UNNEST($3::text[], $4::smallint[]) AS new (seat, state)",
    );
    let insert =
        insert.bind(opening.as_str()).bind(showing.showing.as_str()).bind(&seats[..]).bind(&states[..]);
    insert.execute(&mut *connection).await?;
    Ok(())
}

/// Raises the showings' versions, then sets the seats with theirs.
async fn set_seats(
    connection: &mut PgConnection,
    rows: Vec<((OpeningId, ShowingId), SeatRows)>,
) -> Result<(), Fault> {
    let openings: Vec<&str> = rows.iter().map(|((opening, _), _)| opening.as_str()).collect();
    let showings: Vec<&str> = rows.iter().map(|((_, showing), _)| showing.as_str()).collect();
    let rises: Vec<i64> = rows.iter().map(|(_, seats)| signed(seats.rises)).collect();
    let update = sqlx::query(
        "UPDATE showings SET version = version + new.rises
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS new (opening, showing, rises)
         WHERE showings.opening = new.opening AND showings.showing = new.showing
         RETURNING showings.opening, showings.showing, version - new.rises AS base",
    );
    let found =
        update.bind(&openings[..]).bind(&showings[..]).bind(&rises[..]).fetch_all(&mut *connection).await?;
    expect(found.len() as u64, rows.len(), "showing")?;
    let mut bases: HashMap<(String, String), i64> = HashMap::new();
    for row in found {
        bases.insert((row.try_get("opening")?, row.try_get("showing")?), row.try_get("base")?);
    }
    let (mut openings, mut showings, mut seats) = (Vec::new(), Vec::new(), Vec::new());
    let (mut states, mut versions) = (Vec::new(), Vec::new());
    for ((opening, showing), changed) in &rows {
        let key = (opening.to_string(), showing.to_string());
        let base = bases.get(&key).copied().unwrap_or_default();
        for (seat, (state, rise)) in &changed.seats {
            openings.push(opening.as_str());
            showings.push(showing.as_str());
            seats.push(seat.as_str());
            states.push(seat_code(*state));
            versions.push(base + signed(*rise));
        }
    }
    let update = sqlx::query(
        "UPDATE seats SET state = new.state, version = new.version
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::smallint[], $5::bigint[])
              AS new (opening, showing, seat, state, version)
         WHERE seats.opening = new.opening AND seats.showing = new.showing AND seats.seat = new.seat",
    );
    let update =
        update.bind(&openings[..]).bind(&showings[..]).bind(&seats[..]).bind(&states[..]).bind(&versions[..]);
    expect(update.execute(connection).await?.rows_affected(), seats.len(), "seat")
}

fn column<R, T>(rows: &[R], of: impl FnMut(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn json<R, T: Serialize + ?Sized>(
    rows: &[R],
    of: impl Fn(&R) -> &T,
) -> Result<Vec<String>, serde_json::Error> {
    rows.iter().map(|row| serde_json::to_string(of(row))).collect()
}

async fn add_holds(
    connection: &mut PgConnection,
    rows: &[((OpeningId, usher_events::ids::HoldId), HoldView)],
) -> Result<(), Fault> {
    let insert = sqlx::query(
        "INSERT INTO holds (opening, hold, ticket, showing, seats, state, expires_at, given)
         SELECT opening, hold, ticket, showing, seats::jsonb, state, expires_at, given
         FROM UNNEST($1::text[], $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[])
              AS new (opening, hold, ticket, showing, seats, state, expires_at, given)",
    );
    let insert = insert
        .bind(column(rows, |((opening, _), _)| opening.to_string()))
        .bind(column(rows, |((_, hold), _)| hold.0))
        .bind(column(rows, |(_, hold)| hold.ticket.0.to_vec()))
        .bind(column(rows, |(_, hold)| hold.showing.to_string()))
        .bind(json(rows, |(_, hold)| &hold.seats[..])?)
        .bind(column(rows, |(_, hold)| hold_code(hold.state)))
        .bind(column(rows, |(_, hold)| hold.expires_at.at.0))
        .bind(column(rows, |(_, hold)| signed(hold.expires_at.given)));
    insert.execute(connection).await?;
    Ok(())
}

async fn change_holds(
    connection: &mut PgConnection,
    rows: &[((OpeningId, usher_events::ids::HoldId), HoldPatch)],
) -> Result<(), Fault> {
    let seats = rows.iter().map(|(_, patch)| patch.seats.as_ref().map(serde_json::to_string).transpose());
    let update = sqlx::query(
        "UPDATE holds SET
             state = COALESCE(new.state, holds.state),
             seats = COALESCE(new.seats::jsonb, holds.seats),
             expires_at = COALESCE(new.expires_at, holds.expires_at),
             given = COALESCE(new.given, holds.given)
         FROM UNNEST($1::text[], $2::uuid[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[])
              AS new (opening, hold, state, seats, expires_at, given)
         WHERE holds.opening = new.opening AND holds.hold = new.hold",
    );
    let update = update
        .bind(column(rows, |((opening, _), _)| opening.to_string()))
        .bind(column(rows, |((_, hold), _)| hold.0))
        .bind(column(rows, |(_, patch)| patch.state.map(hold_code)))
        .bind(seats.collect::<Result<Vec<_>, _>>()?)
        .bind(column(rows, |(_, patch)| patch.expires_at.map(|deadline| deadline.at.0)))
        .bind(column(rows, |(_, patch)| patch.expires_at.map(|deadline| signed(deadline.given))));
    expect(update.execute(connection).await?.rows_affected(), rows.len(), "hold")
}

async fn add_bookings(
    connection: &mut PgConnection,
    rows: &[((OpeningId, usher_events::ids::BookingId), BookingView)],
) -> Result<(), Fault> {
    let insert = sqlx::query(
        "INSERT INTO bookings (opening, booking, ticket, hold, showing, seats, cancelled, payment_reference, late,
                               reference)
         SELECT opening, booking, ticket, hold, showing, seats::jsonb, cancelled, payment_reference, late, reference
         FROM UNNEST($1::text[], $2::uuid[], $3::bytea[], $4::uuid[], $5::text[], $6::text[], $7::boolean[], $8::text[], $9::boolean[],
                     $10::text[])
              AS new (opening, booking, ticket, hold, showing, seats, cancelled, payment_reference, late, reference)",
    );
    let insert = insert
        .bind(column(rows, |((opening, _), _)| opening.to_string()))
        .bind(column(rows, |((_, booking), _)| booking.0))
        .bind(column(rows, |(_, booking)| booking.ticket.0.to_vec()))
        .bind(column(rows, |(_, booking)| booking.hold.0))
        .bind(column(rows, |(_, booking)| booking.showing.to_string()))
        .bind(json(rows, |(_, booking)| &booking.seats[..])?)
        .bind(column(rows, |(_, booking)| booking.state == BookingState::Cancelled))
        .bind(column(rows, |(_, booking)| booking.payment_reference.to_string()))
        .bind(column(rows, |(_, booking)| booking.late))
        .bind(column(rows, |(_, booking)| booking.reference.clone()));
    insert.execute(connection).await?;
    Ok(())
}

type SettlementRow =
    (OpeningId, usher_events::ids::HoldId, usher_events::ids::PaymentReference, SettlementView);

async fn add_settlements(connection: &mut PgConnection, rows: &[SettlementRow]) -> Result<(), Fault> {
    let refunds = rows.iter().map(|row| row.3.refund.as_ref().map(serde_json::to_string).transpose());
    let insert = sqlx::query(
        "INSERT INTO settlements (opening, hold, payment_reference, booking, refund)
         SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[])",
    );
    let insert = insert
        .bind(column(rows, |row| row.0.to_string()))
        .bind(column(rows, |row| row.1.0))
        .bind(column(rows, |row| row.2.to_string()))
        .bind(column(rows, |row| row.3.booking.0))
        .bind(refunds.collect::<Result<Vec<_>, _>>()?);
    insert.execute(connection).await?;
    Ok(())
}

async fn add_operated(
    connection: &mut PgConnection,
    rows: &[(OpeningId, Offset, Operated)],
) -> Result<(), Fault> {
    let insert = sqlx::query(
        "INSERT INTO operated (opening, at_offset, at, by_whom, what, detail)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[])",
    );
    let insert = insert
        .bind(column(rows, |row| row.0.to_string()))
        .bind(column(rows, |row| signed(row.1)))
        .bind(column(rows, |row| row.2.at.0))
        .bind(column(rows, |row| row.2.by.clone()))
        .bind(column(rows, |row| row.2.what.clone()))
        .bind(column(rows, |row| row.2.detail.clone()));
    insert.execute(connection).await?;
    Ok(())
}

/// A JSON list of seats as the table holds it.
pub(super) fn seats_of(text: &str) -> Result<Vec<SeatId>, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
