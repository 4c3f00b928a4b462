//! One opening's life, driven as its writer does: timers first, then the
//! command.

use std::collections::HashMap;

use usher_command::opening::{
    Command, Decision, Due, Fact, Opening, Refusal, Request, Resource, schedule_id,
};
use usher_events::event::{Event, TicketState};
use usher_events::ids::{
    Actor, BookingId, CommandId, ExtensionId, Hash, HoldId, OpeningId, PaymentReference, SeatId, ShowingId,
    Ticket,
};
use usher_events::time::Timestamp;
use uuid::Uuid;

use crate::asks::{BEGIN, SEED, Step};
use crate::rules::Rules;

/// The most timers that may be due at once.
const TIMERS: usize = 200;

/// What an opening's state is made of.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are facts")]
pub(crate) enum Happened {
    Fact(Fact),
    Claim(Timestamp),
}

/// An opening and all that happened to it.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) opening: Opening,
    pub(crate) history: Vec<Happened>,
    now: Timestamp,
    rules: Rules,
    accepted: Vec<Request>,
    /// Ids that stay taken: by which content, and by whom.
    taken: HashMap<CommandId, (Hash, Option<Ticket>)>,
}

/// What a step led to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    decided: Option<Result<Decision, Refusal>>,
    resource: Option<Resource>,
}

fn opening_id() -> OpeningId {
    OpeningId::new("tonight").unwrap()
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            opening: Opening::default(),
            history: Vec::new(),
            now: BEGIN,
            rules: Rules::default(),
            accepted: Vec::new(),
            taken: HashMap::new(),
        }
    }

    /// The request that a step leads to, now.
    pub(crate) fn request(&self, step: &Step) -> Option<Request> {
        let (actor, id, command) = match step {
            Step::Pass(_) | Step::Claim | Step::Notice(_) => return None,
            Step::Next { ticket, pick } => {
                let (actor, command) = self.next(*ticket, *pick)?;
                (actor, command.own_id(&command.digest(&opening_id()))?, command)
            }
            Step::Squat { ticket, other, seat } => {
                let foreseen = self.foreseen(*other);
                let hold = HoldId(foreseen.get(usize::from(*seat) % foreseen.len())?.0);
                let showing = ShowingId::new("evening").ok()?;
                let seats = SeatId::new(&format!("A{}", seat % 6 + 1)).into_iter().collect();
                (
                    Actor::Visitor(*ticket),
                    CommandId(hold.0),
                    Command::Hold { hold, ticket: *ticket, showing, seats, wheelchair: false },
                )
            }
            Step::Ask { actor, key, command } => {
                let digest = command.digest(&opening_id());
                let key = CommandId(Uuid::from_u128(0x1000 + u128::from(*key)));
                let id = match command {
                    Command::Schedule(_) => schedule_id(&opening_id()),
                    command => command.own_id(&digest).unwrap_or(key),
                };
                (sender(actor, command), id, command.clone())
            }
            Step::Again(_) | Step::SameId(..) if self.accepted.is_empty() => return None,
            Step::Again(index) => {
                let again = index.get(&self.accepted);
                (again.actor.clone(), again.id, again.command.clone())
            }
            Step::SameId(index, actor, command) => {
                // What names its resource cannot come with another id.
                let digest = command.digest(&opening_id());
                let names = !matches!(command, Command::Schedule(_)) && command.own_id(&digest).is_some();
                if names {
                    return None;
                }
                (sender(actor, command), index.get(&self.accepted).id, command.clone())
            }
        };
        let command = match self.opening.hashes_for(&command) {
            Some(job) => job.run(Some(SEED)),
            None => command,
        };
        Some(Request { id, digest: command.digest(&opening_id()), actor, now: self.now, command })
    }

    /// What a visitor does next, or the merchant for them.
    fn next(&self, ticket: Ticket, pick: u8) -> Option<(Actor, Command)> {
        let state = self.opening.queue().ticket(&ticket).map(|(state, _)| state);
        let id = |kind: u128| Uuid::from_u128(kind << 16 | self.history.len() as u128);
        let command = match state {
            None => Command::Join { ticket },
            Some(TicketState::Inside) if pick % 5 < 2 => {
                let showing = ShowingId::new("evening").ok()?;
                let first = usize::from(pick % 5);
                let seats = (first..=first + usize::from(pick % 2))
                    .filter_map(|i| SeatId::new(&format!("A{}", i + 1)).ok());
                Command::Hold {
                    hold: HoldId(id(1)),
                    ticket,
                    showing,
                    seats: seats.collect(),
                    wheelchair: false,
                }
            }
            Some(TicketState::Inside | TicketState::Spent | TicketState::Left) => {
                let mut holds = self.accepted.iter().rev().filter_map(|request| match request.command {
                    Command::Hold { hold, ticket: of, .. } | Command::HoldBest { hold, ticket: of, .. }
                        if of == ticket =>
                    {
                        Some(hold)
                    }
                    _ => None,
                });
                let (hold, booking) = (holds.next()?, BookingId(id(2)));
                let visitor = Actor::Visitor(ticket);
                match pick / 16 {
                    0 | 1 => return Some((visitor, Command::Release { hold, ticket })),
                    2..6 => {
                        let extension = ExtensionId(id(3));
                        return Some((visitor, Command::Extend { hold, ticket, extension }));
                    }
                    _ => {}
                }
                let payment_reference = PaymentReference::new("p-1").ok()?;
                let command = Command::Confirm { booking, hold, payment_reference };
                return Some((Actor::Merchant("shop".into()), command));
            }
            Some(TicketState::Done) => {
                let booking = self.accepted.iter().rev().find_map(|request| match request.command {
                    Command::Confirm { booking, .. } => Some(booking),
                    _ => None,
                });
                return Some((
                    Actor::Merchant("shop".into()),
                    Command::Cancel { booking: booking?, seat: None },
                ));
            }
            Some(_) => Command::Enter { ticket },
        };
        Some((Actor::Visitor(ticket), command))
    }

    /// Ids of commands to come that anybody can work out: of timers, and of
    /// another visitor.
    fn foreseen(&self, ticket: Ticket) -> Vec<CommandId> {
        use Command::*;
        let timers = [AdmitNext, ExpireAdmissions, EndVisits, ExpireHolds, DrainOnTime, CloseOnTime];
        let timers = timers
            .iter()
            .filter_map(|timer| self.opening.due_at(timer).map(|due| timer.timer_id(&opening_id(), due)));
        let others = [Join { ticket }, Enter { ticket }, LeaveWindow { ticket }, Leave { ticket }];
        let others = others.iter().filter_map(|command| command.own_id(&command.digest(&opening_id())));
        timers.chain(others).collect()
    }

    /// Lets one thing happen; says which rule it broke.
    pub(crate) fn step(&mut self, step: &Step) -> Result<Told, String> {
        match step {
            Step::Pass(ms) => self.now = Timestamp(self.now.0 + ms),
            Step::Claim => {
                self.opening.claimed(self.now);
                self.rules.claimed(self.now);
                self.history.push(Happened::Claim(self.now));
            }
            _ => {}
        }
        self.timers()?;
        if let Step::Notice(command) = step {
            self.notice(command)?;
        }
        match self.request(step) {
            Some(request) => {
                let again = matches!(step, Step::Again(_));
                self.ask(request, again)
            }
            None => Ok(Told { decided: None, resource: None }),
        }
    }

    /// What presence notices leads to an event that says it, or to nothing.
    fn notice(&mut self, command: &Command) -> Result<(), String> {
        let digest = command.digest(&opening_id());
        let id = command.timer_id(&opening_id(), self.now);
        let actor = Actor::Timer(command.name());
        let request = Request { id, digest, actor, now: self.now, command: command.clone() };
        match self.opening.decide(&request) {
            Ok(Decision::Accepted(event)) => self.happened(&request, event)?,
            Err(Refusal::NotDue | Refusal::UnknownOpening) => return Ok(()),
            other => return Err(format!("{} led to {other:?}", command.name())),
        }
        let again = self.opening.decide(&request);
        rule!(again == Err(Refusal::NotDue), "the same notice at once led to {again:?}");
        Ok(())
    }

    fn timers(&mut self) -> Result<(), String> {
        for _ in 0..TIMERS {
            let command = match self.opening.due(self.now) {
                None => return Ok(()),
                Some(Due::Decide(command)) => command,
                Some(Due::Hash(job)) => {
                    let seed = job.needs_seed().map(|_| SEED);
                    job.run(seed)
                }
            };
            let digest = command.digest(&opening_id());
            let due = self.opening.due_at(&command).ok_or("a timer is due at no time")?;
            let id = command.timer_id(&opening_id(), due);
            let actor = Actor::Timer(command.name());
            let request = Request { id, digest, actor, now: self.now, command };
            match self.opening.decide(&request) {
                Ok(Decision::Accepted(event)) => self.happened(&request, event)?,
                other => return Err(format!("{} was due, and led to {other:?}", request.command.name())),
            }
        }
        Err("timers that never end".to_owned())
    }

    fn happened(&mut self, request: &Request, event: Event) -> Result<(), String> {
        self.rules.apply(&event, &request.actor.to_string())?;
        let numbering = request.command.drawn().map(|drawn| drawn.numbering.clone());
        let fact = Fact { command_id: request.id, digest: request.digest, event, numbering };
        self.opening.fold(&fact);
        self.history.push(Happened::Fact(fact));
        Ok(())
    }

    fn ask(&mut self, request: Request, again: bool) -> Result<Told, String> {
        let decided = self.opening.decide(&request);
        rule!(decided == self.opening.decide(&request), "decided otherwise the second time");
        self.ids(&request, &decided)?;
        match &decided {
            Ok(Decision::Accepted(event)) => {
                rule!(!again, "a second effect: {event:?}");
                self.accept(&request, event.clone())?;
            }
            Ok(Decision::Repeated | Decision::Already) => {}
            Err(refusal) => {
                let over = matches!(refusal, Refusal::Gone { .. } | Refusal::WrongState { .. });
                rule!(!again || over, "was accepted, and is refused with {refusal:?} when it comes again");
            }
        }
        let resource = decided.is_ok().then(|| self.opening.resource(&request.command));
        rule!(resource != Some(Resource::Nothing {}), "there is nothing to show of what was done");
        self.settled(&request, resource.as_ref())?;
        Ok(Told { decided: Some(decided), resource })
    }

    /// A payment that is done ended as it is told, and else there is none.
    fn settled(&self, request: &Request, told: Option<&Resource>) -> Result<(), String> {
        let Command::Confirm { hold, payment_reference, .. } = &request.command else { return Ok(()) };
        let settled = self.rules.settlement(*hold, payment_reference);
        match told {
            Some(Resource::Booking { .. }) => rule!(settled == Some(true), "told of a booking: {settled:?}"),
            Some(Resource::Refund { .. }) => rule!(settled == Some(false), "told of a refund: {settled:?}"),
            Some(other) => return Err(format!("a payment became {other:?}")),
            None if matches!(request.actor, Actor::Merchant(_)) => {
                let known = self.rules.knows_hold(*hold) && !self.taken.contains_key(&request.id);
                rule!(!known, "a payment of a hold was refused");
            }
            None => {}
        }
        Ok(())
    }

    fn accept(&mut self, request: &Request, event: Event) -> Result<(), String> {
        let by = match &request.actor {
            Actor::Visitor(ticket) => Some(*ticket),
            _ => None,
        };
        if stays_taken(&event) {
            let owner = owner(&event);
            rule!(
                by.is_none() || owner.is_none() || by == owner,
                "{by:?} did {}, which is {owner:?}'s",
                event.kind()
            );
            self.taken.entry(request.id).or_insert((request.digest, owner));
        }
        self.happened(request, event)?;
        let resource = self.opening.resource(&request.command);
        let again = self.opening.decide(request);
        rule!(
            matches!(again, Ok(Decision::Repeated | Decision::Already)),
            "the same command at once led to {again:?}"
        );
        rule!(resource == self.opening.resource(&request.command), "and to another resource");
        self.accepted.push(request.clone());
        Ok(())
    }

    /// An id stays its command's: with other content it is refused.
    fn ids(&self, request: &Request, decided: &Result<Decision, Refusal>) -> Result<(), String> {
        let Some((digest, owner)) = self.taken.get(&request.id) else {
            rule!(decided != &Err(Refusal::IdInUse), "the id is nobody's, and was said to be in use");
            return Ok(());
        };
        // Whose hold it is, is nobody else's to know; and a payment is
        // settled under whichever booking id comes.
        let hidden = matches!(decided, Err(Refusal::UnknownHold));
        let settled =
            matches!((&request.command, decided), (Command::Confirm { .. }, Ok(Decision::Repeated)));
        if *digest == request.digest {
            rule!(
                hidden || decided == &Ok(Decision::Repeated),
                "what was done came again, and led to {decided:?}"
            );
            return Ok(());
        }
        // Ids that are made from what is asked are in nobody's way.
        if request.command.own_id(&request.digest) == Some(request.id) && !names_its_id(&request.command) {
            rule!(decided != &Err(Refusal::IdInUse), "kept out by whoever took the id");
            return Ok(());
        }
        let expected = match &request.actor {
            Actor::Visitor(ticket) if *owner != Some(*ticket) => Refusal::IdInUse,
            _ => Refusal::IdReused,
        };
        let scheduled = matches!((&request.command, decided), (Command::Schedule(_), Err(Refusal::IdReused)));
        rule!(
            hidden || settled || scheduled || decided == &Err(expected.clone()),
            "the id came with other content: {decided:?} where {expected:?} was due"
        );
        Ok(())
    }
}

/// Who sends `command`: what is about a visitor takes the visitor's secret.
fn sender(actor: &Actor, command: &Command) -> Actor {
    match command {
        Command::Join { ticket }
        | Command::Leave { ticket }
        | Command::Enter { ticket }
        | Command::LeaveWindow { ticket }
        | Command::Hold { ticket, .. }
        | Command::HoldBest { ticket, .. }
        | Command::Swap { ticket, .. }
        | Command::Extend { ticket, .. }
        | Command::Release { ticket, .. } => Actor::Visitor(*ticket),
        _ => actor.clone(),
    }
}

/// Whether whoever sends it chooses its id.
fn names_its_id(command: &Command) -> bool {
    use Command::*;
    matches!(command, Hold { .. } | HoldBest { .. } | Extend { .. } | Confirm { .. } | AdmitByHand { .. })
}

/// Ids of what people name, and of what needs a key.
fn stays_taken(event: &Event) -> bool {
    use Event::*;
    !matches!(
        event,
        VisitorJoined(_)
            | VisitorLeft(_)
            | VisitorsReturned(_)
            | VisitorEntered(_)
            | VisitsEnded(_)
            | HoldReleased(_)
            | OpeningOpened(_)
            | HoldsExpired(_)
            | AdmissionsExpired(_)
            | LobbyClosed(_)
            | DrawHeld(_)
    )
}

/// The visitor whom an id belongs to.
fn owner(event: &Event) -> Option<Ticket> {
    match event {
        Event::SeatsHeld(event) => Some(event.ticket),
        Event::HoldSwapped(event) => Some(event.ticket),
        Event::HoldExtended(event) => Some(event.ticket),
        Event::BookingConfirmed(event) => Some(event.ticket),
        Event::RefundDue(event) => Some(event.ticket),
        _ => None,
    }
}
