//! Given events, when a command, then an event or a refusal.

mod admission;
mod beacon;
mod best;
mod claims;
mod draw;
mod facts;
mod holds;
mod house;
mod ids;
mod joining;
mod places;
mod presence;
mod rate;
mod schedule;
mod settlement;
mod states;
mod swapping;
mod timers;
mod visits;

use usher_events::event::Event;
use usher_events::ids::{Actor, CommandId, Hash, OpeningId};
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::{Command, Decision, Due, Fact, Opening, Refusal, Request, Resource, schedule_id};
use facts::{OPENS_AT, command_of, just_before};

/// The moment `seconds` after the opening opens.
fn at(seconds: i64) -> Timestamp {
    ms(seconds * 1_000)
}

/// The moment `ms` milliseconds after the opening opens.
fn ms(ms: i64) -> Timestamp {
    Timestamp(OPENS_AT.0 + ms)
}

fn opening_id() -> OpeningId {
    OpeningId::new("premiere").unwrap()
}

/// An opening with a history, at a moment.
struct Given {
    opening: Opening,
    now: Timestamp,
    folded: u128,
}

/// An opening that `events` happened to, at the time of the last one.
fn given(events: impl IntoIterator<Item = Event>) -> Given {
    let nothing = Given { opening: Opening::default(), now: at(-3_600), folded: 0 };
    events.into_iter().fold(nothing, Given::and)
}

impl Given {
    /// And then this happened, too.
    fn and(mut self, event: Event) -> Self {
        self.happened(event);
        self
    }

    fn happened(&mut self, event: Event) {
        self.folded += 1;
        self.now = self.now.max(event.at());
        let fact = match command_of(&event) {
            Some(command) => {
                let digest = command.digest(&opening_id());
                let id = command.own_id(&digest).unwrap_or_else(|| schedule_id(&opening_id()));
                Fact { command_id: id, digest, event, numbering: None }
            }
            None => Fact {
                command_id: CommandId(Uuid::from_u128(self.folded << 64)),
                digest: Hash::default(),
                event,
                numbering: None,
            },
        };
        self.opening.fold(&fact);
    }

    /// The clock shows `now`.
    fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// A new writer claims the partition now.
    fn claimed(mut self) -> Self {
        self.opening.claimed(self.now);
        self
    }

    /// Decides `command`, sent by who may.
    fn when(&self, command: Command) -> Outcome {
        let actor = usual_actor(&command);
        self.when_by(actor, command)
    }

    fn when_by(&self, actor: Actor, command: Command) -> Outcome {
        self.decide(self.request(actor, command))
    }

    /// Decides `command` with an `Idempotency-Key` or another id of the client.
    fn when_with_id(&self, id: u128, command: Command) -> Outcome {
        let request = self.request(usual_actor(&command), command);
        self.decide(Request { id: CommandId(Uuid::from_u128(id)), ..request })
    }

    fn decide(&self, request: Request) -> Outcome {
        let decided = self.opening.decide(&request);
        Outcome { request, decided }
    }

    fn request(&self, actor: Actor, command: Command) -> Request {
        let digest = command.digest(&opening_id());
        let id = match &command {
            Command::Schedule(_) => schedule_id(&opening_id()),
            command => command.own_id(&digest).unwrap_or(CommandId(Uuid::from_u128(1))),
        };
        Request { id, digest, actor, now: self.now, command }
    }

    /// Decides `command` and lets its event happen.
    fn done(&mut self, command: Command) -> Event {
        let Outcome { request, decided } = self.when(command);
        match decided {
            Ok(Decision::Accepted(event)) => {
                let Request { id: command_id, digest, .. } = request;
                self.opening.fold(&Fact { command_id, digest, event: event.clone(), numbering: None });
                event
            }
            other => panic!("{:?} led to {other:?}", request.command),
        }
    }

    /// Lets every timer that is due happen, and says what did.
    fn timers(&mut self) -> Vec<Event> {
        let mut happened = Vec::new();
        while let Some(due) = self.opening.due(self.now) {
            let command = match due {
                Due::Decide(command) => command,
                Due::Hash(job) => {
                    let seed = job.needs_seed().map(|_| facts::SEED);
                    job.run(seed)
                }
            };
            happened.push(self.done(command));
            assert!(happened.len() < 1_000, "timers that never end: {happened:?}");
        }
        happened
    }

    /// What a ticket is now.
    fn ticket(&self, ticket: usher_events::ids::Ticket) -> (usher_events::event::TicketState, Option<u32>) {
        self.opening.queue().ticket(&ticket).unwrap()
    }

    fn resource(&self, command: &Command) -> Resource {
        self.opening.resource(command)
    }
}

/// What a command led to.
struct Outcome {
    request: Request,
    decided: Result<Decision, Refusal>,
}

impl Outcome {
    #[track_caller]
    fn then(self, event: impl Into<Event>) {
        assert_eq!(self.decided, Ok(Decision::Accepted(event.into())), "{:?}", self.request.command);
    }

    #[track_caller]
    fn then_refused(self, refusal: Refusal) {
        assert_eq!(self.decided, Err(refusal), "{:?}", self.request.command);
    }

    /// Refused because of this field of the request.
    #[track_caller]
    fn then_invalid(self, expected: &str) {
        match self.decided {
            Err(Refusal::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{:?} led to {other:?}", self.request.command),
        }
    }

    #[track_caller]
    fn then_repeated(self) {
        assert_eq!(self.decided, Ok(Decision::Repeated), "{:?}", self.request.command);
    }

    #[track_caller]
    fn then_already(self) {
        assert_eq!(self.decided, Ok(Decision::Already), "{:?}", self.request.command);
    }

    /// Accepted, and this is the event.
    #[track_caller]
    fn event(self) -> Event {
        match self.decided {
            Ok(Decision::Accepted(event)) => event,
            other => panic!("{:?} led to {other:?}", self.request.command),
        }
    }
}

/// Who usually sends a command.
fn usual_actor(command: &Command) -> Actor {
    match command {
        Command::Join { ticket }
        | Command::JoinAs { ticket, .. }
        | Command::Leave { ticket }
        | Command::Enter { ticket }
        | Command::LeaveWindow { ticket }
        | Command::Hold { ticket, .. }
        | Command::HoldBest { ticket, .. }
        | Command::Swap { ticket, .. }
        | Command::Extend { ticket, .. }
        | Command::Release { ticket, .. } => Actor::Visitor(*ticket),
        Command::Confirm { .. } | Command::Cancel { .. } => Actor::Merchant("shop".into()),
        _ => Actor::Operator("desk".into()),
    }
}
