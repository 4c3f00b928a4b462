//! One partition's writer and follower, without I/O, threads or clocks.
//!
//! Inputs are method calls that carry the time; outputs are collected and
//! taken by the driver. See `fencing.md`'s rules in `usher_events::reign`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tracing::{debug, error, warn};
use usher_events::event::{Beacon, Event, WriterAlive, WriterClaimed};
use usher_events::ids::{Hash, OpeningId};
use usher_events::log::{Partition as PartitionId, Report};
use usher_events::record::{Offset, Record, StoredRecord};
use usher_events::reign::{Progress, Reign};
use usher_events::tenure::{self, Cursor, Verdict};
use usher_events::time::Timestamp;

use super::config::WriterConfig;
use super::hashing::{HashOrder, Hashing};
use super::mailbox::{Owner, Reply};
use super::replies::{Replies, Submitted};
use super::start;
use super::state::{Chained, PartitionState};
use crate::opening::Fact;

/// The least and the most time between two claims, in milliseconds.
const CLAIM_BACKOFF_MS: (i64, i64) = (50, 5_000);
/// A foreign claim younger than this was made by someone who is alive.
const RECENT_CLAIM_MS: i64 = 5_000;
/// How long such a claim is left alone.
const CLAIM_BACK_AFTER_MS: i64 = 1_000;

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
}

/// A record on its way to the log, to be folded once it is confirmed.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The opening and its fact; none for a sign of life.
    pub(super) fact: Option<(OpeningId, Fact)>,
    pub(super) seq: u64,
    pub(super) chain: Hash,
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
    pub(super) replies: Replies<T>,
    /// Commands that wait for the writer: to claim, to catch up, to have room.
    pub(super) mailbox: VecDeque<Submitted<T>>,
    /// Openings whose hashes are being made, with the commands that wait.
    pub(super) hashing: HashMap<OpeningId, Hashing<T>>,
    /// Openings that wait for their beacon's round.
    pub(super) beacons: BTreeMap<OpeningId, Beacon>,
    pub(super) refusals: super::decide::Tallies,
    pub(super) outputs: Vec<Output<T>>,
    wanted: bool,
    /// What the claim under way or in force drew: it tells this writer's
    /// tenures apart before their claims have landed.
    tenure: u64,
    claim_at: Timestamp,
    claim_not_before: Timestamp,
    failed_claims: u32,
    /// The position to reach before the first claim.
    catch_up_to: Offset,
    following: bool,
    unfoldable: bool,
    owner: Owner,
    /// The newest time that an input brought.
    now: Timestamp,
}

/// The next timer of each opening of a partition.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: HashMap<OpeningId, Timestamp>,
    order: BTreeSet<(Timestamp, OpeningId)>,
}

impl Timers {
    /// Sets when `opening`'s next timer is due.
    pub(super) fn set(&mut self, opening: &OpeningId, due: Option<Timestamp>) {
        let before = self.at.get(opening).copied();
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, opening.clone()));
            self.at.remove(opening);
        }
        if let Some(due) = due {
            self.order.insert((due, opening.clone()));
            self.at.insert(opening.clone(), due);
        }
    }

    /// The opening whose timer is due first.
    pub(super) fn first(&self) -> Option<&(Timestamp, OpeningId)> {
        self.order.first()
    }

    fn clear(&mut self) {
        self.at.clear();
        self.order.clear();
    }
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
            replies: Replies::default(),
            mailbox: VecDeque::new(),
            hashing: HashMap::new(),
            beacons: BTreeMap::new(),
            refusals: Default::default(),
            outputs: vec![Output::Follow(0)],
            wanted: false,
            tenure: 0,
            claim_at: Timestamp(0),
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
    pub fn submit(&mut self, submitted: Submitted<T>, now: Timestamp) {
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
        for stored in records {
            let (offset, appended_at) = (stored.offset, stored.appended_at);
            match self.confirmed.fold(stored) {
                Ok(Verdict::Void) => {
                    metrics::counter!("usher_void_records_total", "reader" => "writer").increment(1);
                    warn!(partition = self.id, offset, "a void record was skipped");
                }
                Ok(Verdict::Claim) => self.claim_folded(appended_at, now, random),
                Ok(Verdict::Valid) => {}
                Err(fault) => {
                    error!(partition = self.id, %fault, "this binary cannot follow the partition; upgrade it");
                    self.unfoldable = true;
                    self.over(now);
                    return;
                }
            }
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
                self.in_flight.push_back(InFlight { fact: None, seq: 0, chain: Hash::default() });
            }
            Err(fault) => error!(partition = self.id, %fault, "a sign of life cannot be encoded"),
        }
    }

    // --- tenure -----------------------------------------------------------

    /// Whether anything new is decided. Who hands the partition over only
    /// finishes what is in flight, or it would never be done with it.
    pub(super) fn decides(&self) -> bool {
        self.wanted && self.reign.serving()
    }

    fn may_claim(&self) -> bool {
        self.wanted && !self.unfoldable && !self.reign.active() && self.caught_up()
    }

    /// A claim was folded. Somebody else's, just landed: let the suggestion
    /// settle before claiming back.
    fn claim_folded(&mut self, appended_at: Timestamp, now: Timestamp, random: u64) {
        let foreign = self.confirmed.claim.as_ref().is_some_and(|claim| claim.drew != self.tenure);
        if foreign && now.ms_since(appended_at) < RECENT_CLAIM_MS {
            let jitter = i64::try_from(random % 500).unwrap_or(0);
            self.claim_not_before =
                self.claim_not_before.max(Timestamp(now.0 + CLAIM_BACK_AFTER_MS + jitter));
        }
    }

    /// Claims when wanted; hands over when not wanted any more.
    fn advance(&mut self, now: Timestamp, random: u64) {
        self.now = now;
        if self.may_claim() && now >= self.claim_not_before {
            self.claim(now, random);
        }
        if !self.wanted && self.reign.serving() && self.in_flight.is_empty() && self.outbox.is_empty() {
            debug!(partition = self.id, "handing the partition over");
            self.over(now);
        }
    }

    fn claim(&mut self, now: Timestamp, random: u64) {
        if let Err(fault) = start::check_draw_keys(&self.confirmed, &self.config.draw_keys) {
            error!(partition = self.id, %fault, "not claiming: the draw keys do not fit");
            self.back_off(now, random);
            return;
        }
        // It is random and never 0; the clock is mixed in so that a weak
        // source of randomness cannot repeat one.
        self.tenure = (random ^ now.0.cast_unsigned().rotate_left(20)).max(1);
        self.claim_at = now;
        self.back_off(now, random);
        let stamp = self.reign.claim(self.tenure);
        let claimed = WriterClaimed {
            at: now,
            address: self.config.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            partitions: self.config.partitions,
        };
        match Record::of_writer(stamp, &Event::WriterClaimed(claimed)) {
            Ok(record) => self.outputs.push(Output::Append(vec![record])),
            Err(fault) => error!(partition = self.id, %fault, "a claim cannot be encoded"),
        }
    }

    /// Sets when the next claim may go out, should this one fail.
    fn back_off(&mut self, now: Timestamp, random: u64) {
        let (least, most) = CLAIM_BACKOFF_MS;
        let wait = (least << self.failed_claims.min(10)).min(most);
        self.failed_claims += 1;
        let jitter = i64::try_from(random % 1_000).unwrap_or(0) * wait / 2_000;
        self.claim_not_before = Timestamp(now.0 + wait + jitter);
    }

    fn claim_landed(&mut self, offset: Offset, now: Timestamp) {
        let tenure = tenure::named(self.tenure, offset);
        debug!(partition = self.id, tenure, offset, "claimed the partition");
        if self.folded() {
            self.serve(now);
        }
    }

    fn folded(&mut self) -> bool {
        self.reign.folded(self.confirmed.position, &self.confirmed.cursor)
    }

    /// The claim is folded: decide from here on.
    fn serve(&mut self, now: Timestamp) {
        let claim = self.confirmed.claim.as_ref();
        let skew = claim.map_or(0, |claim| start::clock_skew_ms(self.claim_at, claim.appended_at, now));
        if skew > start::MAX_CLOCK_SKEW_MS {
            error!(
                partition = self.id,
                skew_ms = skew,
                "not serving: this clock and the log's differ too much"
            );
            self.over(now);
            return;
        }
        self.failed_claims = 0;
        self.following = false;
        self.outputs.push(Output::Unfollow);
        for (opening, chained) in &self.confirmed.openings {
            self.due.set(opening, chained.opening.next_due());
        }
        self.note_all_beacons();
        debug!(partition = self.id, openings = self.confirmed.openings.len(), "serving the partition");
        self.announce();
        self.decide_waiting(now);
    }

    /// Own records through `n` are durable and valid: fold them.
    fn confirm(&mut self, through: u64) {
        let Some(epoch) = self.reign.epoch() else { return };
        while self.confirmed.cursor.n < through {
            let Some(InFlight { fact, seq, chain }) = self.in_flight.pop_front() else { break };
            if let Some((opening, fact)) = fact {
                self.confirmed.openings.entry(opening).or_default().fold(&fact, seq, chain);
            }
            self.confirmed.cursor.n += 1;
        }
        self.confirmed.position = epoch + self.confirmed.cursor.n + 1;
    }

    /// The tenure is over: what is not durable is dropped, and commands whose
    /// callers still wait are decided again later, or elsewhere.
    fn over(&mut self, now: Timestamp) {
        self.reign.end();
        if !self.config.rules.latch {
            return;
        }
        self.working.clear();
        self.due.clear();
        self.in_flight.clear();
        self.outbox.clear();
        let held = self.abandon_hashing();
        let mut again: VecDeque<_> = self.replies.abandon().chain(held).collect();
        again.append(&mut self.mailbox);
        // The lobby that was hashed may not be the one that is closed next.
        again.iter_mut().for_each(|submitted| submitted.request.command.drop_hashes());
        self.mailbox = again;
        self.forget_beacons();
        if !self.following {
            self.following = true;
            self.outputs.push(Output::Follow(self.confirmed.position));
        }
        self.announce();
        self.lose_patience(now);
    }

    /// Tells the router who owns the partition, when that changed.
    fn announce(&mut self) {
        let newest = self.confirmed.claim.as_ref();
        let owner = match newest {
            _ if self.reign.serving() => Owner::Me,
            Some(claim) if !self.wanted && claim.drew != self.tenure => {
                Owner::Other(claim.claimed.address.as_str().into())
            }
            _ => Owner::Nobody,
        };
        if owner != self.owner {
            self.owner = owner.clone();
            self.outputs.push(Output::Owner(owner.clone()));
        }
        // Whoever waits here while somebody else owns the partition is sent there.
        if matches!(owner, Owner::Other(_)) {
            for submitted in std::mem::take(&mut self.mailbox) {
                self.outputs.push(Output::Reply(submitted.reply_to, Reply::Elsewhere(owner.clone())));
            }
        }
    }

    // --- answers ----------------------------------------------------------

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

    fn lose_patience(&mut self, now: Timestamp) {
        while self.mailbox.front().is_some_and(|first| first.patience_until <= now) {
            if let Some(submitted) = self.mailbox.pop_front() {
                self.outputs.push(Output::Reply(submitted.reply_to, Reply::Unknown));
            }
        }
    }

    /// What the claim under way or in force drew.
    pub(super) fn tenure(&self) -> u64 {
        self.tenure
    }

    /// Whether another record may be decided now.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < self.config.max_in_flight
            && self.replies.len() < self.config.mailbox.saturating_mul(2)
    }
}
