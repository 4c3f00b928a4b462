//! One opening, and what its crowd asks.

use std::sync::Arc;

use usher_command::draw_keys::DrawKeys;
use usher_command::opening::{Command, Request, Schedule, schedule_id};
use usher_events::ids::{Actor, CommandId, HoldId, OpeningId, PlanName, SeatId, ShowingId, Ticket};
use usher_events::plan::{Plan, SeatDetails, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

/// When the opening opens.
pub(crate) const OPENS_AT: Timestamp = Timestamp(1_800_000_000_000);

/// The moment `seconds` after the opening opens.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(OPENS_AT.0 + seconds * 1_000)
}

pub(crate) fn opening() -> OpeningId {
    OpeningId::new("concert").unwrap()
}

pub(crate) fn ticket(visitor: u8) -> Ticket {
    Ticket::of_secret(&[visitor; 32])
}

pub(crate) fn keys(key: &str) -> Arc<DrawKeys> {
    Arc::new(DrawKeys::new(vec![("a".to_owned(), key.repeat(32).into())]).unwrap())
}

pub(crate) fn showing() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

pub(crate) fn seat(i: usize) -> SeatId {
    SeatId::new(&format!("G{i}")).unwrap()
}

/// Opens at [`OPENS_AT`], with room for two and six seats.
pub(crate) fn schedule(keys: &DrawKeys) -> Command {
    schedule_at(keys, OPENS_AT)
}

pub(crate) fn schedule_at(keys: &DrawKeys, opens_at: Timestamp) -> Command {
    let (draw_key_id, seed_commitment) = keys.commit(&opening(), schedule_id(&opening())).unwrap();
    let seats: Vec<_> = (0..6).map(|i| serde_json::json!({"seat_guid": seat(i).as_str()})).collect();
    let seating = serde_json::json!({"name": "Hall", "zones": [{"rows": [{"seats": seats}]}]});
    let plan = Plan { seating: serde_json::from_value(seating).unwrap(), details: SeatDetails::default() };
    let hall = PlanName::new("hall").unwrap();
    let title = "The concert".to_owned();
    Command::Schedule(Box::new(Schedule {
        title: title.clone(),
        opens_at,
        drains_at: None,
        closes_at: opens_at.plus_s(36_000),
        policy: Policy { capacity: 2, hold_for_s: 300, ..Policy::default() },
        beacon: None,
        plans: [(hall.clone(), plan)].into(),
        showings: vec![Showing { showing: showing(), title, starts_at: at(86_400), plan: hall }],
        seed_commitment,
        draw_key_id,
    }))
}

pub(crate) fn join(visitor: u8) -> Command {
    Command::Join { ticket: ticket(visitor) }
}

pub(crate) fn enter(visitor: u8) -> Command {
    Command::Enter { ticket: ticket(visitor) }
}

pub(crate) fn hold(id: u128, visitor: u8, seats: &[usize]) -> Command {
    Command::Hold {
        hold: HoldId(Uuid::from_u128(id)),
        ticket: ticket(visitor),
        showing: showing(),
        seats: seats.iter().copied().map(seat).collect(),
        wheelchair: false,
    }
}

pub(crate) fn message(text: &str) -> Command {
    Command::SetMessage { message: Some(text.to_owned()) }
}

/// `command` as who may sends it; `key` is for what has no id of its own.
pub(crate) fn request(command: Command, key: u128) -> Request {
    let digest = command.digest(&opening());
    let id = match &command {
        Command::Schedule(_) => schedule_id(&opening()),
        command => command.own_id(&digest).unwrap_or(CommandId(Uuid::from_u128(key))),
    };
    let actor = match &command {
        Command::Join { ticket } | Command::Enter { ticket } | Command::Hold { ticket, .. } => {
            Actor::Visitor(*ticket)
        }
        _ => Actor::Operator("desk".into()),
    };
    Request { id, digest, actor, now: Timestamp(0), command }
}
