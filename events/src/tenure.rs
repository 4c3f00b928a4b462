//! Which records count: the reader's half of the writer's protocol.
//!
//! A record is valid only where the reign that wrote it left no gap before
//! it. One pure function decides this for writers, projectors, audit and
//! tests alike.

use serde::{Deserialize, Serialize};

/// Where a record says it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The reign that wrote it.
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

/// The reader's rule that a checker may take away, to show that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CursorRules {
    /// A record that does not continue the open tenure is void and closes it.
    pub void: bool,
}

impl Default for CursorRules {
    fn default() -> Self {
        Self { void: true }
    }
}

/// What a reader of one partition keeps between records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The newest claim's reign.
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

    /// Judges the next record of the partition and moves on.
    pub fn judge(&mut self, stamp: Stamp) -> Verdict {
        if stamp.is_claim() {
            *self = Self { tenure: stamp.tenure, n: 0, open: true, rules: self.rules };
            return Verdict::Claim;
        }
        if self.open && stamp.tenure == self.tenure && stamp.n == self.n + 1 {
            self.n = stamp.n;
            return Verdict::Valid;
        }
        if !self.rules.void {
            self.n = stamp.n;
            return Verdict::Valid;
        }
        self.open = false;
        Verdict::Void
    }
}
