//! A writer's partition without threads: its records land at once.

use std::sync::Arc;

use usher_command::opening::Request;
use usher_command::writer::{Output, Partition, PartitionState, Reply, Submitted, WriterConfig};
use usher_events::ids::OpeningId;
use usher_events::log::{Log, Report};
use usher_events::record::{Record, StoredRecord};
use usher_events::time::Timestamp;

/// One partition, serving; every record goes to `log` too, if there is one.
pub(crate) struct Driver {
    pub(crate) partition: Partition<()>,
    pub(crate) now: Timestamp,
    pub(crate) opening: OpeningId,
    pub(crate) refused: u64,
    offset: u64,
    log: Option<Arc<dyn Log>>,
}

impl Driver {
    pub(crate) fn new(log: Option<Arc<dyn Log>>) -> Self {
        let config = WriterConfig::new(1, "http://127.0.0.1:1".to_owned(), super::stage::draw_keys());
        let mut driver = Self {
            partition: Partition::new(0, Arc::new(config)),
            now: Timestamp(1_700_000_000_000),
            opening: super::stage::opening(),
            refused: 0,
            offset: 0,
            log,
        };
        driver.partition.want(true, driver.now, 1);
        driver.settle();
        assert!(driver.partition.serving());
        driver
    }

    pub(crate) fn submit(&mut self, request: Request) {
        let submitted = Submitted {
            opening: self.opening.clone(),
            request,
            patience_until: Timestamp::MAX,
            reply_to: (),
        };
        self.partition.submit(Box::new(submitted), self.now);
    }

    /// Time passes, and what is due happens.
    pub(crate) fn wait_ms(&mut self, ms: i64) {
        self.now.0 += ms;
        self.partition.tick(self.now, 1);
        self.settle();
    }

    /// Lets everything land.
    pub(crate) fn settle(&mut self) {
        loop {
            let outputs = self.partition.take_outputs();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                match output {
                    Output::Append(records) => self.land(records),
                    Output::Reply((), Reply::Done { .. }) => {}
                    Output::Reply((), _) => self.refused += 1,
                    Output::Hash(order) => {
                        let command = order.job.run(order.seed);
                        self.partition.hashed(order.purpose, &order.opening, command, self.now, 1);
                    }
                    _ => {}
                }
            }
        }
    }

    fn land(&mut self, records: Vec<Record>) {
        if let Some(log) = &self.log {
            let failed = |reports: Vec<Report>| assert!(reports.iter().all(|report| report.outcome.is_ok()));
            let sink: usher_events::log::ReportSink = Arc::new(failed);
            log.append(0, records.clone(), &sink);
        }
        let mut reports = Vec::with_capacity(records.len());
        let mut claims = Vec::new();
        for record in records {
            let (tenure, n) = (record.headers.tenure, record.headers.n);
            reports.push(Report { partition: 0, tenure, n, outcome: Ok(self.offset) });
            if record.stamp().is_claim() {
                claims.push(StoredRecord { offset: self.offset, appended_at: self.now, record });
            }
            self.offset += 1;
        }
        self.partition.reported(reports, self.now, 1);
        if !claims.is_empty() {
            self.partition.followed(claims, self.now, 1);
        }
    }

    pub(crate) fn state(&self) -> &PartitionState {
        self.partition.state()
    }
}
