//! What visitors ask for, and what they are told.

use serde::{Deserialize, Serialize};
use usher_events::event::TicketState;
use usher_events::time::Timestamp;

/// The kinds of requests that are measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Join,
    Status,
    Place,
    Presence,
    Entry,
    SeatMap,
    Hold,
    Extension,
    Release,
    Booking,
    LeaveWindow,
    Leave,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Join,
        Self::Status,
        Self::Place,
        Self::Presence,
        Self::Entry,
        Self::SeatMap,
        Self::Hold,
        Self::Extension,
        Self::Release,
        Self::Booking,
        Self::LeaveWindow,
        Self::Leave,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Status => "status (shared)",
            Self::Place => "own place",
            Self::Presence => "heartbeat",
            Self::Entry => "enter",
            Self::SeatMap => "seat map",
            Self::Hold => "hold",
            Self::Extension => "extend",
            Self::Release => "release",
            Self::Booking => "book",
            Self::LeaveWindow => "leave the window",
            Self::Leave => "leave the line",
        }
    }

    /// Whether it is for an instance that answers queries.
    pub(super) fn is_query(self) -> bool {
        matches!(self, Self::Status | Self::Place | Self::SeatMap)
    }

    /// Whether it is repeated until its answer is definite. The others are
    /// asked again later anyway.
    pub(super) fn is_command(self) -> bool {
        !self.is_query() && self != Self::Presence
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) method: hyper::Method,
    pub(super) path: String,
    /// The `Authorization` header.
    pub(super) authorization: Option<hyper::header::HeaderValue>,
    /// The command's id, where no resource names it.
    pub(super) idempotency_key: Option<uuid::Uuid>,
    pub(super) body: Option<String>,
    /// The connection is lost before the answer comes.
    pub(super) cut: bool,
    /// Which seats to choose of those that are free.
    pub(super) choice: Option<Choice>,
    /// Whether the answer's body is wanted as it is.
    pub(super) whole: bool,
}

/// So many seats beside each other, beginning at some part of the hall.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) part: f64,
    pub(super) count: usize,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was answered.
    Told { status: u16, said: Said },
    /// Not now: 429, or 5xx.
    Later { status: u16, problem: Box<str>, retry_after_ms: u64 },
    /// There was no answer.
    Lost(Lost),
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// As planned.
    Cut,
    /// Nobody could be reached.
    NoConnection,
    /// The connection broke.
    Broken,
    TimedOut,
}

impl Lost {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cut => "connection cut on purpose",
            Self::NoConnection => "no connection",
            Self::Broken => "connection broken",
            Self::TimedOut => "no answer in time",
        }
    }
}

/// What an answer said, as far as it was of that kind.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    /// A problem's type.
    #[serde(default, rename = "type")]
    pub(super) problem: Option<Box<str>>,
    #[serde(default)]
    pub(super) state: Option<Box<str>>,
    #[serde(default)]
    pub(super) number: Option<u32>,
    #[serde(default)]
    pub(super) serving_number: Option<u32>,
    #[serde(default)]
    pub(super) poll_after_ms: Option<u64>,
    #[serde(default)]
    pub(super) poll_jitter: Option<f64>,
    #[serde(default)]
    pub(super) next_in_s: Option<u64>,
    #[serde(default)]
    pub(super) eta: Option<Eta>,
    #[serde(default)]
    pub(super) as_of: Option<Box<str>>,
    /// The seats that were chosen.
    #[serde(skip)]
    pub(super) chosen: Vec<Box<str>>,
    #[serde(skip)]
    pub(super) body: Option<bytes::Bytes>,
}

/// The estimate that a visitor is told.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Eta {
    #[serde(with = "usher_events::time::rfc3339")]
    pub(super) expected: Timestamp,
    #[serde(with = "usher_events::time::rfc3339")]
    pub(super) early: Timestamp,
    #[serde(with = "usher_events::time::rfc3339")]
    pub(super) late: Timestamp,
}

impl Said {
    /// The state as a ticket's, where it is one.
    pub(super) fn ticket_state(&self) -> Option<TicketState> {
        Some(match self.state.as_deref()? {
            "lobby" => TicketState::Lobby,
            "waiting" => TicketState::Waiting,
            "away" => TicketState::Away,
            "admitted" => TicketState::Admitted,
            "inside" => TicketState::Inside,
            "done" => TicketState::Done,
            "left" => TicketState::Left,
            "spent" => TicketState::Spent,
            _ => return None,
        })
    }

    /// The problem's stable kind, or the status.
    pub(super) fn reason(&self) -> &str {
        let kind = self.problem.as_deref().unwrap_or("no problem document");
        kind.strip_prefix(usher_http::problem::TYPE_PREFIX).unwrap_or(kind)
    }
}

#[derive(Deserialize)]
struct SeatMap<'a> {
    #[serde(borrow)]
    seats: Vec<Seat<'a>>,
}

#[derive(Deserialize)]
struct Seat<'a> {
    #[serde(borrow)]
    seat: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    state: std::borrow::Cow<'a, str>,
}

/// The free seats that this visitor likes; none when there are too few.
pub(super) fn choose(map: &[u8], choice: Choice) -> Result<Vec<Box<str>>, serde_json::Error> {
    let map: SeatMap<'_> = serde_json::from_slice(map)?;
    let free: Vec<&str> =
        map.seats.iter().filter(|seat| seat.state == "free").map(|seat| &*seat.seat).collect();
    if free.len() < choice.count {
        return Ok(Vec::new());
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a hall"
    )]
    let first = (choice.part * (free.len() - choice.count + 1) as f64) as usize;
    Ok(free.into_iter().skip(first).take(choice.count).map(Box::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &[u8] = br#"{"showing": "a", "version": 3, "as_of": "0.1", "seats": [
        {"seat": "A1", "state": "free"}, {"seat": "A2", "state": "held"},
        {"seat": "A3", "state": "free"}, {"seat": "A4", "state": "free"}]}"#;

    fn chosen(part: f64, count: usize) -> Vec<String> {
        choose(MAP, Choice { part, count }).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_free_seats_are_chosen_and_none_when_there_are_too_few() {
        assert_eq!(chosen(0.0, 2), ["A1", "A3"]);
        assert_eq!(chosen(0.99, 2), ["A3", "A4"]);
        assert_eq!(chosen(0.5, 3), ["A1", "A3", "A4"]);
        assert_eq!(chosen(0.5, 4), [""; 0]);
    }

    #[test]
    fn a_ticket_and_a_problem_are_understood() {
        let said: Said = serde_json::from_str(
            r#"{"ticket": "00", "state": "waiting", "number": 7, "seats": [1], "eta": {"expected":
            "2026-03-01T11:20:00Z", "early": "2026-03-01T11:18:30Z", "late": "2026-03-01T11:22:10Z"}}"#,
        )
        .unwrap();
        assert_eq!((said.ticket_state(), said.number), (Some(TicketState::Waiting), Some(7)));
        assert!(said.eta.unwrap().early < said.eta.unwrap().expected);
        let said: Said = serde_json::from_str(r#"{"type": "urn:usher:problem:seats-taken"}"#).unwrap();
        assert_eq!(said.reason(), "seats-taken");
    }
}
