//! What is to be rehearsed.

use std::path::PathBuf;

use clap::Args;

/// Plays a whole opening: visitors who join, wait, enter, hold and pay, and
/// who also reload, fall silent, come back, leave, and repeat themselves.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// A running usher, e.g. http://127.0.0.1:8080. None: one is started for
    /// this, with a log of its own that is removed afterwards.
    #[arg(long, value_name = "URL", conflicts_with_all = ["commands", "queries"])]
    pub(crate) url: Option<String>,
    /// Running instances that decide, separated by commas.
    #[arg(long, value_name = "URL", value_delimiter = ',', requires = "queries")]
    pub(crate) commands: Vec<String>,
    /// Running instances that answer queries, separated by commas.
    #[arg(long, value_name = "URL", value_delimiter = ',', requires = "commands")]
    pub(crate) queries: Vec<String>,
    /// The opening's id; it must be new. Usually one is made up.
    #[arg(long, value_name = "ID")]
    pub(crate) opening: Option<String>,
    /// How many visitors come.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) visitors: u32,
    /// Whoever has the same seed plays the same visitors.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// In how many seconds all of them arrive. The opening opens in the middle.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(4..=86_400))]
    pub(crate) over: u32,
    /// The capacity of the seat window. Usually made to fit the rate.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) capacity: Option<u32>,
    /// Admissions a minute. Usually so many that it takes some minutes.
    #[arg(long, value_name = "PER_MINUTE", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// How many seats there are. Usually half as many as visitors.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) seats: Option<u32>,
    /// How many seconds a visit of the seat window takes, about.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) visit: u32,
    #[command(flatten)]
    pub(crate) mix: Mix,
    /// The most connections for requests. Each is kept open.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// The most connections that listen to server-sent events.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) listeners: u32,
    /// After how many minutes the curtain falls, whoever still waits.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub(crate) at_most: u32,
    /// Writes the report as JSON too; `-` for standard output instead of text.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the report as one page with charts too.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// How many of a hundred visitors do what.
#[derive(Debug, Clone, Copy, PartialEq, Args, serde::Serialize)]
#[command(next_help_heading = "Of a hundred visitors, how many")]
pub(crate) struct Mix {
    /// Listen to server-sent events instead of polling.
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percent)]
    pub(crate) listen: f64,
    /// Reload the page while they wait.
    #[arg(long, value_name = "PERCENT", default_value_t = 15.0, value_parser = percent)]
    pub(crate) reload: f64,
    /// Fall silent while they wait, and come back.
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percent)]
    pub(crate) away: f64,
    /// Give up while they wait.
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0, value_parser = percent)]
    pub(crate) leave: f64,
    /// Are not there when it is their turn; half of them come back.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub(crate) no_show: f64,
    /// Hold seats and do not pay.
    #[arg(long, value_name = "PERCENT", default_value_t = 15.0, value_parser = percent)]
    pub(crate) no_pay: f64,
    /// Pay only when their hold has run out.
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0, value_parser = percent)]
    pub(crate) pay_late: f64,
    /// Send a command again that was answered, each time.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub(crate) repeat: f64,
    /// Lose the connection before the answer comes, each time.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub(crate) cut: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected a percentage from 0 to 100".to_owned()),
    }
}

/// The slowest rate that is chosen, per minute.
const LEAST_RATE: u32 = 600;
/// The most seats of one hall.
pub(super) const HALL: u32 = 1_000;

impl Options {
    /// Admissions a minute.
    pub(super) fn rate(&self) -> u32 {
        self.rate.unwrap_or((self.visitors / 4).max(LEAST_RATE))
    }

    /// How long a hold lasts.
    pub(super) fn hold_for_s(&self) -> u32 {
        (self.visit * 3).max(15)
    }

    /// People in the seat window: as many as the rate brings in while one of
    /// them notices the turn and makes the visit.
    pub(super) fn capacity(&self) -> u32 {
        let stays_s = u64::from(self.visit) + 6;
        let inside = u64::from(self.rate()) * stays_s / 60;
        self.capacity.unwrap_or(u32::try_from(inside).unwrap_or(u32::MAX).clamp(20, 1_000_000))
    }

    pub(super) fn seats(&self) -> u32 {
        self.seats.unwrap_or((self.visitors / 2).clamp(20, 100_000))
    }

    /// How long all admissions take at the rate, and the wave before them.
    pub(super) fn expected_ms(&self) -> u64 {
        let admitting = u64::from(self.visitors) * 60_000 / u64::from(self.rate());
        u64::from(self.over) * 500 + admitting
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("rehearse").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options)
    }

    #[test]
    fn what_is_not_said_is_made_to_fit_the_number_of_visitors() {
        let few = options("").unwrap();
        assert_eq!((few.visitors, few.rate(), few.capacity(), few.seats()), (1_000, 600, 160, 500));
        let many = options("--visitors 100000").unwrap();
        assert_eq!((many.rate(), many.capacity(), many.seats()), (25_000, 6_666, 50_000));
        assert_eq!(many.expected_ms(), 30_000 + 240_000);
    }

    #[test]
    fn an_address_is_of_everything_or_commands_and_queries_are_named_apart() {
        assert!(options("--url http://a:1 --queries http://a:2 --commands http://a:3").is_err());
        assert!(options("--commands http://a:3").is_err());
        let roles = options("--commands http://a:1,http://a:2 --queries http://a:3").unwrap();
        assert_eq!((roles.commands.len(), roles.queries.len()), (2, 1));
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(options("--no-show 12.5").unwrap().mix.no_show, 12.5);
        assert!(options("--no-show 101").is_err());
    }
}
