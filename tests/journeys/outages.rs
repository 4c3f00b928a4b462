//! Servers that are away, at the start or later: said clearly, and healed.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::ALONE;
use crate::crowd::Visitor;
use crate::process::Process;
use crate::roles::Roles;
use crate::servers::{Place, Stack};

/// How long a role may take to notice.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// Waits until the process says of `part` what is `wanted`.
async fn says(process: &Process, part: &str, well: bool) {
    let begun = Instant::now();
    loop {
        let ready = process.readiness().await;
        let state =
            ready.as_ref().map(|ready| ready["parts"][part].is_null() && ready["parts"].get(part).is_some());
        if state == Some(well) {
            return;
        }
        assert!(
            begun.elapsed() < NOTICED_WITHIN,
            "{part} well: {well}, but it says {ready:?}: {}",
            process.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn servers_that_go_away_are_named_and_waited_for() {
    let _alone = ALONE.lock().await;
    let stack = Stack::up(1);
    let place = Place::on(&stack.addresses).await;
    let roles = Roles::start(&place, 1).await;
    let doors = roles.doors("journey");
    doors.schedule(40, 10).await;

    stack.call(&["service", "stop", "redis"]);
    says(&roles.query, "redis", false).await;
    says(&roles.projector, "redis", false).await;
    let away = doors.query("", "").await;
    assert_eq!((away.status, &away.body["type"]), (503, &"urn:usher:problem:view-unavailable".into()));
    let joined = Visitor::new().join(&doors).await;
    assert_eq!(joined.status, 201, "commands need no view");
    stack.call(&["service", "start", "redis"]);
    says(&roles.query, "redis", true).await;

    stack.call(&["service", "stop", "postgres"]);
    says(&roles.projector, "postgres", false).await;
    says(&roles.query, "postgres", false).await;
    stack.call(&["service", "start", "postgres"]);
    says(&roles.query, "postgres", true).await;
    let caught_up = doors.query(&format!("?after={}", joined.as_of()), "").await;
    assert_eq!(caught_up.status, 200, "{caught_up:?}: {}", roles.projector.log());

    stack.call(&["service", "kill", "kafka-1"]);
    says(&roles.commands[0], "kafka", false).await;
    let path = format!("/tickets/{}", Visitor::new().ticket);
    let refused = doors.once(&doors.commands[0], Method::PUT, &path, "", Some(json!({}))).await.unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.retry_after, refused.body["retry_after_s"].as_u64());
    assert!(refused.body["retry_after_s"].as_u64().is_some_and(|seconds| seconds > 0), "{refused:?}");
    stack.call(&["service", "start", "kafka-1"]);
    says(&roles.commands[0], "kafka", true).await;
    let visitor = Visitor::new();
    let joined = visitor.join(&doors).await;
    assert_eq!(joined.status, 201);
    let begun = Instant::now();
    loop {
        let seen = doors.query(&format!("/tickets/{}?after={}", visitor.ticket, joined.as_of()), "").await;
        if seen.status == 200 {
            break;
        }
        assert!(begun.elapsed() < NOTICED_WITHIN, "{seen:?}: {}", roles.projector.log());
    }
    // Each outage is told where it is seen, not by each partition or caller.
    for (process, part) in
        [(&roles.query, "redis"), (&roles.query, "postgres"), (&roles.commands[0], "kafka")]
    {
        let log = process.log();
        let told = |what: &str| log.lines().filter(|line| line.contains(what) && line.contains(part)).count();
        let (away, reached) = (told("cannot be reached; trying on"), told("reached part"));
        // A loaded machine may be slow to answer once more.
        assert!((1..=3).contains(&away) && (2..=4).contains(&reached), "{part}: {log}");
    }
    for process in roles.commands.iter().chain([&roles.projector, &roles.query]) {
        let log = process.log();
        let faults = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).count();
        assert!(faults < 40, "{faults} warnings of three outages: {log}");
    }
}

#[tokio::test]
async fn roles_that_start_before_their_servers_wait_for_them() {
    let _alone = ALONE.lock().await;
    let stack = Stack::up(1);
    let place = Place::on(&stack.addresses).await;
    for server in ["redis", "postgres"] {
        stack.call(&["service", "stop", server]);
    }
    stack.call(&["service", "kill", "kafka-1"]);
    let start = |role: &str| Process::start(&[role], &place.environment);
    let (command, projector, query) = (start("command"), start("projector"), start("query"));
    says(&command, "kafka", false).await;
    says(&projector, "redis", false).await;
    says(&query, "postgres", false).await;
    for server in ["redis", "postgres", "kafka-1"] {
        stack.call(&["service", "start", server]);
    }
    let mut migrate = Process::start(&["migrate"], &place.environment);
    assert_eq!(migrate.ended().await, Some(0), "{}", migrate.log());
    for process in [&command, &projector, &query] {
        process.ready().await;
    }
}
