//! A hall in letters, for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use usher_events::plan::{Plan, Row, SeatKind, Zone};

use super::count;
use super::drawing::{Drawn, categories, kind_name};

/// The widest row that is drawn with its gaps, in characters.
const WIDEST: usize = 150;
/// A seat whose category has no letter left, or that has none.
const OTHER: char = 'o';
const BLOCKED: char = 'x';
const LATER: char = 't';

/// The hall, a line to each row, and what the letters mean.
pub(super) fn draw(plan: &Plan) -> String {
    let mut text = format!("{}\n", plain(&plan.seating.name));
    let mut counted = BTreeMap::new();
    for zone in &plan.seating.zones {
        let _ = writeln!(text, "\n{}", plain(&zone.name));
        let unit = unit(zone);
        let labels = zone.rows.iter().map(|row| plain(&row.row_number).chars().count()).max().unwrap_or(0);
        for row in &zone.rows {
            let seats = line(plan, zone, row, unit, &mut counted);
            let _ = writeln!(text, "  {:>labels$}  {seats}", plain(&row.row_number));
        }
    }
    let _ = writeln!(text, "\n{}", count(plan.seating.seats().count(), "seat", "seats"));
    for ((letter, meaning), seats) in counted {
        let _ = writeln!(text, "  {letter}  {seats:>6}  {}", plain(&meaning));
    }
    text
}

/// What one letter is worth in the drawing's units: the narrowest gap between
/// neighbours, so that aisles show.
fn unit(zone: &Zone) -> f64 {
    let gaps = zone.rows.iter().flat_map(|row| {
        let xs: Vec<f64> = row.seats.iter().map(|seat| seat.position.x).collect();
        xs.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect::<Vec<_>>()
    });
    gaps.filter(|gap| *gap > f64::EPSILON).fold(f64::INFINITY, f64::min)
}

fn line(
    plan: &Plan,
    zone: &Zone,
    row: &Row,
    unit: f64,
    counted: &mut BTreeMap<(char, String), usize>,
) -> String {
    let left = zone.rows.iter().flat_map(|row| row.seats.iter().map(|seat| row.position.x + seat.position.x));
    let left = left.fold(f64::INFINITY, f64::min);
    let mut seats: Vec<(f64, char)> = Vec::with_capacity(row.seats.len());
    for seat in &row.seats {
        let drawn = Drawn::new(plan, zone, row, seat);
        let (letter, meaning) = letter(plan, &drawn);
        *counted.entry((letter, meaning)).or_default() += 1;
        seats.push((row.position.x + seat.position.x - left, letter));
    }
    let in_place: String = seats.iter().fold(String::new(), |mut line, (x, letter)| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "as far as it fits a line"
        )]
        let column = (x / unit).round().clamp(0.0, 1e6) as usize;
        let gap = column.min(WIDEST + 1).saturating_sub(line.chars().count());
        line.extend(std::iter::repeat_n(' ', gap));
        line.push(*letter);
        line
    });
    // Seats that all stand in one place, or too far apart, are listed.
    let fits = in_place.chars().count() <= WIDEST && unit.is_finite();
    if fits { in_place } else { seats.into_iter().map(|(_, letter)| letter).collect() }
}

fn letter(plan: &Plan, drawn: &Drawn<'_>) -> (char, String) {
    if drawn.blocked.is_some() {
        return (BLOCKED, "blocked".to_owned());
    }
    if let Some(at) = drawn.opens_at {
        return (LATER, format!("sold from {at} on"));
    }
    match drawn.kind {
        Some(kind @ SeatKind::Wheelchair) => ('w', kind_name(kind).to_owned()),
        Some(kind @ SeatKind::Companion) => ('c', kind_name(kind).to_owned()),
        Some(kind @ SeatKind::RestrictedView) => ('r', kind_name(kind).to_owned()),
        Some(kind @ SeatKind::House) => ('h', kind_name(kind).to_owned()),
        None => {
            let at = categories(plan).get(drawn.seat.category.as_str()).copied();
            let letter = at.and_then(|at| ('A'..='Z').nth(at)).unwrap_or(OTHER);
            let name = &drawn.seat.category;
            let name = if name.is_empty() { "no category" } else { name };
            // Where seats of one category have prices of their own, each is told.
            let price = drawn.price.map(|price| format!(", {} {}", price.amount, price.currency));
            (letter, format!("{name}{}", price.unwrap_or_default()))
        }
    }
}

/// A text of a stranger's file, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::hall;
    use super::*;

    #[test]
    fn rows_show_their_seats_in_place_with_the_aisle_between() {
        let drawn = draw(&hall());
        let expected = "\
Hall 1 & 2

Floor
  A  wc AA
  B  xB Br

8 seats
  A       1  Prime, 27000 KRW
  A       1  Prime, 30000 KRW
  B       2  <Std>
  c       1  companion seat
  r       1  restricted view
  w       1  wheelchair place
  x       1  blocked
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_hall_without_positions_is_listed() {
        let mut plan = hall();
        plan.seating.zones[0].rows.iter_mut().flat_map(|row| &mut row.seats).for_each(|seat| {
            seat.position = Default::default();
        });
        assert!(draw(&plan).contains("  A  wcAA\n"), "{}", draw(&plan));
    }

    #[test]
    fn a_name_cannot_speak_to_the_terminal() {
        let mut plan = hall();
        plan.seating.name = "\u{1b}[2Jgone".to_owned();
        assert!(!draw(&plan).contains('\u{1b}'));
    }
}
