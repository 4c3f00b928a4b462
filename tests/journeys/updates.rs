//! Server-sent events over the servers: told by one process of what another
//! one projected.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::ALONE;
use crate::crowd::{Doors, Visitor};
use crate::roles::Roles;
use crate::servers::Place;

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One who listens.
struct Listener {
    answer: reqwest::Response,
    text: String,
    /// The id of the last event.
    id: String,
}

impl Listener {
    async fn new(doors: &Doors, seen: Option<&str>) -> Self {
        let url = format!("{}/v1/openings/{}/updates?showing=evening", doors.query, doors.opening);
        let mut request = reqwest::Client::new().get(url);
        if let Some(seen) = seen {
            request = request.header("last-event-id", seen);
        }
        let answer = request.send().await.expect("the query answers");
        assert_eq!(answer.status(), 200);
        Self { answer, text: String::new(), id: String::new() }
    }

    /// The name and the data of the next event.
    async fn next(&mut self) -> (String, Value) {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, name, data) = (field("id: "), field("event: "), field("data: "));
                self.text = rest.to_owned();
                if let (Some(id), Some(name), Some(data)) = (id, name, data) {
                    self.id = id;
                    return (name, serde_json::from_str(&data).unwrap());
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("something is told");
            self.text += std::str::from_utf8(&chunk.unwrap().expect("the connection is open")).unwrap();
        }
    }

    /// The data of the first event of this name that is as wanted; no reset
    /// comes before it, unless that is what is wanted.
    async fn until(&mut self, wanted: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next().await;
            if name == wanted && is_it(&data) {
                return data;
            }
            assert_ne!(name, "reset", "before {wanted}");
        }
    }
}

fn one_seat_is(state: &str) -> impl Fn(&Value) -> bool {
    move |data| data["seats"].as_array().is_some_and(|seats| seats.iter().any(|seat| seat["state"] == state))
}

#[tokio::test]
async fn changes_are_told_over_the_servers_and_gone_on_with_by_an_instance_that_began_anew() {
    let _alone = ALONE.lock().await;
    let place = Place::new().await;
    let mut roles = Roles::start(&place, 1).await;
    let doors = roles.doors("journey");
    let scheduled = doors.schedule(40, 10).await;
    doors.caught_up(&scheduled.as_of()).await;
    let mut listener = Listener::new(&doors, None).await;
    listener.until("status", |status| status["state"] == "scheduled").await;
    listener.until("seats", |seats| seats["version"] == 0).await;

    let visitor = Visitor::new();
    visitor.join(&doors).await;
    visitor.enter(&doors).await;
    listener.until("status", |status| status["inside"] == 1).await;
    let hold = Uuid::new_v4();
    visitor.hold(&doors, hold, &["S7"]).await;
    let held = listener.until("seats", one_seat_is("held")).await;
    assert_eq!((held["since"].as_u64(), held["version"].as_u64()), (Some(0), Some(1)));
    listener.until("status", |status| status["seats"]["held"] == 1).await;

    roles.query.kill_and_restart();
    roles.query.ready().await;
    let mut listener = Listener::new(&doors, Some(&listener.id)).await;
    visitor.book(&doors, Uuid::new_v4(), hold).await;
    let booked = listener.until("seats", one_seat_is("booked")).await;
    assert_eq!((booked["since"].as_u64(), booked["version"].as_u64()), (Some(1), Some(2)));
    listener.until("status", |status| status["done"] == 1).await;

    roles.query.stop().await;
}
