//! Who sends commands: visitors, a merchant and an operator. Most of the time
//! they want what people want; else they ask for anything.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use usher_command::draw_keys::DrawKeys;
use usher_command::opening::{
    Best, Command, HoldState, Refusal, Relax, Request, Resource, Schedule, schedule_id,
};
use usher_command::writer::Reply;
use usher_events::draw::commitment;
use usher_events::event::TicketState;
use usher_events::ids::{
    Actor, AdmissionId, BookingId, CommandId, ExtensionId, HoldId, OpeningId, PaymentReference, PlanName,
    SeatId, ShowingId, Ticket,
};
use usher_events::plan::{Plan, SeatDetails, Showing};
use usher_events::policy::{Payment, Policy};
use usher_events::time::Timestamp;
use uuid::Uuid;

/// How many visitors there are at a time.
const VISITORS: u8 = 8;
/// How many seats the hall has.
const SEATS: usize = 12;
/// What every visitor's secret begins with.
const SECRET: [u8; 16] = [0xc3; 16];
/// The draw key.
const DRAW_KEY: &str = "the draw key of the simulated keyring";

/// The one opening of a simulation.
pub(crate) fn opening() -> OpeningId {
    OpeningId::new("concert").unwrap()
}

/// The keys of all its writers.
pub(crate) fn keys() -> Arc<DrawKeys> {
    Arc::new(DrawKeys::new(vec![("a".to_owned(), DRAW_KEY.into())]).unwrap())
}

/// How secrets would show in a log: as text, in hexadecimal, in base64.
pub(crate) fn secret_marks() -> [String; 3] {
    let hex = SECRET.map(|byte| format!("{byte:02x}")).concat();
    [DRAW_KEY.to_owned(), hex, "w8PDw8PDw8PDw8PD".to_owned()]
}

fn showing(name: &str) -> Showing {
    let (showing, plan) = (ShowingId::new(name).unwrap(), PlanName::new("hall").unwrap());
    Showing { showing, title: "The concert".to_owned(), starts_at: Timestamp(0), plan }
}

fn seat(i: usize) -> SeatId {
    SeatId::new(&format!("G{i}")).unwrap()
}

/// What a visitor wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Join,
    Enter,
    Seats,
    /// To pay for a hold, after having asked for other things so many times.
    Pay(HoldId, u8),
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Operator,
    Visitor { ticket: Ticket, wants: Want },
}

/// One who sends a command at a time, and repeats it until it is answered.
#[derive(Debug)]
struct Client {
    seat_in_crowd: u8,
    /// How many visitors it was before.
    before: u8,
    who: Who,
    /// Holds it has asked for, whether it got them or not.
    holds: Vec<HoldId>,
    bookings: Vec<BookingId>,
    /// The last one that was accepted.
    accepted: Option<Request>,
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct Crowd {
    clients: Vec<Client>,
    /// Holds that anyone asked for.
    overheard: Vec<HoldId>,
}

/// The command that lets the opening be.
pub(crate) fn schedule(now: Timestamp, random: &mut StdRng) -> Request {
    let seats: Vec<_> = (0..SEATS).map(|i| serde_json::json!({"seat_guid": seat(i).as_str()})).collect();
    let seating = serde_json::from_value(serde_json::json!({
        "name": "Hall", "zones": [{"rows": [{"seats": seats}]}]
    }));
    let plan = Plan { seating: seating.unwrap(), details: SeatDetails::default() };
    let id = schedule_id(&opening());
    let seed = keys().seed("a", &opening(), id).unwrap();
    let schedule = Schedule {
        title: "Concert".to_owned(),
        opens_at: now.plus_s(5),
        drains_at: random.random_bool(0.1).then(|| now.plus_s(300)),
        closes_at: now.plus_s(if random.random_bool(0.1) { 400 } else { 86_400 }),
        policy: Policy {
            capacity: 4,
            enter_within_s: 20,
            stay_for_s: 60,
            hold_for_s: 30,
            max_seats: 3,
            payment: if random.random_bool(0.2) { Payment::None } else { Payment::Merchant },
            late_payment_grace_s: 60,
            misses: 2,
            ..Policy::default()
        },
        beacon: None,
        plans: [(showing("evening").plan, plan)].into(),
        showings: vec![showing("evening"), showing("matinee")],
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

impl Crowd {
    /// The operator, then the visitors.
    pub(crate) fn new() -> Self {
        let clients = (0..=VISITORS).map(|seat_in_crowd| {
            let who = if seat_in_crowd == 0 { Who::Operator } else { visitor(seat_in_crowd, 0) };
            Client { seat_in_crowd, before: 0, who, holds: vec![], bookings: vec![], accepted: None }
        });
        Self { clients: clients.collect(), overheard: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// What a client asks for next.
    pub(crate) fn next(&mut self, client: usize, random: &mut StdRng) -> Request {
        let request = self.clients[client].next(&self.overheard, random);
        if let Command::Hold { hold, .. } | Command::HoldBest { hold, .. } = &request.command {
            self.clients[client].holds.push(*hold);
            self.overheard.push(*hold);
        }
        request
    }

    /// A client is answered.
    pub(crate) fn told(&mut self, client: usize, request: &Request, reply: &Reply, random: &mut StdRng) {
        let client = &mut self.clients[client];
        if let Reply::Done { created: true, .. } = reply {
            client.accepted = Some(request.clone());
        }
        let Who::Visitor { ticket, wants } = client.who else { return };
        let wants = learned(wants, &request.command, reply, random);
        client.who = match wants {
            Some(wants) => Who::Visitor { ticket, wants },
            // Their place is used up: somebody else comes.
            None => {
                client.before += 1;
                visitor(client.seat_in_crowd, client.before)
            }
        };
    }
}

fn visitor(seat_in_crowd: u8, before: u8) -> Who {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(&SECRET);
    secret[16..18].copy_from_slice(&[seat_in_crowd, before]);
    Who::Visitor { ticket: Ticket::of_secret(&secret), wants: Want::Join }
}

/// What a visitor wants after an answer; none when their place is used up.
fn learned(wants: Want, command: &Command, reply: &Reply, random: &mut StdRng) -> Option<Want> {
    Some(match (command, reply) {
        (_, Reply::Done { resource, .. }) => match resource.as_ref() {
            Resource::Ticket { state, .. } | Resource::Entry { state, .. } if state.is_final() => {
                return None;
            }
            Resource::Entry { state: TicketState::Inside, .. } => match wants {
                Want::Pay(..) => wants,
                _ => Want::Seats,
            },
            Resource::Hold { hold, state: HoldState::Live, .. } => {
                let patient = random.random_bool(0.7);
                Want::Pay(*hold, if patient { 0 } else { random.random_range(1..8) })
            }
            Resource::Booking { .. } if random.random_bool(0.2) => Want::Leave,
            _ => Want::Enter,
        },
        (
            Command::Hold { .. } | Command::HoldBest { .. } | Command::Enter { .. },
            Reply::Refused { refusal, .. },
        ) => {
            match refusal.as_ref() {
                // Who has a hold to pay for pays late.
                Refusal::Gone { .. } if !matches!(wants, Want::Pay(..)) => return None,
                Refusal::NotInside { .. } => Want::Enter,
                Refusal::TooManySeats { .. } => Want::Leave,
                _ => wants,
            }
        }
        _ => wants,
    })
}

impl Client {
    fn next(&mut self, overheard: &[HoldId], random: &mut StdRng) -> Request {
        let (ticket, wants) = match self.who {
            Who::Operator => return operate(random),
            Who::Visitor { ticket, wants } => (ticket, wants),
        };
        match (random.random_range(0..100), self.accepted.clone()) {
            (0..5, Some(again)) => again,
            (5..8, Some(other)) => self.same_id(other, ticket),
            (8..11, _) if !overheard.is_empty() => {
                let hold = *overheard.choose(random).unwrap();
                request(Actor::Visitor(ticket), None, self.hold(hold, ticket, random))
            }
            (11..30, _) => self.anything(ticket, random),
            _ => self.want(ticket, wants, random),
        }
    }

    /// What was accepted comes with other content.
    fn same_id(&self, other: Request, ticket: Ticket) -> Request {
        let command = match other.command.clone() {
            Command::Hold { hold, ticket, seats, .. } => {
                Command::Hold { hold, ticket, seats, showing: showing("tomorrow").showing, wheelchair: false }
            }
            _ => return request(Actor::Visitor(ticket), None, Command::Join { ticket }),
        };
        request(other.actor, Some(other.id), command)
    }

    fn want(&mut self, ticket: Ticket, wants: Want, random: &mut StdRng) -> Request {
        let visitor = Actor::Visitor(ticket);
        let command = match wants {
            Want::Join => Command::Join { ticket },
            Want::Enter => Command::Enter { ticket },
            Want::Seats => self.hold(HoldId(uuid(random)), ticket, random),
            Want::Pay(hold, 0) => return self.pay(hold, ticket, random),
            Want::Pay(hold, more) => {
                self.who = Who::Visitor { ticket, wants: Want::Pay(hold, more - 1) };
                Command::Enter { ticket }
            }
            Want::Leave => Command::LeaveWindow { ticket },
        };
        request(visitor, None, command)
    }

    fn hold(&self, hold: HoldId, ticket: Ticket, random: &mut StdRng) -> Command {
        let first = random.random_range(0..SEATS);
        let seats = (first..SEATS.min(first + random.random_range(1..4))).map(seat).collect();
        let showing = showing(["evening", "matinee"].choose(random).unwrap()).showing;
        if random.random_bool(0.3) {
            let relax = *[Relax::Nothing, Relax::Single, Relax::Split].choose(random).unwrap();
            let (count, wheelchair) = (random.random_range(1..4), random.random_bool(0.1));
            let best = Best { count, category: None, relax, wheelchair };
            return Command::HoldBest { hold, ticket, showing, best };
        }
        Command::Hold { hold, ticket, showing, seats, wheelchair: false }
    }

    fn anything(&mut self, ticket: Ticket, random: &mut StdRng) -> Request {
        let hold = self.holds.choose(random).copied().unwrap_or(HoldId(Uuid::nil()));
        let command = match random.random_range(0..12) {
            0 => Command::Join { ticket },
            1 => Command::Enter { ticket },
            2 | 3 => self.hold(HoldId(uuid(random)), ticket, random),
            4..7 => return self.pay(hold, ticket, random),
            7 => Command::Release { hold, ticket },
            8 => Command::Extend { hold, ticket, extension: ExtensionId(uuid(random)) },
            9 if random.random_bool(0.2) => Command::Leave { ticket },
            10 if random.random_bool(0.2) => Command::LeaveWindow { ticket },
            _ => Command::Enter { ticket },
        };
        request(Actor::Visitor(ticket), None, command)
    }

    /// A payment is settled, sometimes the same one again under another
    /// booking id; or a booking is cancelled.
    fn pay(&mut self, hold: HoldId, ticket: Ticket, random: &mut StdRng) -> Request {
        let merchant = Actor::Merchant("shop".into());
        if random.random_bool(0.4)
            && let Some(booking) = self.bookings.choose(random).copied()
        {
            let seat = random.random_bool(0.2).then(|| seat(random.random_range(0..SEATS)));
            return request(merchant, None, Command::Cancel { booking, seat });
        }
        let booking = BookingId(uuid(random));
        self.bookings.push(booking);
        let payment_reference = PaymentReference::new(&format!("p{}", random.random_range(0..3))).unwrap();
        let actor = if random.random_bool(0.1) { Actor::Visitor(ticket) } else { merchant };
        request(actor, None, Command::Confirm { booking, hold, payment_reference })
    }
}

fn operate(random: &mut StdRng) -> Request {
    let actor = Actor::Operator("simulated".into());
    let key = Some(CommandId(uuid(random)));
    match random.random_range(0..600) {
        0..40 => request(actor, key, Command::Pause),
        40..240 => request(actor, key, Command::Resume),
        240..360 => {
            let admission = AdmissionId(uuid(random));
            request(actor, None, Command::AdmitByHand { admission, count: random.random_range(1..5) })
        }
        360..400 => {
            let name = ["evening", "matinee", "midnight", "morning"].choose(random).unwrap();
            request(actor, None, Command::AddShowing { showing: showing(name) })
        }
        400 => request(actor, key, Command::Drain),
        401 => request(actor, key, Command::Close),
        402..450 => {
            let message = random.random_bool(0.5).then(|| "Back soon".to_owned());
            request(actor, key, Command::SetMessage { message })
        }
        _ => {
            let per_minute = random.random_bool(0.5).then_some(600);
            let patch = serde_json::json!({
                "capacity": random.random_range(2..7), "admissions_per_minute": per_minute
            });
            request(actor, key, Command::ChangePolicy { patch })
        }
    }
}
