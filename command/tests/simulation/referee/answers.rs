//! What callers were told, and what the writer decided, replayed on the log.

use std::collections::{BTreeMap, HashMap};

use usher_command::opening::{Command, Decision, Due, Opening, Refusal, Request, Resource};
use usher_command::writer::{PartitionState, Reply};
use usher_events::event::Event;
use usher_events::ids::{Actor, CommandId, Hash};
use usher_events::record::{Offset, StoredRecord};
use usher_events::time::Timestamp;

use super::Valid;
use crate::crowd::opening;
use crate::rules::Rules;
use crate::world::{Answer, World};

/// What the log tells at one position.
struct Replay<'a> {
    state: PartitionState,
    rules: Rules,
    /// Accepted commands so far: where, and of which content.
    effects: HashMap<CommandId, Hash>,
    nothing: Opening,
    answers: BTreeMap<Offset, Vec<&'a Answer>>,
}

/// Goes through the log, and checks each decision and each answer where it
/// was true.
pub(super) fn check(world: &World, records: &[StoredRecord], valid: &[Valid<'_>]) -> Result<(), String> {
    let mut replay = Replay {
        state: PartitionState::default(),
        rules: Rules::default(),
        effects: HashMap::new(),
        nothing: Opening::default(),
        answers: BTreeMap::new(),
    };
    for answer in &world.answers {
        match &answer.reply {
            Reply::Done { position, .. } | Reply::Refused { position, .. } => {
                replay.answers.entry(*position).or_default().push(answer);
            }
            Reply::Unknown | Reply::Elsewhere(_) => {}
        }
    }
    let mut standing = valid.iter().peekable();
    for stored in records {
        let event = standing.next_if(|valid| valid.stored.offset == stored.offset).map(|valid| &valid.event);
        replay.step(stored, event).map_err(|broken| format!("offset {}: {broken}", stored.offset))?;
    }
    let beyond = replay.answers.keys().find(|position| **position > records.len() as u64);
    rule!(beyond.is_none(), "an answer is as of {beyond:?}, which is not there");
    Ok(())
}

impl Replay<'_> {
    fn opening(&self) -> &Opening {
        self.state.openings.get(&opening()).map_or(&self.nothing, |chained| &chained.opening)
    }

    /// The next record; `event` when it counts.
    fn step(&mut self, stored: &StoredRecord, event: Option<&Event>) -> Result<(), String> {
        let answers = self.answers.remove(&(stored.offset + 1)).unwrap_or_default();
        if let (Some(event), true) = (event, stored.record.key.is_some()) {
            self.timely(event, stored)?;
            let own = answers.iter().find(|answer| is_created(answer));
            if let Some(answer) = own {
                self.decided_again(&answer.request, event)?;
            }
            self.rules.apply(event, &stored.record.headers.actor)?;
            self.effects.insert(stored.record.headers.command_id, stored.record.headers.digest);
        }
        if let Some(Event::WriterClaimed(claimed)) = event {
            self.rules.claimed(claimed.at);
        }
        self.state.fold(stored.clone()).map_err(|fault| fault.to_string())?;
        let id = stored.record.headers.command_id;
        for answer in answers {
            let name = answer.request.command.name();
            self.told(answer, event.is_some().then_some(id))
                .map_err(|broken| format!("{name} {}: {broken}", answer.request.id))?;
        }
        Ok(())
    }

    /// Before a command all due timers are decided, and a timer's event is
    /// what was due.
    fn timely(&self, event: &Event, stored: &StoredRecord) -> Result<(), String> {
        let actor = &stored.record.headers.actor;
        if matches!(event, Event::RefusalsCounted(_)) {
            return Ok(());
        }
        let due = self.opening().due(event.at());
        let noticed = matches!(event, Event::VisitorsWentAway(_) | Event::VisitorsReturned(_));
        if noticed || !actor.starts_with("timer:") {
            rule!(due.is_none(), "{} was decided before {due:?}, which was due", event.kind());
            return Ok(());
        }
        // Hashes are checked by the rules.
        if let Some(Due::Decide(command)) = due {
            let due = self.opening().due_at(&command).unwrap_or_default();
            let id = command.timer_id(&opening(), due);
            rule!(stored.record.headers.command_id == id, "{actor} has another id than its deadline gives");
            let digest = command.digest(&opening());
            let actor = Actor::Timer(command.name());
            return self.decided_again(&Request { id, digest, actor, now: event.at(), command }, event);
        }
        let hashed = matches!(event, Event::LobbyClosed(_) | Event::DrawHeld(_));
        rule!(hashed, "{actor} was not due");
        Ok(())
    }

    /// Deciding is pure: the same request at the same time on the same past
    /// leads to the same event.
    fn decided_again(&self, request: &Request, event: &Event) -> Result<(), String> {
        let again = self.opening().decide(&Request { now: event.at(), ..request.clone() });
        rule!(
            again.as_ref() == Ok(&Decision::Accepted(event.clone())),
            "{} led to {event:?}, and again to {again:?}",
            request.command.name()
        );
        Ok(())
    }

    /// An answer is true of its position, which the last record, if it
    /// counts, has the id `last` at.
    fn told(&self, answer: &Answer, last: Option<CommandId>) -> Result<(), String> {
        let Request { id, digest, command, .. } = &answer.request;
        match &answer.reply {
            Reply::Done { created, resource, .. } => {
                rule!(!created || last == Some(*id), "was acknowledged, and is not in the log");
                let now = self.opening().resource(command);
                rule!(**resource == now, "was told {resource:?}, and is {now:?}");
                self.was_done(command, *id, digest)?;
                self.settled(command, resource)
            }
            Reply::Refused { refusal, .. } => self.refused(&answer.request, refusal),
            Reply::Unknown | Reply::Elsewhere(_) => Ok(()),
        }
    }

    /// "Done before" was done before, with this content; where it can be so
    /// without, the resource shows it.
    fn was_done(&self, command: &Command, id: CommandId, digest: &Hash) -> Result<(), String> {
        let effect = self.effects.get(&id);
        let known = matches!(
            command,
            Command::Join { .. }
                | Command::Hold { .. }
                | Command::HoldBest { .. }
                | Command::Extend { .. }
                | Command::AdmitByHand { .. }
                | Command::AddShowing { .. }
        );
        rule!(!known || effect.is_some(), "was said to be done before, and was not");
        // A payment is settled under whichever booking id comes.
        let same = matches!(command, Command::Confirm { .. }) || effect.is_none_or(|effect| effect == digest);
        rule!(same, "passed for another command of the same id");
        Ok(())
    }

    /// A payment ended as it was told, and is never lost without a trace.
    fn settled(&self, command: &Command, resource: &Resource) -> Result<(), String> {
        let Command::Confirm { hold, payment_reference, .. } = command else { return Ok(()) };
        let booked = self.rules.settlement(*hold, payment_reference);
        let told = matches!(resource, Resource::Booking { .. });
        rule!(booked == Some(told), "was told to be booked: {told}, and the log says {booked:?}");
        Ok(())
    }

    fn refused(&self, request: &Request, refusal: &Refusal) -> Result<(), String> {
        let now = self.state.openings.get(&opening()).map_or(Timestamp(0), |chained| chained.last_at);
        let again = self.opening().decide(&Request { now, ..request.clone() });
        rule!(again.as_ref() == Err(refusal), "was refused with {refusal:?}, and again leads to {again:?}");
        let id_known = self.effects.get(&request.id).is_some_and(|effect| *effect != request.digest);
        let of_id = matches!(refusal, Refusal::IdReused | Refusal::IdInUse);
        // Another showing of the same name has the name, not the command's id.
        let of_name = matches!(request.command, Command::AddShowing { .. });
        rule!(!of_id || id_known || of_name, "the id was used by nobody");
        let merchant = matches!(request.actor, Actor::Merchant(_));
        if let (Command::Confirm { hold, payment_reference, .. }, true) = (&request.command, merchant) {
            let settled = self.rules.settlement(*hold, payment_reference);
            rule!(settled.is_none(), "was refused with {refusal:?}, and is settled: {settled:?}");
            let unknown = *refusal == Refusal::UnknownOpening
                || *refusal == Refusal::UnknownHold && !self.rules.knows_hold(*hold);
            rule!(unknown || of_id, "a payment was refused with {refusal:?}");
        }
        Ok(())
    }
}

fn is_created(answer: &Answer) -> bool {
    matches!(answer.reply, Reply::Done { created: true, .. })
}
