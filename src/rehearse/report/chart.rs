//! Charts as inline SVG: lines over time, and points.

use std::fmt::{self, Write};

/// The drawing's size, in its own units.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 240.0;
/// What is left for labels.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 28.0;

/// A line. Its colour is its place in the chart.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// Of the vertical axis.
    pub(super) unit: &'static str,
    /// Of the horizontal axis.
    pub(super) along: &'static str,
    pub(super) series: Vec<Series>,
    /// A level that matters, with its name.
    pub(super) level: Option<(&'static str, f64)>,
    /// Points instead of lines, and the line where both axes say the same.
    pub(super) scattered: bool,
}

impl Chart {
    /// The chart with its title and legend.
    pub(super) fn draw(&self, out: &mut String) -> fmt::Result {
        let all = || self.series.iter().flat_map(|series| &series.points);
        let far = all().map(|point| point.0).fold(0.0, f64::max);
        let high = all().map(|point| point.1).chain(self.level.map(|level| level.1)).fold(0.0, f64::max);
        let (far, high) = if self.scattered { (far.max(high), far.max(high)) } else { (far, high) };
        let (x, y) = (Axis::new(far, LEFT, WIDTH - RIGHT), Axis::new(high, HEIGHT - BOTTOM, TOP));
        writeln!(out, "<figure><figcaption><h3>{}</h3><p class=\"legend\">", self.title)?;
        for (at, series) in self.series.iter().enumerate() {
            write!(out, "<span><i class=\"c{at}\"></i>{}</span> ", series.name)?;
        }
        if let Some((name, _)) = self.level {
            write!(out, "<span><i class=\"level\"></i>{name}</span>")?;
        }
        writeln!(out, "</p></figcaption>")?;
        writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", self.title)?;
        self.axes(out, &x, &y)?;
        if self.scattered {
            let (end_x, end_y) = (x.at(x.end), y.at(x.end));
            let (from_x, from_y) = (x.at(0.0), y.at(0.0));
            writeln!(out, "<path class=\"level\" d=\"M{from_x:.1} {from_y:.1}L{end_x:.1} {end_y:.1}\"/>")?;
        }
        if let Some((_, level)) = self.level {
            let (from, to, at) = (x.at(0.0), x.at(x.end), y.at(level));
            writeln!(out, "<path class=\"level\" d=\"M{from:.1} {at:.1}H{to:.1}\"/>")?;
        }
        for (at, series) in self.series.iter().enumerate() {
            if self.scattered {
                write!(out, "<path class=\"dots c{at}\" d=\"")?;
                for (px, py) in &series.points {
                    write!(out, "M{:.1} {:.1}h0", x.at(*px), y.at(*py))?;
                }
            } else {
                write!(out, "<path class=\"line c{at}\" d=\"")?;
                for (nth, (px, py)) in series.points.iter().enumerate() {
                    write!(out, "{}{:.1} {:.1}", if nth == 0 { 'M' } else { 'L' }, x.at(*px), y.at(*py))?;
                }
            }
            writeln!(out, "\"/>")?;
        }
        writeln!(out, "</svg></figure>")
    }

    fn axes(&self, out: &mut String, x: &Axis, y: &Axis) -> fmt::Result {
        for value in y.ticks() {
            let (at, end) = (y.at(value), WIDTH - RIGHT);
            writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{end}\"/>")?;
            let unit = if value >= y.end { self.unit } else { "" };
            writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" class=\"y\">{}{unit}</text>",
                LEFT - 6.0,
                at + 4.0,
                short(value)
            )?;
        }
        let below = HEIGHT - 8.0;
        for value in x.ticks() {
            let last = value >= x.end;
            let unit = if last { self.along } else { "" };
            let class = if last { "x last" } else { "x" };
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{below}\" class=\"{class}\">{}{unit}</text>",
                x.at(value),
                short(value)
            )?;
        }
        Ok(())
    }
}

/// From 0 to a round number.
struct Axis {
    end: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis for values up to `high`, drawn from `from` to `to`.
    fn new(high: f64, from: f64, to: f64) -> Self {
        let rough = (high / 4.0).max(0.25);
        let unit = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|times| times * unit).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        Self { end: (high / step).ceil().max(1.0) * step, step, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value / self.end).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (step, end) = (self.step, self.end);
        (0..=10u32).map(move |nth| f64::from(nth) * step).take_while(move |value| *value <= end * 1.000_1)
    }
}

/// A number that fits beside an axis.
fn short(value: f64) -> String {
    let trimmed = |value: f64, suffix: &str| {
        let text = format!("{value:.2}");
        format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value {
        value if value >= 1_000_000.0 => trimmed(value / 1_000_000.0, "M"),
        value if value >= 10_000.0 => trimmed(value / 1_000.0, "k"),
        value => trimmed(value, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(high: f64) -> Vec<String> {
        Axis::new(high, 0.0, 100.0).ticks().map(short).collect()
    }

    #[test]
    fn an_axis_has_a_few_round_numbers_and_ends_beyond_what_it_shows() {
        assert_eq!(ticks(0.0), ["0", "0.25"]);
        assert_eq!(ticks(7.0), ["0", "2", "4", "6", "8"]);
        assert_eq!(ticks(100_000.0), ["0", "25k", "50k", "75k", "100k"]);
        assert_eq!(ticks(1_230_000.0), ["0", "500k", "1M", "1.5M"]);
    }

    #[test]
    fn what_is_drawn_stays_in_its_frame() {
        let points = vec![(0.0, 3.0), (10.0, 700.0), (20.0, 0.0)];
        let series = vec![Series { name: "waiting", points }];
        let level = Some(("capacity", 900.0));
        let chart = Chart { title: "The line", unit: "", along: " s", series, level, scattered: false };
        let mut drawn = String::new();
        chart.draw(&mut drawn).unwrap();
        let path = drawn.lines().find(|line| line.contains("line c0")).unwrap();
        assert_eq!(path, "<path class=\"line c0\" d=\"M58.0 211.4L264.0 70.6L470.0 212.0\"/>");
    }
}
