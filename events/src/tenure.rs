//! Which records count: the reader's half of the writer's protocol.
//!
//! A record is valid only where the reign that wrote it left no gap before
//! it. One pure function decides this for writers, projectors, audit and
//! tests alike.
//!
//! A tenure is named by what its claim drew and by where the claim landed
//! ([`named`]). Should the same claim land again, behind another's, that is a
//! tenure without records: those that were on the way to the first one do not
//! follow it.

use serde::{Deserialize, Serialize};

use crate::record::Offset;

/// The tenure that begins with a claim that drew `drawn` and stands at `offset`.
pub fn named(drawn: u64, offset: Offset) -> u64 {
    drawn.wrapping_add(offset)
}

/// Where a record says it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The tenure in which it was written; of a claim, what it drew.
    pub tenure: u64,
    /// Its rank since the claim; a claim, and only a claim, has 0.
    pub n: u64,
}

impl Stamp {
    /// Whether this is a claim's.
    pub fn is_claim(self) -> bool {
        self.n == 0
    }
}

/// The reader's rules that a checker may take away one by one, to show that
/// each is needed. All hold in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CursorRules {
    /// A claim wins where it lands, whoever reigned before.
    pub claim_wins: bool,
    /// A record of another reign than the newest claim's is void.
    pub tenure: bool,
    /// A record that leaves a gap, or comes again, is void.
    pub rank: bool,
    /// After a void record nothing counts until the next claim.
    pub closes: bool,
}

impl CursorRules {
    /// Every record counts, wherever it lands.
    pub const NOTHING_IS_VOID: Self = Self { claim_wins: true, tenure: false, rank: false, closes: false };
}

impl Default for CursorRules {
    fn default() -> Self {
        Self { claim_wins: true, tenure: true, rank: true, closes: true }
    }
}

/// What a reader of one partition keeps between records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The tenure that the newest claim began.
    pub tenure: u64,
    /// The last valid record's rank in it.
    pub n: u64,
    /// Whether the next rank would be valid.
    pub open: bool,
    /// The rules in force; all, outside of checkers.
    #[serde(skip)]
    pub rules: CursorRules,
}

/// What a reader does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A reign begins; every claim wins where it lands.
    Claim,
    /// Fold it.
    Valid,
    /// Count and log it, never fold it; nothing of its reign counts any more.
    Void,
}

impl Cursor {
    /// The start of a partition, with some rules taken away, for checkers.
    pub fn with_rules(rules: CursorRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Judges the next record of the partition, at `offset`, and moves on.
    pub fn judge(&mut self, offset: Offset, stamp: Stamp) -> Verdict {
        let rules = self.rules;
        if stamp.is_claim() && (rules.claim_wins || !self.open) {
            *self = Self { tenure: named(stamp.tenure, offset), n: 0, open: true, rules };
            return Verdict::Claim;
        }
        let of_this_tenure = stamp.tenure == self.tenure || !rules.tenure;
        let next_rank = self.n.checked_add(1) == Some(stamp.n) || !rules.rank;
        if !stamp.is_claim() && (self.open || !rules.closes) && of_this_tenure && next_rank {
            self.n = stamp.n;
            return Verdict::Valid;
        }
        self.open = false;
        Verdict::Void
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Claim, Valid, Void};
    use super::*;

    /// What becomes of the first records of a log, with these stamps.
    fn judged<const N: usize>(stamps: [(u64, u64); N]) -> [Verdict; N] {
        let (mut cursor, mut offsets) = (Cursor::default(), 0..);
        stamps.map(|(tenure, n)| cursor.judge(offsets.next().unwrap(), Stamp { tenure, n }))
    }

    #[test]
    fn records_count_in_their_order_after_the_claim() {
        assert_eq!(judged([(7, 0), (7, 1), (7, 2)]), [Claim, Valid, Valid]);
    }

    #[test]
    fn without_a_claim_nothing_counts() {
        assert_eq!(judged([(0, 1), (7, 1)]), [Void, Void]);
    }

    #[test]
    fn nothing_counts_after_a_gap_until_the_next_claim() {
        let stamps = [(7, 0), (7, 2), (7, 1), (7, 3), (8, 0), (named(8, 4), 1)];
        assert_eq!(judged(stamps), [Claim, Void, Void, Void, Claim, Valid]);
    }

    #[test]
    fn a_record_that_comes_again_ends_what_counts() {
        assert_eq!(judged([(7, 0), (7, 1), (7, 1), (7, 2)]), [Claim, Valid, Void, Void]);
    }

    #[test]
    fn a_record_of_an_earlier_reign_ends_the_newer_one_too() {
        assert_eq!(judged([(7, 0), (20, 0), (7, 1), (named(20, 1), 1)]), [Claim, Claim, Void, Void]);
    }

    #[test]
    fn a_claim_wins_where_it_lands_also_when_it_was_sent_earlier() {
        let stamps = [(8, 0), (8, 1), (7, 0), (8, 2), (named(7, 2), 1)];
        assert_eq!(judged(stamps), [Claim, Valid, Claim, Void, Void]);
    }

    #[test]
    fn records_do_not_follow_their_claim_where_it_landed_again() {
        let stamps = [(7, 0), (20, 0), (named(20, 1), 1), (7, 0), (7, 1), (7, 2)];
        assert_eq!(judged(stamps), [Claim, Claim, Valid, Claim, Void, Void]);
    }

    #[test]
    fn a_reader_goes_on_from_what_it_kept() {
        let mut cursor = Cursor { tenure: 7, n: 41, open: true, ..Cursor::default() };
        assert_eq!(cursor.judge(99, Stamp { tenure: 7, n: 42 }), Valid);
        let mut closed = Cursor { open: false, ..cursor };
        assert_eq!(closed.judge(100, Stamp { tenure: 7, n: 43 }), Void);
    }

    #[test]
    fn the_greatest_rank_and_tenure_do_not_overflow() {
        let mut cursor = Cursor { tenure: 7, n: u64::MAX, open: true, ..Cursor::default() };
        assert_eq!(cursor.judge(9, Stamp { tenure: 7, n: 1 }), Void);
        assert_eq!(cursor.judge(10, Stamp { tenure: u64::MAX, n: 0 }), Claim);
        assert_eq!(cursor.judge(11, Stamp { tenure: 9, n: 1 }), Valid);
    }
}
