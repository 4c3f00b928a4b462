//! A place for one test: topics of its own on the stack's broker.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio::sync::mpsc;
use usher_events::ids::{CommandId, Hash, OpeningId};
use usher_events::log::kafka::{KafkaConfig, KafkaLog, ensure_topics};
use usher_events::log::{Log, LogReader, ReadError, Report, ReportSink};
use usher_events::record::{Headers, Offset, Record, StoredRecord};
use uuid::Uuid;

/// Longer than anything here takes, however loaded the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the stack's brokers are.
pub(crate) fn brokers() -> String {
    std::env::var("USHER_KAFKA__BROKERS")
        .expect("USHER_KAFKA__BROKERS is not set: run this through `compose/stack run -- cargo test`")
}

/// A configuration whose topics are nobody else's; they are not made yet.
pub(crate) fn config(partitions: u32) -> KafkaConfig {
    let unique = Uuid::new_v4().simple().to_string();
    KafkaConfig {
        topic: format!("test-log-{unique}"),
        dead_letter_topic: format!("test-dead-letters-{unique}"),
        owners_group: format!("test-owners-{unique}"),
        partitions,
        ..KafkaConfig::new(&brokers())
    }
}

/// Topics that are removed at the end of the test.
pub(crate) struct Place {
    pub(crate) config: KafkaConfig,
}

impl Place {
    pub(crate) async fn new(partitions: u32) -> Self {
        let place = Self { config: config(partitions) };
        ensure_topics(&place.config).await.expect("the topics can be made");
        place
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        Arc::new(KafkaLog::new(self.config.clone()).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let KafkaConfig { topic, dead_letter_topic, .. } = self.config.clone();
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let topics = [topic.as_str(), dead_letter_topic.as_str()];
            runtime.block_on(async { admin().delete_topics(&topics, &AdminOptions::new()).await })
        });
        drop(deleted.join());
    }
}

pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap()
}

/// Reports, as they come.
pub(crate) struct Reports {
    pub(crate) sink: ReportSink,
    came: mpsc::UnboundedReceiver<Vec<Report>>,
}

impl Reports {
    pub(crate) fn new() -> Self {
        let (send, came) = mpsc::unbounded_channel();
        Self { sink: Arc::new(move |reports| drop(send.send(reports))), came }
    }

    /// The next `count` reports, in the order in which they came.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Report> {
        let mut reports = Vec::new();
        while reports.len() < count {
            let more = tokio::time::timeout(PATIENCE, self.came.recv()).await;
            reports.extend(more.expect("every record is reported").unwrap());
        }
        reports
    }

    /// The offsets of the next `count` records, all of which must land.
    pub(crate) async fn offsets(&mut self, count: usize) -> Vec<Offset> {
        self.take(count).await.into_iter().map(|report| report.outcome.unwrap()).collect()
    }

    /// The reports that have come by now.
    pub(crate) fn at_hand(&mut self) -> Vec<Report> {
        std::iter::from_fn(|| self.came.try_recv().ok()).flatten().collect()
    }

    /// Whether nothing more is to be had now.
    pub(crate) fn nothing_more(&mut self) -> bool {
        self.came.try_recv().is_err()
    }
}

/// A record of `tenure` at rank `n`; a claim's stamp when `n` is 0.
pub(crate) fn record(tenure: u64, n: u64) -> Record {
    let id = Uuid::from_u128(u128::from(tenure) << 64 | u128::from(n));
    Record {
        key: (n > 0).then(|| OpeningId::new("premiere").unwrap()),
        value: format!(r#"{{"tenure":{tenure},"n":{n}}}"#).into(),
        headers: Headers {
            tenure,
            n,
            seq: n + 1_000,
            command_id: CommandId(id),
            digest: Hash([7; 32]),
            actor: "visitor:someone".into(),
            chain: Hash([9; 32]),
        },
    }
}

/// The next `count` records that `reader` has, however often it has none now.
pub(crate) async fn read(reader: &mut dyn LogReader, count: usize) -> Vec<StoredRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        let more = tokio::time::timeout(PATIENCE, reader.next()).await;
        match more.expect("there is more to read") {
            Ok(more) => records.extend(more),
            Err(ReadError::Retryable(_)) => {}
            Err(fault) => panic!("{fault}"),
        }
    }
    records
}
