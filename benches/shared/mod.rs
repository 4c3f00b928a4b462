//! What the benchmarks have in common: ratios of medians, and a stage.
//!
//! Each figure is a ratio of two things that were measured in one run on one
//! machine, in turns; absolute numbers are only there to be read.

#![allow(dead_code, reason = "each benchmark takes its part")]

use mimalloc::MiMalloc;

pub(crate) mod doors;
pub(crate) mod driver;
pub(crate) mod stage;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How often each side is measured.
pub(crate) const ROUNDS: usize = 3;

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a figure must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Limit {
    fn verdict(self, figure: f64) -> String {
        let (met, words, limit) = match self {
            Self::AtLeast(limit) => (figure >= limit, "at least", limit),
            Self::AtMost(limit) => (figure <= limit, "at most", limit),
        };
        format!("{words} {limit}: {}", if met { "met" } else { "MISSED" })
    }
}

/// Prints a figure with its limit.
pub(crate) fn tell(what: &str, figure: f64, unit: &str, limit: Limit) {
    println!("{what}: {figure:.2}{unit}, {}", limit.verdict(figure));
}

/// Pairs of measurements, ours and the other's, each taken in turns.
pub(crate) struct Pairs {
    what: String,
    unit: &'static str,
    pairs: Vec<(f64, f64)>,
}

impl Pairs {
    pub(crate) fn new(what: &str, unit: &'static str) -> Self {
        Self { what: what.to_owned(), unit, pairs: Vec::new() }
    }

    pub(crate) fn add(&mut self, ours: f64, theirs: f64) {
        println!("  {}: {ours:.0} against {theirs:.0} {}: {:.2}", self.what, self.unit, ours / theirs);
        self.pairs.push((ours, theirs));
    }

    /// Prints the ratio of the medians with its limit.
    pub(crate) fn tell(&self, limit: Limit) {
        let ours = median(self.pairs.iter().map(|(ours, _)| *ours));
        let theirs = median(self.pairs.iter().map(|(_, theirs)| *theirs));
        let ratio = ours / theirs;
        let (what, unit) = (&self.what, self.unit);
        println!("{what}: {ours:.0} against {theirs:.0} {unit} = {ratio:.2}, {}", limit.verdict(ratio));
    }
}

/// A size that the environment may change.
pub(crate) fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}
