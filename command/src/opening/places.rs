//! Whether seats may be held: free, for who asks, by the rules about seats,
//! and what else there is when they may not.

use usher_events::ids::{SeatId, Ticket};
use usher_events::plan::SeatKind;
use usher_events::time::Timestamp;

use super::choosing::{PlaceRule, PlaceRules, Relax, Survey};
use super::seats::{Hall, SeatState};
use super::{Opening, Refusal, SeatConflict, SeatProblem};

impl Opening {
    /// All of `seats` may be held together. Otherwise each that cannot is named
    /// with its reason, or the rule that is against them; and the nearest seats
    /// that may be held instead. The asker's `own` seats count as free.
    pub(super) fn check_places(
        &self,
        now: Timestamp,
        ticket: Ticket,
        showing: usize,
        own: &[u32],
        seats: &[u32],
        wheelchair: bool,
    ) -> Result<(), Refusal> {
        let (Some(shown), Some(hall)) = (self.showings.get(showing), self.hall_of(showing)) else {
            return Ok(());
        };
        let rules = match ticket {
            Ticket::HOUSE => PlaceRules::of_the_house(),
            _ => PlaceRules::in_force(&self.policy, &shown.showing, now),
        };
        let not_for_you = rules.not_for_you(&hall.floor, seats, wheelchair);
        let state =
            |seat: u32| if own.contains(&seat) { SeatState::Free } else { shown.states[seat as usize] };
        let taken = conflicts(state, hall, seats, &not_for_you);
        let alternative = || self.alternative(showing, hall, &rules, own, seats, wheelchair);
        let id = shown.showing.showing.clone();
        if taken.iter().any(|conflict| conflict.why != SeatProblem::NotForYou) {
            let alternative = alternative();
            return Err(Refusal::SeatsTaken { showing: id, conflicts: taken, alternative });
        }
        if let Some((_, rule)) = not_for_you.first() {
            let of_rule = not_for_you.iter().filter(|(_, broken)| broken == rule);
            let against: Vec<u32> = of_rule.map(|(seat, _)| *seat).collect();
            let (seats, alternative) = (hall.ids(&against), alternative());
            return Err(Refusal::PlaceRule { showing: id, rule: *rule, seats, alternative });
        }
        let survey = || self.survey(showing, hall, own, hall.floor.common_category(seats));
        let singles = rules.singles_left(survey, seats);
        if singles.is_empty() {
            return Ok(());
        }
        let (seats, alternative) = (hall.ids(&singles), alternative());
        Err(Refusal::PlaceRule { showing: id, rule: PlaceRule::NoSingleSeat, seats, alternative })
    }

    /// The free seats of a showing that are for everybody, by how good they are.
    /// `own` seats count as free.
    pub(super) fn survey<'a>(
        &self,
        showing: usize,
        hall: &'a Hall,
        own: &[u32],
        category: Option<u16>,
    ) -> Survey<'a> {
        let is_free = free_but_for(&self.showings[showing].states, own);
        Survey::new(
            &hall.floor,
            category,
            |seat| hall.floor.far(seat),
            |seat| is_free(seat) && hall.floor.is_for_all(seat),
        )
    }

    /// The free seats of a showing for who comes in a wheelchair, once for each
    /// free place for one: with it, the places beside it, and what is for
    /// everybody.
    pub(super) fn wheelchair_surveys<'a>(
        &self,
        showing: usize,
        hall: &'a Hall,
        category: Option<u16>,
    ) -> Vec<Survey<'a>> {
        let (floor, is_free) = (&hall.floor, free_but_for(&self.showings[showing].states, &[]));
        let places = floor.wheelchair_places().filter(|place| is_free(*place));
        let survey = |place: usize| {
            let is_for_them =
                |seat: usize| seat == place || floor.is_for_all(seat) || floor.is_companion_of(seat, place);
            let free = |seat: usize| is_free(seat) && is_for_them(seat);
            Survey::new(floor, category, |seat| floor.far(seat), free).with(place)
        };
        places.map(survey).collect()
    }

    /// As many free seats as near as possible to `seats`, which would not be
    /// refused; of the same category, if there are. For who comes in a
    /// wheelchair they are among the places for that.
    fn alternative(
        &self,
        showing: usize,
        hall: &Hall,
        rules: &PlaceRules,
        own: &[u32],
        seats: &[u32],
        wheelchair: bool,
    ) -> Option<Vec<SeatId>> {
        let (floor, is_free) = (&hall.floor, free_but_for(&self.showings[showing].states, own));
        let kinds = if wheelchair { floor.special_kinds(seats) } else { Vec::new() };
        let is_of_kind = |seat: usize| match floor.special_kind(seat) {
            None => kinds.is_empty() && floor.is_for_all(seat),
            Some(kind) => kinds.contains(&kind),
        };
        let far = floor.far_from(seats);
        let nearest = |category| {
            let free = |seat: usize| is_free(seat) && is_of_kind(seat);
            Survey::new(floor, category, |seat| far[seat], free).best(seats.len(), Relax::Split)
        };
        let category = floor.common_category(seats);
        let same = category.and_then(|category| nearest(Some(category)));
        let found = same.or_else(|| nearest(None))?.seats;
        let places =
            |kinds: Vec<SeatKind>| kinds.iter().filter(|kind| **kind == SeatKind::Wheelchair).count();
        let enough = places(floor.special_kinds(&found)) >= places(kinds);
        (enough && rules.not_for_you(floor, &found, wheelchair).is_empty()).then(|| hall.ids(&found))
    }
}

/// Whether a seat is free, or one of `own`.
fn free_but_for(states: &[SeatState], own: &[u32]) -> impl Fn(usize) -> bool {
    move |seat| states[seat] == SeatState::Free || own.iter().any(|own| *own as usize == seat)
}

/// Which of the seats cannot be held, and why.
fn conflicts(
    state: impl Fn(u32) -> SeatState,
    hall: &Hall,
    seats: &[u32],
    not_for_you: &[(u32, PlaceRule)],
) -> Vec<SeatConflict> {
    let is_for_others = |seat: u32| not_for_you.iter().any(|(other, _)| *other == seat);
    let problem = |seat: u32| match state(seat) {
        SeatState::Free => is_for_others(seat).then_some(SeatProblem::NotForYou),
        SeatState::Held => Some(SeatProblem::Held),
        SeatState::Booked => Some(SeatProblem::Booked),
        SeatState::Blocked => Some(SeatProblem::Blocked),
    };
    let conflict =
        |seat: &u32| problem(*seat).map(|why| SeatConflict { seat: hall.seats[*seat as usize].clone(), why });
    seats.iter().filter_map(conflict).collect()
}
