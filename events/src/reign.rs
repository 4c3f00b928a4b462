//! The writer's half of the protocol: one reign over one partition.
//!
//! A pure state machine without I/O, threads or clocks. The writer's thread,
//! the simulator and the model checker drive this very code.
//!
//! What it guarantees, given readers that judge with [`Cursor`]: a record
//! that [`Reign::reported`] confirms is valid in the log, at the claim's
//! offset plus its rank, and so is every record before it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::record::Offset;
use crate::tenure::{self, Cursor, Stamp};

/// The protocol's rules that a checker may take away one by one, to show that
/// each is needed. All hold in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// The first failure ends the tenure; later reports are ignored.
    pub latch: bool,
    /// A success counts only at the claim's offset plus the record's rank.
    pub in_place: bool,
    /// A record is confirmed only with every earlier one.
    pub no_gap: bool,
    /// Serve only after folding up to and with the own claim.
    pub fold_first: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { latch: true, in_place: true, no_gap: true, fold_first: true }
    }
}

/// How far a reign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Phase {
    /// Nobody's reign: following.
    #[default]
    Idle,
    /// The claim is sent.
    Claiming,
    /// The claim stands at `epoch`; what precedes it is being folded.
    Folding,
    /// Deciding and appending.
    Serving,
    /// Latched: over for good.
    Over,
}

/// What a delivery report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: another tenure's, or after the end.
    Ignored,
    /// The claim landed at `offset`.
    Claimed {
        /// Where the claim stands: the tenure's epoch.
        offset: Offset,
    },
    /// All own records up to rank `through` are durable and valid.
    Confirmed {
        /// The greatest rank that is.
        through: u64,
    },
    /// The tenure is over: drop what is not confirmed.
    Over,
}

/// One instance's attempts to reign over one partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Reign {
    rules: Rules,
    phase: Phase,
    /// What the claim drew.
    drawn: u64,
    /// Where the claim stands.
    epoch: Offset,
    sent: u64,
    confirmed: u64,
    /// Ranks reported well before an earlier one was.
    early: BTreeSet<u64>,
}

impl Reign {
    /// Nobody's reign yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One with some rules taken away, for checkers.
    pub fn with_rules(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Begins an attempt with a new random number: send the claim, alone.
    pub fn claim(&mut self, drawn: u64) -> Stamp {
        *self = Self { phase: Phase::Claiming, drawn, ..Self::with_rules(self.rules) };
        Stamp { tenure: drawn, n: 0 }
    }

    /// Takes the report of an own record: the offset where it is durable, or
    /// that it is not known to be.
    pub fn reported(&mut self, tenure: u64, n: u64, outcome: Result<Offset, ()>) -> Progress {
        let own = if n == 0 { self.drawn } else { self.tenure() };
        if tenure != own || matches!(self.phase, Phase::Idle | Phase::Over) {
            return Progress::Ignored;
        }
        match (self.phase, n, outcome) {
            (Phase::Claiming, 0, Ok(offset)) => {
                self.phase = Phase::Folding;
                self.epoch = offset;
                Progress::Claimed { offset }
            }
            (Phase::Serving, 1.., Ok(offset)) if self.is_in_place(n, offset) => self.confirm(n),
            _ => self.fail(),
        }
    }

    fn is_in_place(&self, n: u64, offset: Offset) -> bool {
        n <= self.sent && (!self.rules.in_place || offset == self.epoch + n)
    }

    fn confirm(&mut self, n: u64) -> Progress {
        if !self.rules.no_gap {
            self.confirmed = self.confirmed.max(n);
            return Progress::Confirmed { through: self.confirmed };
        }
        // Twice the same report is not what the log promises.
        if n <= self.confirmed || !self.early.insert(n) {
            return self.fail();
        }
        while self.early.remove(&(self.confirmed + 1)) {
            self.confirmed += 1;
        }
        Progress::Confirmed { through: self.confirmed }
    }

    fn fail(&mut self) -> Progress {
        if !self.rules.latch {
            return Progress::Ignored;
        }
        self.phase = Phase::Over;
        Progress::Over
    }

    /// The follower has folded up to `position`, the next offset, with
    /// `cursor`. True when this is what the reign waited for: serve now.
    ///
    /// A claim that stands elsewhere than its report said ends the attempt:
    /// every place of the tenure is counted from there.
    pub fn folded(&mut self, position: Offset, cursor: &Cursor) -> bool {
        if self.phase != Phase::Folding || (self.rules.fold_first && position <= self.epoch) {
            return false;
        }
        let own = cursor.tenure == self.tenure() && cursor.n == 0 && cursor.open;
        if self.rules.fold_first && !own {
            self.phase = Phase::Over;
            return false;
        }
        self.phase = Phase::Serving;
        true
    }

    /// Ends the reign from outside: a foreign claim was seen, or it is handed over.
    pub fn end(&mut self) {
        if self.phase != Phase::Idle {
            self.phase = Phase::Over;
        }
    }

    /// The stamp of the next record; none unless serving.
    pub fn next_stamp(&mut self) -> Option<Stamp> {
        if self.phase != Phase::Serving {
            return None;
        }
        self.sent += 1;
        Some(Stamp { tenure: self.tenure(), n: self.sent })
    }

    /// Whether commands may be decided.
    pub fn serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// Whether an attempt is under way or serving.
    pub fn active(&self) -> bool {
        matches!(self.phase, Phase::Claiming | Phase::Folding | Phase::Serving)
    }

    /// How many records were stamped since the claim.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The greatest rank that is durable and valid with all before it.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// What this attempt's claim drew; 0 before the first.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// The tenure of this attempt; it has none before its claim has landed.
    fn tenure(&self) -> u64 {
        tenure::named(self.drawn, self.epoch)
    }

    /// Where the claim stands, once it is known.
    pub fn epoch(&self) -> Option<Offset> {
        matches!(self.phase, Phase::Folding | Phase::Serving).then_some(self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a claim of 7 stands in these tests.
    const EPOCH: Offset = 10;

    /// Its tenure's name.
    const TENURE: u64 = 17;

    /// What a follower knows that has just folded a claim.
    fn after_claim(drawn: u64, offset: Offset) -> Cursor {
        Cursor { tenure: tenure::named(drawn, offset), n: 0, open: true, ..Cursor::default() }
    }

    fn claimed() -> Reign {
        let mut reign = Reign::new();
        reign.claim(7);
        assert_eq!(reign.reported(7, 0, Ok(EPOCH)), Progress::Claimed { offset: EPOCH });
        reign
    }

    /// Serves, and has sent records that belong at 11, 12, ...
    fn serving(sent: u64) -> Reign {
        let mut reign = claimed();
        assert!(reign.folded(EPOCH + 1, &after_claim(7, EPOCH)));
        for n in 1..=sent {
            assert_eq!(reign.next_stamp(), Some(Stamp { tenure: TENURE, n }));
        }
        reign
    }

    #[test]
    fn a_record_is_confirmed_only_with_every_earlier_one() {
        let mut reign = serving(3);
        assert_eq!(reign.reported(TENURE, 2, Ok(12)), Progress::Confirmed { through: 0 });
        assert_eq!(reign.reported(TENURE, 1, Ok(11)), Progress::Confirmed { through: 2 });
        assert_eq!(reign.reported(TENURE, 3, Ok(13)), Progress::Confirmed { through: 3 });
    }

    #[test]
    fn a_success_out_of_its_place_ends_the_tenure() {
        for elsewhere in [0, 1, 10, 12, u64::MAX] {
            let mut reign = serving(2);
            assert_eq!(reign.reported(TENURE, 1, Ok(elsewhere)), Progress::Over);
            assert_eq!(reign.reported(TENURE, 2, Ok(12)), Progress::Ignored, "nothing counts after the end");
            assert_eq!((reign.next_stamp(), reign.confirmed()), (None, 0));
        }
    }

    #[test]
    fn an_unknown_outcome_ends_the_tenure_and_keeps_what_was_confirmed() {
        let mut reign = serving(3);
        reign.reported(TENURE, 1, Ok(11));
        assert_eq!(reign.reported(TENURE, 2, Err(())), Progress::Over);
        assert_eq!(reign.reported(TENURE, 3, Ok(13)), Progress::Ignored);
        assert_eq!((reign.confirmed(), reign.serving()), (1, false));
    }

    #[test]
    fn a_report_that_comes_again_or_of_what_was_never_sent_ends_the_tenure() {
        let mut reign = serving(2);
        reign.reported(TENURE, 1, Ok(11));
        assert_eq!(reign.reported(TENURE, 1, Ok(11)), Progress::Over);
        assert_eq!(serving(2).reported(TENURE, 3, Ok(13)), Progress::Over);
        assert_eq!(serving(2).reported(7, 0, Ok(10)), Progress::Over);
    }

    #[test]
    fn reports_of_another_tenure_change_nothing() {
        let mut reign = serving(1);
        assert_eq!(reign.reported(7, 1, Err(())), Progress::Ignored, "its claim had landed elsewhere");
        assert_eq!(reign.reported(6, 0, Err(())), Progress::Ignored);
        assert_eq!(reign.reported(TENURE, 1, Ok(11)), Progress::Confirmed { through: 1 });
    }

    #[test]
    fn a_claim_of_unknown_outcome_is_given_up() {
        let mut reign = Reign::new();
        reign.claim(7);
        assert_eq!(reign.reported(7, 0, Err(())), Progress::Over);
        assert_eq!(reign.claim(8), Stamp { tenure: 8, n: 0 });
        assert_eq!(reign.reported(7, 0, Ok(3)), Progress::Ignored, "the first claim's late report");
    }

    #[test]
    fn nothing_is_served_before_the_own_claim_is_folded() {
        let mut reign = claimed();
        assert!(!reign.folded(EPOCH, &Cursor::default()));
        assert_eq!(reign.next_stamp(), None);
        assert!(reign.active(), "it goes on folding");
    }

    #[test]
    fn a_claim_that_stands_elsewhere_than_reported_ends_the_attempt() {
        let mut reign = Reign::new();
        reign.claim(7);
        reign.reported(7, 0, Ok(0));
        assert!(!reign.folded(EPOCH + 1, &after_claim(7, EPOCH)));
        assert!(!reign.active());
    }

    #[test]
    fn a_later_claim_or_record_of_another_ends_the_attempt() {
        let closed = Cursor { open: false, ..after_claim(7, EPOCH) };
        let went_on = Cursor { n: 1, ..after_claim(7, EPOCH) };
        for cursor in [after_claim(9, 11), after_claim(7, 11), closed, went_on] {
            let mut reign = claimed();
            assert!(!reign.folded(12, &cursor));
            assert!(!reign.active());
        }
    }

    #[test]
    fn a_new_attempt_forgets_the_one_before() {
        let mut reign = serving(2);
        reign.reported(TENURE, 2, Ok(12));
        assert_eq!(reign.claim(8), Stamp { tenure: 8, n: 0 });
        assert_eq!((reign.epoch(), reign.serving(), reign.active()), (None, false, true));
        assert_eq!(reign.reported(TENURE, 1, Ok(11)), Progress::Ignored);
        assert_eq!((reign.sent(), reign.confirmed()), (0, 0));
    }
}
