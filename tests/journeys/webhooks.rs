//! Webhooks from the real binary: nothing that happened is left out, whoever
//! is killed and whatever the shop answers.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use usher_events::log::embedded::EmbeddedLog;

use crate::crowd::{Doors, Load};
use crate::process::{OPERATOR_KEY, Process};
use crate::roles::Roles;
use crate::servers::Place;
use crate::shop::{Shop, expected};
use crate::{ALONE, log};

/// How long the last webhooks may take: a lease of a courier that was killed
/// is over by then.
const ALL_WITHIN: Duration = Duration::from_secs(90);

async fn operator(method: reqwest::Method, url: &str, key: &str) -> (u16, serde_json::Value) {
    let answer = reqwest::Client::new().request(method, url).bearer_auth(key).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_told_everything_in_order_by_a_process_that_is_killed() {
    let _alone = ALONE.lock().await;
    let (dir, shop) = (tempfile::tempdir().unwrap(), Shop::open().await);
    let settings = [
        ("USHER_DATA__DIR", dir.path().display().to_string()),
        ("USHER_LOG__PARTITIONS", "4".to_owned()),
        ("USHER_AUTH__OPERATOR_KEY", OPERATOR_KEY.to_owned()),
    ];
    let mut environment = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
    environment.push(shop.setting());
    let mut usher = Process::start(&["serve"], &environment);
    usher.ready().await;
    let doors = Doors::new(vec![usher.url()], usher.url(), "journey");
    doors.schedule(2_000, 200).await;
    let load = Load::start(&doors, 8, 2_000);
    for answer in [500, 200, 503] {
        shop.answer.store(answer, Ordering::Relaxed);
        load.go_on(100, Duration::from_secs(60)).await;
        usher.kill_and_restart();
    }
    usher.ready().await;
    load.stop().await;
    shop.answer.store(200, Ordering::Relaxed);
    // All that was told is in the log: it is told when it can be read there.
    let begun = Instant::now();
    let url = format!("{}/v1/openings/journey/webhooks", usher.url());
    loop {
        let (status, lines) = operator(reqwest::Method::GET, &url, OPERATOR_KEY).await;
        assert_eq!((status, &lines["receivers"][0]["dead_count"]), (200, &json!(0)));
        if lines["receivers"][0]["waiting"] == 0 {
            break;
        }
        assert!(begun.elapsed() < ALL_WITHIN, "{lines}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    usher.stop().await;
    let reopened = EmbeddedLog::open(&dir.path().join("log.redb"), 4).unwrap();
    let events = log::valid_events(&log::read_all(&reopened, 4).await);
    shop.took_all("journey", &expected(&events), Duration::ZERO).await;
    assert!(shop.took("journey").len() > 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_is_told_everything_in_order_by_projectors_that_are_killed() {
    let _alone = ALONE.lock().await;
    let (mut place, shop) = (Place::new().await, Shop::open().await);
    place.environment.push(shop.setting());
    let mut roles = Roles::start(&place, 1).await;
    let mut other = Process::start(&["projector"], &place.environment);
    other.ready().await;
    let doors = roles.doors("journey");
    doors.schedule(1_000, 100).await;
    let load = Load::start(&doors, 8, 1_000);
    for answer in [200, 500] {
        shop.answer.store(answer, Ordering::Relaxed);
        for projector in [&mut roles.projector, &mut other] {
            load.go_on(40, Duration::from_secs(60)).await;
            projector.kill_and_restart();
        }
    }
    load.stop().await;
    shop.answer.store(200, Ordering::Relaxed);
    let events = log::valid_events(&log::read_all(&roles.log, 4).await);
    shop.took_all("journey", &expected(&events), ALL_WITHIN).await;
}

#[tokio::test]
async fn an_operator_sees_a_dead_letter_and_has_it_sent_again() {
    let _alone = ALONE.lock().await;
    let (mut place, shop) = (Place::new().await, Shop::open().await);
    place.environment.extend([shop.setting(), ("USHER_WEBHOOKS__REFUSALS".to_owned(), "1".to_owned())]);
    let roles = Roles::start(&place, 1).await;
    shop.answer.store(400, Ordering::Relaxed);
    crate::roles::whole_journey(&roles.doors("journey")).await;
    let url = format!("{}/v1/openings/journey/webhooks", roles.projector.url());
    let begun = Instant::now();
    let dead = loop {
        let (status, lines) = operator(reqwest::Method::GET, &url, OPERATOR_KEY).await;
        assert_eq!(status, 200, "{lines}");
        if lines["receivers"][0]["dead_count"] == 2 {
            break lines["receivers"][0]["dead"].clone();
        }
        assert!(begun.elapsed() < ALL_WITHIN, "{lines}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&dead[0]["type"], &dead[1]["type"]), (&json!("seats.held"), &json!("booking.confirmed")));
    assert_eq!(dead[0]["fault"], "answered 400 Bad Request");
    assert!(roles.projector.log().contains("a webhook is a dead letter"), "{}", roles.projector.log());

    shop.answer.store(200, Ordering::Relaxed);
    let post = reqwest::Method::POST;
    let (status, _) =
        operator(post.clone(), &format!("{url}/shop/redrive"), "somebody-somebody-somebody-some").await;
    assert_eq!(status, 401);
    let (status, _) = operator(post.clone(), &format!("{url}/nobody/redrive"), OPERATOR_KEY).await;
    assert_eq!(status, 404);
    let (status, redriven) = operator(post, &format!("{url}/shop/redrive"), OPERATOR_KEY).await;
    assert_eq!((status, redriven), (200, json!({"redriven": 2})));
    let events = log::valid_events(&log::read_all(&roles.log, 4).await);
    shop.took_all("journey", &expected(&events), ALL_WITHIN).await;
}
