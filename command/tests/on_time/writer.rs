//! A writer with its log and a clock that is set by hand: timers fire when
//! they are due, and records land at once.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;
use usher_command::draw_keys::DrawKeys;
use usher_command::opening::{Command, Refusal, Request, Resource, Schedule, schedule_id};
use usher_command::writer::{Output, Partition, Reply, Submitted, WriterConfig};
use usher_events::draw::commitment;
use usher_events::event::{Event, TicketState};
use usher_events::ids::{Actor, CommandId, OpeningId, PlanName, SeatId, ShowingId, Ticket};
use usher_events::log::Report;
use usher_events::plan::{Plan, SeatDetails, Showing};
use usher_events::policy::{Payment, Policy};
use usher_events::record::StoredRecord;
use usher_events::time::Timestamp;
use uuid::Uuid;

/// When every opening here opens.
const OPENS_AT: Timestamp = Timestamp(1_800_000_000_000);

/// The moment `ms` milliseconds after the opening opens.
pub(crate) fn ms(ms: i64) -> Timestamp {
    Timestamp(OPENS_AT.0 + ms)
}

/// The moment `seconds` after the opening opens.
pub(crate) fn at(seconds: i64) -> Timestamp {
    ms(seconds * 1_000)
}

pub(crate) fn concert() -> OpeningId {
    OpeningId::new("concert").unwrap()
}

pub(crate) fn evening() -> ShowingId {
    ShowingId::new("evening").unwrap()
}

pub(crate) fn seat(name: &str) -> SeatId {
    SeatId::new(name).unwrap()
}

/// The rules of these tests: one in the seat window, for ten minutes.
pub(crate) fn policy() -> Policy {
    Policy { capacity: 1, payment: Payment::None, ..Policy::default() }
}

/// The `n`th visitor.
pub(crate) fn visitor(n: u8) -> Ticket {
    Ticket([n; 32])
}

/// A process that owns the only partition, while it runs.
pub(crate) struct Writer {
    config: Arc<WriterConfig>,
    partition: Option<Partition<u64>>,
    pub(crate) log: Vec<StoredRecord>,
    pub(crate) now: Timestamp,
    replies: HashMap<u64, Reply>,
    asked: u64,
}

impl Writer {
    /// One that has just claimed its partition, an hour before the opening.
    pub(crate) fn start() -> Self {
        let key = SecretString::from("a-draw-key-of-at-least-32-characters");
        let draw_keys = Arc::new(DrawKeys::new(vec![("a".to_owned(), key)]).unwrap());
        let mut writer = Self {
            config: Arc::new(WriterConfig::new(1, "http://127.0.0.1:1".to_owned(), draw_keys)),
            partition: None,
            log: Vec::new(),
            now: at(-3_600),
            replies: HashMap::new(),
            asked: 0,
        };
        writer.starts();
        writer
    }

    /// The opening with these rules, that drains and closes at these times.
    pub(crate) fn with(policy: Policy, drains_at: Option<Timestamp>, closes_at: Timestamp) -> Self {
        let mut writer = Self::start();
        let seats = [serde_json::json!({"seat_guid": "G7"}), serde_json::json!({"seat_guid": "G8"})];
        let seating = serde_json::json!({"name": "Hall", "zones": [{"rows": [{"seats": seats}]}]});
        let seating = serde_json::from_value(seating).unwrap();
        let hall = PlanName::new("hall").unwrap();
        let seed = writer.config.draw_keys.seed("a", &concert(), schedule_id(&concert())).unwrap();
        let schedule = Schedule {
            title: "Concert".to_owned(),
            opens_at: OPENS_AT,
            drains_at,
            closes_at,
            policy,
            beacon: None,
            plans: [(hall.clone(), Plan { seating, details: SeatDetails::default() })].into(),
            showings: vec![Showing {
                showing: evening(),
                title: "Evening".to_owned(),
                starts_at: at(90_000),
                plan: hall,
            }],
            seed_commitment: commitment(&seed),
            draw_key_id: "a".to_owned(),
        };
        writer.does(Command::Schedule(Box::new(schedule)));
        writer
    }

    /// The opening is open, with so many visitors in line.
    pub(crate) fn open(policy: Policy, visitors: u8) -> Self {
        let mut writer = Self::with(policy, None, at(86_400));
        writer.passes_to(at(0));
        for n in 1..=visitors {
            writer.does(Command::Join { ticket: visitor(n) });
        }
        writer
    }

    // --- the process --------------------------------------------------------

    /// The process starts again, and claims its partition.
    pub(crate) fn starts(&mut self) {
        let mut partition = Partition::new(0, Arc::clone(&self.config));
        partition.catch_up_to(self.log.len() as u64);
        partition.followed(self.log.clone(), self.now, 7);
        partition.want(true, self.now, 8);
        self.partition = Some(partition);
        self.settle();
        assert!(self.partition().serving());
    }

    /// The process is gone.
    pub(crate) fn stops(&mut self) {
        self.partition = None;
    }

    /// The process is gone until `then`.
    pub(crate) fn is_down_until(&mut self, then: Timestamp) {
        self.stops();
        self.now = then;
        self.starts();
        self.passes_to(then);
    }

    fn partition(&mut self) -> &mut Partition<u64> {
        self.partition.as_mut().expect("the process runs")
    }

    /// Time passes; every timer fires when it is due.
    pub(crate) fn passes_to(&mut self, then: Timestamp) {
        while self.partition().next_tick() <= then {
            self.now = self.now.max(self.partition().next_tick());
            let now = self.now;
            self.partition().tick(now, 9);
            self.settle();
        }
        self.now = self.now.max(then);
    }

    /// Carries out all that the writer wants until it wants nothing.
    fn settle(&mut self) {
        loop {
            let (now, outputs) = (self.now, self.partition().take_outputs());
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                match output {
                    Output::Append(records) => {
                        let reports = records.into_iter().map(|record| self.land(record)).collect();
                        self.partition().reported(reports, now, 10);
                    }
                    Output::Reply(asked, reply) => drop(self.replies.insert(asked, reply)),
                    Output::Follow(from) => {
                        let records = self.log[usize::try_from(from).unwrap()..].to_vec();
                        self.partition().followed(records, now, 11);
                    }
                    Output::Hash(order) => {
                        let command = order.job.run(order.seed);
                        self.partition().hashed(order.purpose, &order.opening, command, now, 1);
                    }
                    Output::Unfollow | Output::Owner(_) | Output::Beacons(_) | Output::Changed(..) => {}
                }
            }
            if self.partition().following() {
                let from = usize::try_from(self.partition().state().position).unwrap();
                let records = self.log[from..].to_vec();
                self.partition().followed(records, now, 12);
            }
        }
    }

    fn land(&mut self, record: usher_events::record::Record) -> Report {
        let offset = self.log.len() as u64;
        let (tenure, n) = (record.headers.tenure, record.headers.n);
        self.log.push(StoredRecord { offset, appended_at: self.now, record });
        Report { partition: 0, tenure, n, outcome: Ok(offset) }
    }

    // --- commands -----------------------------------------------------------

    /// What becomes of a command.
    pub(crate) fn asks(&mut self, command: Command) -> Result<Resource, Refusal> {
        self.asked += 1;
        let digest = command.digest(&concert());
        let id = match &command {
            Command::Schedule(_) => schedule_id(&concert()),
            command => command.own_id(&digest).unwrap_or(CommandId(Uuid::from_u128(self.asked.into()))),
        };
        let actor = match &command {
            Command::Join { ticket }
            | Command::Leave { ticket }
            | Command::Enter { ticket }
            | Command::LeaveWindow { ticket }
            | Command::Hold { ticket, .. } => Actor::Visitor(*ticket),
            Command::Confirm { .. } => Actor::Visitor(visitor(1)),
            _ => Actor::Operator("desk".into()),
        };
        let (now, asked) = (self.now, self.asked);
        let request = Request { id, digest, actor, now, command };
        let patience_until = now.plus_s(5);
        let submitted = Submitted { opening: concert(), request, patience_until, reply_to: asked };
        self.partition().submit(Box::new(submitted), now);
        self.settle();
        match self.replies.remove(&asked).expect("every command is answered at once here") {
            Reply::Done { resource, .. } => Ok(*resource),
            Reply::Refused { refusal, .. } => Err(*refusal),
            other => panic!("{other:?}"),
        }
    }

    /// A command that is accepted.
    #[track_caller]
    pub(crate) fn does(&mut self, command: Command) {
        let name = command.name();
        if let Err(refusal) = self.asks(command) {
            panic!("{name}: {refusal}");
        }
    }

    /// Presence notices something of the `n`th visitor who joined.
    pub(crate) fn notices(&mut self, command: Command) {
        let now = self.now;
        self.partition().noticed(&concert(), command, now);
        self.settle();
    }

    // --- what happened ------------------------------------------------------

    /// The events of the opening, with who caused them.
    pub(crate) fn events(&self) -> Vec<(String, Event)> {
        let of_opening = self.log.iter().filter(|stored| stored.record.key.is_some());
        let event =
            |stored: &StoredRecord| (stored.record.headers.actor.to_string(), stored.record.event().unwrap());
        of_opening.map(event).collect()
    }

    /// When something of this kind happened.
    pub(crate) fn times_of(&self, kind: &str) -> Vec<Timestamp> {
        let events = self.events();
        events.iter().filter(|(_, event)| event.kind() == kind).map(|(_, event)| event.at()).collect()
    }

    /// Who was admitted, and when.
    pub(crate) fn admissions(&self) -> Vec<(Ticket, Timestamp)> {
        let mut admissions = Vec::new();
        for (_, event) in self.events() {
            if let Event::VisitorsAdmitted(event) = event {
                admissions.extend(event.admitted.iter().map(|admitted| (admitted.ticket, event.at)));
            }
        }
        admissions
    }

    pub(crate) fn state_of(&mut self, ticket: Ticket) -> TicketState {
        let state = self.partition().state();
        state.openings[&concert()].opening.queue().ticket(&ticket).unwrap().0
    }
}
