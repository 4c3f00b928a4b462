//! The topics: made by `usher migrate`, checked at every start.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{info, warn};

use super::contact::{self, Contact};
use super::{KafkaConfig, MAX_MESSAGE_BYTES};

/// How long one answer of a broker is waited for.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a new topic may take until all of its partitions have a leader.
const LEADERS: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Something of a topic that the log depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// How many partitions it has.
    Partitions,
    /// How many brokers keep each record.
    Replicas,
    /// `min.insync.replicas`
    MinInsyncReplicas,
    /// `unclean.leader.election.enable`
    UncleanLeaderElection,
    /// `cleanup.policy`
    CleanupPolicy,
    /// `retention.ms`
    RetentionMs,
    /// `retention.bytes`
    RetentionBytes,
    /// `max.message.bytes`
    MaxMessageBytes,
    /// `message.timestamp.type`
    TimestampType,
}

impl Setting {
    /// Its name, as Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Replicas => "replicas",
            Self::MinInsyncReplicas => "min.insync.replicas",
            Self::UncleanLeaderElection => "unclean.leader.election.enable",
            Self::CleanupPolicy => "cleanup.policy",
            Self::RetentionMs => "retention.ms",
            Self::RetentionBytes => "retention.bytes",
            Self::MaxMessageBytes => "max.message.bytes",
            Self::TimestampType => "message.timestamp.type",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a fault means for the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Records could be lost, misplaced or refused: do not start.
    Refuse,
    /// The log works, but survives less than it should: say so and start.
    Warn,
}

/// A setting of the topic that is not what the log needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {actual}, expected {expected}: {why}")]
pub struct TopicFault {
    /// Which.
    pub setting: Setting,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub actual: String,
    /// What happens otherwise.
    pub why: &'static str,
    /// Whether to start nevertheless.
    pub severity: Severity,
}

/// What the topic is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFacts {
    /// How many partitions it has.
    pub partitions: u32,
    /// How many brokers keep each record; the least of all partitions.
    pub replicas: u32,
    /// How many replicas must have a record before it is acknowledged.
    pub min_insync_replicas: u32,
    /// The largest batch of records, in bytes.
    pub max_message_bytes: u64,
    /// What is to be told to the operator; none of it forbids the start.
    pub warnings: Vec<TopicFault>,
}

/// Why the topics could not be made, or are not fit for the log.
#[derive(Debug, thiserror::Error)]
pub enum AdminFault {
    /// The brokers could not be asked.
    #[error("Kafka cannot be asked about its topics: {0}")]
    Unreachable(String),
    /// There is no such topic: `usher migrate` makes it.
    #[error("there is no topic `{0}`; `usher migrate` makes it")]
    Missing(String),
    /// The brokers do not make it.
    #[error("topic `{topic}` cannot be made: {reason}")]
    NotMade {
        /// Which topic.
        topic: String,
        /// What the brokers say.
        reason: String,
    },
    /// The topic is not fit for the log; warnings are among the faults too.
    #[error("topic `{topic}` is not fit for the log: {}", list(faults))]
    Unfit {
        /// Which topic.
        topic: String,
        /// All that is wrong with it.
        faults: Vec<TopicFault>,
    },
}

fn list(faults: &[TopicFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Makes the log's topic and the one for dead letters, where they are missing,
/// then checks the log's. Topics that exist are never changed.
pub async fn ensure_topics(config: &KafkaConfig) -> Result<TopicFacts, AdminFault> {
    let admin = Admin::connect(config)?;
    let brokers = admin.layout(None).await?.brokers;
    let replicas = config.replicas.unwrap_or_else(|| brokers.clamp(1, 3));
    admin.make(&config.topic, config.partitions, replicas).await?;
    admin.make(&config.dead_letter_topic, 1, replicas).await?;
    admin.check(config).await
}

/// Checks at a start that the log's topic is as the log needs it. All faults
/// are found, not just the first; warnings come with the facts.
pub async fn check_topic(config: &KafkaConfig) -> Result<TopicFacts, AdminFault> {
    Admin::connect(config)?.check(config).await
}

/// How a topic lies on the brokers.
struct Layout {
    brokers: u32,
    partitions: u32,
    /// The least of all partitions.
    replicas: u32,
    /// Whether every partition has a leader.
    led: bool,
}

struct Admin(Option<Arc<AdminClient<Contact>>>);

impl Admin {
    fn connect(config: &KafkaConfig) -> Result<Self, AdminFault> {
        let client = config.client().create_with_context(Contact::default());
        client.map(|client| Self(Some(Arc::new(client)))).map_err(|fault| unreachable(&fault))
    }

    fn client(&self) -> Result<&Arc<AdminClient<Contact>>, AdminFault> {
        self.0.as_ref().ok_or_else(|| AdminFault::Unreachable("the client is closed".to_owned()))
    }

    async fn make(&self, topic: &str, partitions: u32, replicas: u32) -> Result<(), AdminFault> {
        let (bytes, in_sync) = (MAX_MESSAGE_BYTES.to_string(), if replicas >= 3 { "2" } else { "1" });
        let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let new = NewTopic::new(topic, count(partitions), TopicReplication::Fixed(count(replicas)))
            .set("cleanup.policy", "delete")
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1")
            .set("message.timestamp.type", "LogAppendTime")
            .set("max.message.bytes", &bytes)
            .set("unclean.leader.election.enable", "false")
            .set("min.insync.replicas", in_sync);
        let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        let made = self.client()?.create_topics([&new], &options).await;
        let made = made.map_err(|fault| unreachable(&fault))?;
        match made.into_iter().next() {
            Some(Ok(_)) => info!(topic, partitions, replicas, "made the topic"),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
            Some(Err((_, code))) => {
                return Err(AdminFault::NotMade { topic: topic.to_owned(), reason: code.to_string() });
            }
            None => return Err(AdminFault::Unreachable("no answer".to_owned())),
        }
        self.await_leaders(topic).await
    }

    async fn await_leaders(&self, topic: &str) -> Result<(), AdminFault> {
        let start = Instant::now();
        while !self.layout(Some(topic)).await?.led {
            if start.elapsed() > LEADERS {
                let reason = "some partition has no leader".to_owned();
                return Err(AdminFault::NotMade { topic: topic.to_owned(), reason });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Asks about all topics: asking for one by name may make it.
    async fn layout(&self, topic: Option<&str>) -> Result<Layout, AdminFault> {
        let (client, topic) = (Arc::clone(self.client()?), topic.map(str::to_owned));
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = client.inner().fetch_metadata(None, ANSWER)?;
            let found = metadata.topics().iter().find(|found| Some(found.name()) == topic.as_deref());
            let partitions = found.map_or(&[][..], |found| found.partitions());
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            Ok::<_, KafkaError>(Layout {
                brokers: count(metadata.brokers().len()),
                partitions: count(partitions.len()),
                replicas: count(partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0)),
                led: !partitions.is_empty() && partitions.iter().all(|p| p.leader() >= 0),
            })
        });
        match asked.await {
            Ok(layout) => layout.map_err(|fault| unreachable(&fault)),
            Err(fault) => Err(AdminFault::Unreachable(fault.to_string())),
        }
    }

    async fn check(&self, config: &KafkaConfig) -> Result<TopicFacts, AdminFault> {
        let topic = config.topic.as_str();
        let layout = self.layout(Some(topic)).await?;
        // The brokers describe a missing topic as one without settings.
        if layout.partitions == 0 {
            return Err(AdminFault::Missing(topic.to_owned()));
        }
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let asked = self.client()?.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
        let settings = match asked.map_err(|fault| unreachable(&fault))?.into_iter().next() {
            Some(Ok(settings)) => settings,
            Some(Err(code)) => return Err(AdminFault::Unreachable(code.to_string())),
            None => return Err(AdminFault::Unreachable("no answer".to_owned())),
        };
        let facts = judge(config, &layout, &Settings(&settings))?;
        for warning in &facts.warnings {
            warn!(topic, %warning, "the log's topic survives less than it should");
        }
        Ok(facts)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        contact::drop_elsewhere(self.0.take());
    }
}

fn unreachable(fault: &KafkaError) -> AdminFault {
    AdminFault::Unreachable(fault.to_string())
}

struct Settings<'a>(&'a ConfigResource);

impl Settings<'_> {
    fn text(&self, setting: Setting) -> &str {
        let entry = self.0.get(setting.name());
        entry.and_then(|entry| entry.value.as_deref()).unwrap_or("unknown")
    }

    fn number(&self, setting: Setting) -> i64 {
        self.text(setting).parse().unwrap_or(0)
    }
}

/// Compares the topic with what the log needs.
fn judge(config: &KafkaConfig, layout: &Layout, settings: &Settings<'_>) -> Result<TopicFacts, AdminFault> {
    let faults = find_faults(config, layout, settings);
    if faults.iter().any(|fault| fault.severity == Severity::Refuse) {
        return Err(AdminFault::Unfit { topic: config.topic.clone(), faults });
    }
    Ok(TopicFacts {
        partitions: layout.partitions,
        replicas: layout.replicas,
        min_insync_replicas: u32::try_from(settings.number(Setting::MinInsyncReplicas)).unwrap_or(0),
        max_message_bytes: u64::try_from(settings.number(Setting::MaxMessageBytes)).unwrap_or(0),
        warnings: faults,
    })
}

fn find_faults(config: &KafkaConfig, layout: &Layout, settings: &Settings<'_>) -> Vec<TopicFault> {
    use Setting::{
        CleanupPolicy, MaxMessageBytes, MinInsyncReplicas, Partitions, Replicas, RetentionBytes, RetentionMs,
        TimestampType, UncleanLeaderElection,
    };
    let mut faults = Vec::new();
    let mut need = |holds: bool, setting, expected: &str, actual: &str, severity, why| {
        if !holds {
            let (expected, actual) = (expected.to_owned(), actual.to_owned());
            faults.push(TopicFault { setting, expected, actual, why, severity });
        }
    };
    let (partitions, actual) = (config.partitions.to_string(), layout.partitions.to_string());
    let why = "the number stands in the log's first record and never changes";
    need(layout.partitions == config.partitions, Partitions, &partitions, &actual, Severity::Refuse, why);
    for (setting, expected, why) in [
        (CleanupPolicy, "delete", "compaction would remove records"),
        (RetentionMs, "-1", "the log is never deleted"),
        (RetentionBytes, "-1", "the log is never deleted"),
        (UncleanLeaderElection, "false", "acknowledged records would be lost"),
        (TimestampType, "LogAppendTime", "a writer compares its clock with the log's"),
    ] {
        let actual = settings.text(setting);
        need(actual == expected, setting, expected, actual, Severity::Refuse, why);
    }
    let least = format!("at least {MAX_MESSAGE_BYTES}");
    let fits = usize::try_from(settings.number(MaxMessageBytes)).is_ok_and(|max| max >= MAX_MESSAGE_BYTES);
    let actual = settings.text(MaxMessageBytes);
    let why = "the largest record would be refused";
    need(fits, MaxMessageBytes, &least, actual, Severity::Refuse, why);
    let (replicas, in_sync) = (i64::from(layout.replicas), settings.number(MinInsyncReplicas));
    let (actual, count) = (settings.text(MinInsyncReplicas), layout.replicas.to_string());
    let why = "one broker's loss could take acknowledged records along";
    need(replicas < 3 || in_sync >= 2, MinInsyncReplicas, "at least 2", actual, Severity::Refuse, why);
    need(replicas >= 3, Replicas, "at least 3", &count, Severity::Warn, why);
    let why = "one broker's absence stops all writing";
    let spare = replicas < 2 || in_sync < replicas;
    need(spare, MinInsyncReplicas, "fewer than the replicas", actual, Severity::Warn, why);
    faults
}
