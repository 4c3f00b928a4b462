//! What analysts read of the log, and what they cannot.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use usher_events::event::*;
use usher_events::ids::{Hash, PlanName, Ticket};
use usher_projector::analytics::{AnalystError, PostgresAnalytics, let_analyst_in};
use usher_projector::places;
use usher_projector::store::Store;
use uuid::Uuid;

use crate::history::{Fact, PARTITION, batches, records};
use crate::play::{hall, play, showing, visitor};
use crate::same_answers::choices;
use crate::servers::PostgresDatabase;
use crate::told::*;

const VIEWS: [&str; 5] = ["funnel_v1", "holds_v1", "conflicts_v1", "refusals_v1", "sell_through_v1"];

/// What a view says, its rows in order of their text.
async fn says(pool: &PgPool, view: &str) -> Vec<Value> {
    let query = format!("SELECT to_jsonb(v) FROM analytics.{view} v ORDER BY to_jsonb(v)::text");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(pool).await.unwrap()
}

async fn all(pool: &PgPool) -> BTreeMap<&'static str, Vec<Value>> {
    let mut all = BTreeMap::new();
    for view in VIEWS {
        all.insert(view, says(pool, view).await);
    }
    all
}

/// For a role that nobody else has.
fn a_name() -> String {
    format!("test_{}", Uuid::new_v4().simple())
}

async fn run(pool: &PgPool, statements: &[String]) {
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement.clone())).execute(pool).await.unwrap();
    }
}

/// The named columns of each row.
fn columns(rows: &[Value], names: &[&str]) -> Vec<Vec<Value>> {
    rows.iter().map(|row| names.iter().map(|name| row[*name].clone()).collect()).collect()
}

/// What the views say after `events`, in steps of `size` records.
async fn after(events: impl IntoIterator<Item = Event>, size: usize) -> BTreeMap<&'static str, Vec<Value>> {
    let database = PostgresDatabase::new().await;
    apply(&PostgresAnalytics::new(database.pool.clone()), &facts(events), size).await;
    let said = all(&database.pool).await;
    database.remove().await;
    said
}

#[tokio::test]
async fn the_funnel_counts_each_place_in_line_once_at_each_step_that_it_reached() {
    let moved = TicketMoved {
        at: at(75),
        from: BEN,
        to: visitor(7),
        number: Some(2),
        state: TicketState::Admitted,
        subject: Hash::default(),
    };
    let events = in_line([
        joined(ANN, Some(1)),
        joined(BEN, Some(2)),
        joined(CAT, Some(3)),
        admitted(ANN, 1, 70),
        admitted(BEN, 2, 71),
        // Whose turn came twice counts once.
        admitted(BEN, 2, 73),
        moved.into(),
        // Nor does whose turn came with the old ticket and with the new one.
        admitted(visitor(7), 2, 77),
        entered(ANN),
        entered(visitor(7)),
        held(ANN, hold_id(1), &["A1"]),
        held(ANN, hold_id(2), &["A2"]),
        booked(ANN, hold_id(1), &["A1"], true),
    ]);
    for size in [1, 100] {
        let said = after(events.clone(), size).await;
        let steps = ["opening", "joined", "admitted", "entered", "held", "booked"];
        let expected = [[json!("premiere"), json!(3), json!(2), json!(2), json!(1), json!(1)].to_vec()];
        assert_eq!(columns(&said["funnel_v1"], &steps), expected, "in steps of {size}");
        let records = 1 + events.len();
        assert_eq!(said["funnel_v1"][0]["as_of"], format!("{PARTITION}.{records}"));
        assert_eq!(said["funnel_v1"][0]["as_of_at"], "2027-01-15T08:01:40+00:00", "the booking's time");
    }
}

#[tokio::test]
async fn a_hold_has_an_outcome_and_a_duration() {
    let release =
        |hold, names: &[&str]| ReleasedHold { hold: hold_id(hold), showing: evening(), seats: seats(names) };
    let swapped = swapped(&["A2", "A3", "A4"]);
    let extended = extended(at(150));
    let expired = |hold, name: &str| ExpiredHold { ticket: ANN, released: release(hold, &[name]) };
    let late = BookingConfirmed {
        at: at(111),
        booking: booking_id(9),
        hold: hold_id(4),
        ticket: ANN,
        showing: evening(),
        seats: seats(&["B3"]),
        payment_reference: payment("pay-9"),
        late: true,
        visit_ended: false,
        reference: None,
    };
    let ended = EndedVisit { ticket: ANN, state: TicketState::Done, released: vec![release(5, &["B4"])] };
    let events = ann_holds().into_iter().chain([
        swapped,
        extended,
        held(ANN, hold_id(2), &["B1"]),
        held(ANN, hold_id(3), &["B2"]),
        held(ANN, hold_id(4), &["B3"]),
        held(ANN, hold_id(5), &["B4"]),
        held(ANN, hold_id(6), &["B5"]),
        HoldReleased { at: at(93), ticket: ANN, released: release(2, &["B1"]) }.into(),
        booked(ANN, hold_id(1), &["A2", "A3", "A4"], false),
        HoldsExpired { at: at(105), holds: vec![expired(3, "B2"), expired(4, "B3")] }.into(),
        late.into(),
        VisitsEnded { at: at(112), visits: vec![ended] }.into(),
    ]);
    let events: Vec<Event> = events.collect();
    for size in [1, 100] {
        let said = after(events.clone(), size).await;
        let columns =
            columns(&said["holds_v1"], &["hold", "outcome", "duration_s", "seats", "swaps", "extensions"]);
        let row = |hold: u128, outcome: &str, duration: Value, seats: u32, changes: u32| {
            let changes = json!(changes);
            vec![
                json!(Uuid::from_u128(hold)),
                json!(outcome),
                duration,
                json!(seats),
                changes.clone(),
                changes,
            ]
        };
        let seconds =
            |seconds: u32| serde_json::from_str::<Value>(&format!("{seconds}.0000000000000000")).unwrap();
        let expected = [
            row(1, "booked", seconds(10), 3, 1),
            row(2, "released", seconds(3), 1, 0),
            row(3, "expired", seconds(15), 1, 0),
            row(4, "booked_late", seconds(21), 1, 0),
            row(5, "released", seconds(22), 1, 0),
            row(6, "live", Value::Null, 1, 0),
        ];
        assert_eq!(columns, expected, "in steps of {size}");
    }
}

#[tokio::test]
async fn a_showing_s_sales_are_told_by_the_minute_against_what_is_for_sale() {
    let cancelled = BookingCancelled {
        at: at(175),
        booking: booking_id(1),
        ticket: ANN,
        payment_reference: payment("pay-1"),
        showing: evening(),
        freed: seats(&["A1"]),
        remaining: seats(&["A2"]),
    };
    let block =
        SeatsBlocked { at: at(176), showing: evening(), seats: seats(&["C1", "C2"]), reason: "x".to_owned() };
    let unblock = SeatsUnblocked { at: at(300), showing: evening(), seats: seats(&["C1"]) };
    let events = ann_holds().into_iter().chain([
        booked(ANN, hold_id(1), &["A1", "A2"], true),
        cancelled.into(),
        block.into(),
        unblock.into(),
    ]);
    let said = after(events, 3).await;
    let evening: Vec<Value> =
        said["sell_through_v1"].iter().filter(|row| row["showing"] == "evening").cloned().collect();
    let hall = hall();
    let (seats, blocked) = (hall.seating.seats().count(), hall.details.blocked.len());
    let for_sale = seats - blocked;
    let found = columns(&evening, &["minute", "booked", "cancelled", "sold", "for_sale"]);
    let row = |minute: &str, [booked, cancelled, sold]: [u32; 3], for_sale: usize| {
        vec![
            json!(format!("2027-01-15T{minute}:00+00:00")),
            json!(booked),
            json!(cancelled),
            json!(sold),
            json!(for_sale),
        ]
    };
    let expected = [
        row("08:00", [0, 0, 0], for_sale),
        row("08:01", [2, 0, 2], for_sale),
        row("08:02", [0, 1, 1], for_sale - 2),
        row("08:05", [0, 0, 1], for_sale - 1),
    ];
    let mut found = found;
    found.sort_by_key(|row| row[0].as_str().map(str::to_owned));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_showing_that_was_added_sells_the_seats_of_the_plan_that_was_added() {
    let plan = PlanAdded { at: at(1), name: PlanName::new("annex").unwrap(), plan: hall() };
    let added = ShowingAdded { at: at(2), showing: showing("extra", "annex") };
    for size in [1, 100] {
        let said = after([scheduled(), plan.clone().into(), added.clone().into()], size).await;
        let showings = columns(&said["sell_through_v1"], &["showing", "sold"]);
        assert!(showings.contains(&vec![json!("extra"), json!(0)]), "{showings:?}");
    }
}

#[tokio::test]
async fn refusals_are_told_by_reason_and_conflicts_by_seat() {
    let refused = |count| SeatRefusals { showing: evening(), seat: seats(&["A1"])[0].clone(), count };
    let counted = |since, until, count| RefusalsCounted {
        at: at(until),
        since: at(since),
        by_reason: BTreeMap::from([("seats-taken".to_owned(), count)]),
        by_seat: vec![refused(count)],
    };
    let said = after([scheduled(), counted(0, 60, 5).into(), counted(60, 120, 7).into()], 1).await;
    let conflicts = columns(&said["conflicts_v1"], &["showing", "seat", "refusals", "since", "until"]);
    let (since, until) = ("2027-01-15T08:00:00+00:00", "2027-01-15T08:02:00+00:00");
    assert_eq!(conflicts, [[json!("evening"), json!("A1"), json!(12), json!(since), json!(until)].to_vec()]);
    let refusals = columns(&said["refusals_v1"], &["reason", "refusals"]);
    assert_eq!(refusals, [5, 7].map(|count| vec![json!("seats-taken"), json!(count)]));
}

#[test]
fn the_same_log_says_the_same_in_whatever_steps_and_again_from_its_beginning() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(6));
    let case = |(choices, size): (Vec<_>, usize)| {
        runtime.block_on(async {
            let told: Vec<Fact> = play(&choices);
            let database = PostgresDatabase::new().await;
            let analytics = PostgresAnalytics::new(database.pool.clone());
            apply(&analytics, &told, size).await;
            let once = all(&database.pool).await;
            sqlx::query("DELETE FROM places").execute(&database.pool).await.unwrap();
            for batch in batches(&records(&told), &[size + 3, 1]) {
                analytics.apply(&batch).await.unwrap();
                let again = analytics.apply(&batch).await;
                assert!(again.is_err(), "a step is taken once");
            }
            assert_eq!(all(&database.pool).await, once);
            database.remove().await;
        });
        Ok(())
    };
    runner.run(&(choices(250), 1_usize..40), case).unwrap();
}

#[tokio::test]
async fn the_house_is_no_visitor_of_the_funnel() {
    let database = PostgresDatabase::new().await;
    let events = ann_holds().into_iter().chain([held(Ticket::HOUSE, hold_id(2), &["B1"])]);
    apply(&PostgresAnalytics::new(database.pool.clone()), &facts(events), 100).await;
    let said = all(&database.pool).await;
    assert_eq!(columns(&said["funnel_v1"], &["joined", "held"]), [[json!(1), json!(1)]]);
    assert_eq!(said["holds_v1"].len(), 2);
    database.remove().await;
}

#[tokio::test]
async fn the_newest_event_is_the_same_when_a_claim_ends_a_step() {
    let mut told = facts(ann_holds());
    told.push(Fact::Claimed(at(200)));
    let mut newest = Vec::new();
    for size in [1, 100] {
        let database = PostgresDatabase::new().await;
        apply(&PostgresAnalytics::new(database.pool.clone()), &told, size).await;
        newest.push(all(&database.pool).await["funnel_v1"][0]["as_of_at"].clone());
        database.remove().await;
    }
    assert_eq!(newest, [json!("2027-01-15T08:03:20+00:00"), json!("2027-01-15T08:03:20+00:00")]);
}

#[tokio::test]
async fn each_view_and_each_of_its_columns_is_explained_and_says_as_of_when_it_is() {
    let database = PostgresDatabase::new().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
           AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
    let undated: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v'
           AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'as_of')",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(undated, Vec::<String>::new());
    let views: Vec<String> =
        sqlx::query_scalar("SELECT viewname::text FROM pg_views WHERE schemaname = 'analytics'")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(views.len(), VIEWS.len(), "{views:?}");
    database.remove().await;
}

#[tokio::test]
async fn an_analyst_reads_the_views_and_nothing_else_writes_nothing_and_not_for_long() {
    let database = PostgresDatabase::new().await;
    apply(&PostgresAnalytics::new(database.pool.clone()), &facts(ann_holds()), 100).await;
    let role = a_name();
    for _ in 0..2 {
        let_analyst_in(&database.pool, &role).await.unwrap();
    }
    let refused = let_analyst_in(&database.pool, "ann; DROP").await;
    assert!(matches!(refused, Err(AnalystError::Name(_))), "{refused:?}");
    let analyst = database.as_role(&role).await;
    for view in VIEWS {
        says(&analyst, view).await;
    }
    assert_eq!(says(&analyst, "funnel_v1").await[0]["held"], 1);

    let refusal = async |statement: &'static str| {
        let refused = sqlx::query(statement).execute(&analyst).await.unwrap_err();
        refused.as_database_error().unwrap().code().unwrap().into_owned()
    };
    let (no_right, read_only) = ("42501", "25006");
    for statement in [
        "SELECT * FROM analytics.visitors",
        "SELECT * FROM public.bookings",
        "SELECT * FROM usher_subjects.keys",
    ] {
        assert_eq!(refusal(statement).await, no_right, "{statement}");
    }
    assert_eq!(refusal("CREATE TABLE mine ()").await, read_only);
    assert_eq!(refusal("UPDATE analytics.openings SET title = ''").await, read_only);
    let limit: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(&analyst).await.unwrap();
    assert_eq!(limit, "30s");

    analyst.close().await;
    run(&database.pool, &[format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")]).await;
    database.remove().await;
}

#[tokio::test]
async fn a_role_that_was_there_before_is_refused_and_stays_as_it_is() {
    let database = PostgresDatabase::new().await;
    let role = a_name();
    run(&database.pool, &[format!("CREATE ROLE {role} LOGIN CREATEDB CONNECTION LIMIT 3")]).await;
    let settings = async || -> (bool, i32, Option<Vec<String>>) {
        let query = "SELECT rolcreatedb, rolconnlimit, rolconfig FROM pg_roles WHERE rolname = $1";
        sqlx::query_as(query).bind(&role).fetch_one(&database.pool).await.unwrap()
    };
    let before = settings().await;
    let refused = let_analyst_in(&database.pool, &role).await;
    assert!(matches!(&refused, Err(AnalystError::Taken(name)) if *name == role), "{refused:?}");
    assert_eq!(settings().await, before);
    run(&database.pool, &[format!("DROP ROLE {role}")]).await;
    database.remove().await;
}

#[tokio::test]
async fn the_tables_and_the_role_are_made_by_whoever_may_create_them_and_is_no_superuser() {
    let database = PostgresDatabase::empty().await;
    let (owner, role) = (a_name(), a_name());
    let owns = format!("ALTER DATABASE {} OWNER TO {owner}", database.name);
    run(&database.pool, &[format!("CREATE ROLE {owner} LOGIN CREATEROLE"), owns]).await;
    let pool = database.as_role(&owner).await;
    places::migrate(&pool).await.unwrap();
    for _ in 0..2 {
        let_analyst_in(&pool, &role).await.unwrap();
    }
    pool.close().await;
    let analyst = database.as_role(&role).await;
    says(&analyst, "funnel_v1").await;
    analyst.close().await;
    let gone = [&role, &owner].map(|role| [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")]);
    let back = format!("ALTER DATABASE {} OWNER TO CURRENT_USER", database.name);
    run(&database.pool, &[vec![back], gone.concat()].concat()).await;
    database.remove().await;
}
