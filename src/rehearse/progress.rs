//! How far the rehearsal is: a bar at a terminal, now and then a line else.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::Tally;

/// Seconds between two lines.
const LINE_EVERY_S: u32 = 10;

/// Shows how far it is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    visitors: usize,
}

impl Progress {
    pub(super) fn new(visitors: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(visitors as u64);
            let style =
                ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} through\n{msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, visitors }
    }

    /// A second has passed.
    pub(super) fn show(&mut self, second: u32, tally: &Tally, through: usize) {
        let last = tally.last();
        let now = last.gauges;
        let text = format!(
            "{} waiting, {} away, {} in the window, {} seats booked; {} answers/s, p99 {:.0} ms",
            now.lobby + now.waiting,
            now.away,
            now.admitted + now.inside,
            now.seats.booked,
            last.answers,
            last.p99_ms,
        );
        if let Some(bar) = &self.bar {
            bar.set_position(through as u64);
            bar.set_message(text);
        } else if second.is_multiple_of(LINE_EVERY_S) {
            say(&format!("{second} s: {through} of {} through; {text}", self.visitors));
        }
    }

    /// Says something of its own, above the bar.
    pub(super) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[allow(clippy::print_stderr, reason = "the report goes to standard output, how far it is does not")]
fn say(text: &str) {
    eprintln!("{text}");
}
