//! Choosing seats: where they stand, and which are the best of the free ones.
//!
//! Pure, and the same every time: an event lists the seats that were chosen,
//! so no fold ever chooses again.

mod floor;
mod rules;
mod search;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use rules::PlaceRule;

pub(super) use floor::Floor;
pub(super) use rules::PlaceRules;
pub(super) use search::Survey;

/// How far the best seats may be from what people like, step by step: each
/// step allows what is before it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relax {
    /// Side by side in one row, and no single free seat is left beside them.
    #[default]
    Nothing,
    /// A single free seat may be left.
    Single,
    /// In two neighbouring rows, one part behind the other.
    Split,
}

/// Seats that are asked for by what they should be, not by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Best {
    /// How many.
    pub count: u32,
    /// All of them in this category.
    pub category: Option<String>,
    /// How far they may be from what people like.
    pub relax: Relax,
    /// Whether one of them is a wheelchair place, and the others with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wheelchair: bool,
}
