//! Who owns the partition: claiming it, serving it, and the end of a tenure.

use std::collections::VecDeque;

use tracing::{debug, error};
use usher_events::event::{Event, WriterClaimed};
use usher_events::record::{Offset, Record};
use usher_events::tenure;
use usher_events::time::Timestamp;

use super::mailbox::{Owner, Reply};
use super::partition::{Output, Partition};
use super::start;

/// The least and the most time between two claims, in milliseconds.
const CLAIM_BACKOFF_MS: (i64, i64) = (50, 5_000);
/// A foreign claim younger than this was made by someone who is alive.
const RECENT_CLAIM_MS: i64 = 5_000;
/// How long such a claim is left alone.
const CLAIM_BACK_AFTER_MS: i64 = 1_000;

impl<T> Partition<T> {
    /// Whether anything new is decided. Who hands the partition over only
    /// finishes what is in flight, or it would never be done with it.
    pub(super) fn decides(&self) -> bool {
        self.wanted && self.reign.serving()
    }

    pub(super) fn may_claim(&self) -> bool {
        self.wanted && !self.unfoldable && !self.reign.active() && self.caught_up()
    }

    /// A claim was folded. Somebody else's, just landed: let the suggestion
    /// settle before claiming back.
    pub(super) fn claim_folded(&mut self, appended_at: Timestamp, now: Timestamp, random: u64) {
        let foreign = self.confirmed.claim.as_ref().is_some_and(|claim| claim.drew != self.tenure);
        if foreign && now.ms_since(appended_at) < RECENT_CLAIM_MS {
            let jitter = i64::try_from(random % 500).unwrap_or(0);
            self.claim_not_before =
                self.claim_not_before.max(Timestamp(now.0 + CLAIM_BACK_AFTER_MS + jitter));
        }
    }

    /// Claims when wanted; hands over when not wanted any more.
    pub(super) fn advance(&mut self, now: Timestamp, random: u64) {
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

    pub(super) fn claim_landed(&mut self, offset: Offset, now: Timestamp) {
        let tenure = tenure::named(self.tenure, offset);
        debug!(partition = self.id, tenure, offset, "claimed the partition");
        if self.folded() {
            self.serve(now);
        }
    }

    pub(super) fn folded(&mut self) -> bool {
        self.reign.folded(self.confirmed.position, &self.confirmed.cursor)
    }

    /// The claim is folded: decide from here on.
    pub(super) fn serve(&mut self, now: Timestamp) {
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
        self.owned_at = self.claim_at;
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

    /// The tenure is over: what is not durable is dropped, and commands whose
    /// callers still wait are decided again later, or elsewhere.
    pub(super) fn over(&mut self, now: Timestamp) {
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
    pub(super) fn announce(&mut self) {
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

    /// What the claim under way or in force drew.
    pub(super) fn tenure(&self) -> u64 {
        self.tenure
    }
}
