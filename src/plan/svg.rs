//! A hall as a picture.

use std::fmt::Write as _;

use usher_events::plan::Plan;

use super::drawing::{Drawn, categories, kind_name};

/// What categories without a colour of their own are drawn in; told apart by
/// people who see red and green alike.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
/// A seat is drawn so large where the plan does not say how far apart they are.
const RADIUS: f64 = 8.0;
const MARGIN: f64 = 24.0;

/// The hall, self-contained; each seat says in its title what it is.
pub(super) fn draw(plan: &Plan) -> String {
    let seats: Vec<(&str, Drawn<'_>)> = (plan.seating.zones.iter())
        .flat_map(|zone| zone.rows.iter().map(move |row| (zone, row)))
        .flat_map(|(zone, row)| {
            let drawn = |seat| (row.row_number.as_str(), Drawn::new(plan, zone, row, seat));
            row.seats.iter().map(drawn).collect::<Vec<_>>()
        })
        .collect();
    let least =
        |of: fn(&Drawn<'_>) -> f64| seats.iter().map(|(_, seat)| of(seat)).fold(f64::INFINITY, f64::min);
    let most =
        |of: fn(&Drawn<'_>) -> f64| seats.iter().map(|(_, seat)| of(seat)).fold(f64::NEG_INFINITY, f64::max);
    let (left, top) = (least(|seat| seat.x) - MARGIN, least(|seat| seat.y) - MARGIN);
    let (width, height) = (most(|seat| seat.x) + MARGIN - left, most(|seat| seat.y) + MARGIN - top);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"{left} {top} {width} {height}\">\n\
         <title>{}</title>\n",
        escaped(&plan.seating.name)
    );
    for (row, seat) in &seats {
        add(&mut svg, plan, row, seat);
    }
    svg.push_str("</svg>\n");
    svg
}

fn add(svg: &mut String, plan: &Plan, row: &str, drawn: &Drawn<'_>) {
    let (x, y, colour) = (drawn.x, drawn.y, colour(plan, &drawn.seat.category));
    let fill = if drawn.blocked.is_some() { "none" } else { colour.as_str() };
    // Special seats are told apart by their shape, too.
    let shape = match drawn.kind {
        Some(_) => {
            let (x, y, side) = (x - RADIUS, y - RADIUS, RADIUS * 2.0);
            format!("<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\"")
        }
        None => format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{RADIUS}\""),
    };
    let title = escaped(&title(row, drawn));
    let _ = writeln!(svg, "{shape} fill=\"{fill}\" stroke=\"{colour}\"><title>{title}</title>{}", end(drawn));
}

fn end(drawn: &Drawn<'_>) -> &'static str {
    if drawn.kind.is_some() { "</rect>" } else { "</circle>" }
}

fn title(row: &str, drawn: &Drawn<'_>) -> String {
    let mut title = format!("{row} {}", drawn.seat.seat_number);
    if !drawn.seat.category.is_empty() {
        let _ = write!(title, ", {}", drawn.seat.category);
    }
    if let Some(price) = drawn.price {
        let _ = write!(title, ", {} {}", price.amount, price.currency);
    }
    if let Some(kind) = drawn.kind {
        let _ = write!(title, ", {}", kind_name(kind));
    }
    if let Some(at) = drawn.opens_at {
        let _ = write!(title, ", sold from {at} on");
    }
    if let Some(reason) = drawn.blocked {
        let _ = write!(title, ", blocked: {reason}");
    }
    title
}

/// The category's colour, where it is a plain one.
fn colour(plan: &Plan, category: &str) -> String {
    let at = categories(plan).get(category).copied();
    let own = at.map(|at| plan.seating.categories[at].color.as_str());
    let is_plain = |colour: &&str| {
        colour
            .strip_prefix('#')
            .is_some_and(|hex| matches!(hex.len(), 3 | 6) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    own.filter(is_plain).unwrap_or(COLOURS[at.unwrap_or(0) % COLOURS.len()]).to_owned()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no way to say them.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::hall;
    use super::*;

    #[test]
    fn every_seat_says_what_it_is_and_nothing_of_the_plan_is_markup() {
        let svg = draw(&hall());
        assert_eq!(svg.matches("<title>").count(), 9, "the hall and its seats: {svg}");
        for title in [
            "<title>Hall 1 &amp; 2</title>",
            "<title>A 1, Prime, 27000 KRW, wheelchair place</title>",
            "<title>A 4, Prime, 30000 KRW</title>",
            "<title>B 1, &lt;Std&gt;, blocked: pillar</title>",
        ] {
            assert!(svg.contains(title), "{title} in {svg}");
        }
        assert!(!svg.contains("\"/>"), "a colour is a colour: {svg}");
        assert!(svg.contains("viewBox=\"11 -14 148 78\""), "{svg}");
    }
}
