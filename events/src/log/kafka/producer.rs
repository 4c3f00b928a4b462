//! Appending: one producer for a small group of partitions.
//!
//! ```text
//!   writer thread         librdkafka              poller            reporter
//!   send, send, ... ->  batches, acks  ->  delivery, delivery  ->  one report
//!                                          (one call each)         of many
//! ```
//!
//! librdkafka tells deliveries one at a time and does not say where a batch
//! ends, so a second thread takes all that have come since it last looked.
//! When nothing else is in flight there is nothing to wait for, and the
//! poller reports at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, ProducerContext};
use tracing::error;

use super::contact::Contact;
use super::{ConfigFault, KafkaConfig, headers, refuse, signed};
use crate::log::{AppendError, Partition, Report, ReportSink};
use crate::record::{Offset, Record};
use crate::tenure::Stamp;

/// The most records, and bytes, that wait in one producer.
const QUEUE_RECORDS: u32 = 100_000;
const QUEUE_KIB: u32 = 256 * 1024;
/// With fewer records in flight than this, none waits to be reported.
const FEW: usize = 64;
/// Under load, the longest that a record waits to be reported with others.
/// Whoever is told of many at once sends many at once: fewer, larger requests.
const GATHER: Duration = Duration::from_micros(200);
/// How often the poller looks whether it is to end.
const POLL: Duration = Duration::from_millis(250);

/// How a producer must be configured for the protocol.
pub(super) fn config(config: &KafkaConfig) -> ClientConfig {
    let mut client = config.client();
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("max.in.flight.requests.per.connection", "5")
        .set("linger.ms", "0")
        .set("message.timeout.ms", config.message_timeout.as_millis().to_string())
        .set("queue.buffering.max.messages", QUEUE_RECORDS.to_string())
        .set("queue.buffering.max.kbytes", QUEUE_KIB.to_string())
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500");
    client
}

/// One producer with the threads that report what becomes of its records.
pub(super) struct Lane {
    topic: String,
    producer: Option<Arc<BaseProducer<Deliveries>>>,
    shared: Arc<Shared>,
    poller: Option<JoinHandle<()>>,
    reporter: Option<JoinHandle<()>>,
}

impl Lane {
    /// Makes the producer and starts its threads; it connects by itself.
    pub(super) fn start(config: &KafkaConfig, contact: Contact) -> Result<Self, ConfigFault> {
        let shared = Arc::new(Shared::default());
        let context = Deliveries { contact, shared: Arc::clone(&shared) };
        let producer: Result<BaseProducer<Deliveries>, _> = self::config(config).create_with_context(context);
        let producer = Arc::new(producer.map_err(|fault| ConfigFault(fault.to_string()))?);
        let mut lane = Self {
            topic: config.topic.clone(),
            producer: Some(Arc::clone(&producer)),
            shared: Arc::clone(&shared),
            poller: None,
            reporter: None,
        };
        let no_thread = |fault: std::io::Error| ConfigFault(format!("no thread: {fault}"));
        let reporting = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("usher-reporter".to_owned());
        let reporter = builder.spawn(move || reporting.report_all()).map_err(no_thread)?;
        drop(shared.reporter.set(reporter.thread().clone()));
        lane.reporter = Some(reporter);
        let builder = std::thread::Builder::new().name("usher-poller".to_owned());
        let poller = builder.spawn(move || {
            while !shared.stopping.load(Ordering::Relaxed) {
                producer.poll(POLL);
            }
        });
        lane.poller = Some(poller.map_err(no_thread)?);
        Ok(lane)
    }

    /// Whether librdkafka takes nothing any more: it gave up the idempotent session.
    pub(super) fn failed_for_good(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Queues `records` in their order. The first that is not taken ends the
    /// burst: nothing behind it is sent.
    pub(super) fn send(&self, partition: Partition, records: &[Record], reports: &ReportSink) {
        let Some(producer) = &self.producer else { return };
        let sink = Arc::new(Arc::clone(reports));
        // All of the work first, then the queueing in one go: librdkafka sends
        // as soon as there is something, and a slow burst would become many
        // small requests.
        let headers: Vec<_> = records.iter().map(|record| headers::encode(&record.headers, 0)).collect();
        self.shared.in_flight.fetch_add(records.len(), Ordering::Relaxed);
        for (i, (record, headers)) in records.iter().zip(headers).enumerate() {
            if let Err(fault) = self.send_one(producer, partition, record, headers, &sink) {
                let unsent = &records[i..];
                self.shared.in_flight.fetch_sub(unsent.len(), Ordering::Relaxed);
                if fault.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
                    self.shared.failed.store(true, Ordering::Relaxed);
                }
                reports(refuse(partition, unsent, &not_sent(&fault)));
                return;
            }
        }
    }

    fn send_one(
        &self,
        producer: &BaseProducer<Deliveries>,
        partition: Partition,
        record: &Record,
        headers: OwnedHeaders,
        sink: &Arc<ReportSink>,
    ) -> Result<(), KafkaError> {
        let message = BaseRecord::<[u8], [u8], _> {
            topic: &self.topic,
            partition: Some(signed(partition)),
            payload: Some(&record.value),
            key: record.key.as_ref().map(|key| key.as_str().as_bytes()),
            timestamp: None,
            headers: Some(headers),
            delivery_opaque: Arc::clone(sink),
        };
        producer.send(message).map_err(|(fault, _)| fault)
    }
}

impl Drop for Lane {
    /// Gives up what is in flight; each record is still reported.
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let mut panicked = self.poller.take().is_some_and(|poller| poller.join().is_err());
        // The last handle: purges, and reports what that leaves.
        drop(self.producer.take());
        self.shared.ended.store(true, Ordering::Release);
        if let Some(reporter) = self.reporter.take() {
            reporter.thread().unpark();
            panicked |= reporter.join().is_err();
        }
        if panicked {
            error!("a thread of the Kafka producer had panicked");
        }
    }
}

/// One record's outcome, and who is to be told.
struct Delivered {
    sink: Arc<ReportSink>,
    report: Report,
}

/// What a lane's threads share.
#[derive(Default)]
struct Shared {
    delivered: Mutex<Vec<Delivered>>,
    /// Held while reports are made, so that they are made in order.
    turn: Mutex<Vec<Delivered>>,
    in_flight: AtomicUsize,
    reporter: OnceLock<Thread>,
    stopping: AtomicBool,
    ended: AtomicBool,
    failed: AtomicBool,
}

impl Shared {
    fn delivered(&self, delivered: Delivered) {
        let mut waiting = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(delivered);
        let count = waiting.len();
        drop(waiting);
        let left = self.in_flight.fetch_sub(1, Ordering::Relaxed) - 1;
        if left == 0 && self.report_now() {
            return;
        }
        // The first starts the reporter's clock; enough of them end its waiting.
        if (count == 1 || due(count, left))
            && let Some(reporter) = self.reporter.get()
        {
            reporter.unpark();
        }
    }

    /// Whether what has come should be reported, rather than wait for more.
    fn is_due(&self) -> bool {
        let left = self.in_flight.load(Ordering::Relaxed);
        let count = self.delivered.lock().unwrap_or_else(PoisonError::into_inner).len();
        due(count, left)
    }

    /// Reports what has come; false when another thread is at it.
    fn report_now(&self) -> bool {
        match self.turn.try_lock() {
            Ok(mut spare) => self.report(&mut spare),
            Err(TryLockError::Poisoned(spare)) => self.report(&mut spare.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        };
        true
    }

    /// Reports what has come; false when that was nothing.
    fn report(&self, spare: &mut Vec<Delivered>) -> bool {
        std::mem::swap(&mut *self.delivered.lock().unwrap_or_else(PoisonError::into_inner), spare);
        let mut delivered = spare.drain(..).peekable();
        let any = delivered.peek().is_some();
        while let Some(Delivered { sink, report }) = delivered.next() {
            let partition = report.partition;
            let mut reports = vec![report];
            while let Some(next) = delivered
                .next_if(|next| next.report.partition == partition && Arc::ptr_eq(&*next.sink, &*sink))
            {
                reports.push(next.report);
            }
            sink(reports);
        }
        any
    }

    /// The reporter's thread.
    fn report_all(&self) {
        loop {
            let ended = self.ended.load(Ordering::Acquire);
            let mut spare = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let any = self.report(&mut spare);
            drop(spare);
            match (any, ended) {
                (true, _) => {}
                (false, true) => return,
                (false, false) => {
                    std::thread::park();
                    self.gather();
                }
            }
        }
    }

    /// Waits for more to report, as long as that pays.
    fn gather(&self) {
        let start = Instant::now();
        while !self.ended.load(Ordering::Acquire) && !self.is_due() {
            let Some(left) = GATHER.checked_sub(start.elapsed()) else { return };
            std::thread::park_timeout(left);
        }
    }
}

/// Whether `count` records should be reported now, with `left` in flight.
fn due(count: usize, left: usize) -> bool {
    left < FEW || count >= left
}

/// Takes delivery reports from librdkafka.
struct Deliveries {
    contact: Contact,
    shared: Arc<Shared>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.contact.log(level, facility, line);
    }

    fn error(&self, fault: KafkaError, reason: &str) {
        if fault.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.shared.failed.store(true, Ordering::Relaxed);
        }
        self.contact.error(fault, reason);
    }
}

impl ProducerContext for Deliveries {
    /// Whom to tell; which record it was stands in its own headers.
    type DeliveryOpaque = Arc<ReportSink>;

    fn delivery(&self, result: &DeliveryResult<'_>, sink: Arc<ReportSink>) {
        let (message, outcome) = match result {
            Ok(message) => {
                self.contact.reached();
                (message, landed(message.offset()))
            }
            Err((fault, message)) => (message, Err(not_landed(fault))),
        };
        let Stamp { tenure, n } = stamp(message);
        let partition = Partition::try_from(message.partition()).unwrap_or(Partition::MAX);
        self.shared.delivered(Delivered { sink, report: Report { partition, tenure, n, outcome } });
    }
}

/// The stamp of a message that [`headers::encode`] made.
fn stamp(message: &BorrowedMessage<'_>) -> Stamp {
    let number = |place: usize| {
        let header = message.headers()?.try_get(place)?;
        header.value?.try_into().ok().map(u64::from_be_bytes)
    };
    match (number(0), number(1)) {
        (Some(tenure), Some(n)) => Stamp { tenure, n },
        _ => headers::FOREIGN,
    }
}

/// An offset as librdkafka tells it: a batch that it found to be a duplicate
/// is told at -1, 0, 1, ...; the caller sees that those are not in place.
fn landed(offset: i64) -> Result<Offset, AppendError> {
    let unplaced = || AppendError::Unknown("it is in the log, but not told where".to_owned());
    Offset::try_from(offset).map_err(|_| unplaced())
}

/// Why a record was not taken into the queue.
fn not_sent(fault: &KafkaError) -> AppendError {
    use RDKafkaErrorCode as Code;
    match fault.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::UnknownPartition | Code::UnknownTopic) => {
            AppendError::Terminal(fault.to_string())
        }
        _ => AppendError::Retryable(fault.to_string()),
    }
}

/// What is known of a record that was taken but not confirmed.
fn not_landed(fault: &KafkaError) -> AppendError {
    use RDKafkaErrorCode as Code;
    match fault.rdkafka_error_code() {
        Some(Code::PurgeQueue) => AppendError::Retryable(fault.to_string()),
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::UnknownPartition
            | Code::UnknownTopic
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => AppendError::Terminal(fault.to_string()),
        // A time-out too: librdkafka does not tell whether it was ever sent.
        _ => AppendError::Unknown(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_a_duplicate_are_passed_on_for_the_caller_to_judge() {
        assert!(matches!(landed(-1), Err(AppendError::Unknown(_))));
        assert_eq!(landed(0), Ok(0));
        assert_eq!(landed(1), Ok(1));
    }

    #[test]
    fn a_time_out_says_nothing_about_whether_the_record_landed() {
        let fault = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        assert!(matches!(not_landed(&fault), AppendError::Unknown(_)));
    }

    #[test]
    fn a_full_queue_is_worth_another_try() {
        let fault = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
        assert!(matches!(not_sent(&fault), AppendError::Retryable(_)));
    }
}
