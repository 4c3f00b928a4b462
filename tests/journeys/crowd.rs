//! Visitors over HTTP: they join, enter, hold and book, and repeat what got
//! no definite answer with the same id.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use usher_events::ids::Ticket;
use uuid::Uuid;

use crate::process::OPERATOR_KEY;

/// How long one visitor tries before they are lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// Something that was acknowledged.
#[derive(Debug, Clone)]
pub(crate) enum Acknowledged {
    Joined(Ticket),
    Held { hold: Uuid, seat: String },
    Booked { booking: Uuid, seat: String },
}

/// An answer: the status and the body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The `Retry-After` header, in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn as_of(&self) -> String {
        self.body["as_of"].as_str().unwrap_or_default().to_owned()
    }
}

/// The way to an opening through one or more instances.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) client: Client,
    pub(crate) commands: Vec<String>,
    pub(crate) query: String,
    pub(crate) opening: String,
}

impl Doors {
    pub(crate) fn new(commands: Vec<String>, query: String, opening: &str) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(15)).build().unwrap();
        Self { client, commands, query, opening: opening.to_owned() }
    }

    /// One request, as it is; none when nobody answered.
    pub(crate) async fn once(
        &self,
        base: &str,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<Value>,
    ) -> Option<Answer> {
        let mut request = self.client.request(method, format!("{base}/v1/openings/{}{path}", self.opening));
        if !bearer.is_empty() {
            request = request.bearer_auth(bearer);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        Some(Answer { status, retry_after, body: answer.json().await.unwrap_or(Value::Null) })
    }

    /// A command, repeated until its answer is definite.
    pub(crate) async fn command(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<Value>,
    ) -> Answer {
        let begun = Instant::now();
        for turn in 0.. {
            let base = &self.commands[turn % self.commands.len()];
            match self.once(base, method.clone(), path, bearer, body.clone()).await {
                Some(answer) if answer.status < 500 => return answer,
                last => {
                    assert!(begun.elapsed() < PATIENCE, "{method} {path} got no definite answer: {last:?}")
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!()
    }

    pub(crate) async fn query(&self, path: &str, bearer: &str) -> Answer {
        self.once(&self.query, Method::GET, path, bearer, None).await.expect("queries are answered")
    }

    /// Waits until the views have what `as_of` names; how long that took.
    pub(crate) async fn caught_up(&self, as_of: &str) -> Duration {
        let begun = Instant::now();
        loop {
            let status = self.query(&format!("?after={as_of}"), "").await;
            if status.status == 200 {
                return begun.elapsed();
            }
            assert_eq!(status.status, 503, "{status:?}");
            assert!(begun.elapsed() < PATIENCE, "the views never have {as_of}: {status:?}");
        }
    }

    /// Schedules an opening that opens in two seconds, with `seats` seats.
    pub(crate) async fn schedule(&self, seats: usize, capacity: u32) -> Answer {
        let now = jiff::Timestamp::now();
        let rows: Vec<Value> = (0..seats)
            .map(|i| json!({"seat_guid": format!("S{i}"), "category": "All"}))
            .collect::<Vec<_>>()
            .chunks(20)
            .map(|row| json!({"seats": row}))
            .collect();
        let body = json!({
            "title": "A journey",
            "opens_at": (now + jiff::SignedDuration::from_secs(2)).to_string(),
            "closes_at": (now + jiff::SignedDuration::from_secs(3600)).to_string(),
            "policy": {"capacity": capacity, "payment": "none", "max_seats": 4, "stay_for_s": 600, "enter_within_s": 60},
            "plans": {"hall": {"name": "Hall", "categories": [{"name": "All"}], "zones": [{"rows": rows}]}},
            "showings": [{"showing": "evening", "title": "Evening", "starts_at": "2030-01-01T20:00:00Z", "plan": "hall"}],
        });
        let answer = self.command(Method::PUT, "", OPERATOR_KEY, Some(body)).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        answer
    }
}

/// A visitor with their secret.
pub(crate) struct Visitor {
    pub(crate) secret: String,
    pub(crate) ticket: Ticket,
}

impl Visitor {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self { secret: URL_SAFE_NO_PAD.encode(bytes), ticket: Ticket::of_secret(&bytes) }
    }

    pub(crate) async fn join(&self, doors: &Doors) -> Answer {
        doors.command(Method::PUT, &format!("/tickets/{}", self.ticket), "", Some(json!({}))).await
    }

    /// Waits for their turn and enters.
    pub(crate) async fn enter(&self, doors: &Doors) -> Answer {
        let begun = Instant::now();
        loop {
            let path = format!("/tickets/{}/entry", self.ticket);
            let answer = doors.command(Method::PUT, &path, &self.secret, None).await;
            if answer.status != 403 {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "the turn never came: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn hold(&self, doors: &Doors, hold: Uuid, seats: &[&str]) -> Answer {
        let body = json!({"showing": "evening", "seats": seats});
        doors.command(Method::PUT, &format!("/holds/{hold}"), &self.secret, Some(body)).await
    }

    pub(crate) async fn book(&self, doors: &Doors, booking: Uuid, hold: Uuid) -> Answer {
        let body = json!({"hold": hold, "payment_reference": "none"});
        doors.command(Method::PUT, &format!("/bookings/{booking}"), &self.secret, Some(body)).await
    }
}

/// Visitors that come and come, until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    pub(crate) count: Arc<AtomicU64>,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Starts `workers` that each play one visitor after the other over
    /// `seats` seats.
    pub(crate) fn start(doors: &Doors, workers: usize, seats: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (acknowledged, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let worker = |_| {
            let (doors, stop, acknowledged) = (doors.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let note = |what| {
                    acknowledged.lock().unwrap().push(what);
                    count.fetch_add(1, Ordering::Relaxed);
                };
                while !stop.load(Ordering::Relaxed) {
                    play(&doors, seats, &note).await;
                }
            })
        };
        let workers = (0..workers).map(worker).collect();
        Self { stop, acknowledged, count, workers }
    }

    /// Waits until `more` further things were acknowledged; how long it took.
    pub(crate) async fn go_on(&self, more: u64, within: Duration) -> Duration {
        let (begun, from) = (Instant::now(), self.count.load(Ordering::Relaxed));
        while self.count.load(Ordering::Relaxed) < from + more {
            assert!(begun.elapsed() < within, "nothing was acknowledged within {within:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    /// Ends the visits under way; all that was acknowledged.
    pub(crate) async fn stop(self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("a visitor got definite answers");
        }
        Arc::try_unwrap(self.acknowledged).unwrap().into_inner().unwrap()
    }
}

/// One visitor, from the queue to the booking.
async fn play(doors: &Doors, seats: usize, note: &impl Fn(Acknowledged)) {
    let visitor = Visitor::new();
    let joined = visitor.join(doors).await;
    assert!(matches!(joined.status, 200 | 201), "{joined:?}");
    note(Acknowledged::Joined(visitor.ticket));
    let entered = visitor.enter(doors).await;
    assert!(matches!(entered.status, 200 | 201), "{entered:?}");
    let (hold, booking) = (Uuid::new_v4(), Uuid::new_v4());
    for _ in 0..3 {
        let seat = format!("S{}", Uuid::new_v4().as_u128() % seats as u128);
        let held = visitor.hold(doors, hold, &[&seat]).await;
        match held.status {
            200 | 201 => {
                note(Acknowledged::Held { hold, seat: seat.clone() });
                let booked = visitor.book(doors, booking, hold).await;
                assert!(matches!(booked.status, 200 | 201), "{booked:?}");
                note(Acknowledged::Booked { booking, seat });
                return;
            }
            409 => {}
            _ => panic!("{held:?}"),
        }
    }
    let left = doors
        .command(Method::DELETE, &format!("/tickets/{}/entry", visitor.ticket), &visitor.secret, None)
        .await;
    assert_eq!(left.status, 200, "{left:?}");
}
