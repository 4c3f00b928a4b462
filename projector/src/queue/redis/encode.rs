//! How queue views are written down in Redis.

use redis::ScriptInvocation;
use usher_events::event::TicketState;
use usher_events::time::Timestamp;

use super::super::{BUCKET_MS, BUCKETS, QueueStep, StatusPatch, TicketStep};
use crate::store::Deadline;

/// A ticket's state as one letter.
pub(super) fn letter(state: TicketState) -> &'static str {
    match state {
        TicketState::Lobby => "L",
        TicketState::Waiting => "W",
        TicketState::Away => "A",
        TicketState::Admitted => "N",
        TicketState::Inside => "I",
        TicketState::Done => "D",
        TicketState::Left => "G",
        TicketState::Spent => "S",
    }
}

/// The state of a letter.
pub(super) fn state(letter: &str) -> Option<TicketState> {
    Some(match letter {
        "L" => TicketState::Lobby,
        "W" => TicketState::Waiting,
        "A" => TicketState::Away,
        "N" => TicketState::Admitted,
        "I" => TicketState::Inside,
        "D" => TicketState::Done,
        "G" => TicketState::Left,
        "S" => TicketState::Spent,
        _ => return None,
    })
}

/// A ticket's entry: `state:number:deadline:given`, empty where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) state: TicketState,
    pub(super) number: Option<u32>,
    pub(super) deadline: Option<Deadline>,
}

impl Entry {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let state = state(parts.next()?)?;
        let number = parts.next()?.parse().ok();
        let at = parts.next()?.parse().ok().map(Timestamp);
        let given = parts.next()?.parse().ok();
        let deadline = at.zip(given).map(|(at, given)| Deadline { at, given });
        Some(Self { state, number, deadline })
    }

    pub(super) fn write(&self) -> String {
        let number = self.number.map(|number| number.to_string()).unwrap_or_default();
        let (at, given) = deadline(self.deadline);
        format!("{}:{number}:{at}:{given}", letter(self.state))
    }
}

fn deadline(deadline: Option<Deadline>) -> (String, String) {
    match deadline {
        Some(Deadline { at, given }) => (at.0.to_string(), given.to_string()),
        None => Default::default(),
    }
}

/// Adds a small step's changes to the script's arguments.
pub(super) fn step(step: &QueueStep, invocation: &mut ScriptInvocation<'_>) -> Result<(), serde_json::Error> {
    let QueueStep::Small { tickets, status } = step else { return Ok(()) };
    if let Some(patch) = status {
        patched(patch, invocation)?;
    }
    for ticket in tickets {
        moved(ticket, invocation);
    }
    Ok(())
}

fn moved(step: &TicketStep, invocation: &mut ScriptInvocation<'_>) {
    let (at, given) = deadline(step.deadline);
    let number = step.number.map(|number| number.to_string()).unwrap_or_default();
    let from = step.moved_from.map(|from| from.0.to_vec()).unwrap_or_default();
    invocation
        .arg("T")
        .arg(&step.ticket.0[..])
        .arg(letter(step.state))
        .arg(number)
        .arg(at)
        .arg(given)
        .arg(from);
}

fn patched(patch: &StatusPatch, invocation: &mut ScriptInvocation<'_>) -> Result<(), serde_json::Error> {
    let mut set = |field: &str, value: serde_json::Result<String>| -> Result<(), serde_json::Error> {
        invocation.arg("S").arg(field).arg(value?);
        Ok(())
    };
    match patch {
        StatusPatch::Scheduled(status) => {
            set("title", serde_json::to_string(&status.title))?;
            set("state", serde_json::to_string(&status.state))?;
            set("opens_at", serde_json::to_string(&status.opens_at))?;
            set("drains_at", serde_json::to_string(&status.drains_at))?;
            set("closes_at", serde_json::to_string(&status.closes_at))?;
            set("policy", serde_json::to_string(&status.policy))?;
            set("draw", serde_json::to_string(&status.draw))
        }
        StatusPatch::Rescheduled { title, opens_at, drains_at, closes_at } => {
            set("title", serde_json::to_string(title))?;
            set("opens_at", serde_json::to_string(opens_at))?;
            set("drains_at", serde_json::to_string(drains_at))?;
            set("closes_at", serde_json::to_string(closes_at))
        }
        StatusPatch::Policy(policy) => set("policy", serde_json::to_string(policy)),
        StatusPatch::Message(message) => set("message", serde_json::to_string(message)),
        StatusPatch::State(state) => set("state", serde_json::to_string(state)),
        StatusPatch::Admitted { serving_number, bucket, count } => {
            let oldest = bucket - BUCKET_MS * (BUCKETS as i64 - 1);
            invocation.arg("A").arg(*bucket).arg(*count).arg(*serving_number).arg(oldest);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_as_it_was_written() {
        let deadline = Some(Deadline { at: Timestamp(1_700_000_000_000), given: 42 });
        for entry in [
            Entry { state: TicketState::Lobby, number: None, deadline: None },
            Entry { state: TicketState::Inside, number: Some(7), deadline },
        ] {
            assert_eq!(Entry::parse(&entry.write()), Some(entry));
        }
        assert_eq!(Entry::parse("X:1::"), None);
    }
}
