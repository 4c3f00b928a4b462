//! Facts as rows, written within the step's transaction.

use sqlx::{PgConnection, Row};
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::time::Timestamp;

use super::facts::{Facts, Reached, Refused, Setup, many};
use crate::places::signed;
use crate::store::Batch;

/// All tables with rows of a partition.
const TABLES: [&str; 9] =
    ["openings", "plans", "showings", "visitors", "holds", "sales", "refusals", "conflicts", "watermarks"];

type Written = Result<(), sqlx::Error>;

pub(super) async fn write(connection: &mut PgConnection, batch: &Batch, mut facts: Facts) -> Written {
    let partition = batch.partition;
    if batch.follows.position == 0 {
        // Sent back to the beginning: what the log says is counted once.
        for table in TABLES {
            let delete = format!("DELETE FROM analytics.{table} WHERE partition = $1");
            let delete = sqlx::query(sqlx::AssertSqlSafe(delete)).bind(number(partition));
            delete.execute(&mut *connection).await?;
        }
    }
    for (opening, setup) in &facts.setups {
        set_up(connection, partition, opening, setup).await?;
    }
    move_places(connection, &mut facts).await?;
    visitors(connection, partition, &facts).await?;
    holds_begun(connection, partition, &facts).await?;
    holds_went_on(connection, &facts).await?;
    sales(connection, partition, &facts).await?;
    reasons(connection, partition, &facts.reasons).await?;
    conflicts(connection, partition, &facts).await?;
    watermark(connection, batch).await
}

fn number(partition: Partition) -> i32 {
    partition.cast_signed()
}

async fn set_up(
    connection: &mut PgConnection,
    partition: Partition,
    opening: &OpeningId,
    setup: &Setup,
) -> Written {
    let query = match setup {
        Setup::Opening { title, opens_at } => sqlx::query(
            "INSERT INTO analytics.openings (opening, partition, title, opens_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (opening) DO UPDATE SET title = excluded.title, opens_at = excluded.opens_at",
        )
        .bind(opening.as_str())
        .bind(number(partition))
        .bind(title)
        .bind(opens_at.0),
        Setup::Plan { name, seats, blocked } => sqlx::query(
            "INSERT INTO analytics.plans (opening, partition, plan, seats, blocked)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(opening.as_str())
        .bind(number(partition))
        .bind(name.as_str())
        .bind(seats)
        .bind(blocked),
        Setup::Showing { showing, offset, at } => sqlx::query(
            "WITH hall AS (SELECT seats, blocked FROM analytics.plans WHERE opening = $1 AND plan = $6),
                  shown AS (
                      INSERT INTO analytics.showings (opening, partition, showing, title, starts_at, seats)
                      SELECT $1, $2, $3, $4, $5, seats FROM hall ON CONFLICT DO NOTHING
                  )
             INSERT INTO analytics.sales
                 (opening, partition, at_offset, showing, at, booked, cancelled, blocked)
             SELECT $1, $2, $7, $3, $8, 0, 0, blocked FROM hall ON CONFLICT DO NOTHING",
        )
        .bind(opening.as_str())
        .bind(number(partition))
        .bind(showing.showing.as_str())
        .bind(&showing.title)
        .bind(showing.starts_at.0)
        .bind(showing.plan.as_str())
        .bind(signed(*offset))
        .bind(at.0),
    };
    query.execute(connection).await.map(drop)
}

/// Takes what is known of places that go on under other tickets, to be added
/// there.
async fn move_places(connection: &mut PgConnection, facts: &mut Facts) -> Written {
    if facts.moved.is_empty() {
        return Ok(());
    }
    let moved: Vec<_> =
        facts.moved.iter().map(|((opening, from), to)| (opening.clone(), *from, *to)).collect();
    let openings: Vec<&str> = moved.iter().map(|(opening, ..)| opening.as_str()).collect();
    let tickets: Vec<Vec<u8>> = moved.iter().map(|(_, from, _)| from.0.to_vec()).collect();
    let query = sqlx::query(
        "DELETE FROM analytics.visitors AS known
         USING UNNEST($1::text[], $2::bytea[]) WITH ORDINALITY AS gone (opening, ticket, nth)
         WHERE known.opening = gone.opening AND known.ticket = gone.ticket
         RETURNING gone.nth, joined_at, admitted_at, entered_at, held_at, booked_at",
    );
    let gone = query.bind(&openings[..]).bind(&tickets[..]).fetch_all(connection).await?;
    for row in gone {
        let time = |column| row.try_get(column).map(|at: Option<i64>| at.map(Timestamp));
        let reached = Reached {
            joined: time("joined_at")?,
            admitted: time("admitted_at")?,
            entered: time("entered_at")?,
            held: time("held_at")?,
            booked: time("booked_at")?,
        };
        // Counted from 1.
        let nth = usize::try_from(row.try_get::<i64, _>("nth")? - 1).unwrap_or(usize::MAX);
        if let Some((opening, _, to)) = moved.get(nth) {
            facts.reached(opening, *to, reached);
        }
    }
    Ok(())
}

async fn visitors(connection: &mut PgConnection, partition: Partition, facts: &Facts) -> Written {
    if facts.visitors.is_empty() {
        return Ok(());
    }
    let (mut openings, mut tickets) = (Vec::new(), Vec::new());
    let mut times: [Vec<Option<i64>>; 5] = Default::default();
    for ((opening, ticket), reached) in &facts.visitors {
        openings.push(opening.as_str());
        tickets.push(ticket.0.to_vec());
        let steps = [reached.joined, reached.admitted, reached.entered, reached.held, reached.booked];
        for (column, step) in times.iter_mut().zip(steps) {
            column.push(step.map(|at| at.0));
        }
    }
    let query = sqlx::query(
        "INSERT INTO analytics.visitors AS known
             (opening, partition, ticket, joined_at, admitted_at, entered_at, held_at, booked_at)
         SELECT opening, $8, ticket, joined, admitted, entered, held, booked
         FROM UNNEST($1::text[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
             AS new (opening, ticket, joined, admitted, entered, held, booked)
         ON CONFLICT (opening, ticket) DO UPDATE
         SET joined_at = LEAST(known.joined_at, excluded.joined_at),
             admitted_at = LEAST(known.admitted_at, excluded.admitted_at),
             entered_at = LEAST(known.entered_at, excluded.entered_at),
             held_at = LEAST(known.held_at, excluded.held_at),
             booked_at = LEAST(known.booked_at, excluded.booked_at)",
    );
    let [joined, admitted, entered, held, booked] = &times;
    let query = query.bind(&openings[..]).bind(&tickets[..]);
    let query = query.bind(&joined[..]).bind(&admitted[..]).bind(&entered[..]).bind(&held[..]);
    query.bind(&booked[..]).bind(number(partition)).execute(connection).await.map(drop)
}

async fn holds_begun(connection: &mut PgConnection, partition: Partition, facts: &Facts) -> Written {
    let (mut openings, mut holds, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut showings, mut times) = (Vec::new(), Vec::new());
    for ((opening, hold), marks) in &facts.holds {
        if let Some(begun) = &marks.begun {
            openings.push(opening.as_str());
            holds.push(hold.0);
            tickets.push(begun.ticket.0.to_vec());
            showings.push(begun.showing.as_str());
            times.push(begun.at.0);
        }
    }
    if holds.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(
        "INSERT INTO analytics.holds (opening, partition, hold, ticket, showing, seats, held_at)
         SELECT opening, $6, hold, ticket, showing, 0, held_at
         FROM UNNEST($1::text[], $2::uuid[], $3::bytea[], $4::text[], $5::bigint[])
             AS new (opening, hold, ticket, showing, held_at)
         ON CONFLICT DO NOTHING",
    );
    let query = query.bind(&openings[..]).bind(&holds[..]).bind(&tickets[..]).bind(&showings[..]);
    query.bind(&times[..]).bind(number(partition)).execute(connection).await.map(drop)
}

async fn holds_went_on(connection: &mut PgConnection, facts: &Facts) -> Written {
    if facts.holds.is_empty() {
        return Ok(());
    }
    let (mut openings, mut holds, mut seats) = (Vec::new(), Vec::new(), Vec::new());
    let (mut swaps, mut extensions) = (Vec::new(), Vec::new());
    let (mut outcomes, mut ends) = (Vec::new(), Vec::new());
    for ((opening, hold), marks) in &facts.holds {
        openings.push(opening.as_str());
        holds.push(hold.0);
        seats.push(marks.seats.map(many));
        swaps.push(marks.swaps);
        extensions.push(marks.extensions);
        outcomes.push(marks.ended.map(|(outcome, _)| outcome as i16));
        ends.push(marks.ended.map(|(_, at)| at.0));
    }
    let query = sqlx::query(
        "UPDATE analytics.holds AS known
         SET seats = COALESCE(new.seats, known.seats), swaps = known.swaps + new.swaps,
             extensions = known.extensions + new.extensions,
             outcome = COALESCE(new.outcome, known.outcome), ended_at = COALESCE(new.ended_at, known.ended_at)
         FROM UNNEST($1::text[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::smallint[], $7::bigint[])
             AS new (opening, hold, seats, swaps, extensions, outcome, ended_at)
         WHERE known.opening = new.opening AND known.hold = new.hold",
    );
    let query = query.bind(&openings[..]).bind(&holds[..]).bind(&seats[..]).bind(&swaps[..]);
    let query = query.bind(&extensions[..]).bind(&outcomes[..]).bind(&ends[..]);
    query.execute(connection).await.map(drop)
}

async fn sales(connection: &mut PgConnection, partition: Partition, facts: &Facts) -> Written {
    if facts.sales.is_empty() {
        return Ok(());
    }
    let openings: Vec<&str> = facts.sales.iter().map(|sale| sale.opening.as_str()).collect();
    let offsets: Vec<i64> = facts.sales.iter().map(|sale| signed(sale.offset)).collect();
    let showings: Vec<&str> = facts.sales.iter().map(|sale| sale.showing.as_str()).collect();
    let times: Vec<i64> = facts.sales.iter().map(|sale| sale.at.0).collect();
    let booked: Vec<i32> = facts.sales.iter().map(|sale| sale.booked).collect();
    let cancelled: Vec<i32> = facts.sales.iter().map(|sale| sale.cancelled).collect();
    let blocked: Vec<i32> = facts.sales.iter().map(|sale| sale.blocked).collect();
    let query = sqlx::query(
        "INSERT INTO analytics.sales (opening, partition, at_offset, showing, at, booked, cancelled, blocked)
         SELECT opening, $8, at_offset, showing, at, booked, cancelled, blocked
         FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::int[], $6::int[], $7::int[])
             AS new (opening, at_offset, showing, at, booked, cancelled, blocked)
         ON CONFLICT DO NOTHING",
    );
    let query = query.bind(&openings[..]).bind(&offsets[..]).bind(&showings[..]).bind(&times[..]);
    let query = query.bind(&booked[..]).bind(&cancelled[..]).bind(&blocked[..]);
    query.bind(number(partition)).execute(connection).await.map(drop)
}

/// The columns that all counts of refusals share.
struct Counts<'a> {
    openings: Vec<&'a str>,
    offsets: Vec<i64>,
    since: Vec<i64>,
    until: Vec<i64>,
    counts: Vec<i64>,
}

fn counts<T>(refused: &[Refused<T>]) -> Counts<'_> {
    Counts {
        openings: refused.iter().map(|refused| refused.opening.as_str()).collect(),
        offsets: refused.iter().map(|refused| signed(refused.offset)).collect(),
        since: refused.iter().map(|refused| refused.since.0).collect(),
        until: refused.iter().map(|refused| refused.until.0).collect(),
        counts: refused.iter().map(|refused| signed(refused.count)).collect(),
    }
}

async fn reasons(
    connection: &mut PgConnection,
    partition: Partition,
    refused: &[Refused<String>],
) -> Written {
    if refused.is_empty() {
        return Ok(());
    }
    let columns = counts(refused);
    let whats: Vec<&str> = refused.iter().map(|refused| refused.what.as_str()).collect();
    let query = sqlx::query(
        "INSERT INTO analytics.refusals (opening, partition, at_offset, since, until, reason, count)
         SELECT opening, $7, at_offset, since, until, reason, count
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
             AS new (opening, at_offset, since, until, reason, count)
         ON CONFLICT DO NOTHING",
    );
    let query = query.bind(&columns.openings[..]).bind(&columns.offsets[..]).bind(&columns.since[..]);
    let query = query.bind(&columns.until[..]).bind(&whats[..]).bind(&columns.counts[..]);
    query.bind(number(partition)).execute(connection).await.map(drop)
}

async fn conflicts(connection: &mut PgConnection, partition: Partition, facts: &Facts) -> Written {
    if facts.conflicts.is_empty() {
        return Ok(());
    }
    let columns = counts(&facts.conflicts);
    let showings: Vec<&str> = facts.conflicts.iter().map(|refused| refused.what.0.as_str()).collect();
    let seats: Vec<&str> = facts.conflicts.iter().map(|refused| refused.what.1.as_str()).collect();
    let query = sqlx::query(
        "INSERT INTO analytics.conflicts
             (opening, partition, at_offset, since, until, showing, seat, count)
         SELECT opening, $8, at_offset, since, until, showing, seat, count
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
             AS new (opening, at_offset, since, until, showing, seat, count)
         ON CONFLICT DO NOTHING",
    );
    let query = query.bind(&columns.openings[..]).bind(&columns.offsets[..]).bind(&columns.since[..]);
    let query = query.bind(&columns.until[..]).bind(&showings[..]).bind(&seats[..]);
    query.bind(&columns.counts[..]).bind(number(partition)).execute(connection).await.map(drop)
}

async fn watermark(connection: &mut PgConnection, batch: &Batch) -> Written {
    // The same however the log is cut: a claim may follow the events of its step.
    let claimed = batch.to.claim.map(|claim| claim.at.0);
    let newest = batch.events.iter().map(|located| located.event.at().0).chain(claimed).max();
    let query = sqlx::query(
        "INSERT INTO analytics.watermarks AS known (partition, position, newest_at) VALUES ($1, $2, $3)
         ON CONFLICT (partition) DO UPDATE
         SET position = excluded.position, newest_at = GREATEST(known.newest_at, excluded.newest_at)",
    );
    let query =
        query.bind(number(batch.partition)).bind(signed(batch.to.position)).bind(newest.unwrap_or_default());
    query.execute(connection).await.map(drop)
}
