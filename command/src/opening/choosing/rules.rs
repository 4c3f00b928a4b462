//! Rules about which seats may be held together, by the opening's policy.

use serde::Serialize;
use usher_events::plan::{SeatKind, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use super::{Floor, Relax, Survey};

/// A rule about seats that an opening's policy switches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceRule {
    /// No single free seat is left while another choice of the same size
    /// leaves none.
    NoSingleSeat,
    /// Wheelchair places are kept for who needs them.
    WheelchairKept,
    /// A companion place is held only with its wheelchair place.
    CompanionWithWheelchair,
    /// The house's seats are held by operators.
    HouseKept,
}

impl PlaceRule {
    /// The rule as people read it.
    pub(in crate::opening) fn says(self) -> &'static str {
        match self {
            Self::NoSingleSeat => "no single free seat may be left while other seats leave none",
            Self::WheelchairKept => "wheelchair places are kept for who needs them",
            Self::HouseKept => "these seats are kept for the house",
            Self::CompanionWithWheelchair => "a companion place is held only with its wheelchair place",
        }
    }
}

/// The rules that are in force for one showing at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::opening) struct PlaceRules {
    pub(super) no_single_seat: bool,
    pub(super) wheelchair_kept: bool,
    pub(super) companion_with_wheelchair: bool,
    pub(super) house_kept: bool,
}

impl PlaceRules {
    /// What `policy` says `now`. Once wheelchair places are for everybody, the
    /// places beside them are.
    pub(in crate::opening) fn in_force(policy: &Policy, showing: &Showing, now: Timestamp) -> Self {
        let until = |kept_s: u32| Timestamp(showing.starts_at.0 - i64::from(kept_s) * 1_000);
        let kept = policy.wheelchair_until_s.map(|kept_s| now < until(kept_s));
        Self {
            no_single_seat: policy.no_single_seat,
            wheelchair_kept: kept == Some(true),
            companion_with_wheelchair: policy.companion_with_wheelchair && kept != Some(false),
            house_kept: true,
        }
    }

    /// The house makes the rules; there is none for it.
    pub(in crate::opening) fn of_the_house() -> Self {
        Self::default()
    }

    /// Which of `seats` are not for who asks for all of them, and by which rule.
    pub(in crate::opening) fn not_for_you(
        &self,
        floor: &Floor,
        seats: &[u32],
        wheelchair: bool,
    ) -> Vec<(u32, PlaceRule)> {
        let broken = |seat: &u32| match floor.kind(*seat as usize) {
            Some(SeatKind::Wheelchair) if self.wheelchair_kept && !wheelchair => {
                Some((*seat, PlaceRule::WheelchairKept))
            }
            Some(SeatKind::Companion) if self.companion_with_wheelchair => {
                let places = floor.wheelchairs_of(*seat as usize);
                let alone = !places.is_empty() && !places.iter().any(|place| seats.contains(place));
                alone.then_some((*seat, PlaceRule::CompanionWithWheelchair))
            }
            Some(SeatKind::House) if self.house_kept => Some((*seat, PlaceRule::HouseKept)),
            _ => None,
        };
        seats.iter().filter_map(broken).collect()
    }

    /// The single seats that a hold of `seats` would leave, if it may not: none
    /// where no choice of the same size leaves none.
    pub(in crate::opening) fn singles_left<'a>(
        &self,
        survey: impl FnOnce() -> Survey<'a>,
        seats: &[u32],
    ) -> Vec<u32> {
        if !self.no_single_seat {
            return Vec::new();
        }
        let survey = survey();
        let singles = survey.singles_left(seats);
        if !singles.is_empty() && survey.best(seats.len(), Relax::Nothing).is_none() {
            return Vec::new();
        }
        singles
    }
}
