//! What is measured while the rehearsal runs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::ask::{Kind, Outcome};
use super::lines::Done;

/// The longest that is told apart, in microseconds: beyond any timeout.
const LONGEST_US: u64 = 120_000_000;
/// The most reasons that are counted apart; further ones count as others.
const REASONS: usize = 200;

/// Durations of one kind.
#[derive(Debug, Clone)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    /// None yet, to be told apart by so many digits.
    pub(super) fn new(digits: u8) -> Result<Self, String> {
        Histogram::new_with_bounds(1, LONGEST_US, digits).map(Self).map_err(|error| error.to_string())
    }

    pub(super) fn note(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).max(1));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In milliseconds.
    pub(super) fn at(&self, quantile: f64) -> f64 {
        millis(self.0.value_at_quantile(quantile))
    }

    pub(super) fn summary(&self) -> Quantiles {
        if self.0.is_empty() {
            return Quantiles::default();
        }
        Quantiles {
            count: self.count(),
            p50_ms: self.at(0.50),
            p95_ms: self.at(0.95),
            p99_ms: self.at(0.99),
            max_ms: millis(self.0.max()),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "minutes in microseconds")]
fn millis(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// How durations are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// What the opening's status said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gauges {
    pub(super) lobby: u32,
    pub(super) waiting: u32,
    pub(super) away: u32,
    pub(super) admitted: u32,
    pub(super) inside: u32,
    pub(super) done: u32,
    #[serde(default)]
    pub(super) left: u32,
    #[serde(default)]
    pub(super) spent: u32,
    #[serde(default)]
    pub(super) seats: Seats,
}

/// What the status said of the seats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seats {
    pub(super) free: u64,
    pub(super) held: u64,
    pub(super) booked: u64,
}

/// One second.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Second {
    /// How many seconds after the beginning.
    pub(super) at_s: u32,
    /// Answers, commands among them.
    pub(super) answers: u32,
    pub(super) commands: u32,
    /// 5xx, 429, and no answer that was not planned so.
    pub(super) failures: u32,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) gauges: Gauges,
    /// Memory of the usher that was started for this, in MiB.
    pub(super) memory_mib: Option<f64>,
}

/// All that is counted.
#[derive(Debug)]
pub(super) struct Tally {
    by_kind: HashMap<Kind, Times>,
    /// Waiting for one of our own connections.
    pub(super) queued: Times,
    /// By how much we ourselves were late.
    pub(super) late: Times,
    pub(super) refusals: BTreeMap<(String, u16), u64>,
    pub(super) lost: BTreeMap<&'static str, u64>,
    pub(super) seconds: Vec<Second>,
    pub(super) gauges: Gauges,
    pub(super) answers: u64,
    pub(super) commands: u64,
    pub(super) failures: u64,
    pub(super) events: u64,
    now: Second,
    in_second: Times,
}

impl Tally {
    pub(super) fn new() -> Result<Self, String> {
        let by_kind = Kind::ALL.into_iter().map(|kind| Ok((kind, Times::new(3)?)));
        Ok(Self {
            by_kind: by_kind.collect::<Result<_, String>>()?,
            queued: Times::new(3)?,
            late: Times::new(3)?,
            refusals: BTreeMap::new(),
            lost: BTreeMap::new(),
            seconds: Vec::new(),
            gauges: Gauges::default(),
            answers: 0,
            commands: 0,
            failures: 0,
            events: 0,
            now: Second::default(),
            in_second: Times::new(2)?,
        })
    }

    /// Counts what became of a visitor's request.
    pub(super) fn note(&mut self, done: &Done) {
        let refused = match &done.outcome {
            Outcome::Lost(lost) => {
                *self.lost.entry(lost.name()).or_default() += 1;
                let planned = *lost == super::ask::Lost::Cut;
                self.now.failures += u32::from(!planned);
                self.failures += u64::from(!planned);
                return;
            }
            Outcome::Told { status, said } => (*status >= 400).then(|| (said.reason(), *status)),
            Outcome::Later { status, problem, .. } => {
                self.now.failures += 1;
                self.failures += 1;
                Some((&**problem, *status))
            }
        };
        if let Some((reason, status)) = refused {
            let reason = if self.refusals.len() < REASONS { reason } else { "others" };
            *self.refusals.entry((reason.to_owned(), status)).or_default() += 1;
        }
        self.answers += 1;
        self.now.answers += 1;
        if done.kind.is_command() {
            self.commands += 1;
            self.now.commands += 1;
        }
        if let Some(times) = self.by_kind.get_mut(&done.kind) {
            times.note(done.felt);
        }
        self.in_second.note(done.felt);
        self.queued.note(done.queued);
    }

    /// A second is over.
    pub(super) fn second(&mut self, at_s: u32, memory_mib: Option<f64>) {
        let Quantiles { p50_ms, p99_ms, .. } = self.in_second.summary();
        let gauges = self.gauges;
        self.seconds.push(Second { at_s, p50_ms, p99_ms, gauges, memory_mib, ..self.now });
        self.now = Second::default();
        self.in_second.0.reset();
    }

    /// The times of a kind, where there were some.
    pub(super) fn times(&self, kind: Kind) -> Option<Quantiles> {
        self.by_kind.get(&kind).map(Times::summary).filter(|times| times.count > 0)
    }

    /// What the last second looked like.
    pub(super) fn last(&self) -> Second {
        self.seconds.last().copied().unwrap_or_default()
    }
}
