//! Histories that the opening itself decided, from random choices.

use std::collections::BTreeMap;

use usher_command::opening::{
    Command, Decision, Due, Fact as Decided, Opening, Request, Schedule, schedule_id,
};
use usher_events::draw::commitment;
use usher_events::event::{Event, TicketMoved, TicketState, VisitorsWentAway};
use usher_events::ids::{
    Actor, AdmissionId, BookingId, CommandId, ExtensionId, Hash, HoldId, OpeningId, PaymentReference,
    PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

use crate::history::Fact;

const SEED: Hash = Hash([7; 32]);
const START: Timestamp = Timestamp(1_800_000_000_000);

/// One random choice: what, who, which, and how many seconds later.
pub(crate) type Choice = (u8, u8, u8, u8);

/// What two openings decide on `choices`.
pub(crate) fn play(choices: &[Choice]) -> Vec<Fact> {
    let mut world = World::new(["premiere", "encore"]);
    for choice in choices {
        world.step(*choice);
    }
    world.facts
}

struct World {
    openings: [(OpeningId, Opening); 2],
    now: Timestamp,
    ids: u128,
    facts: Vec<Fact>,
    /// By opening.
    holds: Vec<(usize, HoldId, Ticket)>,
    bookings: Vec<(usize, BookingId)>,
}

pub(crate) fn visitor(number: u32) -> Ticket {
    let mut ticket = [0xee; 32];
    ticket[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
    ticket[4..8].copy_from_slice(&number.to_be_bytes());
    Ticket(ticket)
}

pub(crate) fn hall() -> Plan {
    let row = |row: &str| {
        let seats: Vec<_> = (1..=4).map(|i| serde_json::json!({"seat_guid": format!("{row}{i}")})).collect();
        serde_json::json!({"row_number": row, "seats": seats})
    };
    serde_json::from_value(serde_json::json!({
        "seating": {"name": "Hall", "zones": [{"rows": [row("A"), row("B"), row("C")]}]},
        "details": {"blocked": {"B4": "pillar"}}
    }))
    .unwrap()
}

pub(crate) fn showing(name: &str, plan: &str) -> Showing {
    Showing {
        showing: ShowingId::new(name).unwrap(),
        title: format!("The {name}"),
        starts_at: START.plus_s(86_400),
        plan: PlanName::new(plan).unwrap(),
    }
}

pub(crate) fn schedule() -> Schedule {
    Schedule {
        title: "The premiere".to_owned(),
        opens_at: START.plus_s(60),
        drains_at: None,
        closes_at: START.plus_s(36_000),
        policy: Policy {
            capacity: 4,
            enter_within_s: 20,
            stay_for_s: 60,
            hold_for_s: 15,
            late_payment_grace_s: 30,
            ..Policy::default()
        },
        beacon: None,
        plans: BTreeMap::from([(PlanName::new("hall").unwrap(), hall())]),
        showings: vec![showing("evening", "hall"), showing("matinee", "hall")],
        seed_commitment: commitment(&SEED),
        draw_key_id: "key-1".to_owned(),
    }
}

impl World {
    fn new(names: [&str; 2]) -> Self {
        let openings = names.map(|name| (OpeningId::new(name).unwrap(), Opening::default()));
        let mut world =
            Self { openings, now: START, ids: 0, facts: Vec::new(), holds: Vec::new(), bookings: Vec::new() };
        world.command(0, Actor::Operator("op".into()), Command::Schedule(Box::new(schedule())));
        world
    }

    fn step(&mut self, (what, who, which, seconds): Choice) {
        self.now = self.now.plus_s(u32::from(seconds % 6));
        self.timers();
        let at = usize::from(which >= 200);
        let anyone = visitor(u32::from(who % 24));
        let someone = |world: &Self, state| world.someone(at, who, state).unwrap_or(anyone);
        let (ticket, command) = match what % 32 {
            0..=7 => (anyone, Command::Join { ticket: anyone }),
            8 => (anyone, Command::Leave { ticket: anyone }),
            9 => {
                let ticket = someone(self, TicketState::Away);
                return self.notice(at, ticket, |indexes| Command::Return { indexes });
            }
            10..=13 => {
                let ticket = someone(self, TicketState::Admitted);
                (ticket, Command::Enter { ticket })
            }
            14 if which % 3 == 0 => {
                let ticket = someone(self, TicketState::Inside);
                (ticket, Command::LeaveWindow { ticket })
            }
            14 | 15 => (anyone, Command::AdmitByHand { admission: AdmissionId(self.id()), count: 2 }),
            16..=19 => {
                let ticket = someone(self, TicketState::Inside);
                let showing = if which % 2 == 0 { "evening" } else { "matinee" };
                let (showing, seats) = (ShowingId::new(showing).unwrap(), self.seats(which));
                (ticket, Command::Hold { hold: HoldId(self.id()), ticket, showing, seats, wheelchair: false })
            }
            20..=23 => return self.go_on_with_a_hold(what, who, which),
            24 => return self.cancel(who),
            25 => return self.notice(at, anyone, |indexes| Command::GoAway { indexes }),
            26 => return self.move_place(at, anyone),
            27 => {
                self.now = self.now.plus_s(u32::from(which));
                return self.timers();
            }
            28 => {
                self.facts.push(Fact::Claimed(self.now));
                return self.openings.iter_mut().for_each(|(_, opening)| opening.claimed(self.now));
            }
            29 => return self.void(at, anyone),
            _ => return self.operate(at, who, which),
        };
        self.command(at, Actor::Visitor(ticket), command);
        self.timers();
    }

    /// A visitor in `state`, if one is.
    fn someone(&self, at: usize, who: u8, state: TicketState) -> Option<Ticket> {
        let queue = self.openings[at].1.queue();
        let all = (0..24).map(|i| visitor((u32::from(who) + i) % 24));
        all.into_iter().find(|ticket| queue.ticket(ticket).is_some_and(|(found, _)| found == state))
    }

    fn go_on_with_a_hold(&mut self, what: u8, who: u8, which: u8) {
        let Some((at, hold, ticket)) = self.holds.iter().rev().nth(usize::from(who % 4)).copied() else {
            return;
        };
        let (actor, command) = match what % 32 {
            20 => {
                let extension = ExtensionId(self.id());
                (Actor::Visitor(ticket), Command::Extend { hold, ticket, extension })
            }
            21 => (Actor::Visitor(ticket), Command::Release { hold, ticket }),
            _ => {
                let payment_reference = PaymentReference::new(&format!("pay-{}", which % 2)).unwrap();
                let booking = BookingId(self.id());
                (Actor::Merchant("shop".into()), Command::Confirm { booking, hold, payment_reference })
            }
        };
        self.command(at, actor, command);
    }

    fn cancel(&mut self, who: u8) {
        if let Some((at, booking)) = self.bookings.iter().rev().nth(usize::from(who % 3)).copied() {
            let seat = who.is_multiple_of(2).then(|| self.seats(who).remove(0));
            self.command(at, Actor::Merchant("shop".into()), Command::Cancel { booking, seat });
        }
    }

    fn seats(&self, which: u8) -> Vec<SeatId> {
        let seat = |i: u8| SeatId::new(&format!("{}{}", ["A", "B", "C"][usize::from(i / 4 % 3)], i % 4 + 1));
        (0..=which % 3).map(|i| seat(which.wrapping_add(i)).unwrap()).collect()
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids << 64)
    }

    fn operate(&mut self, at: usize, who: u8, which: u8) {
        let name = format!("extra-{}", which % 3);
        let command = match who % 12 {
            0 => Command::Schedule(Box::new(schedule())),
            1 => Command::Reschedule {
                title: Some(format!("Title {which}")),
                opens_at: None,
                drains_at: None,
                closes_at: None,
            },
            2 => Command::AddPlan { name: PlanName::new(&name).unwrap(), plan: Box::new(hall()) },
            3 => Command::AddShowing { showing: showing(&name, &name) },
            4 => Command::ChangePolicy { patch: serde_json::json!({"capacity": which % 6 + 1}) },
            5 => Command::SetMessage { message: Some(format!("Message {which}")) },
            6 => Command::SetMessage { message: None },
            7 => Command::Pause,
            8 | 9 => Command::Resume,
            10 if which > 160 => Command::Drain,
            11 if which > 180 => Command::Close,
            _ => Command::Schedule(Box::new(schedule())),
        };
        self.command(at, Actor::Operator("op".into()), command);
    }

    /// Presence notices something of a visitor, if they ever joined.
    fn notice(&mut self, at: usize, ticket: Ticket, command: impl Fn(Vec<u32>) -> Command) {
        if let Some(index) = self.openings[at].1.queue().index_of(&ticket) {
            self.command(at, Actor::Timer("presence"), command(vec![index]));
        }
        self.timers();
    }

    fn move_place(&mut self, at: usize, from: Ticket) {
        let Some((state, number)) = self.openings[at].1.queue().ticket(&from) else { return };
        if state.is_final() || state == TicketState::Inside {
            return;
        }
        self.ids += 1;
        let to = visitor(1_000 + u32::try_from(self.ids).unwrap());
        let moved = TicketMoved { at: self.now, from, to, number, state, subject: Hash::default() };
        self.happened(at, moved.into());
    }

    fn void(&mut self, at: usize, ticket: Ticket) {
        let event = VisitorsWentAway { at: self.now, tickets: vec![ticket] };
        self.facts.push(Fact::Void(self.openings[at].0.clone(), event.into()));
        self.facts.push(Fact::Claimed(self.now));
        self.openings.iter_mut().for_each(|(_, opening)| opening.claimed(self.now));
    }

    fn command(&mut self, at: usize, actor: Actor, command: Command) {
        let name = &self.openings[at].0;
        let digest = command.digest(name);
        let own = match &command {
            Command::Schedule(_) => Some(schedule_id(name)),
            command => command.own_id(&digest),
        };
        let id = own.unwrap_or_else(|| CommandId(self.id()));
        let request = Request { id, digest, actor, now: self.now, command };
        if let Ok(Decision::Accepted(event)) = self.openings[at].1.decide(&request) {
            self.fold(at, id, digest, event);
        }
    }

    fn happened(&mut self, at: usize, event: Event) {
        let id = CommandId(self.id());
        self.fold(at, id, Hash::default(), event);
    }

    fn fold(&mut self, at: usize, command_id: CommandId, digest: Hash, event: Event) {
        match &event {
            Event::SeatsHeld(held) => self.holds.push((at, held.hold, held.ticket)),
            Event::BookingConfirmed(booked) => self.bookings.push((at, booked.booking)),
            _ => {}
        }
        let (name, opening) = &mut self.openings[at];
        self.facts.push(Fact::Happened(name.clone(), event.clone()));
        opening.fold(&Decided { command_id, digest, event, numbering: None });
    }

    fn timers(&mut self) {
        for at in 0..self.openings.len() {
            while let Some(due) = self.openings[at].1.due(self.now) {
                let command = match due {
                    Due::Decide(command) => command,
                    Due::Hash(job) => {
                        let seed = job.needs_seed().map(|_| SEED);
                        job.run(seed)
                    }
                };
                let facts = self.facts.len();
                self.command(at, Actor::Timer("test"), command);
                assert!(self.facts.len() > facts, "a timer that is due does something");
            }
        }
    }
}
