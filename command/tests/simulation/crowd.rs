//! Who sends commands: visitors, a merchant and an operator, at random.

use rand::Rng;
use rand::rngs::StdRng;
use usher_command::opening::{Command, Request, Schedule, schedule_id};
use usher_events::draw::commitment;
use usher_events::ids::{
    Actor, AdmissionId, BookingId, CommandId, ExtensionId, HoldId, OpeningId, PaymentReference, SeatId,
    ShowingId, Ticket,
};
use usher_events::plan::{Plan, SeatDetails, Showing};
use usher_events::policy::{Payment, Policy};
use usher_events::time::Timestamp;
use uuid::Uuid;

/// How many visitors there are.
pub(crate) const VISITORS: usize = 8;
/// How many seats the only showing has.
const SEATS: usize = 6;

/// The one opening of a simulation.
pub(crate) fn opening() -> OpeningId {
    OpeningId::new("concert").unwrap()
}

pub(crate) fn ticket(visitor: usize) -> Ticket {
    Ticket([u8::try_from(visitor).unwrap() + 1; 32])
}

fn showing() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

fn seat(i: usize) -> SeatId {
    SeatId::new(&format!("G{i}")).unwrap()
}

/// One who sends a command at a time, and repeats it until it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    who: Who,
    /// Holds it has asked for, whether it got them or not.
    holds: Vec<HoldId>,
    bookings: Vec<BookingId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Operator,
    Visitor(usize),
}

/// The operator, then the visitors.
pub(crate) fn everyone() -> Vec<Client> {
    let client = |who| Client { who, holds: Vec::new(), bookings: Vec::new() };
    std::iter::once(Who::Operator).chain((0..VISITORS).map(Who::Visitor)).map(client).collect()
}

/// The command that lets the opening be.
pub(crate) fn schedule(now: Timestamp, keys: &usher_command::draw_keys::DrawKeys) -> Request {
    let seats: Vec<_> = (0..SEATS).map(|i| serde_json::json!({"seat_guid": seat(i).as_str()})).collect();
    let seating = serde_json::from_value(serde_json::json!({
        "name": "Hall", "zones": [{"rows": [{"seats": seats}]}]
    }));
    let plan = Plan { seating: seating.unwrap(), details: SeatDetails::default() };
    let name = usher_events::ids::PlanName::new("hall").unwrap();
    let id = schedule_id(&opening());
    let seed = keys.seed("a", &opening(), id).unwrap();
    let schedule = Schedule {
        title: "Concert".to_owned(),
        opens_at: now.plus_s(5),
        drains_at: None,
        closes_at: now.plus_s(86_400),
        policy: Policy {
            capacity: 3,
            enter_within_s: 20,
            stay_for_s: 60,
            hold_for_s: 30,
            max_seats: 3,
            payment: Payment::Merchant,
            late_payment_grace_s: 60,
            misses: 2,
            ..Policy::default()
        },
        beacon: None,
        plans: [(name.clone(), plan)].into(),
        showings: vec![Showing {
            showing: showing(),
            title: "Evening".to_owned(),
            starts_at: now,
            plan: name,
        }],
        seed_commitment: commitment(&seed),
        draw_key_id: "a".to_owned(),
    };
    request(Actor::Operator("simulated".into()), Some(id), Command::Schedule(Box::new(schedule)))
}

fn request(actor: Actor, id: Option<CommandId>, command: Command) -> Request {
    let digest = command.digest(&opening());
    let id = id.or_else(|| command.own_id(&digest)).expect("every command has an id");
    Request { id, digest, actor, now: Timestamp(0), command }
}

fn uuid(random: &mut StdRng) -> Uuid {
    Uuid::from_u128(random.random())
}

impl Client {
    /// What it wants next.
    pub(crate) fn next(&mut self, random: &mut StdRng) -> Request {
        match self.who {
            Who::Operator => operate(random),
            Who::Visitor(visitor) => self.visit(ticket(visitor), random),
        }
    }

    fn visit(&mut self, ticket: Ticket, random: &mut StdRng) -> Request {
        let visitor = Actor::Visitor(ticket);
        let command = match random.random_range(0..20) {
            0..4 => Command::Join { ticket },
            4..8 => Command::Enter { ticket },
            8..10 => Command::Return { ticket },
            10..13 => {
                let hold = HoldId(uuid(random));
                self.holds.push(hold);
                let first = random.random_range(0..SEATS);
                let seats = (first..SEATS.min(first + random.random_range(1..4))).map(seat).collect();
                Command::Hold { hold, ticket, showing: showing(), seats }
            }
            13..17 if !self.holds.is_empty() => return self.pay(random),
            17 if !self.holds.is_empty() => {
                Command::Release { hold: self.holds[random.random_range(0..self.holds.len())], ticket }
            }
            18 if !self.holds.is_empty() => {
                let hold = self.holds[random.random_range(0..self.holds.len())];
                Command::Extend { hold, ticket, extension: ExtensionId(uuid(random)) }
            }
            19 if random.random_bool(0.3) => Command::Leave { ticket },
            19 if random.random_bool(0.3) => Command::LeaveWindow { ticket },
            _ => Command::Enter { ticket },
        };
        request(visitor, None, command)
    }

    /// The merchant settles a payment, sometimes the same one again, under
    /// another booking id; or cancels.
    fn pay(&mut self, random: &mut StdRng) -> Request {
        let merchant = Actor::Merchant("shop".into());
        if !self.bookings.is_empty() && random.random_bool(0.2) {
            let booking = self.bookings[random.random_range(0..self.bookings.len())];
            return request(merchant, None, Command::Cancel { booking });
        }
        let recent = self.holds.len().saturating_sub(2);
        let hold = self.holds[random.random_range(recent..self.holds.len())];
        let booking = BookingId(uuid(random));
        self.bookings.push(booking);
        let payment_reference = PaymentReference::new(&format!("p{}", random.random_range(0..3))).unwrap();
        request(merchant, None, Command::Confirm { booking, hold, payment_reference })
    }
}

fn operate(random: &mut StdRng) -> Request {
    let actor = Actor::Operator("simulated".into());
    let key = Some(CommandId(uuid(random)));
    match random.random_range(0..6) {
        0 => request(actor, key, Command::Pause),
        1 | 2 => request(actor, key, Command::Resume),
        3 => {
            let admission = AdmissionId(uuid(random));
            request(actor, None, Command::AdmitByHand { admission, count: random.random_range(1..5) })
        }
        _ => {
            let patch =
                serde_json::json!({"capacity": random.random_range(1..5), "admissions_per_minute": null});
            request(actor, key, Command::ChangePolicy { patch })
        }
    }
}
