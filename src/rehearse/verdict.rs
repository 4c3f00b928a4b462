//! The verdict: every rule, looked up in the log by code that shares nothing
//! with the writer's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use usher::referee::{Broken, Referee, Totals};
use usher_events::event::Event;
use usher_events::ids::{HoldId, OpeningId, SeatId, Ticket};
use usher_events::log::{Log, Partition};
use usher_events::record::StoredRecord;
use usher_events::tenure::{Cursor, Verdict as Counts};
use usher_events::time::Timestamp;

use super::ledger::{Acknowledged, Ledger, Promise};
use super::script::Script;

/// How long the log may take to give the next records.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// The most examples of what broke that are told for a rule.
const EXAMPLES: usize = 5;

/// A rule that never bends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rule {
    Order,
    Capacity,
    Entry,
    Seats,
    Durable,
    Once,
    Kept,
}

impl Rule {
    pub(super) const ALL: [Self; 7] =
        [Self::Order, Self::Capacity, Self::Entry, Self::Seats, Self::Durable, Self::Once, Self::Kept];

    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Order => "nobody was admitted before a present visitor with a smaller number",
            Self::Capacity => "never more than the capacity were admitted or inside",
            Self::Entry => "nobody entered who was not admitted",
            Self::Seats => "no seat was given to two",
            Self::Durable => "everything that was acknowledged is in the log",
            Self::Once => "nothing that was repeated had a second effect",
            Self::Kept => "nobody lost their place, their number or their hold",
        }
    }

    fn of(broken: &Broken) -> Self {
        match broken {
            Broken::Inversion { .. } | Broken::NotInLine { .. } => Self::Order,
            Broken::OverCapacity { .. } => Self::Capacity,
            Broken::EnteredUnasked { .. } => Self::Entry,
            Broken::SeatTwice { .. } | Broken::NotTheirs { .. } => Self::Seats,
            Broken::WrongNumber { .. } | Broken::NumberTwice { .. } => Self::Kept,
        }
    }
}

/// What the log says of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How often it was broken.
    pub(super) broken: u64,
    pub(super) examples: Vec<String>,
}

impl Finding {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.broken += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

/// What the log says of one visitor.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    joined: u32,
    left: bool,
    entries: u32,
    /// By joining late, or by what an admission says.
    numbers: Vec<u32>,
    pub(super) admitted: Vec<Timestamp>,
    pub(super) entered: Option<Timestamp>,
    /// Was away at some time: estimates are for those who are there.
    pub(super) was_away: bool,
    held: u32,
    held_seats: Vec<SeatId>,
    booked: u32,
    booked_seats: Vec<SeatId>,
}

/// Reads the log of one opening.
pub(super) struct Judge {
    opening: OpeningId,
    visitors: HashMap<Ticket, u32>,
    cursor: Cursor,
    referee: Referee,
    pub(super) seen: Vec<Seen>,
    ended_holds: HashSet<HoldId>,
    pub(super) records: u64,
    pub(super) void: u64,
    /// Tickets that are nobody's in the rehearsal.
    pub(super) strangers: u64,
}

impl Judge {
    pub(super) fn new(opening: OpeningId, script: &Script, visitors: u32) -> Self {
        Self {
            opening,
            visitors: (0..visitors).map(|visitor| (script.ticket(visitor), visitor)).collect(),
            cursor: Cursor::default(),
            referee: Referee::default(),
            seen: vec![Seen::default(); visitors as usize],
            ended_holds: HashSet::new(),
            records: 0,
            void: 0,
            strangers: 0,
        }
    }

    /// Reads the whole partition, as it is now.
    pub(super) async fn read(&mut self, log: &dyn Log, partition: Partition) -> Result<(), String> {
        let end = log.end(partition).await.map_err(|error| error.to_string())?;
        let (mut reader, mut at) = (log.read(partition, 0), 0);
        while at < end {
            let next = tokio::time::timeout(READ_WITHIN, reader.next()).await;
            let next = next.map_err(|_| "the log gives no more records".to_owned())?;
            for stored in next.map_err(|error| error.to_string())? {
                at = stored.offset + 1;
                self.see(&stored)?;
            }
        }
        Ok(())
    }

    /// Takes note of the partition's next record.
    pub(super) fn see(&mut self, stored: &StoredRecord) -> Result<(), String> {
        self.records += 1;
        let counts = self.cursor.judge(stored.offset, stored.record.stamp());
        if counts == Counts::Void {
            self.void += 1;
        }
        if counts != Counts::Valid || stored.record.key.as_ref() != Some(&self.opening) {
            return Ok(());
        }
        let unreadable = |error| format!("the record at {} cannot be read: {error}", stored.offset);
        let event = stored.record.event().map_err(unreadable)?;
        self.referee.see(stored.offset, &self.opening, &event);
        self.look_up(&event);
        Ok(())
    }

    fn of(&mut self, ticket: &Ticket) -> Option<&mut Seen> {
        let visitor = *self.visitors.get(ticket)?;
        self.seen.get_mut(visitor as usize)
    }

    fn look_up(&mut self, event: &Event) {
        match event {
            Event::VisitorJoined(event) => match self.of(&event.ticket) {
                Some(seen) => {
                    seen.joined += 1;
                    seen.numbers.extend(event.number);
                }
                None => self.strangers += 1,
            },
            Event::VisitorsAdmitted(event) => {
                for admitted in &event.admitted {
                    if let Some(seen) = self.of(&admitted.ticket) {
                        seen.admitted.push(event.at);
                        seen.numbers.push(admitted.number);
                    }
                }
            }
            Event::VisitorsWentAway(event) => self.away(&event.tickets),
            Event::AdmissionsExpired(event) => {
                self.away(&event.away);
                self.away(&event.spent);
            }
            Event::VisitorEntered(event) => {
                if let Some(seen) = self.of(&event.ticket) {
                    seen.entries += 1;
                    seen.entered = Some(event.at);
                }
            }
            Event::VisitorLeft(event) => {
                if let Some(seen) = self.of(&event.ticket) {
                    seen.left = true;
                }
                self.ended_holds.extend(event.released.iter().map(|released| released.hold));
            }
            Event::VisitsEnded(event) => {
                let released = event.visits.iter().flat_map(|visit| &visit.released);
                self.ended_holds.extend(released.map(|released| released.hold));
            }
            Event::HoldsExpired(event) => {
                self.ended_holds.extend(event.holds.iter().map(|expired| expired.released.hold));
            }
            Event::HoldReleased(event) => {
                self.ended_holds.insert(event.released.hold);
            }
            Event::SeatsHeld(event) => {
                if let Some(seen) = self.of(&event.ticket) {
                    seen.held += 1;
                    seen.held_seats.clone_from(&event.seats);
                }
            }
            Event::BookingConfirmed(event) => {
                if let Some(seen) = self.of(&event.ticket) {
                    seen.booked += 1;
                    seen.booked_seats.clone_from(&event.seats);
                }
            }
            _ => {}
        }
    }

    fn away(&mut self, tickets: &[Ticket]) {
        for ticket in tickets {
            if let Some(seen) = self.of(ticket) {
                seen.was_away = true;
            }
        }
    }

    pub(super) fn opening(&self) -> &OpeningId {
        &self.opening
    }

    pub(super) fn totals(&self) -> Totals {
        self.referee.totals()
    }

    /// What the log and the ledger say of every rule.
    pub(super) fn findings(&self, script: &Script, ledger: &Ledger) -> BTreeMap<Rule, Finding> {
        let mut findings: BTreeMap<Rule, Finding> =
            Rule::ALL.into_iter().map(|rule| (rule, Finding::default())).collect();
        let mut add = |rule, example: String| findings.entry(rule).or_default().add(|| example);
        for violation in self.referee.violations() {
            add(Rule::of(&violation.broken), violation.to_string());
        }
        for (visitor, what) in &ledger.acknowledged {
            let seen = &self.seen[*visitor as usize];
            if let Err((rule, why)) = self.holds(script, *visitor, seen, what) {
                add(rule, format!("ticket {}: {why}", script.ticket(*visitor)));
            }
        }
        for (visitor, promise) in &ledger.promises {
            let rule = match promise {
                Promise::AnsweredOtherwise { .. } => Rule::Once,
                _ => Rule::Kept,
            };
            add(rule, format!("ticket {}: {promise}", script.ticket(*visitor)));
        }
        for (visitor, seen) in (0..).zip(&self.seen) {
            for (what, times) in [("joined", seen.joined), ("held seats", seen.held), ("booked", seen.booked)]
            {
                if times > 1 {
                    add(Rule::Once, format!("ticket {}: {what} {times} times", script.ticket(visitor)));
                }
            }
        }
        // Those that were not kept broke something too.
        let kept = self.referee.violations().len() as u64;
        findings.entry(Rule::Order).or_default().broken += self.referee.broken() - kept;
        let kept = ledger.promises.len() as u64;
        findings.entry(Rule::Kept).or_default().broken += ledger.promises_broken - kept;
        findings
    }

    /// Whether what was told is in the log.
    fn holds(
        &self,
        script: &Script,
        visitor: u32,
        seen: &Seen,
        what: &Acknowledged,
    ) -> Result<(), (Rule, String)> {
        let same = |told: &[Box<str>], noted: &[SeatId]| {
            let mut noted: Vec<&str> = noted.iter().map(SeatId::as_str).collect();
            let mut told: Vec<&str> = told.iter().map(|seat| &**seat).collect();
            noted.sort_unstable();
            told.sort_unstable();
            told == noted
        };
        let durable = |is: bool, told: &str| match is {
            true => Ok(()),
            false => Err((Rule::Durable, format!("was told `{told}`, and the log has it not"))),
        };
        match what {
            Acknowledged::Joined => durable(seen.joined > 0, "joined"),
            Acknowledged::Entered => durable(seen.entries > 0, "entered"),
            Acknowledged::Left => durable(seen.left, "left"),
            Acknowledged::Held { seats } => durable(same(seats, &seen.held_seats), "held"),
            Acknowledged::Booked { seats } => durable(same(seats, &seen.booked_seats), "booked"),
            Acknowledged::Released => {
                durable(self.ended_holds.contains(&HoldId(script.hold(visitor))), "released")
            }
            Acknowledged::Numbered(number) => match seen.numbers.iter().find(|noted| *noted != number) {
                None => Ok(()),
                Some(noted) => {
                    Err((Rule::Kept, format!("was told number {number}, and the log says {noted}")))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
