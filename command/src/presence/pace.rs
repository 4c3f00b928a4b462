//! How often a visitor is to be heard of: longer, the farther back.
//!
//! `next_in_s = min(10 + ahead / 500, away_after_s / 3)`, less up to an eighth
//! that depends on the ticket, so that a crowd that came together does not go
//! on coming together. Where nobody has a number yet, everybody is ahead.
//!
//! `n` in line then send about `500 ln(1 + m / 5,000) + (n - m) * 3 /
//! away_after_s` heartbeats a second, and a sixteenth more, where `m` is how
//! far back the longest interval begins: a million send 6,400 with the
//! default of 600 s, and 27,000 with 120 s.

/// The interval of who is next, in seconds.
pub(super) const FRONT_S: u32 = 10;
/// How many people ahead make the interval a second longer.
const AHEAD_PER_S: u32 = 500;
/// How many intervals may pass in silence.
const MISSED: u32 = 3;

/// The longest interval.
pub(super) fn slowest_s(away_after_s: u32) -> u32 {
    (away_after_s / MISSED).max(1)
}

/// The interval of a visitor with `ahead` before them.
pub(super) fn interval_s(ahead: u32, away_after_s: u32) -> u32 {
    (FRONT_S + ahead / AHEAD_PER_S).min(slowest_s(away_after_s))
}

/// How long whoever was told `interval_s` may be silent.
pub(super) fn silence_s(interval_s: u32, away_after_s: u32) -> u32 {
    (MISSED * interval_s).min(away_after_s)
}

/// An eighth less at most, by something random of the ticket's.
pub(super) fn spread_s(interval_s: u32, random: u64) -> u32 {
    let most = u64::from(interval_s / 8 + 1);
    interval_s - u32::try_from(random % most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_farther_back_is_asked_less_often_and_nobody_less_than_a_third_of_the_time_until_away() {
        assert_eq!(interval_s(0, 600), 10);
        assert_eq!(interval_s(10_000, 600), 30);
        assert_eq!(interval_s(1_000_000, 600), 200);
        assert_eq!(interval_s(0, 10), 3);
        assert_eq!(interval_s(1_000_000, 10), 3);
        for (ahead, away_after_s) in [(0, 10), (0, 600), (70_000, 600), (2_000_000, 86_400)] {
            let interval = interval_s(ahead, away_after_s);
            assert_eq!(silence_s(interval, away_after_s), 3 * interval);
        }
    }

    #[test]
    fn a_spread_is_at_most_an_eighth_and_never_makes_an_interval_longer_or_none() {
        for interval in 1..300 {
            for random in [0, 1, 7, 1 << 40, u64::MAX] {
                let spread = spread_s(interval, random);
                assert!(spread <= interval && spread >= interval - interval / 8 && spread > 0);
            }
        }
    }

    #[test]
    fn a_million_visitors_send_as_much_as_the_text_above_says() {
        let per_second = |away_after_s| -> f64 {
            let of = |ahead: u32| {
                let random = u64::from(ahead).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                1.0 / f64::from(spread_s(interval_s(ahead, away_after_s), random >> 8))
            };
            (0..1_000_000).map(of).sum()
        };
        assert!((6_300.0..6_500.0).contains(&per_second(600)), "{}", per_second(600));
        assert!((26_500.0..27_200.0).contains(&per_second(120)), "{}", per_second(120));
    }
}
