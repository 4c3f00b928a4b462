//! Letting the next ones in: by capacity, by rate, by hand.

use usher_events::event::{AdmissionsExpired, Admitted, PolicyChanged, TicketState, VisitorsAdmitted};
use usher_events::ids::AdmissionId;
use usher_events::time::Timestamp;

use super::{Decision, MAX_MEMBERS, Opening, OpeningState, Refusal};

/// Automatic admissions of one opening are at least this far apart, in
/// milliseconds, so that under load one event lists many.
const BATCH_MS: i64 = 100;
/// How much of the rate's time may be caught up at once, in milliseconds,
/// with the admission that is due: what a timer that fires late needs.
const BURST_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;

impl Opening {
    /// Slots of the seat window that nobody has.
    pub(super) fn free_slots(&self) -> u32 {
        let taken = self.queue.count(TicketState::Admitted) + self.queue.count(TicketState::Inside);
        self.policy.capacity.saturating_sub(taken)
    }

    fn admits(&self) -> bool {
        matches!(self.state, OpeningState::Open | OpeningState::Draining)
    }

    /// When the next automatic admission is due; none while nobody can be admitted.
    pub(super) fn admission_due(&self) -> Option<Timestamp> {
        if !self.admits() || self.free_slots() == 0 || self.queue.present() == 0 {
            return None;
        }
        let spaced = self.last_admission_at.map_or(Timestamp::default(), |at| Timestamp(at.0 + BATCH_MS));
        Some(if self.policy.admissions_per_minute.is_some() {
            spaced.max(self.next_admission_at)
        } else {
            spaced
        })
    }

    /// How many the rate allows at `now`: a virtual schedule, as in ITU-T
    /// I.371's generic cell rate algorithm.
    fn allowed(&self, now: Timestamp) -> u32 {
        let Some(per_minute) = self.policy.admissions_per_minute else { return u32::MAX };
        if now < self.next_admission_at {
            return 0;
        }
        let caught_up = now.ms_since(self.caught_up_from(now, per_minute));
        u32::try_from(1 + caught_up * i64::from(per_minute) / MINUTE_MS).unwrap_or(u32::MAX)
    }

    /// When the rate allows one more, after `admitted` at `now`.
    fn next_after(&self, now: Timestamp, admitted: u32) -> Timestamp {
        let Some(per_minute) = self.policy.admissions_per_minute else { return now };
        let used = (i64::from(admitted) * MINUTE_MS).div_euclid(i64::from(per_minute));
        let exact = used * i64::from(per_minute) == i64::from(admitted) * MINUTE_MS;
        Timestamp(self.caught_up_from(now, per_minute).0 + used + i64::from(!exact))
    }

    /// Since when the rate's time is not used up: never longer than a burst
    /// without the admission that is due anyway.
    fn caught_up_from(&self, now: Timestamp, per_minute: u32) -> Timestamp {
        let most = (BURST_MS - interval_ms(per_minute)).max(BATCH_MS);
        self.next_admission_at.max(Timestamp(now.0 - most))
    }

    pub(super) fn admit_next(&self, now: Timestamp) -> Result<Decision, Refusal> {
        if self.admission_due().is_none_or(|due| due > now) {
            return Err(Refusal::NotDue);
        }
        let count = self.allowed(now).min(self.free_slots());
        let admitted = self.first_present(count);
        if admitted.is_empty() {
            return Err(Refusal::NotDue);
        }
        let next = self.next_after(now, u32::try_from(admitted.len()).unwrap_or(u32::MAX));
        Ok(Decision::Accepted(self.admission(now, None, admitted, next).into()))
    }

    /// Admits `count`, ignoring the rate and a pause, never the capacity.
    pub(super) fn admit_by_hand(
        &self,
        now: Timestamp,
        admission: AdmissionId,
        count: u32,
    ) -> Result<Decision, Refusal> {
        if !self.admits() && self.state != OpeningState::Paused {
            return Err(Refusal::WrongState { state: self.state });
        }
        if count == 0 || count as usize > MAX_MEMBERS {
            return Err(Refusal::invalid("count", format!("expected 1 to {MAX_MEMBERS}")));
        }
        let admitted = self.first_present(count.min(self.free_slots()));
        if admitted.is_empty() {
            return Err(Refusal::NothingToAdmit {
                free_slots: self.free_slots(),
                present: self.queue.present(),
            });
        }
        Ok(Decision::Accepted(self.admission(now, Some(admission), admitted, self.next_admission_at).into()))
    }

    fn first_present(&self, count: u32) -> Vec<Admitted> {
        let next = self.queue.next_present().take((count as usize).min(MAX_MEMBERS));
        next.map(|(ticket, number)| Admitted { ticket, number }).collect()
    }

    fn admission(
        &self,
        now: Timestamp,
        admission: Option<AdmissionId>,
        admitted: Vec<Admitted>,
        next_admission_at: Timestamp,
    ) -> VisitorsAdmitted {
        let last = admitted.last().map_or(0, |last| last.number);
        VisitorsAdmitted {
            at: now,
            admission,
            admitted,
            enter_by: now.plus_s(self.policy.enter_within_s),
            serving_number: self.serving_number.max(last),
            next_admission_at,
        }
    }

    /// Who did not enter in time is away with the place kept, or spent.
    pub(super) fn expire_admissions(&self, now: Timestamp) -> Result<Decision, Refusal> {
        let (mut away, mut spent) = (Vec::new(), Vec::new());
        let due = self.queue.entering.iter().take_while(|(deadline, _)| *deadline <= now);
        for (_, at) in due.take(MAX_MEMBERS) {
            let keeps = u32::from(self.queue.entry(*at).misses) < self.policy.misses;
            if keeps { &mut away } else { &mut spent }.push(self.queue.ticket_at(*at));
        }
        if away.is_empty() && spent.is_empty() {
            return Err(Refusal::NotDue);
        }
        Ok(Decision::Accepted(AdmissionsExpired { at: now, away, spent }.into()))
    }

    // --- fold -------------------------------------------------------------

    /// The opening opens, resumes or drains: time that passed without
    /// admissions is not caught up.
    pub(super) fn admissions_begin(&mut self, state: OpeningState, at: Timestamp) {
        self.state = state;
        self.next_admission_at = self.next_admission_at.max(at);
    }

    /// Deadlines stay as they were given; only the next admission comes
    /// sooner when the new rate is faster.
    pub(super) fn policy_changed(&mut self, event: &PolicyChanged) {
        if let Some(per_minute) = event.policy.admissions_per_minute {
            let soonest = Timestamp(event.at.0 + interval_ms(per_minute));
            self.next_admission_at = self.next_admission_at.min(soonest);
        }
        self.policy = event.policy.clone();
    }

    pub(super) fn admitted(&mut self, event: &VisitorsAdmitted) {
        for admitted in &event.admitted {
            self.queue.set_state_of(&admitted.ticket, TicketState::Admitted);
            self.queue.set_deadline_of(&admitted.ticket, event.enter_by);
        }
        self.serving_number = event.serving_number;
        self.next_admission_at = event.next_admission_at;
        match event.admission {
            Some(admission) => {
                let count = u32::try_from(event.admitted.len()).unwrap_or(u32::MAX);
                self.admissions.insert(admission, count);
            }
            None => self.last_admission_at = Some(event.at),
        }
    }
}

/// Milliseconds between two admissions, rounded up.
fn interval_ms(per_minute: u32) -> i64 {
    i64::from(60_000_u32.div_ceil(per_minute.max(1)))
}
