//! Visitors who say that they are there when they were told to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use usher_events::ids::Ticket;

use crate::lane::Lane;
use crate::server::Server;

/// How often the calendar is looked at: as long as an instance collects.
const TURN: Duration = Duration::from_millis(50);
/// As many as an instance sends together.
const TOGETHER: usize = 256;
/// Connections of those who each send a request of their own.
const LANES: usize = 64;
/// Joins on their way on one connection.
const JOINS: usize = 64;
/// In how many turns everybody says something for the first time.
const LEARN_TURNS: u64 = 600;

/// How heartbeats come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Many in one request, as instances send them on.
    Together,
    /// Each in a request of its own.
    Alone,
}

/// What came of a time of heartbeats.
#[derive(Debug, Default)]
pub(crate) struct Paced {
    pub(crate) heard: u64,
    pub(crate) failed: u64,
    pub(crate) lasted: Duration,
}

pub(crate) struct Crowd {
    secrets: Arc<Vec<[u8; 43]>>,
    /// Who is due in each turn from now on.
    calendar: VecDeque<Vec<u32>>,
    /// How often somebody was told to be away.
    pub(crate) away: u64,
}

/// What each of some visitors was told: when to come again, if they were heard.
type Told = Vec<(u32, Option<(u64, bool)>)>;

fn secret_of(visitor: u32) -> [u8; 32] {
    *blake3::hash(&visitor.to_be_bytes()).as_bytes()
}

impl Crowd {
    /// So many visitors get in line.
    pub(crate) async fn join(server: &Server, visitors: u32) -> Self {
        let text = |visitor| -> [u8; 43] {
            URL_SAFE_NO_PAD.encode(secret_of(visitor)).into_bytes().try_into().unwrap()
        };
        let next = Arc::new(AtomicU64::new(0));
        let lanes = (0..LANES / 4).map(|_| {
            let (next, address) = (Arc::clone(&next), server.address.clone());
            tokio::spawn(async move {
                let mut lane = Lane::to(&address).await;
                loop {
                    let first = next.fetch_add(JOINS as u64, Ordering::Relaxed);
                    let last = (first + JOINS as u64).min(visitors.into());
                    if first >= last {
                        return;
                    }
                    let mut requests = Vec::new();
                    for visitor in first..last {
                        let ticket = Ticket::of_secret(&secret_of(u32::try_from(visitor).unwrap()));
                        let head = format!(
                            "PUT /v1/openings/crowd/tickets/{ticket} HTTP/1.1\r\nhost: usher\r\ncontent-length: 0\r\n\r\n"
                        );
                        requests.extend_from_slice(head.as_bytes());
                    }
                    for answer in lane.exchange(&requests, usize::try_from(last - first).unwrap()).await {
                        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
                    }
                }
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            lane.await.unwrap();
        }
        let secrets = Arc::new((0..visitors).map(text).collect());
        Self { secrets, calendar: VecDeque::new(), away: 0 }
    }

    /// Everybody hears how often to come, and comes at some time of that.
    pub(crate) async fn learn(&mut self, server: &Server, way: Way) {
        self.calendar = (0..LEARN_TURNS).map(|_| Vec::new()).collect();
        for visitor in 0..u32::try_from(self.secrets.len()).unwrap() {
            let turn = u64::from(visitor) * LEARN_TURNS / self.secrets.len() as u64;
            self.calendar[usize::try_from(turn).unwrap()].push(visitor);
        }
        let turns = u32::try_from(LEARN_TURNS).unwrap();
        self.run(server, way, TURN * turns, true).await;
    }

    /// Everybody comes when they were told to, for so long.
    pub(crate) async fn beat(&mut self, server: &Server, way: Way, lasts: Duration) -> Paced {
        self.run(server, way, lasts, false).await
    }

    async fn run(&mut self, server: &Server, way: Way, lasts: Duration, first: bool) -> Paced {
        let sender = Sender::new(server, Arc::clone(&self.secrets)).await;
        let (tell, mut told) = mpsc::unbounded_channel::<Told>();
        let (begun, mut paced) = (Instant::now(), Paced::default());
        let mut turns = tokio::time::interval(TURN);
        while begun.elapsed() < lasts {
            turns.tick().await;
            let due = self.calendar.pop_front().unwrap_or_default();
            sender.send(way, due, &tell);
            while let Ok(some) = told.try_recv() {
                self.note(some, first, &mut paced);
            }
        }
        paced.lasted = begun.elapsed();
        drop(tell);
        while let Some(some) = told.recv().await {
            self.note(some, first, &mut paced);
        }
        paced
    }

    fn note(&mut self, told: Told, first: bool, paced: &mut Paced) {
        for (visitor, told) in told {
            let Some((next_in_s, away)) = told else {
                paced.failed += 1;
                continue;
            };
            paced.heard += 1;
            self.away += u64::from(away);
            let turns = next_in_s * 20;
            // The first time spreads them over the interval, as they would be.
            let at = if first { rand::random::<u64>() % turns } else { turns };
            let at = usize::try_from(at).unwrap();
            while self.calendar.len() <= at {
                self.calendar.push_back(Vec::new());
            }
            self.calendar[at].push(visitor);
        }
    }

    /// As many as go, for so long; how many were answered.
    pub(crate) async fn hammer(&self, server: &Server, lasts: Duration) -> u64 {
        let (begun, answered) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let lanes = (0..LANES).map(|lane| {
            let (secrets, address) = (Arc::clone(&self.secrets), server.address.clone());
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut connection = Lane::to(&address).await;
                let mut visitor = lane;
                while begun.elapsed() < lasts {
                    visitor = (visitor + LANES) % secrets.len();
                    let request = heartbeat(&secrets, u32::try_from(visitor).unwrap());
                    let answer = connection.exchange(&request, 1).await.remove(0);
                    assert_eq!(answer.status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            lane.await.unwrap();
        }
        answered.load(Ordering::Relaxed)
    }
}

fn heartbeat(secrets: &[[u8; 43]], visitor: u32) -> Vec<u8> {
    let secret = std::str::from_utf8(&secrets[visitor as usize]).unwrap();
    let ticket = Ticket::of_secret(&secret_of(visitor));
    format!(
        "POST /v1/openings/crowd/tickets/{ticket}/presence HTTP/1.1\r\nhost: usher\r\n\
         authorization: Bearer {secret}\r\ncontent-length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn told(answer: &Value) -> Option<(u64, bool)> {
    Some((answer["next_in_s"].as_u64()?, answer["state"] == "away"))
}

/// The ways to the server.
struct Sender {
    url: String,
    secrets: Arc<Vec<[u8; 43]>>,
    together: Client<HttpConnector, Full<Bytes>>,
    lanes: Vec<Arc<Mutex<Lane>>>,
}

impl Sender {
    async fn new(server: &Server, secrets: Arc<Vec<[u8; 43]>>) -> Self {
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            lanes.push(Arc::new(Mutex::new(Lane::to(&server.address).await)));
        }
        let together = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { url: format!("http://{}/v1/heartbeats", server.address), secrets, together, lanes }
    }

    fn send(&self, way: Way, due: Vec<u32>, tell: &mpsc::UnboundedSender<Told>) {
        match way {
            Way::Together => due.chunks(TOGETHER).for_each(|some| self.send_together(some, tell.clone())),
            Way::Alone => {
                for (lane, some) in self.lanes.iter().zip(due.chunks(due.len() / LANES + 1)) {
                    let (lane, secrets) = (Arc::clone(lane), Arc::clone(&self.secrets));
                    let (some, tell) = (some.to_vec(), tell.clone());
                    tokio::spawn(async move {
                        let mut lane = lane.lock().await;
                        for visitor in some {
                            let answer = lane.exchange(&heartbeat(&secrets, visitor), 1).await.remove(0);
                            let answer = serde_json::from_slice(&answer.body).unwrap();
                            drop(tell.send(vec![(visitor, told(&answer))]));
                        }
                    });
                }
            }
        }
    }

    fn send_together(&self, some: &[u32], tell: mpsc::UnboundedSender<Told>) {
        let secret = |visitor: &u32| std::str::from_utf8(&self.secrets[*visitor as usize]).unwrap();
        let heartbeat = |visitor| json!({"opening": "crowd", "secret": secret(visitor)});
        let body = json!({"heartbeats": some.iter().map(heartbeat).collect::<Vec<_>>()}).to_string();
        let request = hyper::Request::post(&self.url).header("content-type", "application/json");
        let asked = self.together.request(request.body(Full::new(Bytes::from(body))).unwrap());
        let some = some.to_vec();
        tokio::spawn(async move {
            let body = asked.await.unwrap().into_body().collect().await.unwrap().to_bytes();
            let answers: Value = serde_json::from_slice(&body).unwrap();
            let answers = answers["answers"].as_array().unwrap().iter().map(told);
            drop(tell.send(some.into_iter().zip(answers).collect()));
        });
    }
}
