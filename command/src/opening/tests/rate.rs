//! How fast the timer admits.

use proptest::prelude::*;
use usher_events::event::*;
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use super::facts::*;
use super::{Given, at, given, ms};

/// An opening with room for all of a long line.
fn line(per_minute: Option<u32>) -> Given {
    let policy = Policy { capacity: 1_000_000, admissions_per_minute: per_minute, ..policy() };
    let mut line = given(open_with(policy));
    for number in 1..=3_000 {
        line.happened(joined(visitor(number), number));
    }
    line
}

/// When how many were admitted, with a timer that fires on time until `end`.
fn admissions(line: &mut Given, end: Timestamp) -> Vec<(i64, usize)> {
    let mut admissions = Vec::new();
    while let Some(due) = line.opening.next_due().filter(|due| *due <= end) {
        line.now = line.now.max(due);
        for event in line.timers() {
            if let Event::VisitorsAdmitted(event) = event {
                admissions.push((event.at.ms_since(OPENS_AT), event.admitted.len()));
            }
        }
    }
    admissions
}

#[test]
fn a_slow_rate_admits_one_at_a_time_evenly_spread() {
    let expected = [(0, 1), (1_000, 1), (2_000, 1), (3_000, 1)];
    assert_eq!(admissions(&mut line(Some(60)), at(3)), expected);
}

#[test]
fn a_fast_rate_admits_in_batches_a_tenth_of_a_second_apart() {
    let expected = [(0, 1), (100, 10), (200, 10), (300, 10), (400, 10)];
    assert_eq!(admissions(&mut line(Some(6_000)), ms(400)), expected);
}

#[test]
fn without_a_rate_only_the_capacity_limits() {
    assert_eq!(admissions(&mut line(None), at(1)), [(0, 3_000)]);
}

#[test]
fn the_rate_holds_over_a_minute() {
    for per_minute in [1, 7, 59, 60, 61, 90, 601, 2_999] {
        let admitted: usize = admissions(&mut line(Some(per_minute)), at(60)).iter().map(|(_, n)| n).sum();
        // The first one goes at once, and intervals are rounded up to a millisecond.
        let most = per_minute as usize + 1;
        assert!((most - most / 50 - 1..=most).contains(&admitted), "{per_minute}: {admitted}");
    }
}

#[test]
fn a_timer_that_fires_late_catches_up_but_never_more_than_a_second() {
    let mut line = line(Some(600));
    admissions(&mut line, at(1));
    line.now = ms(1_450);
    let late = admissions(&mut line, ms(1_450));
    assert_eq!(late, [(1_450, 4)], "those of 1.1, 1.2, 1.3 and 1.4 s");
    line.now = at(60);
    assert_eq!(admissions(&mut line, at(60)), [(60_000, 10)]);
}

#[test]
fn a_pause_is_followed_by_no_burst() {
    let mut line = line(Some(600));
    admissions(&mut line, at(1));
    line.happened(paused(ms(1_050)));
    line.happened(resumed(at(30)));
    assert_eq!(admissions(&mut line, ms(30_200)), [(30_000, 1), (30_100, 1), (30_200, 1)]);
    line.happened(paused(at(31)));
    line.happened(drained(at(60)));
    assert_eq!(admissions(&mut line, ms(60_100)), [(60_000, 1), (60_100, 1)]);
}

#[test]
fn a_faster_rate_counts_at_once() {
    let mut line = line(Some(1));
    assert_eq!(admissions(&mut line, at(1)), [(0, 1)]);
    let policy = Policy { admissions_per_minute: Some(60), ..line.opening.policy().clone() };
    line.happened(PolicyChanged { at: at(2), policy }.into());
    assert_eq!(admissions(&mut line, at(4)), [(3_000, 1), (4_000, 1)]);
}

#[test]
fn who_joins_an_idle_opening_does_not_wait_for_a_tick() {
    let mut idle = given(open()).and(joined(ANN, 1));
    idle.timers();
    let later = idle.and(VisitorJoined { at: ms(5_001), ticket: BEN, number: Some(2), subject: None }.into());
    assert!(later.opening.due(ms(5_001)).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// However irregularly timers fire, no window of time sees more than the
    /// rate and the burst of one second.
    #[test]
    fn no_window_sees_more_than_the_rate_and_one_second(
        per_minute in 1u32..20_000,
        waits in prop::collection::vec(0i64..2_500, 1..60),
    ) {
        let mut line = line(Some(per_minute));
        let mut seen: Vec<(i64, usize)> = Vec::new();
        for wait in waits {
            line.now = Timestamp(line.now.0 + wait);
            for event in line.timers() {
                if let Event::VisitorsAdmitted(event) = event {
                    seen.push((event.at.0, event.admitted.len()));
                }
            }
        }
        for (i, (start, _)) in seen.iter().enumerate() {
            let mut admitted = 0;
            for (end, count) in &seen[i..] {
                admitted += count;
                let window_ms = end - start + 1_000;
                let allowed = (window_ms * i64::from(per_minute)).div_euclid(60_000).max(1);
                // One is always allowed where the window is shorter than the interval.
                let slack = if per_minute <= 66 { 1 } else { 0 };
                prop_assert!(admitted as i64 <= allowed + slack, "{admitted} in {window_ms} ms");
            }
        }
    }
}
