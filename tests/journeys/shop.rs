//! A merchant's shop, as webhooks reach it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use usher_events::event::Event;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Listens to webhooks, and answers each as it is told to.
pub(crate) struct Shop {
    pub(crate) answer: AtomicU16,
    took: Mutex<Vec<Value>>,
    url: String,
}

async fn hook(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    Webhook::new(SECRET).unwrap().verify(&body, &headers).expect("the signature is valid");
    let answer = StatusCode::from_u16(shop.answer.load(Ordering::Relaxed)).unwrap();
    if answer.is_success() {
        shop.took.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    }
    answer
}

impl Shop {
    pub(crate) async fn open() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let shop = Arc::new(Self { answer: AtomicU16::new(200), took: Mutex::default(), url });
        let router = Router::new().fallback(hook).with_state(Arc::clone(&shop));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        shop
    }

    /// The setting that has it told.
    pub(crate) fn setting(&self) -> (String, String) {
        let receiver = format!("[{{name = \"shop\", url = \"{}\", secrets = [\"{SECRET}\"]}}]", self.url);
        ("USHER_WEBHOOKS__RECEIVERS".to_owned(), receiver)
    }

    /// What it took of an opening, each once: type and subject.
    pub(crate) fn took(&self, opening: &str) -> Vec<(String, String)> {
        let (mut seen, mut took) = (HashSet::new(), Vec::new());
        for event in &*self.took.lock().unwrap() {
            let text = |field: &str| event[field].as_str().unwrap().to_owned();
            if event["data"]["opening"] == opening && seen.insert(text("id")) {
                took.push((text("type"), text("subject")));
            }
        }
        took
    }

    /// Waits until it took exactly `expected` of an opening, in this order.
    pub(crate) async fn took_all(&self, opening: &str, expected: &[(String, String)], within: Duration) {
        let begun = Instant::now();
        while self.took(opening).len() < expected.len() {
            let count = self.took(opening).len();
            assert!(begun.elapsed() < within, "only {count} of {} webhooks came", expected.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.took(opening), expected);
    }
}

/// What is to be told of holds and bookings that visitors of a load make.
pub(crate) fn expected(events: &[Event]) -> Vec<(String, String)> {
    let told = events.iter().filter_map(|event| match event {
        Event::SeatsHeld(event) => Some(("seats.held", format!("holds/{}", event.hold))),
        Event::BookingConfirmed(event) => Some(("booking.confirmed", format!("bookings/{}", event.booking))),
        Event::HoldReleased(_) | Event::HoldsExpired(_) | Event::RefundDue(_) => {
            panic!("no load does it: {event:?}")
        }
        _ => None,
    });
    told.map(|(kind, subject)| (kind.to_owned(), subject)).collect()
}
