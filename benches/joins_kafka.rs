//! Joins decided and durable on Kafka, against a bare producer.
//!
//! `compose/stack run -- cargo bench --bench joins_kafka`. The bare one is
//! idempotent with `acks=all` too, sends records of the same size to a topic
//! of the same broker, and has as many in flight. Sizes: `USHER_BENCH_JOINS`,
//! `USHER_BENCH_ONE_BY_ONE`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use shared::stage::Stage;
use shared::{Limit, Pairs, ROUNDS, from_environment, median};
use usher_events::log::Log;
use usher_events::log::kafka::{KafkaConfig, KafkaLog, ensure_topics};
use uuid::Uuid;

const PARTITIONS: u32 = 16;

/// A log of its own on the broker of the environment.
async fn topic() -> KafkaConfig {
    let brokers = std::env::var("USHER_KAFKA__BROKERS").expect("run me in `compose/stack run -- `");
    let name = format!("bench-{}", Uuid::new_v4().simple());
    let config = KafkaConfig {
        topic: name.clone(),
        dead_letter_topic: format!("{name}-dead"),
        partitions: PARTITIONS,
        ..KafkaConfig::new(&brokers)
    };
    ensure_topics(&config).await.unwrap();
    config
}

/// The bytes of a join's record: key, value and headers.
async fn record_bytes(log: &dyn Log) -> usize {
    let partition = usher_events::partition::partition_of(&shared::stage::opening(), PARTITIONS);
    let end = log.end(partition).await.unwrap();
    let last = log.read(partition, end - 1).next().await.unwrap().pop().unwrap().record;
    let headers = &last.headers;
    // Names and values of the seven headers, as Kafka carries them.
    let names = "tenurenseqcommand_iddigestactorchain".len();
    let values = 3 * 8 + 16 + 32 + headers.actor.len() + 32;
    last.key.unwrap().as_str().len() + last.value.len() + names + values
}

/// Counts deliveries.
#[derive(Default)]
struct Delivered(Arc<AtomicU64>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "{result:?}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A producer with nothing to do but to send, in one thread.
struct Bare {
    producer: BaseProducer<Delivered>,
    delivered: Arc<AtomicU64>,
    topic: String,
    value: Vec<u8>,
    sent: u64,
}

impl Bare {
    fn new(config: &KafkaConfig, bytes: usize) -> Self {
        let delivered = Arc::new(AtomicU64::new(0));
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &config.brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            .set("linger.ms", "0")
            .set("socket.nagle.disable", "true")
            .create_with_context(Delivered(Arc::clone(&delivered)))
            .unwrap();
        let value = (0..bytes).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
        Self { producer, delivered, topic: config.topic.clone(), value, sent: 0 }
    }

    fn send(&mut self) {
        loop {
            let record = BaseRecord::<(), [u8]>::to(&self.topic).partition(0).payload(&self.value[..]);
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((fault, _)) => panic!("{fault}"),
            }
        }
        self.sent += 1;
    }

    fn in_flight(&self) -> u64 {
        self.sent - self.delivered.load(Ordering::Relaxed)
    }

    /// Sends `count` records with at most `window` in flight.
    fn many(&mut self, count: u64, window: u64) -> Duration {
        let (begun, end) = (Instant::now(), self.sent + count);
        while self.sent < end || self.in_flight() > 0 {
            while self.sent < end && self.in_flight() < window {
                self.send();
            }
            self.producer.poll(Duration::from_millis(1));
        }
        begun.elapsed()
    }

    /// Sends one record and waits for it.
    fn one(&mut self) -> Duration {
        let begun = Instant::now();
        self.send();
        while self.in_flight() > 0 {
            self.producer.poll(Duration::from_millis(100));
        }
        begun.elapsed()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.producer.flush(Duration::from_secs(5)).unwrap();
    }
}

/// Many at once, with `window` of them in flight.
async fn at_saturation(window: u64) {
    let joins = from_environment("USHER_BENCH_JOINS", 500_000);
    let what = format!("joins on Kafka against a bare producer, {window} in flight");
    let mut pairs = Pairs::new(&what, "per second");
    for _ in 0..ROUNDS {
        let log: Arc<dyn Log> = Arc::new(KafkaLog::new(topic().await).unwrap());
        let stage = Stage::new(Arc::clone(&log), PARTITIONS, window as usize).await;
        // Always more than the window, and no more than a mailbox takes.
        let at_once = (2 * window as usize).min(12_000);
        stage.joins(joins / 20, at_once).await;
        let ours = stage.joins(joins, at_once).await;
        let bytes = record_bytes(&*log).await;
        tokio::task::spawn_blocking(|| stage.stop()).await.unwrap();

        let config = topic().await;
        let theirs = tokio::task::spawn_blocking(move || {
            let mut bare = Bare::new(&config, bytes);
            bare.many(joins / 20, window);
            bare.many(joins, window)
        });
        let theirs = theirs.await.unwrap();
        println!("  {bytes} bytes a record");
        pairs.add(joins as f64 / ours.as_secs_f64(), joins as f64 / theirs.as_secs_f64());
    }
    pairs.tell(Limit::AtLeast(0.6));
}

/// One after the other, in turns.
async fn one_by_one() {
    let count = from_environment("USHER_BENCH_ONE_BY_ONE", 1_000);
    let log: Arc<dyn Log> = Arc::new(KafkaLog::new(topic().await).unwrap());
    let stage = Stage::new(Arc::clone(&log), PARTITIONS, 8_192).await;
    stage.join_one().await;
    let mut bare = Bare::new(&topic().await, record_bytes(&*log).await);
    for _ in 0..100 {
        bare.one();
    }
    let us = |took: Duration| took.as_secs_f64() * 1e6;
    let mut pairs = Pairs::new("p50 of one join at a time on Kafka against a bare producer", "us");
    for _ in 0..ROUNDS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let begun = Instant::now();
            stage.join_one().await;
            ours.push(us(begun.elapsed()));
            theirs.push(us(bare.one()));
        }
        pairs.add(median(ours), median(theirs));
    }
    pairs.tell(Limit::AtMost(1.3));
    tokio::task::spawn_blocking(|| stage.stop()).await.unwrap();
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        at_saturation(1_024).await;
        at_saturation(8_192).await;
        one_by_one().await;
    });
}
