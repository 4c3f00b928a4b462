//! Webhooks to receivers that fail, are slow, are away, or answer twice: each
//! message comes at least once, in order, under one id, with a valid signature.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usher_events::ids::OpeningId;
use usher_projector::webhooks::{Courier, Manner, Outbox, Receiver};

use crate::history::Fact;
use crate::outbox::{Corner, SECRET, receivers};
use crate::stage::until;
use crate::told::*;

/// How a receiver answers its `nth` request, which has this id.
type Answers = Box<dyn Fn(usize, &str) -> Answer + Send + Sync>;

#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// Nothing, for longer than the courier waits.
    Nothing,
    /// Come again in so many seconds.
    Later(u16),
}

/// A shop as it listens to webhooks.
struct Shop {
    answers: Answers,
    /// The ids in the order in which they came, and when.
    came: Mutex<Vec<(String, Instant)>>,
    /// Those that it had taken.
    took: Mutex<Vec<String>>,
}

async fn hook(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> Response {
    Webhook::new(SECRET).unwrap().verify(&body, &headers).unwrap();
    assert_eq!(headers["content-type"], "application/cloudevents+json; charset=utf-8");
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    assert_eq!(event["id"], id);
    let nth = {
        let mut came = shop.came.lock().unwrap();
        came.push((id.clone(), Instant::now()));
        came.len() - 1
    };
    match (shop.answers)(nth, &id) {
        Answer::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            if status.is_success() {
                shop.took.lock().unwrap().push(id);
            }
            (status, "an answer").into_response()
        }
        Answer::Nothing => std::future::pending().await,
        Answer::Later(seconds) => {
            (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", seconds.to_string())]).into_response()
        }
    }
}

impl Shop {
    fn new(answers: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answers: Box::new(answers), came: Mutex::default(), took: Mutex::default() })
    }

    fn listen(self: &Arc<Self>, listener: TcpListener) -> JoinHandle<()> {
        let router = Router::new().fallback(hook).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
    }

    fn came(&self) -> Vec<String> {
        self.came.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    fn took(&self) -> Vec<String> {
        self.took.lock().unwrap().clone()
    }
}

fn manner() -> Manner {
    Manner {
        timeout: Duration::from_millis(300),
        back_off: (Duration::from_millis(10), Duration::from_secs(2)),
        refusals: 3,
        ..Manner::default()
    }
}

struct Couriers {
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Couriers {
    fn start(outbox: &Arc<dyn Outbox>, receivers: &Arc<Vec<Receiver>>, manner: Manner) -> Self {
        let stop = CancellationToken::new();
        let couriers = Courier::for_all(outbox, receivers, manner).unwrap();
        let running = couriers.into_iter().map(|courier| tokio::spawn(courier.run(stop.clone()))).collect();
        Self { stop, running }
    }

    async fn stop(self) {
        self.stop.cancel();
        for running in self.running {
            running.await.unwrap();
        }
    }
}

/// Two openings in each of which Ann holds, swaps and extends.
fn two_openings() -> Vec<Fact> {
    let events = || ann_holds().into_iter().chain([swapped(&["A2", "A3"]), extended(at(150))]);
    let other = OpeningId::new("matinee").unwrap();
    let others = events().map(|event| Fact::Happened(other.clone(), event));
    facts(events()).into_iter().chain(others).collect()
}

/// Each message once, in order, by opening.
fn expected() -> [Vec<String>; 2] {
    let ids = |opening: &str, offsets: [u32; 3]| {
        offsets.iter().map(|offset| format!("{opening}-{offset}-0")).collect()
    };
    [ids("premiere", [8, 9, 10]), ids("matinee", [18, 19, 20])]
}

/// By opening, without repeats of a message right after itself.
fn by_opening(ids: &[String]) -> [Vec<String>; 2] {
    ["premiere", "matinee"].map(|opening| {
        let mut ids: Vec<_> = ids.iter().filter(|id| id.starts_with(opening)).cloned().collect();
        ids.dedup();
        ids
    })
}

async fn waiting(outbox: &dyn Outbox) -> u64 {
    let mut waiting = 0;
    for id in ["premiere", "matinee"] {
        let lines = outbox.lines(&OpeningId::new(id).unwrap()).await.unwrap();
        waiting += lines.iter().map(|line| line.waiting).sum::<u64>();
    }
    waiting
}

async fn all_told(outbox: &dyn Outbox) {
    until("the last webhook", async || waiting(outbox).await == 0).await;
}

/// What `shop` got of two openings, over each outbox.
async fn told(shop: impl Fn() -> Arc<Shop>, manner: Manner) -> Vec<Arc<Shop>> {
    let mut shops = Vec::new();
    for corner in Corner::all().await {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receivers = receivers(&format!("http://{}/hook", listener.local_addr().unwrap()));
        let shop = shop();
        let listening = shop.listen(listener);
        let outbox = corner.open(&receivers).await;
        apply(&*outbox, &two_openings(), 4).await;
        let couriers = Couriers::start(&outbox, &receivers, manner);
        all_told(&*outbox).await;
        couriers.stop().await;
        listening.abort();
        corner.remove().await;
        shops.push(shop);
    }
    shops
}

#[tokio::test]
async fn a_receiver_that_is_well_gets_each_once_in_order() {
    for shop in told(|| Shop::new(|_, _| Answer::Status(204)), manner()).await {
        assert_eq!(by_opening(&shop.came()), expected());
        assert_eq!(shop.came().len(), 6);
    }
}

#[tokio::test]
async fn a_receiver_that_fails_gets_each_in_order_under_one_id() {
    let fails = |nth, _: &str| Answer::Status(if nth % 3 == 2 { 200 } else { 500 });
    for shop in told(|| Shop::new(fails), manner()).await {
        assert_eq!(by_opening(&shop.came()), expected());
        assert_eq!(by_opening(&shop.took()), expected());
        assert!(shop.came().len() >= 18);
    }
}

#[tokio::test]
async fn a_receiver_that_is_slow_gets_each_in_order() {
    let slow = |nth, _: &str| if nth % 2 == 0 { Answer::Nothing } else { Answer::Status(200) };
    for shop in told(|| Shop::new(slow), manner()).await {
        assert_eq!(by_opening(&shop.came()), expected());
        assert_eq!(by_opening(&shop.took()), expected());
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_each_in_order_when_it_is_back() {
    for corner in Corner::all().await {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let receivers = receivers(&format!("http://{address}/hook"));
        let outbox = corner.open(&receivers).await;
        apply(&*outbox, &two_openings(), 4).await;
        let couriers = Couriers::start(&outbox, &receivers, manner());
        let tried_twice = async || {
            let line = outbox.lines(&opening()).await.unwrap().pop().unwrap();
            line.next.is_some_and(|next| next.attempts >= 2 && next.fault.is_some())
        };
        until("two attempts", tried_twice).await;

        let shop = Shop::new(|_, _| Answer::Status(200));
        let listening = shop.listen(TcpListener::bind(address).await.unwrap());
        all_told(&*outbox).await;
        couriers.stop().await;
        listening.abort();
        assert_eq!(by_opening(&shop.took()), expected());
        assert_eq!(shop.came().len(), 6);
        corner.remove().await;
    }
}

/// Reads a request, and says its webhook's id.
async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
    loop {
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        if body.len() >= header("content-length: ").parse::<usize>().unwrap() {
            return Some(header("webhook-id: "));
        }
    }
}

#[tokio::test]
async fn a_receiver_that_answers_twice_gets_each_in_order() {
    for corner in Corner::all().await {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receivers = receivers(&format!("http://{}/hook", listener.local_addr().unwrap()));
        let came = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&came);
        let listening = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    while let Some(id) = read_request(&mut stream).await {
                        noted.lock().unwrap().push(id);
                        let twice = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(2);
                        drop(stream.write_all(twice.as_bytes()).await);
                    }
                });
            }
        });
        let outbox = corner.open(&receivers).await;
        apply(&*outbox, &two_openings(), 4).await;
        let couriers = Couriers::start(&outbox, &receivers, manner());
        all_told(&*outbox).await;
        couriers.stop().await;
        listening.abort();
        assert_eq!(by_opening(&came.lock().unwrap()), expected());
        corner.remove().await;
    }
}

#[tokio::test]
async fn a_message_that_is_refused_three_times_is_a_dead_letter_and_the_others_pass() {
    for corner in Corner::all().await {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receivers = receivers(&format!("http://{}/hook", listener.local_addr().unwrap()));
        let answers = Arc::new(Mutex::new(400));
        let asked = Arc::clone(&answers);
        let shop = Shop::new(move |_, id| {
            Answer::Status(if id == "premiere-9-0" { *asked.lock().unwrap() } else { 200 })
        });
        let listening = shop.listen(listener);
        let outbox = corner.open(&receivers).await;
        apply(&*outbox, &two_openings(), 4).await;
        let couriers = Couriers::start(&outbox, &receivers, manner());
        all_told(&*outbox).await;
        let [mut premiere, matinee] = expected();
        assert_eq!(by_opening(&shop.came()), [premiere.clone(), matinee.clone()]);
        assert_eq!(shop.came().iter().filter(|id| **id == "premiere-9-0").count(), 3);
        let line = outbox.lines(&opening()).await.unwrap().pop().unwrap();
        assert_eq!((line.dead_count, line.dead[0].refusals), (1, 3));
        assert_eq!(line.dead[0].fault.as_deref(), Some("answered 400 Bad Request"));

        *answers.lock().unwrap() = 200;
        assert_eq!(outbox.redrive("shop", &opening()).await.unwrap(), 1);
        all_told(&*outbox).await;
        couriers.stop().await;
        listening.abort();
        let refused = premiere.remove(1);
        premiere.push(refused);
        assert_eq!(by_opening(&shop.took()), [premiere, matinee]);
        corner.remove().await;
    }
}

#[tokio::test]
async fn a_message_that_waited_too_long_is_a_dead_letter_however_it_fails() {
    let corner = Corner::File(tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receivers = receivers(&format!("http://{}/hook", listener.local_addr().unwrap()));
    let shop = Shop::new(|_, _| Answer::Status(503));
    let listening = shop.listen(listener);
    let outbox = corner.open(&receivers).await;
    apply(&*outbox, &two_openings(), 4).await;
    // Redriven, they wait since now.
    let give_up_after = Duration::from_millis(100);
    for line in outbox.take("shop", 9, Duration::ZERO).await.unwrap() {
        for message in outbox.next(&line, 9).await.unwrap() {
            let failure = usher_projector::webhooks::Failure { fault: "x".into(), refused: false };
            outbox.bury(&line, &message, &failure, Duration::ZERO).await.unwrap();
        }
        outbox.give_back(&line).await.unwrap();
        assert_eq!(outbox.redrive("shop", &line.opening).await.unwrap(), 3);
    }
    let couriers = Couriers::start(&outbox, &receivers, Manner { give_up_after, ..manner() });
    all_told(&*outbox).await;
    couriers.stop().await;
    listening.abort();
    let line = outbox.lines(&opening()).await.unwrap().pop().unwrap();
    assert_eq!((line.dead_count, line.dead[0].refusals), (3, 0));
    assert_eq!(by_opening(&shop.came()), expected());
}

#[tokio::test]
async fn a_receiver_that_says_when_to_come_again_is_left_alone_until_then() {
    let later = |nth, _: &str| if nth == 0 { Answer::Later(1) } else { Answer::Status(200) };
    for shop in told(|| Shop::new(later), manner()).await {
        let came = shop.came.lock().unwrap().clone();
        let (first, at) = &came[0];
        let again = came[1..].iter().find(|(id, _)| id == first).unwrap();
        assert!(again.1 - *at >= Duration::from_secs(1), "{:?}", again.1 - *at);
        assert_eq!(by_opening(&shop.took()), expected());
    }
}

#[tokio::test]
async fn two_instances_tell_a_receiver_in_order_and_each_once() {
    let corner = Corner::Database(crate::servers::PostgresDatabase::new().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receivers = receivers(&format!("http://{}/hook", listener.local_addr().unwrap()));
    let shop = Shop::new(|_, _| Answer::Status(200));
    let listening = shop.listen(listener);
    let (one, two) = (corner.open(&receivers).await, corner.open(&receivers).await);
    let couriers = [&one, &two].map(|outbox| Couriers::start(outbox, &receivers, manner()));
    apply(&*one, &two_openings(), 1).await;
    all_told(&*one).await;
    for courier in couriers {
        courier.stop().await;
    }
    listening.abort();
    assert_eq!(by_opening(&shop.came()), expected());
    assert_eq!(shop.came().len(), 6);
    corner.remove().await;
}
