//! Whole openings, rehearsed: the README's line, and one whose owner is killed
//! in the middle.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use usher_events::event::Event;
use usher_events::ids::SeatId;

use crate::crowd::Doors;
use crate::process::{OPERATOR_KEY, Process};
use crate::readme::{lines_of, run};
use crate::roles::{PARTITIONS, Roles};
use crate::servers::Place;
use crate::{ALONE, log};

const MERCHANT_KEY: &str = "merchant-key-merchant-key-merchant-key";
const OPENING: &str = "rehearsal-of-a-journey";
/// How long a small rehearsal may take on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(240);

fn report(dir: &tempfile::TempDir) -> Value {
    let text = std::fs::read_to_string(dir.path().join("rehearsal.json")).expect("the report is written");
    serde_json::from_str(&text).unwrap()
}

/// Every rule held, and there was something to break.
fn all_held(report: &Value, visitors: u64) {
    let verdict = &report["verdict"];
    assert_eq!(verdict["held"], true, "{verdict:#}");
    assert_eq!(verdict["rules"].as_array().unwrap().len(), 7);
    let total = |what: &str| verdict["totals"][what].as_u64().unwrap();
    assert_eq!(total("joined"), visitors, "{verdict:#}");
    assert!(total("entered") > visitors / 2 && total("booked") > visitors / 4, "{verdict:#}");
    assert!(verdict["acknowledged"].as_u64().unwrap() > 2 * visitors, "{verdict:#}");
    assert_eq!(report["unfinished"], 0, "everybody is through: {:#}", report["ends"]);
    assert!(report["ends"]["astray"].is_null(), "{:#}", report["ends"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readmes_rehearsal_brings_its_own_usher_and_every_rule_holds() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let lines = lines_of("Rehearse the night before").remove(0);
    let (written, smaller) =
        ("--visitors 20000", "--visitors 400 --over 4 --rate 6000 --visit 1 --capacity 120");
    assert!(lines.contains(written) && lines.contains("--html rehearsal.html"), "{lines}");
    let lines = lines.replace(written, &format!("{smaller} --json rehearsal.json"));
    let lines = lines.replace("cargo run --release --", env!("CARGO_BIN_EXE_usher"));
    let lines = format!("cd {}\n{lines}", dir.path().display());
    let said = tokio::task::block_in_place(|| run(&lines, &[]));
    assert!(said.contains("Verdict: every rule held"), "{said}");
    let report = report(&dir);
    all_held(&report, 400);
    assert_eq!(report["verdict"]["totals"]["most_in_window"], 120, "the window was full");
    let page = std::fs::read_to_string(dir.path().join("rehearsal.html")).unwrap();
    assert!(page.contains("Every rule held") && page.matches("<svg").count() >= 5);
    for outside in ["<script", "<link", "src=", "href=", "url("] {
        assert!(!page.contains(outside), "the page needs nothing else: {outside}");
    }
}

/// Plays an opening over the servers, with the owner killed when so many were
/// inside; its report, and how many were by then.
async fn played_with_the_owner_killed(
    place: &Place,
    roles: &mut Roles,
    mix: &str,
    killed_at: u64,
) -> (Value, u64) {
    let dir = tempfile::tempdir().unwrap();
    let (commands, query) =
        (format!("{},{}", roles.commands[0].url(), roles.commands[1].url()), roles.query.url());
    let json = dir.path().join("rehearsal.json").display().to_string();
    let at =
        ["rehearse", "--commands", &commands, "--queries", &query, "--opening", OPENING, "--json", &json];
    let words: Vec<&str> = at.into_iter().chain(mix.split_whitespace()).collect();
    let mut rehearsal = Process::start(&words, &place.environment);
    let killed = when_so_many_were_inside(&roles.doors(OPENING), &mut rehearsal, killed_at).await;
    let owner = roles.owner(OPENING).await;
    roles.commands[owner].kill();
    let ended = rehearsal.ended_within(PATIENCE).await;
    assert_eq!(ended, Some(0), "{}", rehearsal.log());
    (report(&dir), killed)
}

async fn place_with_a_merchant() -> Place {
    let mut place = Place::new().await;
    place.environment.push(("USHER_AUTH__MERCHANT_KEY".to_owned(), MERCHANT_KEY.to_owned()));
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_whose_owner_is_killed_in_the_middle_loses_nobody() {
    let _alone = ALONE.lock().await;
    let place = place_with_a_merchant().await;
    let mut roles = Roles::start(&place, 2).await;
    let mix = "--visitors 600 --over 6 --rate 2400 --visit 2 --cut 5 --repeat 10";
    let (report, killed) = played_with_the_owner_killed(&place, &mut roles, mix, 200).await;
    all_held(&report, 600);
    assert!(report["verdict"]["source"].as_str().unwrap().contains(&place.topic));
    let after = report["verdict"]["totals"]["entered"].as_u64().unwrap();
    assert!(after > killed, "others entered after the owner was killed: {after} and {killed}");
}

/// What each seat is, by the log.
fn seats_by_the_log(events: &[Event]) -> BTreeMap<String, &'static str> {
    let mut seats = BTreeMap::new();
    let mut set = |ids: &[SeatId], state| {
        seats.extend(ids.iter().map(|id| (id.to_string(), state)));
    };
    for event in events {
        match event {
            Event::OpeningScheduled(event) => {
                let all = event.plans.values().flat_map(|plan| plan.seating.seats());
                set(&all.map(|seat| seat.seat_guid.clone()).collect::<Vec<_>>(), "free");
            }
            Event::SeatsHeld(event) => set(&event.seats, "held"),
            Event::HoldReleased(event) => set(&event.released.seats, "free"),
            Event::HoldsExpired(event) => {
                event.holds.iter().for_each(|hold| set(&hold.released.seats, "free"));
            }
            Event::VisitsEnded(event) => {
                let released = event.visits.iter().flat_map(|visit| &visit.released);
                released.for_each(|hold| set(&hold.seats, "free"));
            }
            Event::VisitorLeft(event) => event.released.iter().for_each(|hold| set(&hold.seats, "free")),
            Event::BookingConfirmed(event) => set(&event.seats, "booked"),
            Event::HoldSwapped(_) | Event::BookingCancelled(_) => panic!("nobody does it here: {event:?}"),
            _ => {}
        }
    }
    seats
}

/// Waits until nobody is inside any more, and no hold is live.
async fn everything_ran_out(doors: &Doors) -> Value {
    let begun = Instant::now();
    loop {
        let status = doors.query("", "").await.body;
        if status["inside"] == 0 && status["seats"]["held"] == 0 {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "a slot or a seat is lost: {status:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_visitors_share_a_thousand_seats_and_none_is_sold_twice_or_lost() {
    let _alone = ALONE.lock().await;
    let place = place_with_a_merchant().await;
    let mut roles = Roles::start(&place, 2).await;
    let mix = "--visitors 10000 --seats 1000 --over 20 --rate 20000 --capacity 800 --visit 2 \
               --pay-late 10 --no-pay 20 --cut 2 --repeat 5";
    let (report, killed) = played_with_the_owner_killed(&place, &mut roles, mix, 1_000).await;
    let verdict = &report["verdict"];
    assert_eq!(verdict["held"], true, "{verdict:#}");
    assert_eq!((&verdict["totals"]["joined"], &report["unfinished"]), (&10_000.into(), &0.into()));
    assert!(verdict["totals"]["entered"].as_u64().unwrap() > killed + 2_000, "{verdict:#}");

    let doors = roles.doors(OPENING);
    let status = everything_ran_out(&doors).await;
    let events = log::valid_events(&log::read_all(&roles.log, PARTITIONS).await);
    let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
    let late = count(|event| matches!(event, Event::BookingConfirmed(event) if event.late));
    let (refunds, expired) = (
        count(|event| matches!(event, Event::RefundDue(_))),
        count(|event| matches!(event, Event::HoldsExpired(_))),
    );
    println!("{late} booked late, {refunds} refunds due, {expired} times holds ran out: {}", status["seats"]);
    assert!(late + refunds > 0 && expired > 0, "payments came late");
    let by_the_log = seats_by_the_log(&events);
    let map = doors.query("/showings/showing-1/seats", "").await.body;
    let seats = map["seats"].as_array().unwrap().iter();
    let seen: BTreeMap<String, &str> = seats
        .map(|seat| (seat["seat"].as_str().unwrap().to_owned(), seat["state"].as_str().unwrap()))
        .collect();
    assert_eq!(seen.len(), 1_000);
    assert_eq!(seen, by_the_log, "every seat is what the log says");
    let many = |state| by_the_log.values().filter(|known| **known == state).count();
    assert_eq!(
        status["seats"],
        serde_json::json!({"free": many("free"), "held": 0, "booked": many("booked")})
    );
    assert_eq!(many("free") + many("booked"), 1_000);
}

#[tokio::test]
async fn without_a_log_to_read_there_is_no_verdict_and_without_a_key_no_rehearsal() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let key = ("USHER_AUTH__OPERATOR_KEY".to_owned(), OPERATOR_KEY.to_owned());
    let data = ("USHER_DATA__DIR".to_owned(), dir.path().display().to_string());
    let usher = Process::start(&["serve"], &[data, key.clone()]);
    usher.ready().await;
    let url = usher.url();
    let small =
        ["--visitors", "20", "--over", "4", "--visit", "1", "--no-show", "0", "--no-pay", "0", "--away", "0"];
    let arguments = [&["rehearse", "--url", &url][..], &small[..]].concat();
    let mut played = Process::start(&arguments, &[key]);
    assert_eq!(played.ended().await, Some(3), "{}", played.log());
    assert!(played.log().contains("Verdict: NOT GIVEN, as the log cannot be reached"), "{}", played.log());
    let mut refused = Process::start(&arguments, &[]);
    assert_eq!(refused.ended().await, Some(2));
    assert!(refused.log().contains("USHER_AUTH__OPERATOR_KEY"), "{}", refused.log());
}

/// Waits until so many visitors have been inside; how many have.
async fn when_so_many_were_inside(doors: &Doors, rehearsal: &mut Process, many: u64) -> u64 {
    let begun = Instant::now();
    loop {
        let status = doors.query("", "").await.body;
        let count = |what: &str| status[what].as_u64().unwrap_or(0);
        let entered = count("inside") + count("done") + count("left");
        if entered >= many {
            return entered;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody enters: {status:#} {}", rehearsal.log());
        assert!(rehearsal.runs(), "it ended too early: {}", rehearsal.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
