//! How fast a line moves, and when a visitor's turn may come.
//!
//! Measured are the admissions of the last five minutes, in buckets of ten
//! seconds of event time. The first bucket with an admission only starts the
//! measurement, since it began somewhere within; the last one is not over
//! yet. With `k` whole buckets between, of mean `m`, somebody behind `n - 1`
//! present visitors is expected to be admitted after `n / m` buckets.
//!
//! The bounds come from how much the buckets vary. Let `v` be the variance of
//! one bucket's admissions. After `x` buckets, `m x` were admitted, give or
//! take `z sqrt(v x + v x^2 / k)`: the first part is what those buckets will
//! vary themselves, the second that `m` is known from `k` buckets only. The
//! turn comes when that many are `n`, so both bounds are the roots of
//!
//! ```text
//! (n - m x)^2 = z^2 v (x + x^2 / k)
//! ```
//!
//! with `z` = 1.64: nine of ten turns lie between. Where the buckets vary so
//! much that there is no later root, the closing of the opening is the bound.
//! An even flow has `v` = 0 and no spread at all. Bursts that are longer than
//! a bucket would seem too even, so `v` is the greatest that is seen in blocks
//! of 1, 2, 4 and 8 buckets. Less than a minute tells little of its own
//! variation: then `v` is at least `m`, as if each came by chance.

use serde::Serialize;
use usher_events::policy::Policy;
use usher_events::time::{Timestamp, rfc3339};
use usher_projector::queue::{BUCKET_MS, BUCKETS, OpeningState, OpeningStatus};
use utoipa::ToSchema;

/// Nine of ten turns are within the bounds.
const Z: f64 = 1.64;
/// Fewer buckets tell little of their own variation.
const FEW: usize = 6;
/// The sizes of the blocks in which variation is looked for, in buckets.
const BLOCKS: [usize; 4] = [1, 2, 4, 8];
/// The farthest that is told, in milliseconds: a week.
const FARTHEST_MS: f64 = 604_800_000.0;
#[allow(clippy::cast_precision_loss, reason = "ten thousand")]
const BUCKET_S: f64 = BUCKET_MS as f64 / 1_000.0;

/// An estimate with bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Eta {
    /// At the pace of the last minutes.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:20:00Z")]
    expected: Timestamp,
    /// If it goes as fast as that pace varies.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:18:30Z")]
    early: Timestamp,
    /// If it goes as slowly; not after the opening closes, unless it is
    /// expected to be later.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2026-03-01T11:22:10Z")]
    late: Timestamp,
}

/// Admissions a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed {
    pub(crate) expected: f64,
    pub(crate) slowest: f64,
    /// None: nothing limits it.
    pub(crate) fastest: Option<f64>,
}

/// How fast a line moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    closes_at: Timestamp,
    flow: Flow,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Flow {
    /// By the admissions of the last minutes.
    Measured(Measured),
    /// By the rules: nothing is measured yet.
    Allowed(Speed),
}

/// Whole buckets of admissions.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    buckets: u32,
    admitted: u32,
    /// Of one bucket.
    mean: f64,
    /// Of one bucket.
    variance: f64,
}

impl Pace {
    /// How fast the line of an opening moves; none while nobody is admitted.
    pub(crate) fn of(status: &OpeningStatus, now: Timestamp) -> Option<Self> {
        if !matches!(status.state, OpeningState::Open | OpeningState::Draining) {
            return None;
        }
        let flow =
            Measured::of(status, now).map_or_else(|| Flow::Allowed(allowed(&status.policy)), Flow::Measured);
        Some(Self { closes_at: status.closes_at, flow })
    }

    /// When the turn of a visitor comes who has `ahead` present visitors
    /// before them.
    pub(crate) fn eta(&self, ahead: u32, now: Timestamp) -> Eta {
        let n = f64::from(ahead) + 1.0;
        let (expected, early, late) = match &self.flow {
            Flow::Measured(measured) => measured.seconds(n),
            Flow::Allowed(speed) => {
                (n / speed.expected, speed.fastest.map_or(0.0, |fastest| n / fastest), n / speed.slowest)
            }
        };
        let after = |seconds: f64| {
            #[allow(clippy::cast_possible_truncation, reason = "bounded to a week")]
            let ms = (seconds * 1_000.0).min(FARTHEST_MS) as i64;
            Timestamp(now.0 + ms)
        };
        let expected = after(expected);
        Eta { expected, early: after(early), late: after(late).min(self.closes_at.max(expected)) }
    }

    /// What estimates are made of: `measured` or `policy`.
    pub(crate) fn basis(&self) -> &'static str {
        match self.flow {
            Flow::Measured(_) => "measured",
            Flow::Allowed(_) => "policy",
        }
    }

    /// How long was measured, in seconds.
    pub(crate) fn measured_s(&self) -> u32 {
        let bucket_s = u32::try_from(BUCKET_MS / 1_000).unwrap_or_default();
        self.measured().map_or(0, |measured| measured.buckets * bucket_s)
    }

    /// How many were admitted in that time.
    pub(crate) fn admitted(&self) -> u32 {
        self.measured().map_or(0, |measured| measured.admitted)
    }

    /// Admissions a second, over a long time.
    pub(crate) fn speed(&self) -> Speed {
        match &self.flow {
            Flow::Allowed(speed) => *speed,
            Flow::Measured(Measured { buckets, mean, variance, .. }) => {
                let spread = Z * (variance / f64::from(*buckets)).sqrt();
                Speed {
                    expected: mean / BUCKET_S,
                    slowest: (mean - spread).max(0.0) / BUCKET_S,
                    fastest: Some((mean + spread) / BUCKET_S),
                }
            }
        }
    }

    fn measured(&self) -> Option<&Measured> {
        match &self.flow {
            Flow::Measured(measured) => Some(measured),
            Flow::Allowed(_) => None,
        }
    }
}

impl Measured {
    fn of(status: &OpeningStatus, now: Timestamp) -> Option<Self> {
        let end = now.0.div_euclid(BUCKET_MS) * BUCKET_MS;
        let window = end - BUCKET_MS * BUCKETS as i64;
        let (first, _) = status.outflow.range(window..end).next()?;
        let starts = (first + BUCKET_MS..end).step_by(usize::try_from(BUCKET_MS).ok()?);
        let counts: Vec<u32> = starts.map(|start| status.outflow.get(&start).copied().unwrap_or(0)).collect();
        let (buckets, admitted) = (u32::try_from(counts.len()).ok()?, counts.iter().sum::<u32>());
        if admitted == 0 {
            return None;
        }
        let mean = f64::from(admitted) / f64::from(buckets);
        let seen = BLOCKS.iter().filter_map(|size| variance(&counts, *size)).fold(0.0, f64::max);
        let variance = if counts.len() < FEW { seen.max(mean) } else { seen };
        Some(Self { buckets, admitted, mean, variance })
    }

    /// In how many seconds the `n`th is admitted: expected, early, late.
    fn seconds(&self, n: f64) -> (f64, f64, f64) {
        let Self { mean, variance, .. } = *self;
        // The roots of a x^2 - b x + n^2 = 0.
        let wide = Z * Z * variance;
        let a = mean * mean - wide / f64::from(self.buckets);
        let b = 2.0 * n * mean + wide;
        let root = (b * b - 4.0 * a * n * n).max(0.0).sqrt();
        let early = 2.0 * n * n / (b + root);
        let late = if a > 0.0 { (b + root) / (2.0 * a) } else { f64::INFINITY };
        (n / mean * BUCKET_S, early * BUCKET_S, late * BUCKET_S)
    }
}

/// The variance of a bucket, as it shows in whole blocks of `size` buckets,
/// counted from the newest; none when there are too few.
fn variance(counts: &[u32], size: usize) -> Option<f64> {
    let blocks: Vec<f64> =
        counts.rchunks_exact(size).map(|block| f64::from(block.iter().sum::<u32>())).collect();
    if blocks.len() < 3 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "at most 30")]
    let (count, size) = (blocks.len() as f64, size as f64);
    let mean = blocks.iter().sum::<f64>() / count;
    let squares: f64 = blocks.iter().map(|block| (block - mean) * (block - mean)).sum();
    Some(squares / (count - 1.0) / size)
}

/// What the rules allow: admissions at the rate that is set, if one is, and
/// as fast as full visits free the capacity at least.
fn allowed(policy: &Policy) -> Speed {
    let turnover = f64::from(policy.capacity) / f64::from(policy.stay_for_s.max(1));
    let limit = policy.admissions_per_minute.map(|per_minute| f64::from(per_minute) / 60.0);
    let expected = limit.unwrap_or(turnover);
    Speed { expected, slowest: turnover.min(expected), fastest: limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    /// When the simulated visitor looks: in the middle of a bucket.
    const NOW: i64 = HOUR_MS + 3_700;

    /// Random enough, and the same each time.
    struct Dice(u64);

    impl Dice {
        /// From 0 to 1.
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as f64 / (1u64 << 31) as f64
        }
    }

    /// An open opening with the admissions at these times before now.
    fn status(admissions: &[i64]) -> OpeningStatus {
        let mut status = OpeningStatus {
            state: OpeningState::Open,
            closes_at: Timestamp(100 * HOUR_MS),
            ..OpeningStatus::default()
        };
        let window = NOW - BUCKET_MS * BUCKETS as i64;
        for at in admissions.iter().filter(|at| (window..NOW).contains(*at)) {
            *status.outflow.entry(at.div_euclid(BUCKET_MS) * BUCKET_MS).or_default() += 1;
        }
        status
    }

    /// The estimate of who has 399 ahead, and when their turn really came.
    fn told(admissions: &[i64]) -> (Eta, Timestamp) {
        let eta = Pace::of(&status(admissions), Timestamp(NOW)).unwrap().eta(399, Timestamp(NOW));
        let turn = admissions.iter().filter(|at| **at >= NOW).nth(399).unwrap();
        (eta, Timestamp(*turn))
    }

    /// Two hours of admissions, with these gaps between.
    fn flow(mut gap_ms: impl FnMut() -> f64) -> Vec<i64> {
        let mut at = 0.0;
        let next = || {
            at += gap_ms();
            Some(at as i64)
        };
        std::iter::from_fn(next).take_while(|at| *at < 2 * HOUR_MS).collect()
    }

    /// Of so many flows, how many turns were within the bounds, and how wide
    /// the bounds were on average, in seconds.
    fn covered(flow_of: impl Fn(&mut Dice) -> Vec<i64>) -> (u32, i64) {
        let (mut within, mut width_s) = (0, 0);
        for seed in 0..200 {
            let (eta, turn) = told(&flow_of(&mut Dice(seed * 7_919 + 17)));
            within += u32::from((eta.early..=eta.late).contains(&turn));
            width_s += eta.late.ms_since(eta.early) / 1_000;
            assert!(eta.early <= eta.expected && eta.expected <= eta.late);
        }
        (within, width_s / 200)
    }

    #[test]
    fn a_constant_outflow_is_told_to_the_bucket() {
        let (eta, turn) = told(&flow(|| 250.0));
        assert!(eta.expected.ms_since(turn).abs() < 500, "{eta:?} {turn}");
        assert_eq!((eta.early, eta.late), (eta.expected, eta.expected));
    }

    #[test]
    fn what_comes_by_chance_is_told_within_bounds_that_hold() {
        let (within, width_s) = covered(|dice| flow(|| -250.0 * dice.roll().max(1e-9).ln()));
        assert!(within >= 170, "{within} of 200");
        assert!((10..60).contains(&width_s), "{width_s} s around 100 s");
    }

    #[test]
    fn bursts_give_wider_bounds_that_hold() {
        // Half a minute at eight a second, then about half a minute of none.
        let bursts = |dice: &mut Dice| {
            let (mut left, mut count) = (dice.roll() * 240.0, 0.0);
            flow(|| {
                count += 1.0;
                if count < left {
                    return 125.0;
                }
                (left, count) = (160.0 + 160.0 * dice.roll(), 0.0);
                20_000.0 + 20_000.0 * dice.roll()
            })
        };
        let (within, width_s) = covered(bursts);
        assert!(within >= 170, "{within} of 200");
        assert!(width_s > 60, "{width_s} s around 100 s");
    }

    #[test]
    fn the_first_rush_and_the_bucket_that_is_not_over_do_not_count() {
        // 200 at once as it opens, then one every two seconds.
        let opened = NOW - 95_000;
        let admissions: Vec<i64> =
            (0..200).map(|_| opened).chain((0..2_000).map(|i| opened + 2_000 * i)).collect();
        let (eta, turn) = told(&admissions);
        assert!(eta.expected.ms_since(turn).abs() < 20_000, "{eta:?} {turn}");
    }

    #[test]
    fn where_it_varies_too_much_the_closing_is_the_bound() {
        let mut status = status(&[]);
        status.closes_at = Timestamp(NOW + 1_000_000);
        for (start, count) in [(250_000, 1), (200_000, 1), (30_000, 400)] {
            status.outflow.insert(HOUR_MS - start, count);
        }
        let pace = Pace::of(&status, Timestamp(NOW)).unwrap();
        let eta = pace.eta(399, Timestamp(NOW));
        assert_eq!(eta.late, status.closes_at);
        assert!(eta.early < eta.expected && pace.speed().slowest < pace.speed().expected);
    }

    #[test]
    fn without_a_measurement_the_rules_tell() {
        let mut status = status(&[]);
        status.policy.admissions_per_minute = Some(60);
        (status.policy.capacity, status.policy.stay_for_s) = (60, 120);
        let pace = Pace::of(&status, Timestamp(0)).unwrap();
        let (at_rate, at_turnover) = (Timestamp(10_000), Timestamp(20_000));
        assert_eq!(pace.eta(9, Timestamp(0)), Eta { expected: at_rate, early: at_rate, late: at_turnover });
        assert_eq!((pace.basis(), pace.measured_s()), ("policy", 0));
        status.policy.admissions_per_minute = None;
        let eta = Pace::of(&status, Timestamp(0)).unwrap().eta(9, Timestamp(0));
        assert_eq!(eta, Eta { expected: at_turnover, early: Timestamp(0), late: at_turnover });
    }

    #[test]
    fn nobody_knows_while_nobody_is_admitted() {
        for state in
            [OpeningState::Scheduled, OpeningState::Drawing, OpeningState::Paused, OpeningState::Closed]
        {
            let status = OpeningStatus { state, ..status(&[]) };
            assert_eq!(Pace::of(&status, Timestamp(0)), None);
        }
    }
}
