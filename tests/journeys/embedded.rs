//! One process, no servers.

use std::time::Duration;

use reqwest::Method;
use usher_events::log::embedded::EmbeddedLog;
use uuid::Uuid;

use crate::crowd::{Doors, Load, Visitor};
use crate::process::{OPERATOR_KEY, Process};
use crate::{ALONE, log};

fn environment(dir: &tempfile::TempDir) -> Vec<(String, String)> {
    let settings = [
        ("USHER_DATA__DIR", dir.path().display().to_string()),
        ("USHER_LOG__PARTITIONS", "4".to_owned()),
        ("USHER_AUTH__OPERATOR_KEY", OPERATOR_KEY.to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

#[tokio::test]
async fn from_the_lobby_to_the_booking_in_one_process() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut usher = Process::start(&["serve", "--sample"], &environment(&dir));
    usher.ready().await;
    let doors = Doors::new(vec![usher.url()], usher.url(), "journey");
    crate::roles::whole_journey(&doors).await;
    let sample = Doors { opening: "concert".to_owned(), ..doors.clone() };
    assert_eq!(sample.query("", "").await.body["seats"]["free"], 974);
    usher.stop().await;
    assert!(usher.log().contains("stopped: everything that was answered is in the log"), "{}", usher.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_ten_times() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut usher = Process::start(&["serve"], &environment(&dir));
    usher.ready().await;
    let doors = Doors::new(vec![usher.url()], usher.url(), "journey");
    doors.schedule(2_000, 200).await;
    let load = Load::start(&doors, 16, 2_000);
    for _ in 0..10 {
        load.go_on(150, Duration::from_secs(60)).await;
        usher.kill_and_restart();
    }
    usher.ready().await;
    load.go_on(150, Duration::from_secs(60)).await;
    let acknowledged = load.stop().await;
    let visitor = Visitor::new();
    let as_of = visitor.join(&doors).await.as_of();
    let status = doors.query(&format!("?after={as_of}"), "").await;
    let booked =
        acknowledged.iter().filter(|what| matches!(what, crate::crowd::Acknowledged::Booked { .. })).count();
    assert!(status.body["seats"]["booked"].as_u64().unwrap() >= booked as u64, "{status:?}");
    usher.stop().await;

    let reopened = EmbeddedLog::open(&dir.path().join("log.redb"), 4).unwrap();
    let events = log::valid_events(&log::read_all(&reopened, 4).await);
    log::check(&events, &acknowledged);
    println!("killed 10 times: {} acknowledged, none lost", acknowledged.len());
}

#[tokio::test]
async fn a_directory_serves_one_process_and_the_second_says_so() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let first = Process::start(&["serve"], &environment(&dir));
    first.ready().await;
    let mut second = Process::start(&["serve"], &environment(&dir));
    assert_eq!(second.ended().await, Some(1));
    let said = second.log();
    assert!(said.contains("another process has") && said.lines().count() == 1, "{said}");
    let doors = Doors::new(vec![first.url()], first.url(), "journey");
    let hold = format!("/holds/{}", Uuid::new_v4());
    let unknown = doors.once(&first.url(), Method::PUT, &hold, &Visitor::new().secret, None).await.unwrap();
    assert_eq!(unknown.status, 422, "the first one still answers: {unknown:?}");
}
