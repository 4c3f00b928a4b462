//! What is told of an event: CloudEvents, in their structured JSON form.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usher_events::event::{Event, ReleasedHold};
use usher_events::ids::{OpeningId, Ticket};
use usher_events::record::Offset;
use usher_events::time::Timestamp;

use super::kind::Kind;
use super::receiver::Receiver;
use crate::store::Located;

/// Where a message stands among those of its opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The event's offset in the opening's partition.
    pub offset: Offset,
    /// Which of the event's messages, from 0.
    pub part: u32,
}

/// Something that one receiver is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where it stands.
    pub order: Order,
    /// The CloudEvent's `id`, and the webhook's: the same for all receivers,
    /// and each time that it is sent.
    pub id: String,
    /// What it tells of.
    pub kind: Kind,
    /// What is sent.
    pub body: String,
    /// Since when it waits: when it happened, or when it was redriven.
    pub since: Timestamp,
    /// How often it was sent in vain.
    pub attempts: u32,
    /// How often the receiver had answered that it does not want it.
    pub refusals: u32,
    /// Why the last attempt failed.
    pub fault: Option<String>,
}

/// A message with whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addressed {
    pub(crate) receiver: String,
    pub(crate) opening: OpeningId,
    pub(crate) message: Message,
}

/// What `receivers` are to be told of `events`, in order; `is_known` says
/// whether a receiver was there when an event happened.
pub(crate) fn addressed(
    receivers: &[Receiver],
    events: &[Located],
    is_known: impl Fn(&str, &Located) -> bool,
) -> Vec<Addressed> {
    let mut all = Vec::new();
    for located in events {
        for (part, (kind, subject, data)) in (0..).zip(told(&located.event)) {
            let interested = receivers.iter().filter(|receiver| {
                receiver.wants(&located.opening, kind) && is_known(&receiver.name, located)
            });
            let mut message = None;
            for receiver in interested {
                let made = || cloud_event(located, part, kind, &subject, &data);
                let message = message.get_or_insert_with(made).clone();
                let (receiver, opening) = (receiver.name.clone(), located.opening.clone());
                all.push(Addressed { receiver, opening, message });
            }
        }
    }
    all
}

fn cloud_event(located: &Located, part: u32, kind: Kind, subject: &str, data: &Value) -> Message {
    let (opening, offset, at) = (&located.opening, located.offset, located.event.at());
    let id = format!("{opening}-{offset}-{part}");
    let mut data = data.clone();
    data["opening"] = json!(opening);
    let body = json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("/v1/openings/{opening}"),
        "type": kind.name(),
        "subject": subject,
        "time": at.to_rfc3339(),
        "datacontenttype": "application/json",
        // CloudEvents' extension for order: greater strings are later.
        "sequence": format!("{offset:020}.{part:04}"),
        "data": data,
    });
    let (order, body) = (Order { offset, part }, body.to_string());
    Message { order, id, kind, body, since: at, attempts: 0, refusals: 0, fault: None }
}

fn freed(kind: Kind, ticket: Ticket, hold: &ReleasedHold) -> (Kind, String, Value) {
    let data = json!({
        "showing": hold.showing, "hold": hold.hold, "ticket": ticket, "seats": hold.seats,
    });
    (kind, format!("holds/{}", hold.hold), data)
}

/// Kind, subject and data of everything that an event says of holds and
/// bookings.
fn told(event: &Event) -> Vec<(Kind, String, Value)> {
    match event {
        Event::SeatsHeld(event) => {
            let data = json!({
                "showing": event.showing, "hold": event.hold, "ticket": event.ticket, "seats": event.seats,
                "expires_at": event.expires_at.to_rfc3339(),
            });
            vec![(Kind::SeatsHeld, format!("holds/{}", event.hold), data)]
        }
        Event::HoldSwapped(event) => {
            let data = json!({
                "showing": event.showing, "hold": event.hold, "ticket": event.ticket, "seats": event.seats,
                "freed": event.freed, "expires_at": event.expires_at.to_rfc3339(),
            });
            vec![(Kind::SeatsHeld, format!("holds/{}", event.hold), data)]
        }
        Event::HoldExtended(event) => {
            let data = json!({
                "hold": event.hold, "ticket": event.ticket, "expires_at": event.expires_at.to_rfc3339(),
            });
            vec![(Kind::HoldExtended, format!("holds/{}", event.hold), data)]
        }
        Event::HoldReleased(event) => vec![freed(Kind::HoldReleased, event.ticket, &event.released)],
        Event::VisitorLeft(event) => {
            event.released.iter().map(|hold| freed(Kind::HoldReleased, event.ticket, hold)).collect()
        }
        Event::VisitsEnded(event) => {
            let holds = event.visits.iter().flat_map(|visit| {
                visit.released.iter().map(|hold| freed(Kind::HoldReleased, visit.ticket, hold))
            });
            holds.collect()
        }
        Event::HoldsExpired(event) => {
            event.holds.iter().map(|hold| freed(Kind::HoldExpired, hold.ticket, &hold.released)).collect()
        }
        event => settled(event).into_iter().collect(),
    }
}

fn settled(event: &Event) -> Option<(Kind, String, Value)> {
    match event {
        Event::BookingConfirmed(event) => {
            let data = json!({
                "showing": event.showing, "booking": event.booking, "reference": event.reference,
                "hold": event.hold, "ticket": event.ticket, "seats": event.seats,
                "payment_reference": event.payment_reference, "late": event.late,
            });
            Some((Kind::BookingConfirmed, format!("bookings/{}", event.booking), data))
        }
        Event::BookingCancelled(event) => {
            let data = json!({
                "showing": event.showing, "booking": event.booking, "ticket": event.ticket,
                "payment_reference": event.payment_reference,
                "freed": event.freed, "remaining": event.remaining,
            });
            Some((Kind::BookingCancelled, format!("bookings/{}", event.booking), data))
        }
        Event::RefundDue(event) => {
            let data = json!({
                "booking": event.booking, "hold": event.hold, "ticket": event.ticket,
                "payment_reference": event.payment_reference, "reason": event.reason,
            });
            Some((Kind::RefundDue, format!("bookings/{}", event.booking), data))
        }
        _ => None,
    }
}
