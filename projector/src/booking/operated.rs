//! What operators did in an opening, by the log.

use serde::Serialize;
use usher_events::event::Event;
use usher_events::time::Timestamp;

use crate::store::Located;

/// How many acts of an opening are shown, the newest.
pub const OPERATED_SHOWN: usize = 200;

/// One act of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operated {
    /// When.
    pub at: Timestamp,
    /// The name of the operator's key.
    pub by: String,
    /// The event's type.
    pub what: String,
    /// What a person would ask next, e.g. the new capacity; may be empty.
    pub detail: String,
}

impl Operated {
    /// The act that `located` is; none when no operator caused it.
    pub(super) fn of(located: &Located) -> Option<Self> {
        let by = located.operator.as_ref()?.to_string();
        let event = &located.event;
        Some(Self { at: event.at(), by, what: event.kind().to_owned(), detail: detail(event) })
    }
}

fn detail(event: &Event) -> String {
    match event {
        Event::PolicyChanged(event) => {
            let rate = event.policy.admissions_per_minute;
            let rate = rate.map_or("no rate".to_owned(), |rate| format!("{rate} a minute"));
            format!("capacity {}, {rate}", event.policy.capacity)
        }
        Event::MessageChanged(event) => event.message.clone().unwrap_or_default(),
        Event::OpeningRescheduled(event) => format!("{} to {}", event.opens_at, event.closes_at),
        Event::VisitorsAdmitted(event) => event.admitted.len().to_string(),
        Event::PlanAdded(event) => event.name.to_string(),
        Event::ShowingAdded(event) => event.showing.showing.to_string(),
        Event::BookingCancelled(event) => event.booking.to_string(),
        _ => String::new(),
    }
}
