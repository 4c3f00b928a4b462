//! The contract of the log port, on Kafka.

use std::sync::{Arc, Mutex};

use usher_events::log::Log;

use super::contract;
use super::place::Place;

/// How many logs the suite asks for.
const LOGS: usize = 6;

#[tokio::test]
async fn the_kafka_log_keeps_the_contract() {
    let mut places = Vec::new();
    for _ in 0..LOGS {
        places.push(Place::new(2).await);
    }
    let places = Mutex::new(places);
    contract::suite(&|| {
        let place = places.lock().unwrap().pop().expect("the suite asks for no more logs than it did");
        Box::new(move || place.log() as Arc<dyn Log>)
    })
    .await;
}
