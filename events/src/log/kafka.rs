//! The log in one Kafka topic, by librdkafka.
//!
//! Appends go out with `acks=all`, idempotent, without lingering, each to an
//! explicit partition. Neither that nor anything else in a Kafka client keeps
//! a burst whole: when a record times out, later ones still land. That is what
//! the tenure in each record is for, and why a report's offset is passed on
//! untouched.
//!
//! A record in the topic that carries no stamp of ours cannot be told apart
//! from a torn reign's: it is read as one that is void (see
//! [`crate::tenure::Cursor`]), counted and logged. So followers go on, and all
//! of them agree.

mod admin;
mod contact;
mod dead_letters;
mod headers;
mod producer;
mod reader;
mod suggest;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

use self::contact::Contact;
use self::producer::Lane;
use self::reader::KafkaReader;
use super::{AppendError, Log, LogReader, Partition, ReadError, Report, ReportSink};
use crate::record::{MAX_RECORD_BYTES, Offset, Record};

pub use self::admin::{AdminFault, Setting, Severity, TopicFacts, TopicFault, check_topic, ensure_topics};
pub use self::dead_letters::{DeadLetter, DeadLetterFault, DeadLetters};
pub use self::suggest::{SuggestFault, Suggestions};

/// The most bytes of a record with its key, headers and batch: what the
/// topic's `max.message.bytes` must allow.
pub const MAX_MESSAGE_BYTES: usize = MAX_RECORD_BYTES + 1024 * 1024;
/// How long the end of a partition is waited for.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// The most log lines and errors taken off a client that is not polled otherwise.
const EVENTS_TAKEN: usize = 256;

/// How to reach Kafka, and how the log is laid out there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Where to look for brokers first: `host:port`, separated by commas.
    pub brokers: String,
    /// The log's topic.
    pub topic: String,
    /// The topic that takes copies of records that a projection cannot apply.
    pub dead_letter_topic: String,
    /// How many partitions the log has; never changes.
    pub partitions: u32,
    /// How many brokers keep each record, when the topic is made; none: three,
    /// or as many as there are.
    pub replicas: Option<u32>,
    /// How long a record may wait for its acknowledgement before it is given
    /// up and its tenure with it. A little longer than the brokers take to
    /// replace a dead leader (`broker.session.timeout.ms`, and an election):
    /// shorter breaks every tenure at each failover, longer keeps callers
    /// waiting for an outcome that is not known anyway.
    pub message_timeout: Duration,
    /// How many producers share the partitions; 0: one for each core, at most four.
    pub producers: u32,
    /// The consumer group that suggests owners.
    pub owners_group: String,
    /// After which silence an instance's partitions are suggested to others.
    /// The brokers' `group.min.session.timeout.ms` (6 s by default) bounds it.
    pub owners_session: Duration,
}

impl KafkaConfig {
    /// The defaults for the brokers at `brokers`.
    ///
    /// The message timeout of 6 s is twice the broker session of our stack,
    /// and ends before a caller's patience of 8 s does.
    pub fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            topic: "usher-log".to_owned(),
            dead_letter_topic: "usher-dead-letters".to_owned(),
            partitions: 16,
            replicas: None,
            message_timeout: Duration::from_secs(6),
            producers: 0,
            owners_group: "usher-owners".to_owned(),
            owners_session: Duration::from_secs(6),
        }
    }

    fn producer_count(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let wanted = if self.producers == 0 { cores } else { self.producers as usize };
        wanted.clamp(1, self.partitions.max(1) as usize)
    }

    /// What all of our clients have in common.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "usher")
            .set("message.max.bytes", MAX_MESSAGE_BYTES.to_string())
            .set("socket.nagle.disable", "true")
            .set("socket.keepalive.enable", "true")
            .set("socket.connection.setup.timeout.ms", "5000")
            // An outage ends within a second of the broker's return, not ten.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        client
    }
}

/// Why a client of Kafka could not be made: the configuration is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no Kafka client can be made of this configuration: {0}")]
pub struct ConfigFault(String);

/// The log in Kafka. Producers and other clients are made when first needed.
pub struct KafkaLog {
    config: Arc<KafkaConfig>,
    contact: Contact,
    /// The partition `p` belongs to the lane `p % lanes`, also after it was
    /// claimed anew: its older records go out before the new claim.
    lanes: Vec<Mutex<Option<Arc<Lane>>>>,
    watermarks: Arc<OnceLock<BaseConsumer<Contact>>>,
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("config", &self.config).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// A log that is not connected yet; it connects when it is used. Whether
    /// the topic is fit for it is for [`check_topic`] to say.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigFault> {
        let broken = |fault: KafkaError| ConfigFault(fault.to_string());
        producer::config(&config).create_native_config().map_err(broken)?;
        reader::config(&config).create_native_config().map_err(broken)?;
        let lanes = (0..config.producer_count()).map(|_| Mutex::new(None)).collect();
        Ok(Self { config: Arc::new(config), contact: Contact::default(), lanes, watermarks: Arc::default() })
    }

    /// The lane of `partition`; a new one in place of one that has failed for good.
    fn lane(&self, partition: Partition) -> Result<Arc<Lane>, AppendError> {
        if partition >= self.config.partitions {
            return Err(AppendError::Terminal(format!("there is no partition {partition}")));
        }
        let slot = &self.lanes[partition as usize % self.lanes.len()];
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = slot.as_ref()
            && !lane.failed_for_good()
        {
            return Ok(Arc::clone(lane));
        }
        let lane = Lane::start(&self.config, self.contact.clone());
        let lane = Arc::new(lane.map_err(|fault| AppendError::Retryable(fault.to_string()))?);
        if let Some(old) = slot.replace(Arc::clone(&lane)) {
            contact::drop_elsewhere(old);
        }
        Ok(lane)
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn append(&self, partition: Partition, records: Vec<Record>, reports: &ReportSink) {
        match self.lane(partition) {
            Ok(lane) => lane.send(partition, &records, reports),
            Err(error) => reports(refuse(partition, &records, &error)),
        }
    }

    fn read(&self, partition: Partition, from: Offset) -> Box<dyn LogReader> {
        let (config, contact) = (Arc::clone(&self.config), self.contact.clone());
        Box::new(KafkaReader::new(config, contact, partition, from))
    }

    async fn end(&self, partition: Partition) -> Result<Offset, ReadError> {
        if partition >= self.config.partitions {
            return Err(ReadError::Terminal(format!("there is no partition {partition}")));
        }
        let (config, contact) = (Arc::clone(&self.config), self.contact.clone());
        let client = Arc::clone(&self.watermarks);
        let asked = tokio::task::spawn_blocking(move || {
            let client = watermark_client(&client, &config, contact)?;
            let marks = client.fetch_watermarks(&config.topic, signed(partition), END_TIMEOUT);
            if marks.is_err() {
                // librdkafka goes on asking a leader that died until it
                // refreshes what it knows of the topic, every five minutes.
                drop(client.fetch_metadata(Some(&config.topic), END_TIMEOUT));
            }
            // Its log lines and errors would pile up unread otherwise.
            (0..EVENTS_TAKEN).take_while(|_| client.poll(Duration::ZERO).is_some()).for_each(drop);
            marks
        });
        match asked.await {
            Ok(Ok((_, high))) => {
                self.contact.reached();
                u64::try_from(high).map_err(|_| ReadError::Retryable("no end is known".to_owned()))
            }
            Ok(Err(fault)) => Err(ReadError::Retryable(fault.to_string())),
            Err(fault) => Err(ReadError::Retryable(fault.to_string())),
        }
    }
}

fn watermark_client<'a>(
    slot: &'a OnceLock<BaseConsumer<Contact>>,
    config: &KafkaConfig,
    contact: Contact,
) -> Result<&'a BaseConsumer<Contact>, KafkaError> {
    if let Some(client) = slot.get() {
        return Ok(client);
    }
    let client = config.client().create_with_context(contact)?;
    // Whoever comes second drops the own one, and is no worse off.
    drop(slot.set(client));
    slot.get().ok_or(KafkaError::Canceled)
}

/// Reports that none of `records` was sent.
fn refuse(partition: Partition, records: &[Record], error: &AppendError) -> Vec<Report> {
    let report = |record: &Record| Report {
        partition,
        tenure: record.headers.tenure,
        n: record.headers.n,
        outcome: Err(error.clone()),
    };
    records.iter().map(report).collect()
}

/// A partition as Kafka counts them.
fn signed(partition: Partition) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
