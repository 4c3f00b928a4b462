//! The search against one that looks at every set of seats there is, and
//! knows nothing of its code.

use proptest::collection::vec;
use proptest::prelude::*;
use usher_events::plan::{Plan, SeatKind};

use super::search::Score;
use super::{Floor, PlaceRule, PlaceRules, Relax, Survey};

/// A seat of a random hall.
#[derive(Debug, Clone, Copy)]
struct Sketch {
    taken: bool,
    aisle_before: bool,
    prime: bool,
    kind: Option<SeatKind>,
}

#[derive(Debug, Clone)]
struct Hall {
    rows: Vec<Vec<Sketch>>,
    /// How far each row is set off to the right, in steps by which no seat
    /// comes to be as near to one of the next row as to another.
    offsets: Vec<u8>,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let kind = prop_oneof![
        12 => Just(None),
        1 => Just(Some(SeatKind::Wheelchair)),
        1 => Just(Some(SeatKind::Companion)),
        1 => Just(Some(SeatKind::RestrictedView)),
        1 => Just(Some(SeatKind::House)),
    ];
    (any::<bool>(), prop::bool::weighted(0.15), any::<bool>(), kind)
        .prop_map(|(taken, aisle_before, prime, kind)| Sketch { taken, aisle_before, prime, kind })
}

fn hall() -> impl Strategy<Value = Hall> {
    // Taken one by one or hardly ever: full of holes, or almost empty.
    let rows = vec(vec(sketch(), 1..=5), 1..=3);
    (rows, vec(0u8..8, 3), any::<bool>()).prop_map(|(mut rows, offsets, early)| {
        for seat in rows.iter_mut().flatten() {
            seat.taken &= !early || seat.prime;
        }
        Hall { rows, offsets }
    })
}

/// A seat as whoever looks at the drawing sees it.
struct Seen {
    row: usize,
    x: f64,
    y: f64,
    sketch: Sketch,
}

impl Hall {
    fn seats(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (row, sketches) in self.rows.iter().enumerate() {
            let mut x = f64::from(self.offsets[row]) * 4.0;
            for (i, sketch) in sketches.iter().enumerate() {
                x += if i == 0 { 0.0 } else { 25.0 } + if sketch.aisle_before && i > 0 { 25.0 } else { 0.0 };
                seen.push(Seen { row, x, y: row as f64 * 30.0, sketch: *sketch });
            }
        }
        seen
    }

    fn plan(&self) -> Plan {
        let mut kinds = serde_json::Map::new();
        let mut rows: Vec<Vec<serde_json::Value>> = vec![vec![]; self.rows.len()];
        for (i, seat) in self.seats().iter().enumerate() {
            let guid = format!("s{i}");
            if let Some(kind) = seat.sketch.kind {
                kinds.insert(guid.clone(), serde_json::to_value(kind).unwrap());
            }
            let category = if seat.sketch.prime { "Prime" } else { "Rest" };
            let position = serde_json::json!({"x": seat.x, "y": seat.y});
            rows[seat.row]
                .push(serde_json::json!({"seat_guid": guid, "position": position, "category": category}));
        }
        let rows: Vec<_> = rows.iter().map(|seats| serde_json::json!({"seats": seats})).collect();
        let plan = serde_json::json!({
            "seating": {"name": "", "categories": [{"name": "Prime"}, {"name": "Rest"}], "zones": [{"rows": rows}]},
            "details": {"kinds": kinds}
        });
        serde_json::from_value(plan).unwrap()
    }
}

fn is_open(sketch: &Sketch) -> bool {
    let for_all = matches!(sketch.kind, None | Some(SeatKind::RestrictedView));
    !sketch.taken && for_all
}

fn apart(a: &Seen, b: &Seen) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Every set of free seats, with its score if it is one that may be chosen.
struct Exhaustive {
    seats: Vec<Seen>,
    /// Which are free for who asks.
    open: Vec<bool>,
    usual_gap: f64,
    far: Vec<u32>,
}

impl Exhaustive {
    fn new(hall: &Hall) -> Self {
        let seats = hall.seats();
        let pairs = seats.windows(2).filter(|pair| pair[0].row == pair[1].row);
        let mut gaps: Vec<f64> = pairs.map(|pair| apart(&pair[0], &pair[1])).collect();
        gaps.sort_by(f64::total_cmp);
        let usual_gap = if gaps.is_empty() { 0.0 } else { gaps[(gaps.len() - 1) / 2] };
        let most = |of: fn(&Seen) -> f64| seats.iter().map(of).fold(f64::MIN, f64::max);
        let least = |of: fn(&Seen) -> f64| seats.iter().map(of).fold(f64::MAX, f64::min);
        let (x, y) = ((least(|s| s.x) + most(|s| s.x)) / 2.0, most(|s| s.y) * 2.0 / 3.0);
        let from_focal: Vec<f64> =
            seats.iter().map(|s| ((s.x - x) * (s.x - x) + (s.y - y) * (s.y - y)).sqrt()).collect();
        let farthest = from_focal.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let far = |(seat, far): (&Seen, &f64)| match seat.sketch.kind {
            Some(SeatKind::RestrictedView) => 10_000,
            _ => (far / farthest * 10_000.0).round() as u32,
        };
        let far = seats.iter().zip(&from_focal).map(far).collect();
        let open = seats.iter().map(|seat| is_open(&seat.sketch)).collect();
        Self { seats, open, usual_gap, far }
    }

    fn neighbours(&self, a: usize, b: usize) -> bool {
        let (a, b) = (a.min(b), a.max(b));
        let (left, right) = (&self.seats[a], &self.seats[b]);
        a + 1 == b && left.row == right.row && apart(left, right) <= 1.5 * self.usual_gap
    }

    /// Whether `back` is the seat behind `front`.
    fn is_behind(&self, front: usize, back: usize) -> bool {
        let seats = &self.seats;
        let in_next = |of: usize| (0..seats.len()).filter(move |s| seats[*s].row == seats[of].row + 1);
        let to_nearest =
            |of: usize| in_next(of).map(|s| apart(&seats[of], &seats[s])).fold(f64::MAX, f64::min);
        let same_row = (0..seats.len()).filter(|s| seats[*s].row == seats[front].row);
        let rows_apart = same_row.map(to_nearest).fold(f64::MAX, f64::min);
        let nearest = to_nearest(front);
        in_next(front).find(|s| apart(&seats[front], &seats[*s]) == nearest) == Some(back)
            && nearest <= 1.25 * rows_apart
    }

    fn score(&self, chosen: &[usize]) -> Option<Score> {
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for seat in chosen {
            match parts.last_mut() {
                Some(part) if self.neighbours(*part.last().unwrap(), *seat) => part.push(*seat),
                _ => parts.push(vec![*seat]),
            }
        }
        let singles = (0..self.seats.len()).filter(|s| self.is_left_single(*s, chosen)).count() as u32;
        let alone = parts.iter().filter(|part| part.len() == 1).count() as u32;
        let far = chosen.iter().map(|seat| self.far[*seat]).sum();
        match parts.as_slice() {
            [_] if singles == 0 => Some(Score { relaxed: Relax::Nothing, alone: 0, singles, far }),
            [_] => Some(Score { relaxed: Relax::Single, alone: 0, singles, far }),
            [front, back] if front.iter().any(|f| back.iter().any(|b| self.is_behind(*f, *b))) => {
                Some(Score { relaxed: Relax::Split, alone, singles, far })
            }
            _ => None,
        }
    }

    fn is_left_single(&self, seat: usize, chosen: &[usize]) -> bool {
        let is_left = |s: usize| self.open[s] && !chosen.contains(&s);
        let beside: Vec<usize> = (0..self.seats.len()).filter(|s| self.neighbours(seat, *s)).collect();
        is_left(seat) && beside.iter().any(|s| chosen.contains(s)) && !beside.iter().any(|s| is_left(*s))
    }

    /// The least score of all sets of `count` seats.
    fn best(&self, count: usize, prime: bool, relax: Relax) -> Option<Score> {
        self.best_with(count, prime, relax, |_| true)
    }

    /// The least score of those of them that `may` be chosen.
    fn best_with(
        &self,
        count: usize,
        prime: bool,
        relax: Relax,
        may: impl Fn(&[usize]) -> bool,
    ) -> Option<Score> {
        let wanted = |s: &usize| self.open[*s] && (!prime || self.seats[*s].sketch.prime);
        let candidates: Vec<usize> = (0..self.seats.len()).filter(wanted).collect();
        sets(&candidates, count)
            .iter()
            .filter(|chosen| may(chosen))
            .filter_map(|chosen| self.score(chosen))
            .filter(|score| score.relaxed <= relax)
            .min()
    }
}

/// Every set of `count` of the items, in their order.
fn sets(items: &[usize], count: usize) -> Vec<Vec<usize>> {
    match (count, items) {
        (0, _) => vec![vec![]],
        (_, []) => vec![],
        (_, [first, rest @ ..]) => {
            let with = sets(rest, count - 1).into_iter().map(|set| [vec![*first], set].concat());
            with.chain(sets(rest, count)).collect()
        }
    }
}

fn relax() -> impl Strategy<Value = Relax> {
    prop_oneof![1 => Just(Relax::Nothing), 1 => Just(Relax::Single), 2 => Just(Relax::Split)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_best_seats_are_as_good_as_any_set_of_seats(
        hall in hall(), count in 1usize..=4, prime in any::<bool>(), relax in relax(),
    ) {
        let exhaustive = Exhaustive::new(&hall);
        let floor = Floor::new(&hall.plan());
        let category = prime.then(|| floor.category("Prime").unwrap());
        let free = |seat: usize| !exhaustive.seats[seat].sketch.taken && floor.is_for_all(seat);
        let found = Survey::new(&floor, category, |seat| floor.far(seat), free).best(count, relax);
        let best = exhaustive.best(count, prime, relax);
        prop_assert_eq!(found.as_ref().map(|choice| choice.score), best);
        if let Some(choice) = found {
            let seats: Vec<usize> = choice.seats.iter().map(|seat| *seat as usize).collect();
            prop_assert!(seats.iter().all(|seat| free(*seat)), "{:?}", seats);
            prop_assert_eq!(exhaustive.score(&seats), Some(choice.score), "{:?}", seats);
        }
    }
}

/// The seats that go with a wheelchair place, by the drawing: side by side with
/// it, with nothing but such places between.
fn companions_of(hall: &Exhaustive, place: usize) -> Vec<usize> {
    let kind = |s: usize| hall.seats[s].sketch.kind;
    let special = |s: usize| matches!(kind(s), Some(SeatKind::Wheelchair | SeatKind::Companion));
    let linked = |a: usize, b: usize| {
        let (a, b) = (a.min(b), a.max(b));
        (a..=b).all(special) && (a..b).all(|s| hall.neighbours(s, s + 1))
    };
    let all = 0..hall.seats.len();
    all.filter(|s| kind(*s) == Some(SeatKind::Companion) && linked(*s, place)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_best_seats_with_a_wheelchair_place_are_as_good_as_any_set_with_one(
        hall in hall(), count in 1usize..=4, prime in any::<bool>(), relax in relax(),
    ) {
        let floor = Floor::new(&hall.plan());
        let category = prime.then(|| floor.category("Prime").unwrap());
        let (mut found, mut best) = (None, None);
        for place in floor.wheelchair_places() {
            let mut exhaustive = Exhaustive::new(&hall);
            let taken = |s: usize| exhaustive.seats[s].sketch.taken;
            let is_for_them = |s: usize| {
                s == place || floor.is_for_all(s) || floor.is_companion_of(s, place)
            };
            if taken(place) {
                continue;
            }
            let free = |s: usize| !taken(s) && is_for_them(s);
            let survey = Survey::new(&floor, category, |seat| floor.far(seat), free).with(place);
            if let Some(choice) = survey.best(count, relax) {
                prop_assert!(choice.seats.contains(&(place as u32)), "{:?}", choice);
                prop_assert_eq!(choice.seats.len(), count);
                found = found.into_iter().chain([choice.score]).min();
            }
            for s in companions_of(&exhaustive, place).into_iter().chain([place]) {
                exhaustive.open[s] = !exhaustive.seats[s].sketch.taken;
            }
            let score = exhaustive.best_with(count, prime, relax, |chosen| chosen.contains(&place));
            best = best.into_iter().chain(score).min();
        }
        prop_assert_eq!(found, best);
    }
}

/// The rules by the drawing: which seats of `chosen` are not for who asks.
fn kept_from(
    hall: &Exhaustive,
    rules: PlaceRules,
    chosen: &[usize],
    wheelchair: bool,
) -> Vec<(u32, PlaceRule)> {
    let kind = |s: usize| hall.seats[s].sketch.kind;
    let special = |s: usize| matches!(kind(s), Some(SeatKind::Wheelchair | SeatKind::Companion));
    // Side by side with nothing but special places between.
    let linked = |a: usize, b: usize| {
        let (a, b) = (a.min(b), a.max(b));
        (a..=b).all(special) && (a..b).all(|s| hall.neighbours(s, s + 1))
    };
    let its_places = |companion: usize| -> Vec<usize> {
        let all = 0..hall.seats.len();
        all.filter(|s| kind(*s) == Some(SeatKind::Wheelchair) && linked(companion, *s)).collect()
    };
    let mut broken = Vec::new();
    for seat in chosen {
        if kind(*seat) == Some(SeatKind::Wheelchair) && rules.wheelchair_kept && !wheelchair {
            broken.push((*seat as u32, PlaceRule::WheelchairKept));
        }
        if kind(*seat) == Some(SeatKind::Companion) && rules.companion_with_wheelchair {
            let places = its_places(*seat);
            if !places.is_empty() && !places.iter().any(|place| chosen.contains(place)) {
                broken.push((*seat as u32, PlaceRule::CompanionWithWheelchair));
            }
        }
        if kind(*seat) == Some(SeatKind::House) && rules.house_kept {
            broken.push((*seat as u32, PlaceRule::HouseKept));
        }
    }
    broken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_rules_about_seats_are_as_whoever_looks_at_the_hall_sees_them(
        hall in hall(), picks in vec(any::<prop::sample::Index>(), 1..=4), switches in any::<[bool; 5]>(),
    ) {
        let exhaustive = Exhaustive::new(&hall);
        let floor = Floor::new(&hall.plan());
        let mut chosen: Vec<usize> = picks.iter().map(|pick| pick.index(exhaustive.seats.len())).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let seats: Vec<u32> = chosen.iter().map(|seat| *seat as u32).collect();
        let [no_single_seat, wheelchair_kept, companion_with_wheelchair, house_kept, wheelchair] = switches;
        let rules = PlaceRules { no_single_seat, wheelchair_kept, companion_with_wheelchair, house_kept };
        prop_assert_eq!(
            rules.not_for_you(&floor, &seats, wheelchair),
            kept_from(&exhaustive, rules, &chosen, wheelchair)
        );

        let free: Vec<usize> =
            chosen.iter().copied().filter(|seat| !exhaustive.seats[*seat].sketch.taken).collect();
        let prime: Vec<bool> = free.iter().map(|seat| exhaustive.seats[*seat].sketch.prime).collect();
        let category = match prime.as_slice() {
            [] => return Ok(()),
            all if all.iter().all(|prime| *prime) => Some("Prime"),
            all if all.iter().all(|prime| !prime) => Some("Rest"),
            _ => None,
        };
        let seats: Vec<u32> = free.iter().map(|seat| *seat as u32).collect();
        prop_assert_eq!(floor.common_category(&seats), category.map(|name| floor.category(name).unwrap()));
        let is_free = |seat: usize| is_open(&exhaustive.seats[seat].sketch);
        let survey = Survey::new(&floor, floor.common_category(&seats), |seat| floor.far(seat), is_free);
        let all = 0..exhaustive.seats.len();
        let candidates: Vec<usize> = all
            .clone()
            .filter(|s| is_free(*s))
            .filter(|s| category.is_none_or(|name| (name == "Prime") == exhaustive.seats[*s].sketch.prime))
            .collect();
        let clean = |set: &Vec<usize>| {
            exhaustive.score(set).is_some_and(|score| score.relaxed == Relax::Nothing)
        };
        let another = sets(&candidates, free.len()).iter().any(clean);
        // Only seats for everybody have neighbours that anybody could take.
        let taken_now: Vec<usize> = free.iter().copied().filter(|seat| is_free(*seat)).collect();
        let left = all.filter(|s| exhaustive.is_left_single(*s, &taken_now)).map(|s| s as u32);
        let expected: Vec<u32> = if no_single_seat && another { left.collect() } else { vec![] };
        prop_assert_eq!(rules.singles_left(|| survey, &seats), expected);
    }
}
