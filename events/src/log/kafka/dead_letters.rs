//! Dead letters: copies of records that a projection could not apply, with
//! the reason, for an operator to look at. Nothing is ever replayed from here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use rdkafka::util::Timeout;

use super::contact::{self, Contact};
use super::{ConfigFault, KafkaConfig, headers, producer, reader};
use crate::log::Partition;
use crate::record::{Offset, Record};
use crate::time::Timestamp;

/// All dead letters are in one partition: they are few, and have an order.
const PARTITION: i32 = 0;
/// The longest that listing takes.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long one answer of a broker is waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 4_096;

/// A record that a projection could not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which projection.
    pub projection: String,
    /// Where the record stands in the log.
    pub partition: Partition,
    /// Where the record stands in its partition.
    pub offset: Offset,
    /// Why it cannot be applied.
    pub reason: String,
    /// The record, as it is in the log.
    pub record: Record,
}

/// Why a dead letter could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dead letters: {0}")]
pub struct DeadLetterFault(String);

/// The dead-letter topic.
pub struct DeadLetters {
    config: Arc<KafkaConfig>,
    contact: Contact,
    producer: Option<FutureProducer<Contact>>,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("topic", &self.config.dead_letter_topic).finish_non_exhaustive()
    }
}

impl DeadLetters {
    /// Connects when it is first used.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigFault> {
        let contact = Contact::default();
        let producer = producer::config(&config).create_with_context(contact.clone());
        let producer = producer.map_err(|fault| ConfigFault(fault.to_string()))?;
        Ok(Self { config: Arc::new(config), contact, producer: Some(producer) })
    }

    /// Keeps a copy of a record, durably; the offset it has in the topic.
    pub async fn append(&self, letter: &DeadLetter) -> Result<Offset, DeadLetterFault> {
        let reason = &letter.reason[..letter.reason.floor_char_boundary(MAX_REASON)];
        let headers = headers::encode(&letter.record.headers, 4)
            .insert(headers::header("reason", reason.as_bytes()))
            .insert(headers::header("projection", letter.projection.as_bytes()))
            .insert(headers::header("partition", &letter.partition.to_be_bytes()))
            .insert(headers::header("offset", &letter.offset.to_be_bytes()));
        let mut message = FutureRecord::to(&self.config.dead_letter_topic)
            .partition(PARTITION)
            .payload(&*letter.record.value)
            .headers(headers);
        message.key = letter.record.key.as_ref().map(|key| key.as_str().as_bytes());
        let Some(producer) = &self.producer else {
            return Err(DeadLetterFault("closed".to_owned()));
        };
        let sent = producer.send(message, Timeout::After(self.config.message_timeout)).await;
        let delivered = sent.map_err(|(fault, _)| refused(&fault))?;
        Offset::try_from(delivered.offset).map_err(|_| DeadLetterFault("not told where".to_owned()))
    }

    /// The newest dead letters, at most `limit`, oldest first, each with its
    /// offset in the topic and when it was kept.
    pub async fn list(&self, limit: u32) -> Result<Vec<(Offset, Timestamp, DeadLetter)>, DeadLetterFault> {
        let (config, contact) = (Arc::clone(&self.config), self.contact.clone());
        let listed = tokio::task::spawn_blocking(move || newest(&config, contact, limit));
        listed.await.map_err(|fault| DeadLetterFault(fault.to_string()))?
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        contact::drop_elsewhere(self.producer.take());
    }
}

fn refused(fault: &KafkaError) -> DeadLetterFault {
    DeadLetterFault(fault.to_string())
}

fn newest(
    config: &KafkaConfig,
    contact: Contact,
    limit: u32,
) -> Result<Vec<(Offset, Timestamp, DeadLetter)>, DeadLetterFault> {
    let consumer: BaseConsumer<Contact> =
        reader::config(config).create_with_context(contact).map_err(|fault| refused(&fault))?;
    let topic = config.dead_letter_topic.as_str();
    let marks = consumer.fetch_watermarks(topic, PARTITION, ANSWER);
    let (low, high) = marks.map_err(|fault| refused(&fault))?;
    let from = low.max(high - i64::from(limit));
    let mut places = TopicPartitionList::new();
    let added = places.add_partition_offset(topic, PARTITION, At::Offset(from));
    added.and_then(|()| consumer.assign(&places)).map_err(|fault| refused(&fault))?;
    let (start, mut letters, mut next) = (Instant::now(), Vec::new(), from);
    while next < high {
        let left = LIST_TIMEOUT.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(DeadLetterFault("reading them takes too long".to_owned()));
        }
        match consumer.poll(left) {
            None => {}
            Some(Ok(message)) => {
                next = message.offset() + 1;
                let (stored, _) = headers::stored(&message);
                letters.push((stored.offset, stored.appended_at, letter(&message, stored.record)));
            }
            Some(Err(fault)) if passes(&fault) => {}
            Some(Err(fault)) => return Err(refused(&fault)),
        }
    }
    Ok(letters)
}

/// Whether librdkafka goes on by itself.
fn passes(fault: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(fault.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

fn letter<M: Message>(message: &M, record: Record) -> DeadLetter {
    let field = |name: &str| {
        let headers = message.headers()?;
        (0..headers.count()).filter_map(|i| headers.try_get(i)).find(|header| header.key == name)?.value
    };
    let text = |name| String::from_utf8_lossy(field(name).unwrap_or_default()).into_owned();
    let partition = field("partition").and_then(|bytes| bytes.try_into().ok());
    let offset = field("offset").and_then(|bytes| bytes.try_into().ok());
    DeadLetter {
        projection: text("projection"),
        partition: partition.map_or(Partition::MAX, Partition::from_be_bytes),
        offset: offset.map_or(Offset::MAX, Offset::from_be_bytes),
        reason: text("reason"),
        record,
    }
}
