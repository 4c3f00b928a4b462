//! What each visitor will do, decided before anything begins, by the seed
//! alone: a rehearsal can be played again.

use super::options::{Mix, Options};

/// How far apart the streams of two visitors start: the fraction of the
/// golden ratio, as splitmix64 has it.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Random enough for behaviour, and the same in every version of everything:
/// splitmix64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, visitor: u32) -> Self {
        let mut dice = Self(seed ^ u64::from(visitor).wrapping_mul(GOLDEN).rotate_left(17));
        dice.bits();
        dice
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to below 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(super) fn roll(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, percent: f64) -> bool {
        self.roll() * 100.0 < percent
    }

    /// A number from 0 to below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.bits() % end }
    }

    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// `ms`, a half of it less or more: people differ.
    pub(super) fn about(&mut self, ms: u64) -> u64 {
        self.between(ms / 2, ms + ms / 2)
    }
}

/// How a visit of the seat window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Pays,
    /// Gives the seats back and leaves.
    Releases,
    /// Closes the page: hold and visit run out.
    Vanishes,
}

/// A time of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Absence {
    pub(super) after_ms: u64,
    pub(super) for_ms: u64,
}

/// What one visitor will do. Times are from their join on unless they say
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// From the beginning of the rehearsal on.
    pub(super) arrives_ms: u64,
    pub(super) listens: bool,
    pub(super) reloads_ms: Option<u64>,
    pub(super) away: Option<Absence>,
    pub(super) leaves_ms: Option<u64>,
    /// Is not there at the first turn.
    pub(super) no_show: bool,
    /// And is back so long after it.
    pub(super) no_show_back_ms: Option<u64>,
    /// From the news of the turn to the click.
    pub(super) hesitates_ms: u64,
    /// Looks at the seats for so long.
    pub(super) chooses_ms: u64,
    /// Holds seats for so long before the payment is made.
    pub(super) pays_ms: u64,
    pub(super) extends: bool,
    pub(super) seats: u8,
    /// Which showing is looked at first, of those there are.
    pub(super) showing: u32,
    pub(super) ending: Ending,
}

impl Plan {
    /// The plan of this visitor, with the dice for what chance decides later.
    pub(super) fn of(visitor: u32, options: &Options) -> (Self, Dice) {
        let Mix { listen, reload, away, leave, no_show, no_pay, pay_late, .. } = options.mix;
        let mut dice = Dice::new(options.seed, visitor);
        let wave_ms = u64::from(options.over) * 1_000;
        let waits_ms = options.expected_ms();
        let arrives_ms = arrival(dice.roll(), wave_ms);
        let visit_ms = u64::from(options.visit) * 1_000;
        let chooses_ms = dice.about(visit_ms * 2 / 5);
        let in_time_ms = dice.about(visit_ms * 3 / 5);
        let too_late_ms = u64::from(options.hold_for_s()) * 1_000 + dice.between(500, 5_000);
        let pays_ms = if dice.chance(pay_late) { too_late_ms } else { in_time_ms };
        let mut sometimes = |percent, value: u64| dice.chance(percent).then(|| dice.below(value));
        let reloads_ms = sometimes(reload, waits_ms);
        let away_after = sometimes(away, waits_ms);
        let leaves_ms = sometimes(leave, waits_ms);
        let for_ms = dice.between(2_000, (waits_ms / 2).clamp(5_000, 180_000));
        let away = away_after.map(|after_ms| Absence { after_ms, for_ms });
        let no_show = dice.chance(no_show);
        let back = dice.chance(50.0).then(|| dice.between(2_000, (waits_ms / 2).clamp(5_000, 90_000)));
        let ending = match dice.chance(no_pay) {
            false => Ending::Pays,
            true if dice.chance(50.0) => Ending::Releases,
            true => Ending::Vanishes,
        };
        let plan = Self {
            arrives_ms,
            listens: dice.chance(listen),
            reloads_ms,
            away,
            leaves_ms,
            no_show,
            no_show_back_ms: back.filter(|_| no_show),
            hesitates_ms: dice.between(300, 3_000),
            chooses_ms,
            pays_ms,
            extends: dice.chance(5.0),
            // Mostly in pairs.
            seats: [1, 2, 2, 2, 3, 4][usize::try_from(dice.below(6)).unwrap_or(0)],
            showing: u32::try_from(dice.below(u64::from(u32::MAX))).unwrap_or(0),
            ending,
        };
        (plan, dice)
    }
}

/// A wave that swells until the opening opens, in the middle of it, and ebbs
/// away: when the visitor who drew `roll` arrives.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a day"
)]
fn arrival(roll: f64, wave_ms: u64) -> u64 {
    let part = if roll < 0.5 { (roll / 2.0).sqrt() } else { 1.0 - ((1.0 - roll) / 2.0).sqrt() };
    (part * wave_ms as f64) as u64
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Options {
        let words = std::iter::once("rehearse").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().options
    }

    fn plans(options: &Options) -> Vec<Plan> {
        (0..options.visitors).map(|visitor| Plan::of(visitor, options).0).collect()
    }

    #[test]
    fn the_same_seed_plans_the_same_and_another_one_does_not() {
        let plans_of = |line| plans(&options(line));
        assert_eq!(plans_of("--seed 7"), plans_of("--seed 7"));
        assert_ne!(plans_of("--seed 7"), plans_of("--seed 8"));
    }

    #[test]
    fn more_visitors_change_nothing_about_those_there_were() {
        let rate = "--rate 600 --visitors";
        let (few, many) = (plans(&options(&format!("{rate} 50"))), plans(&options(&format!("{rate} 500"))));
        assert!(few.iter().zip(&many).all(|(few, many)| few.arrives_ms == many.arrives_ms));
    }

    #[test]
    fn half_arrive_before_the_opening_opens_and_most_of_them_near_it() {
        let plans = plans(&options("--visitors 20000 --over 60"));
        let within =
            |from: u64, to: u64| plans.iter().filter(|plan| (from..to).contains(&plan.arrives_ms)).count();
        assert!((9_700..10_300).contains(&within(0, 30_000)), "{}", within(0, 30_000));
        assert!(within(20_000, 30_000) > 4 * within(0, 10_000));
        assert_eq!(within(0, 60_001), 20_000);
    }

    #[test]
    fn the_mix_is_what_was_asked_for() {
        let all =
            options("--visitors 20000 --no-show 5 --listen 10 --leave 3 --no-pay 20 --pay-late 6 --away 0");
        let plans = plans(&all);
        let share = |of: fn(&Plan) -> bool| {
            plans.iter().filter(|plan| of(plan)).count() as f64 * 100.0 / plans.len() as f64
        };
        let near = |share: f64, percent: f64| (share - percent).abs() < 1.0;
        assert!(near(share(|plan| plan.no_show), 5.0));
        assert!(near(share(|plan| plan.no_show_back_ms.is_some()), 2.5));
        assert!(near(share(|plan| plan.listens), 10.0));
        assert!(near(share(|plan| plan.leaves_ms.is_some()), 3.0));
        assert!(near(share(|plan| plan.ending != Ending::Pays), 20.0));
        assert!(near(share(|plan| plan.pays_ms > 30_000), 6.0));
        assert!(near(share(|plan| plan.away.is_some()), 0.0));
    }
}
