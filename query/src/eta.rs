//! When a visitor's turn may come.

use serde::Serialize;
use usher_events::time::{Timestamp, rfc3339};
use usher_projector::queue::{BUCKET_MS, BUCKETS, OpeningState, OpeningStatus};

/// An estimate with bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Eta {
    /// Most likely.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expected: Timestamp,
    /// If it goes half as fast again.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    early: Timestamp,
    /// If it goes half as fast.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    late: Timestamp,
}

/// When the turn of a visitor comes who has `ahead` present visitors before
/// them: `ahead + 1` admissions at the speed of the last five minutes, or, as
/// long as none are measured, at the policy's rate, or at the rate at which
/// full visits would free the capacity. None while nobody is admitted.
pub(crate) fn eta(status: &OpeningStatus, ahead: u32, now: Timestamp) -> Option<Eta> {
    if !matches!(status.state, OpeningState::Open | OpeningState::Draining) {
        return None;
    }
    let per_s = speed(status, now);
    let after = |factor: f64| {
        let seconds = (f64::from(ahead) + 1.0) / (per_s * factor);
        #[allow(clippy::cast_possible_truncation, reason = "bounded to a week")]
        let ms = (seconds.min(604_800.0) * 1000.0) as i64;
        Timestamp(now.0 + ms)
    };
    Some(Eta { expected: after(1.0), early: after(1.5), late: after(0.5) })
}

fn speed(status: &OpeningStatus, now: Timestamp) -> f64 {
    let window = BUCKET_MS * BUCKETS as i64;
    let recent = status.outflow.range(now.0 - window..);
    let (mut admitted, mut first) = (0, None);
    for (start, count) in recent {
        admitted += count;
        first.get_or_insert(*start);
    }
    if let (Some(first), 1..) = (first, admitted) {
        let elapsed = (now.0 - first).clamp(BUCKET_MS, window);
        #[allow(clippy::cast_precision_loss, reason = "some minutes in milliseconds")]
        return f64::from(admitted) * 1000.0 / elapsed as f64;
    }
    let policy = &status.policy;
    match policy.admissions_per_minute {
        Some(per_minute) => f64::from(per_minute) / 60.0,
        None => f64::from(policy.capacity) / f64::from(policy.stay_for_s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> OpeningStatus {
        OpeningStatus { state: OpeningState::Open, ..OpeningStatus::default() }
    }

    #[test]
    fn the_measured_outflow_tells_when() {
        let mut status = status();
        status.outflow.insert(0, 100);
        status.outflow.insert(10_000, 100);
        let eta = eta(&status, 99, Timestamp(20_000)).unwrap();
        assert_eq!(eta.expected, Timestamp(30_000), "100 admissions at 10 a second");
        assert!(eta.early < eta.expected && eta.expected < eta.late);
    }

    #[test]
    fn without_a_measurement_the_policys_rate_tells() {
        let mut status = status();
        status.policy.admissions_per_minute = Some(60);
        assert_eq!(eta(&status, 9, Timestamp(0)).unwrap().expected, Timestamp(10_000));
    }

    #[test]
    fn nobody_knows_while_nobody_is_admitted() {
        let paused = OpeningStatus { state: OpeningState::Paused, ..OpeningStatus::default() };
        assert_eq!(eta(&paused, 9, Timestamp(0)), None);
    }
}
