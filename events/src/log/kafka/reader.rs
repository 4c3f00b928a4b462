//! Reading one partition: a consumer of its own, assigned by hand, no group.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use rdkafka::{ClientConfig, ClientContext};
use tracing::warn;

use super::contact::{self, Contact};
use super::{KafkaConfig, headers, signed};
use crate::log::{LogReader, Partition, ReadError};
use crate::record::{Offset, StoredRecord};

/// The most records and bytes that one call returns; one record may be larger.
const BATCH_RECORDS: usize = 1_024;
const BATCH_BYTES: usize = 1024 * 1024;

/// How a reader's consumer must be configured. Frugal: a process has one for
/// each partition, and fetches ahead for each of them.
pub(super) fn config(config: &KafkaConfig) -> ClientConfig {
    let mut client = config.client();
    client
        // librdkafka asks for a name before it lets partitions be assigned;
        // the group is never joined and nothing is committed.
        .set("group.id", "usher-reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_uncommitted")
        .set("check.crcs", "true")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.wait.max.ms", "500")
        // With so small a queue it fills at every fetch; a second's pause,
        // the default, would make 4 MiB a second of it.
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "100");
    client
}

/// Reads one partition; connects when it is first asked for records.
pub(super) struct KafkaReader {
    config: Arc<KafkaConfig>,
    contact: Contact,
    place: Place,
    consumer: Option<StreamConsumer<Contact>>,
    /// Found behind records that had to be returned first.
    fault: Option<KafkaError>,
}

/// Where a reader is.
#[derive(Debug, Clone, Copy)]
struct Place {
    partition: Partition,
    next: Offset,
}

/// What is to be done about an error.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    /// Nothing: librdkafka goes on by itself.
    GoOn,
    /// Tell the caller; librdkafka goes on by itself.
    Wait,
    /// Read the same place again by another consumer. This one might skip it.
    Renew,
    /// None: the position is not there.
    None,
}

impl KafkaReader {
    pub(super) fn new(
        config: Arc<KafkaConfig>,
        contact: Contact,
        partition: Partition,
        from: Offset,
    ) -> Self {
        let place = Place { partition, next: from };
        Self { config, contact, place, consumer: None, fault: None }
    }

    /// Makes the consumer, off the async threads.
    async fn connect(&self) -> Result<StreamConsumer<Contact>, ReadError> {
        let (config, contact) = (Arc::clone(&self.config), self.contact.clone());
        let Place { partition, next } = self.place;
        let made = tokio::task::spawn_blocking(move || -> KafkaResult<_> {
            let consumer: StreamConsumer<Contact> = self::config(&config).create_with_context(contact)?;
            let mut places = TopicPartitionList::new();
            let from = At::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            places.add_partition_offset(&config.topic, signed(partition), from)?;
            consumer.assign(&places)?;
            Ok(consumer)
        });
        match made.await {
            Ok(Ok(consumer)) => Ok(consumer),
            Ok(Err(fault)) => Err(ReadError::Retryable(fault.to_string())),
            Err(fault) => Err(ReadError::Retryable(fault.to_string())),
        }
    }

    /// What the caller is told of `fault`; nothing when it may be ignored.
    fn judge(&mut self, fault: &KafkaError) -> Option<ReadError> {
        let text = fault.to_string();
        match remedy(fault) {
            Remedy::GoOn => None,
            Remedy::Wait => Some(ReadError::Retryable(text)),
            Remedy::Renew => {
                self.contact.error(fault.clone(), "a partition is read again from where it was");
                self.disconnect();
                Some(ReadError::Retryable(text))
            }
            Remedy::None => {
                self.disconnect();
                Some(ReadError::Terminal(format!("offset {}: {text}", self.place.next)))
            }
        }
    }

    fn disconnect(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            contact::drop_elsewhere(consumer);
        }
    }
}

fn remedy(fault: &KafkaError) -> Remedy {
    use RDKafkaErrorCode as Code;
    match fault.rdkafka_error_code() {
        Some(Code::BrokerTransportFailure | Code::Resolve | Code::PartitionEOF) => Remedy::GoOn,
        Some(Code::AllBrokersDown) => Remedy::Wait,
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation) => Remedy::None,
        _ => Remedy::Renew,
    }
}

impl Place {
    /// Takes note of a message that was read.
    fn take(&mut self, message: &BorrowedMessage<'_>, contact: &Contact) -> Option<StoredRecord> {
        let (stored, foreign) = headers::stored(message);
        if stored.offset < self.next {
            return None;
        }
        let (partition, offset) = (self.partition, stored.offset);
        if offset > self.next
            && let Some(held_back) = contact.may_say("offsets without records")
        {
            let expected = self.next;
            warn!(partition, offset, expected, held_back, "offsets without records: who else writes here?");
        }
        if let Some(fault) = foreign {
            metrics::counter!("usher_log_foreign_records_total").increment(1);
            if let Some(held_back) = contact.may_say("foreign record") {
                warn!(partition, offset, held_back, %fault, "a record that is not ours is void");
            }
        }
        self.next = stored.offset + 1;
        Some(stored)
    }

    /// Takes what `consumer` has, at least one record or a fault.
    async fn read(
        &mut self,
        consumer: &StreamConsumer<Contact>,
        contact: &Contact,
    ) -> (Vec<StoredRecord>, Option<KafkaError>) {
        let mut messages = pin!(consumer.stream());
        let (mut records, mut bytes) = (Vec::new(), 0);
        // Every attempt to connect leaves one, ten a second: only one that
        // nothing follows tells how it is now.
        let mut out_of_contact = None;
        let mut message = messages.next().await;
        // From here on nothing is awaited: what was taken is returned.
        while let Some(read) = message {
            match read {
                Ok(read) => {
                    bytes += read.payload_len();
                    records.extend(self.take(&read, contact));
                    out_of_contact = None;
                }
                Err(fault) if remedy(&fault) == Remedy::Wait => out_of_contact = Some(fault),
                Err(fault) => return (records, Some(fault)),
            }
            if records.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
                break;
            }
            message = messages.next().now_or_never().flatten();
        }
        (records, out_of_contact)
    }
}

#[async_trait]
impl LogReader for KafkaReader {
    async fn next(&mut self) -> Result<Vec<StoredRecord>, ReadError> {
        loop {
            if let Some(fault) = self.fault.take()
                && let Some(told) = self.judge(&fault)
            {
                return Err(told);
            }
            let consumer = match self.consumer.take() {
                Some(consumer) => consumer,
                None => self.connect().await?,
            };
            let consumer = self.consumer.insert(consumer);
            let (records, fault) = self.place.read(consumer, &self.contact).await;
            self.fault = fault;
            if !records.is_empty() {
                self.contact.reached();
                return Ok(records);
            }
        }
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.disconnect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_might_skip_records_has_the_same_place_read_again() {
        let remedy = |code| remedy(&KafkaError::MessageConsumption(code));
        assert_eq!(remedy(RDKafkaErrorCode::BadMessage), Remedy::Renew);
        assert_eq!(remedy(RDKafkaErrorCode::AllBrokersDown), Remedy::Wait);
        assert_eq!(remedy(RDKafkaErrorCode::AutoOffsetReset), Remedy::None);
    }
}
