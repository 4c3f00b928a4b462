//! What a rehearsal showed.

mod chart;
mod html;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use usher::referee::Totals;

use super::ask::Kind;
use super::crowd::Played;
use super::ledger::{Estimate, Ledger};
use super::options::{Mix, Options};
use super::tally::{Quantiles, Second, Times};
use super::verdict::{Finding, Judge, Rule};
use super::visitor::End;

pub(super) use html::html;
pub(super) use text::text;

/// The most points of estimates that a report carries.
const POINTS: usize = 2_000;

/// Everything that is told in the end.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) usher: &'static str,
    pub(super) rehearsed: Rehearsed,
    pub(super) verdict: Verdict,
    pub(super) ends: BTreeMap<End, u64>,
    /// Still waiting or inside when the curtain fell.
    pub(super) unfinished: u64,
    pub(super) requests: Requests,
    /// Admissions until the visitor's page knew of it.
    pub(super) admitted_to_known: Option<Quantiles>,
    /// Admissions until the visitor entered.
    pub(super) admitted_to_entered: Option<Quantiles>,
    pub(super) estimates: Option<Estimates>,
    pub(super) load: Load,
    pub(super) seconds: Vec<Second>,
}

/// What was played.
#[derive(Debug, Serialize)]
pub(super) struct Rehearsed {
    pub(super) opening: String,
    /// Where, or none: on an usher that was started for this.
    pub(super) at: Option<String>,
    pub(super) began: String,
    pub(super) took_s: f64,
    pub(super) visitors: u32,
    pub(super) seed: u64,
    pub(super) over_s: u32,
    pub(super) per_minute: u32,
    pub(super) capacity: u32,
    pub(super) seats: u32,
    pub(super) merchant_confirms: bool,
    pub(super) mix: Mix,
}

/// The verdict, or why there is none.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// None: the verdict is not given.
    pub(super) held: Option<bool>,
    /// Where the log was read, or why it was not.
    pub(super) source: String,
    pub(super) records: u64,
    /// Records of broken tenures, which count for nobody.
    pub(super) void: u64,
    /// Tickets of others in the same opening.
    pub(super) strangers: u64,
    pub(super) acknowledged: u64,
    pub(super) totals: Totals,
    pub(super) rules: Vec<RuleVerdict>,
}

/// What was found about one rule.
#[derive(Debug, Serialize)]
pub(super) struct RuleVerdict {
    pub(super) rule: Rule,
    pub(super) says: &'static str,
    #[serde(flatten)]
    pub(super) finding: Finding,
}

/// All requests.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    pub(super) answers: u64,
    pub(super) commands: u64,
    pub(super) per_s: f64,
    pub(super) most_per_s: u32,
    /// Status events that were heard, and by how many listeners at most.
    pub(super) events: u64,
    pub(super) most_listeners: usize,
    /// 429, 5xx, and no answer at all, unless the connection was cut on purpose.
    pub(super) unanswered: u64,
    pub(super) by_kind: Vec<ByKind>,
    pub(super) refusals: Vec<Refusal>,
    /// Requests without an answer.
    pub(super) lost: BTreeMap<&'static str, u64>,
}

/// Requests of one kind.
#[derive(Debug, Serialize)]
pub(super) struct ByKind {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) per_s: f64,
    #[serde(flatten)]
    pub(super) times: Quantiles,
}

/// A reason, and how often.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) status: u16,
    pub(super) count: u64,
}

/// What visitors were told of their turn, against when it came.
#[derive(Debug, Serialize)]
pub(super) struct Estimates {
    pub(super) all: Judged,
    pub(super) by_wait: Vec<Judged>,
    /// Told and true wait, in seconds, of some.
    pub(super) points: Vec<(f64, f64)>,
}

/// Estimates of turns that were so far away.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) from_s: f64,
    pub(super) to_s: Option<f64>,
    pub(super) count: usize,
    /// How many of a hundred turns came between the early and the late bound.
    pub(super) within_percent: f64,
    /// Half of them were no farther off.
    pub(super) median_error_s: f64,
    /// Nine of ten were no farther off.
    pub(super) p90_error_s: f64,
    /// How much later the turn came, in the middle; negative: earlier.
    pub(super) median_late_s: f64,
}

/// What it took.
#[derive(Debug, Default, Serialize)]
pub(super) struct Load {
    /// Waiting for one of the rehearsal's own connections, a part of all times.
    pub(super) waited_for_connection: Quantiles,
    /// How late the rehearsal itself was.
    pub(super) late: Quantiles,
    pub(super) own_memory_mib: Option<f64>,
    pub(super) own_processor_s: Option<f64>,
    pub(super) usher_memory_mib: Option<f64>,
    pub(super) usher_processor_s: Option<f64>,
}

impl Verdict {
    pub(super) fn given(
        source: String,
        judge: &Judge,
        findings: BTreeMap<Rule, Finding>,
        ledger: &Ledger,
    ) -> Self {
        let rule = |(rule, finding): (Rule, Finding)| RuleVerdict { rule, says: rule.says(), finding };
        Self {
            held: Some(findings.values().all(|finding| finding.broken == 0)),
            source,
            records: judge.records,
            void: judge.void,
            strangers: judge.strangers,
            acknowledged: ledger.acknowledged.len() as u64,
            totals: judge.totals(),
            rules: findings.into_iter().map(rule).collect(),
        }
    }

    pub(super) fn not_given(why: String, ledger: &Ledger) -> Self {
        Self {
            held: None,
            source: why,
            records: 0,
            void: 0,
            strangers: 0,
            acknowledged: ledger.acknowledged.len() as u64,
            totals: Totals::default(),
            rules: Vec::new(),
        }
    }
}

impl Requests {
    pub(super) fn of(played: &Played) -> Self {
        let tally = &played.tally;
        let seconds = played.took.as_secs_f64().max(0.001);
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let per_s = |count: u64| count as f64 / seconds;
        let by_kind = |kind: Kind| {
            let times = tally.times(kind)?;
            Some(ByKind { kind, name: kind.name(), per_s: per_s(times.count), times })
        };
        let refusal = |((reason, status), count): (&(String, u16), &u64)| Refusal {
            reason: reason.clone(),
            status: *status,
            count: *count,
        };
        let mut refusals: Vec<Refusal> = tally.refusals.iter().map(refusal).collect();
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.count));
        Self {
            answers: tally.answers,
            commands: tally.commands,
            per_s: per_s(tally.answers),
            most_per_s: tally.seconds.iter().map(|second| second.answers).max().unwrap_or(0),
            events: tally.events,
            unanswered: tally.failures,
            most_listeners: played.most_listeners,
            by_kind: Kind::ALL.into_iter().filter_map(by_kind).collect(),
            refusals,
            lost: tally.lost.clone(),
        }
    }
}

impl Rehearsed {
    pub(super) fn of(
        options: &Options,
        opening: String,
        at: Option<String>,
        merchant_confirms: bool,
    ) -> Self {
        Self {
            opening,
            at,
            began: usher_events::time::Timestamp::now().to_rfc3339(),
            took_s: 0.0,
            visitors: options.visitors,
            seed: options.seed,
            over_s: options.over,
            per_minute: options.rate(),
            capacity: options.capacity(),
            seats: options.seats(),
            merchant_confirms,
            mix: options.mix,
        }
    }
}

/// From admission to knowing of it, and to entering, by the log's times.
/// `began` is the rehearsal's beginning, as the log counts.
pub(super) fn turns(judge: &Judge, ledger: &Ledger, began_ms: i64) -> Result<(Quantiles, Quantiles), String> {
    let (mut known, mut entered) = (Times::new(3)?, Times::new(3)?);
    let took = |ms: i64| std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    for (visitor, at) in &ledger.turns {
        let at = began_ms + i64::try_from(*at).unwrap_or(i64::MAX);
        let before = judge.seen[*visitor as usize].admitted.iter().rfind(|admitted| admitted.0 <= at);
        if let Some(admitted) = before {
            known.note(took(at - admitted.0));
        }
    }
    for seen in &judge.seen {
        let Some(at) = seen.entered else { continue };
        if let Some(admitted) = seen.admitted.iter().rfind(|admitted| **admitted <= at) {
            entered.note(took(at.ms_since(*admitted)));
        }
    }
    Ok((known.summary(), entered.summary()))
}

impl Estimates {
    /// Of those who were there when their turn came.
    pub(super) fn of(judge: &Judge, ledger: &Ledger, began_ms: i64) -> Option<Self> {
        let truth = |estimate: &Estimate| {
            let seen = &judge.seen[estimate.visitor as usize];
            let told = began_ms + i64::try_from(estimate.told_ms).ok()?;
            let turn = seen.admitted.iter().find(|at| at.0 >= told).filter(|_| !seen.was_away)?;
            Some(Compared::of(estimate, told, turn.0))
        };
        let compared: Vec<Compared> = ledger.estimates.iter().filter_map(truth).collect();
        if compared.is_empty() {
            return None;
        }
        let bounds =
            [(0.0, Some(15.0)), (15.0, Some(60.0)), (60.0, Some(180.0)), (180.0, Some(600.0)), (600.0, None)];
        let by_wait = bounds.into_iter().filter_map(|(from, to)| Judged::of(&compared, from, to)).collect();
        let every = compared.len().div_ceil(POINTS).max(1);
        let points = compared.iter().step_by(every).map(|one| (one.told_s, one.true_s)).collect();
        Some(Self { all: Judged::of(&compared, 0.0, None)?, by_wait, points })
    }
}

/// An estimate and the truth.
#[derive(Debug, Clone, Copy)]
struct Compared {
    told_s: f64,
    true_s: f64,
    within: bool,
}

impl Compared {
    fn of(estimate: &Estimate, told_at: i64, turn: i64) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a week in milliseconds")]
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        // The log's times are whole milliseconds, and a batch is admitted at once.
        let within = (estimate.early.0 - 500..=estimate.late.0 + 500).contains(&turn);
        Self { told_s: seconds(estimate.expected.0 - told_at), true_s: seconds(turn - told_at), within }
    }
}

impl Judged {
    fn of(all: &[Compared], from_s: f64, to_s: Option<f64>) -> Option<Self> {
        let far = |one: &&Compared| one.true_s >= from_s && to_s.is_none_or(|to| one.true_s < to);
        let these: Vec<&Compared> = all.iter().filter(far).collect();
        if these.is_empty() {
            return None;
        }
        let mut late: Vec<f64> = these.iter().map(|one| one.true_s - one.told_s).collect();
        let mut error: Vec<f64> = late.iter().map(|late| late.abs()).collect();
        late.sort_by(f64::total_cmp);
        error.sort_by(f64::total_cmp);
        let at = |sorted: &[f64], part: usize| sorted[(sorted.len() * part / 100).min(sorted.len() - 1)];
        let within = these.iter().filter(|one| one.within).count();
        #[allow(clippy::cast_precision_loss, reason = "thousands")]
        Some(Self {
            from_s,
            to_s,
            count: these.len(),
            within_percent: within as f64 * 100.0 / these.len() as f64,
            median_error_s: at(&error, 50),
            p90_error_s: at(&error, 90),
            median_late_s: at(&late, 50),
        })
    }
}
