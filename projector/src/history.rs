//! The tickets' history in Postgres: what happened to each, by the log.

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};
use usher_events::event::Event;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::record::Offset;
use usher_events::time::Timestamp;

use crate::places::{Places, signed, unreadable, unsigned};
use crate::store::{Batch, ViewError};
use crate::tables::{Fault, Tables};

/// The tickets' history in Postgres. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresHistory {
    places: Places,
}

/// Something that happened to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Where the event stands.
    pub offset: Offset,
    /// When.
    pub at: Timestamp,
    /// The event's type.
    pub what: String,
}

impl PostgresHistory {
    /// The history in the database of `pool`, whose tables are there.
    pub fn new(pool: PgPool) -> Self {
        Self { places: Places { pool, projection: "history" } }
    }

    /// All that happened to a ticket, in order.
    pub async fn of(&self, opening: &OpeningId, ticket: &Ticket) -> Result<Vec<Happened>, ViewError> {
        let query = sqlx::query(
            "SELECT at_offset, at, what FROM ticket_history WHERE opening = $1 AND ticket = $2 ORDER BY at_offset",
        );
        let rows = query.bind(opening.as_str()).bind(ticket.0.to_vec()).fetch_all(&self.places.pool).await;
        let happened = |row: &sqlx::postgres::PgRow| -> Result<Happened, sqlx::Error> {
            Ok(Happened {
                offset: unsigned(row.try_get("at_offset")?),
                at: Timestamp(row.try_get("at")?),
                what: row.try_get("what")?,
            })
        };
        rows.and_then(|rows| rows.iter().map(happened).collect()).map_err(unreadable)
    }
}

/// The tickets that an event is about.
fn tickets(event: &Event) -> Vec<Ticket> {
    match event {
        Event::VisitorJoined(event) => vec![event.ticket],
        Event::TicketMoved(event) => vec![event.from, event.to],
        Event::VisitorLeft(event) => vec![event.ticket],
        Event::VisitorsAdmitted(event) => event.admitted.iter().map(|admitted| admitted.ticket).collect(),
        Event::AdmissionsExpired(event) => event.away.iter().chain(&event.spent).copied().collect(),
        Event::VisitorsWentAway(event) => event.tickets.clone(),
        Event::VisitorsReturned(event) => event.tickets.clone(),
        Event::VisitorEntered(event) => vec![event.ticket],
        Event::VisitsEnded(event) => event.visits.iter().map(|visit| visit.ticket).collect(),
        Event::SeatsHeld(event) => vec![event.ticket],
        Event::HoldSwapped(event) => vec![event.ticket],
        Event::HoldExtended(event) => vec![event.ticket],
        Event::HoldReleased(event) => vec![event.ticket],
        Event::HoldsExpired(event) => event.holds.iter().map(|hold| hold.ticket).collect(),
        Event::BookingConfirmed(event) => vec![event.ticket],
        Event::BookingCancelled(event) => vec![event.ticket],
        Event::RefundDue(event) => vec![event.ticket],
        _ => Vec::new(),
    }
}

#[async_trait]
impl Tables for PostgresHistory {
    fn places(&self) -> &Places {
        &self.places
    }

    async fn write(&self, connection: &mut PgConnection, batch: &Batch) -> Result<(), Fault> {
        let (mut openings, mut owners, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut times, mut whats) = (Vec::new(), Vec::new());
        for located in &batch.events {
            for ticket in tickets(&located.event) {
                openings.push(located.opening.as_str());
                owners.push(ticket.0.to_vec());
                offsets.push(signed(located.offset));
                times.push(located.event.at().0);
                whats.push(located.event.kind());
            }
        }
        if !owners.is_empty() {
            let insert = sqlx::query(
                "INSERT INTO ticket_history (opening, ticket, at_offset, at, what)
                 SELECT * FROM UNNEST($1::text[], $2::bytea[], $3::bigint[], $4::bigint[], $5::text[])
                 ON CONFLICT DO NOTHING",
            );
            let insert = insert.bind(&openings[..]).bind(&owners[..]).bind(&offsets[..]).bind(&times[..]);
            insert.bind(&whats[..]).execute(connection).await?;
        }
        Ok(())
    }
}
