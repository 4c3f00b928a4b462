//! One partition's writer and follower, without I/O, threads or clocks.
//!
//! Inputs are method calls that carry the time; outputs are collected and
//! taken by the driver. See `fencing.md`'s rules in `usher_events::reign`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use tracing::{error, warn};
use usher_events::event::{Beacon, Event, WriterAlive};
use usher_events::ids::{Hash, OpeningId};
use usher_events::log::{Partition as PartitionId, Report};
use usher_events::record::{Offset, Record, StoredRecord};
use usher_events::reign::{Progress, Reign};
use usher_events::tenure::{Cursor, Verdict};
use usher_events::time::Timestamp;

use super::config::WriterConfig;
use super::due::Timers;
use super::hashing::{HashOrder, Hashing};
use super::mailbox::{Owner, Reply};
use super::replies::{Replies, Submitted};
use super::start;
use super::state::{Chained, PartitionState};
use crate::opening::{Command, Fact, Numbering};
use crate::presence::{self, Change};

/// What the driver must do.
#[derive(Debug)]
pub enum Output<T> {
    /// Append these records, in this order, after all earlier ones.
    Append(Vec<Record>),
    /// Answer a caller.
    Reply(T, Reply),
    /// Read the partition from here on, and hand over what comes.
    Follow(Offset),
    /// Stop reading: what this writer appends it knows already.
    Unfollow,
    /// Hash this in another thread; answer with [`Partition::hashed`].
    Hash(Box<HashOrder>),
    /// Tell whoever routes commands who owns the partition now.
    Owner(Owner),
    /// Tell whoever brings beacons' rounds which openings wait for theirs.
    Beacons(Vec<(OpeningId, Beacon)>),
    /// Tell presence what durable events changed, up to this position;
    /// before the answers that tell their callers.
    Changed(Vec<Change>, Offset),
}

/// A record on its way to the log, to be folded once it is confirmed.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The opening and its fact; none for a sign of life.
    pub(super) fact: Option<(OpeningId, Fact)>,
    pub(super) seq: u64,
    pub(super) chain: Hash,
    pub(super) sent_at: Timestamp,
}

/// One partition: follower always, writer when it owns the partition.
#[derive(Debug)]
pub struct Partition<T> {
    pub(super) id: PartitionId,
    pub(super) config: Arc<WriterConfig>,
    /// What is durable and valid, as far as this instance knows.
    pub(super) confirmed: PartitionState,
    /// Openings with events that are not durable yet; begun from `confirmed`.
    pub(super) working: HashMap<OpeningId, Chained>,
    /// When each opening's next timer is due.
    pub(super) due: Timers,
    pub(super) reign: Reign,
    /// Records sent and not confirmed, by rank.
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) outbox: Vec<Record>,
    /// Records that were read and not folded yet.
    pub(super) unfolded: VecDeque<StoredRecord>,
    /// Whether the first of them is a draw whose hashes are being made.
    pub(super) draw_is_hashed: bool,
    pub(super) replies: Replies<T>,
    /// Commands that wait for the writer: to claim, to catch up, to have room.
    pub(super) mailbox: VecDeque<Box<Submitted<T>>>,
    /// Openings whose hashes are being made, with the commands that wait.
    pub(super) hashing: HashMap<OpeningId, Hashing<T>>,
    /// Openings that wait for their beacon's round.
    pub(super) beacons: BTreeMap<OpeningId, Beacon>,
    pub(super) refusals: super::decide::Tallies,
    pub(super) outputs: Vec<Output<T>>,
    pub(super) wanted: bool,
    /// What the claim under way or in force drew: it tells this writer's
    /// tenures apart before their claims have landed.
    pub(super) tenure: u64,
    pub(super) claim_at: Timestamp,
    /// When the newest of its records that is durable was sent: it owned the
    /// partition then.
    pub(super) owned_at: Timestamp,
    pub(super) claim_not_before: Timestamp,
    pub(super) failed_claims: u32,
    /// The position to reach before the first claim.
    pub(super) catch_up_to: Offset,
    pub(super) following: bool,
    pub(super) unfoldable: bool,
    pub(super) owner: Owner,
    /// The newest time that an input brought.
    pub(super) now: Timestamp,
}

impl<T> Partition<T> {
    /// A follower of partition `id` that begins at its start.
    pub fn new(id: PartitionId, config: Arc<WriterConfig>) -> Self {
        let rules = config.rules;
        let cursor = Cursor::with_rules(start::cursor_rules(rules));
        let confirmed = PartitionState { cursor, ..PartitionState::default() };
        Self {
            id,
            config,
            confirmed,
            working: HashMap::new(),
            due: Timers::default(),
            reign: Reign::with_rules(start::reign_rules(rules)),
            in_flight: VecDeque::new(),
            outbox: Vec::new(),
            unfolded: VecDeque::new(),
            draw_is_hashed: false,
            replies: Replies::default(),
            mailbox: VecDeque::new(),
            hashing: HashMap::new(),
            beacons: BTreeMap::new(),
            refusals: Default::default(),
            outputs: vec![Output::Follow(0)],
            wanted: false,
            tenure: 0,
            claim_at: Timestamp(0),
            owned_at: Timestamp(0),
            claim_not_before: Timestamp(i64::MIN),
            failed_claims: 0,
            catch_up_to: 0,
            following: true,
            unfoldable: false,
            owner: Owner::Nobody,
            now: Timestamp(0),
        }
    }

    /// What is durable and valid, as far as this instance knows.
    pub fn state(&self) -> &PartitionState {
        &self.confirmed
    }

    /// Whether this instance owns the partition and decides its commands.
    pub fn serving(&self) -> bool {
        self.reign.serving()
    }

    /// Whether the driver should be reading the log for this partition.
    pub fn following(&self) -> bool {
        self.following
    }

    /// How many of its records are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The log ended at `end` when this instance started: it claims nothing
    /// before it has folded that far.
    pub fn catch_up_to(&mut self, end: Offset) {
        self.catch_up_to = end;
    }

    /// Whether it has folded all that was there when this instance started.
    pub fn caught_up(&self) -> bool {
        self.confirmed.position >= self.catch_up_to
    }

    /// Someone suggests that this instance owns the partition, or not.
    pub fn want(&mut self, wanted: bool, now: Timestamp, random: u64) {
        self.wanted = wanted;
        self.announce();
        self.advance(now, random);
        self.decide_waiting(now);
    }

    /// A command; answered by an [`Output::Reply`], sooner or later.
    pub fn submit(&mut self, submitted: Box<Submitted<T>>, now: Timestamp) {
        self.now = now;
        self.mailbox.push_back(submitted);
        if matches!(self.owner, Owner::Other(_)) {
            self.announce();
        }
        self.decide_waiting(now);
    }

    /// Records that the log holds from the position that was asked for.
    pub fn followed(&mut self, records: Vec<StoredRecord>, now: Timestamp, random: u64) {
        if self.reign.serving() || self.unfoldable {
            return;
        }
        self.unfolded.extend(records);
        self.fold_on(now, random);
    }

    /// Folds the first of the records that were read.
    pub(super) fn fold_first(&mut self, numbering: Option<Arc<Numbering>>, now: Timestamp, random: u64) {
        self.draw_is_hashed = false;
        let Some(stored) = self.unfolded.pop_front() else { return };
        let (offset, appended_at) = (stored.offset, stored.appended_at);
        match self.confirmed.fold_with(stored, numbering) {
            Ok(Verdict::Void) => {
                metrics::counter!("usher_void_records_total", "reader" => "writer").increment(1);
                warn!(partition = self.id, offset, "a void record was skipped");
            }
            Ok(Verdict::Claim) => self.claim_folded(appended_at, now, random),
            Ok(Verdict::Valid) => {}
            Err(fault) => {
                error!(partition = self.id, %fault, "this binary cannot follow the partition; upgrade it");
                self.unfoldable = true;
                self.unfolded.clear();
                self.over(now);
            }
        }
    }

    /// All that was read is folded.
    pub(super) fn caught_up_with_reading(&mut self, now: Timestamp, random: u64) {
        if self.unfoldable {
            return;
        }
        // Only now: a batch that goes on behind the own claim shows that
        // somebody else has written since.
        if self.folded() {
            self.serve(now);
        }
        self.announce();
        self.advance(now, random);
    }

    /// What became of appended records.
    pub fn reported(&mut self, reports: Vec<Report>, now: Timestamp, random: u64) {
        let was_over = !self.reign.active();
        for report in reports {
            let outcome = report.outcome.as_ref().map(|offset| *offset).map_err(|_| ());
            match self.reign.reported(report.tenure, report.n, outcome) {
                Progress::Ignored => {}
                Progress::Claimed { offset } => self.claim_landed(offset, now),
                Progress::Confirmed { through } => {
                    self.confirm(through);
                    self.release();
                }
                Progress::Over if !was_over => {
                    let reason = match &report.outcome {
                        Ok(offset) => {
                            format!("record {} landed at offset {offset}, not in its place", report.n)
                        }
                        Err(error) => error.to_string(),
                    };
                    warn!(partition = self.id, tenure = report.tenure, n = report.n, %reason, "the tenure is over");
                    self.over(now);
                }
                Progress::Over => {}
            }
        }
        self.decide_waiting(now);
        self.advance(now, random);
    }

    /// The log's end was seen at `end`: further than what this writer sent
    /// means that somebody else wrote.
    pub fn end_seen(&mut self, end: Offset, now: Timestamp, random: u64) {
        let expected = self.reign.epoch().map(|epoch| epoch + self.reign.sent() + 1);
        if self.reign.serving() && expected.is_some_and(|expected| end > expected) {
            warn!(partition = self.id, end, "another writer has taken the partition over");
            self.over(now);
            self.advance(now, random);
        }
    }

    /// Visitors of `opening` fell silent, or were heard of again.
    pub fn noticed(&mut self, opening: &OpeningId, command: Command, now: Timestamp) {
        self.now = now;
        if self.decides() && self.has_room() {
            self.decide_notice(opening, command, now);
        }
    }

    /// Time has passed: timers, claims, patience.
    pub fn tick(&mut self, now: Timestamp, random: u64) {
        self.advance(now, random);
        if self.decides() {
            self.run_timers(now);
            self.count_refusals(now);
        }
        self.lose_patience(now);
    }

    /// When [`Partition::tick`] has something to do next.
    pub fn next_tick(&self) -> Timestamp {
        let mut next = Timestamp::MAX;
        if self.decides() {
            if self.has_room() {
                next = next.min(self.due.first().map_or(Timestamp::MAX, |(due, _)| *due));
            }
            next = next.min(self.refusals.next_count());
        } else if self.may_claim() {
            next = next.min(self.claim_not_before);
        }
        next.min(self.mailbox.front().map_or(Timestamp::MAX, |first| first.patience_until))
    }

    /// Hands over what the driver must do, in order.
    pub fn take_outputs(&mut self) -> Vec<Output<T>> {
        self.flush();
        std::mem::take(&mut self.outputs)
    }

    /// The records decided so far go out together, with a sign of life when
    /// an answer waits for one own record and none is on its way.
    fn flush(&mut self) {
        if self.reign.serving() && self.replies.last_n() > self.reign.sent() {
            self.send_alive();
        }
        if !self.outbox.is_empty() {
            self.outputs.push(Output::Append(std::mem::take(&mut self.outbox)));
        }
    }

    fn send_alive(&mut self) {
        let Some(stamp) = self.reign.next_stamp() else { return };
        match Record::of_writer(stamp, &Event::WriterAlive(WriterAlive { at: self.now })) {
            Ok(record) => {
                self.outbox.push(record);
                self.in_flight.push_back(InFlight {
                    fact: None,
                    seq: 0,
                    chain: Hash::default(),
                    sent_at: self.now,
                });
            }
            Err(fault) => error!(partition = self.id, %fault, "a sign of life cannot be encoded"),
        }
    }

    // --- records and answers ----------------------------------------------

    /// Own records through `n` are durable and valid: fold them.
    fn confirm(&mut self, through: u64) {
        let Some(epoch) = self.reign.epoch() else { return };
        let mut changes = Vec::new();
        while self.confirmed.cursor.n < through {
            let Some(InFlight { fact, seq, chain, sent_at }) = self.in_flight.pop_front() else { break };
            self.owned_at = sent_at;
            if let Some((opening, fact)) = fact {
                let chained = self.confirmed.openings.entry(opening.clone()).or_default();
                chained.fold(&fact, seq, chain);
                presence::note(&opening, &fact.event, &chained.opening, &mut changes);
            }
            self.confirmed.cursor.n += 1;
        }
        self.confirmed.position = epoch + self.confirmed.cursor.n + 1;
        if !changes.is_empty() {
            self.outputs.push(Output::Changed(changes, self.confirmed.position));
        }
    }

    /// Answers all whose records are confirmed.
    pub(super) fn release(&mut self) {
        let Some(epoch) = self.reign.epoch() else { return };
        let through = if self.config.rules.reply_when_durable { self.reign.confirmed() } else { u64::MAX };
        while let Some((submitted, reply)) = self.replies.release(through, epoch) {
            if let Reply::Refused { refusal, .. } = &reply
                && self.confirmed.openings.contains_key(&submitted.opening)
            {
                self.refusals.add(&submitted.opening, refusal, submitted.request.now);
            }
            self.outputs.push(Output::Reply(submitted.reply_to, reply));
        }
    }

    pub(super) fn lose_patience(&mut self, now: Timestamp) {
        while self.mailbox.front().is_some_and(|first| first.patience_until <= now) {
            if let Some(submitted) = self.mailbox.pop_front() {
                self.outputs.push(Output::Reply(submitted.reply_to, Reply::Unknown));
            }
        }
    }

    /// Whether another record may be decided now.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < self.config.max_in_flight
            && self.replies.len() < self.config.mailbox.saturating_mul(2)
    }
}
