//! Who should own what: a consumer group that only suggests.
//!
//! The group's coordinator spreads the partitions over the instances that
//! live, and notices when one dies. Nothing depends on it being right: two
//! instances that both believe to own a partition are kept apart by their
//! tenures. No record is read through the group and no offset is committed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::KafkaConfig;
use super::contact::Contact;
use crate::log::Partition;

/// How often the group's thread looks whether it is to leave.
const POLL: Duration = Duration::from_millis(100);

/// Why there can be no suggestions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the group of owners cannot be joined: {0}")]
pub struct SuggestFault(String);

/// Membership in the group of owners. Dropping it leaves the group in good
/// order, which has the others take over at once.
#[derive(Debug)]
pub struct Suggestions {
    suggested: watch::Receiver<BTreeSet<Partition>>,
    leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn config(config: &KafkaConfig) -> ClientConfig {
    let session_ms = config.owners_session.as_millis().max(1);
    let mut client = config.client();
    client
        .set("group.id", &config.owners_group)
        // The newer protocol leaves the session to the brokers: 45 s there.
        .set("group.protocol", "classic")
        // Who stays keeps what it has; every move costs a claim.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session_ms.to_string())
        .set("heartbeat.interval.ms", (session_ms / 6).max(1).to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest")
        .set("queued.min.messages", "1");
    client
}

impl Suggestions {
    /// Joins the group. Nothing is suggested until its coordinator has spoken;
    /// if it falls silent, its last word stands.
    pub fn join(config: &KafkaConfig) -> Result<Self, SuggestFault> {
        let broken = |fault: KafkaError| SuggestFault(fault.to_string());
        let (suggest, suggested) = watch::channel(BTreeSet::new());
        let leaving = Arc::new(AtomicBool::new(false));
        let context = Group { contact: Contact::default(), suggest, leaving: Arc::clone(&leaving) };
        let consumer: BaseConsumer<Group> =
            self::config(config).create_with_context(context).map_err(broken)?;
        consumer.subscribe(&[&config.topic]).map_err(broken)?;
        let stop = Arc::clone(&leaving);
        let builder = std::thread::Builder::new().name("usher-owners".to_owned());
        let thread = builder.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // Records would only come here between an assignment and the
                // pause that follows it; they are of no interest.
                drop(consumer.poll(POLL));
            }
        });
        let thread = thread.map_err(|fault| SuggestFault(fault.to_string()))?;
        Ok(Self { suggested, leaving, thread: Some(thread) })
    }

    /// The partitions that this instance should own, now and in future.
    pub fn watch(&self) -> watch::Receiver<BTreeSet<Partition>> {
        self.suggested.clone()
    }

    /// Leaves the group and waits until it is told. Hand the partitions over
    /// first: who takes them does not wait.
    pub fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.leaving.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the thread of the group of owners had panicked");
        }
    }
}

impl Drop for Suggestions {
    fn drop(&mut self) {
        self.end();
    }
}

/// Follows the group's rebalances.
struct Group {
    contact: Contact,
    suggest: watch::Sender<BTreeSet<Partition>>,
    leaving: Arc<AtomicBool>,
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.contact.log(level, facility, line);
    }

    fn error(&self, fault: KafkaError, reason: &str) {
        self.contact.error(fault, reason);
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, moved: &mut TopicPartitionList) {
        let partitions: BTreeSet<Partition> =
            moved.elements().iter().filter_map(|moved| Partition::try_from(moved.partition()).ok()).collect();
        let settled = if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.gained(consumer, moved, &partitions)
        } else {
            self.lost(consumer, moved, &partitions)
        };
        if let Err(fault) = settled {
            warn!(%fault, "the group of owners could not be followed; it will assign again");
        }
    }
}

impl Group {
    fn gained(
        &self,
        consumer: &BaseConsumer<Self>,
        moved: &TopicPartitionList,
        partitions: &BTreeSet<Partition>,
    ) -> KafkaResult<()> {
        // After contact was lost the last suggestion stands, though the group
        // knows nothing of it: what is assigned then is all there is.
        let before: BTreeSet<Partition> = consumer
            .assignment()?
            .elements()
            .iter()
            .filter_map(|held| Partition::try_from(held.partition()).ok())
            .collect();
        if matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative) {
            consumer.incremental_assign(moved)?;
        } else {
            consumer.assign(moved)?;
        }
        consumer.pause(moved)?;
        self.suggest(before.union(partitions).copied().collect());
        Ok(())
    }

    fn lost(
        &self,
        consumer: &BaseConsumer<Self>,
        moved: &TopicPartitionList,
        partitions: &BTreeSet<Partition>,
    ) -> KafkaResult<()> {
        let out_of_contact = consumer.assignment_lost();
        if matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative) {
            consumer.incremental_unassign(moved)?;
        } else {
            consumer.unassign()?;
        }
        if out_of_contact {
            warn!("out of contact with the group of owners; its last suggestion stands");
        } else if !self.leaving.load(Ordering::Relaxed) {
            let left = self.suggest.borrow().difference(partitions).copied().collect();
            self.suggest(left);
        }
        Ok(())
    }

    fn suggest(&self, suggestion: BTreeSet<Partition>) {
        self.suggest.send_if_modified(|last| {
            if *last == suggestion {
                return false;
            }
            info!(partitions = ?suggestion, "this instance should own other partitions now");
            *last = suggestion;
            true
        });
    }
}
