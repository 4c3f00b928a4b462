//! One node: the production code, driven as the writer's thread drives it.

use std::collections::VecDeque;

use usher_events::record::Offset;
use usher_events::reign::{Progress, Reign};
use usher_events::tenure::named;

use crate::world::{Entry, Known, Landed, Mint, Promise, Protocol, Reader};

/// A command that needs no event, and waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Every own record up to this one must be confirmed first.
    wait_for: u64,
    answer: Answer,
}

/// What is answered without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Answer {
    /// Whether it says that something is so; else it is a refusal.
    pub(crate) positive: bool,
    /// The state that it was read from.
    pub(crate) knew: Known,
    /// Whether that was the log's state at some time since the question.
    pub(crate) was_so: bool,
}

/// One instance over one partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) reign: Reign,
    /// What is durable and valid, as far as it knows.
    pub(crate) confirmed: Reader,
    /// The next offset to fold.
    pub(crate) position: Offset,
    /// The last record that its decisions build on, while it serves.
    pub(crate) working: Known,
    /// On the way to the log, in order.
    pub(crate) lane: VecDeque<Entry>,
    /// What it is not told yet, in no order.
    pub(crate) reports: Vec<(Entry, Result<Offset, ()>)>,
    pub(crate) question: Option<Question>,
    /// Its last claim was reported as unknown.
    claim_unknown: bool,
}

impl Node {
    pub(crate) fn new(protocol: &Protocol) -> Self {
        Self {
            reign: Reign::with_rules(protocol.rules),
            confirmed: Reader::new(protocol),
            position: 0,
            working: None,
            lane: VecDeque::new(),
            reports: Vec::new(),
            question: None,
            claim_unknown: false,
        }
    }

    /// Takes the partition, as the `attempt`th of all that try.
    pub(crate) fn claim(&mut self, protocol: &Protocol, name: usize, attempt: u64) {
        // Far enough from each other that no two name the same tenure.
        let drawn = match protocol.driver.mint {
            Mint::NodeName => (name as u64 + 1) << 32,
            Mint::AgainIfUnknown if self.claim_unknown => self.reign.drawn(),
            Mint::AgainIfUnknown | Mint::New => attempt << 32,
        };
        self.claim_unknown = false;
        let stamp = self.reign.claim(drawn);
        self.lane.push_back(Entry { tenure: stamp.tenure, n: stamp.n, epoch: 0, knew: None });
    }

    /// Decides a command: its record builds on all before.
    pub(crate) fn decide(&mut self) {
        let stamp = self.reign.next_stamp().expect("it serves");
        let epoch = self.reign.epoch().expect("it serves");
        let entry = Entry { tenure: stamp.tenure, n: stamp.n, epoch, knew: self.working };
        self.lane.push_back(entry);
        self.working = Some(entry.known());
    }

    /// Whether a report of `entry` may still change anything for it.
    pub(crate) fn cares_for(&self, entry: &Entry) -> bool {
        let of_tenure =
            || self.reign.epoch().is_some_and(|epoch| entry.tenure == named(self.reign.drawn(), epoch));
        let own = if entry.n == 0 { entry.tenure == self.reign.drawn() } else { of_tenure() };
        self.reign.active() && own
    }

    /// Keeps an answer without an event until it may go out.
    pub(crate) fn ask(&mut self, protocol: &Protocol, positive: bool, log_is_at: Known) {
        let driver = protocol.driver;
        let in_flight = if driver.answers_wait { self.reign.sent() } else { 0 };
        let wait_for = in_flight + u64::from(positive && driver.shows_ownership);
        let answer = Answer { positive, knew: self.working, was_so: self.working == log_is_at };
        self.question = Some(Question { wait_for, answer });
    }

    /// The log's last valid record is this one now.
    pub(crate) fn log_is_at(&mut self, last: Known) {
        if let Some(question) = &mut self.question {
            question.answer.was_so |= question.answer.knew == last;
        }
    }

    /// The answer that may go out now.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let confirmed = self.reign.confirmed();
        self.question.take_if(|question| question.wait_for <= confirmed).map(|question| question.answer)
    }

    /// Folds what the log holds beyond its position.
    pub(crate) fn read(&mut self, protocol: &Protocol, log: &[Landed]) {
        for landed in &log[usize::try_from(self.position).unwrap()..] {
            self.confirmed.read(protocol, self.position, landed.entry);
            self.position += 1;
        }
        self.begin_if_folded();
    }

    fn begin_if_folded(&mut self) {
        if self.reign.folded(self.position, &self.confirmed.cursor) {
            self.working = self.working.or(self.confirmed.last);
        }
    }

    /// Its first record on the way, which is on the way no more.
    pub(crate) fn sent(&mut self) -> Entry {
        self.lane.pop_front().expect("something is on the way")
    }

    /// What became of `entry` is on the way back.
    pub(crate) fn report(&mut self, entry: Entry, outcome: Result<Offset, ()>) {
        self.reports.push((entry, outcome));
        self.reports.sort_unstable();
    }

    /// Is told at once what it will never care for: of a tenure that is over.
    pub(crate) fn ignore_old_news(&mut self) {
        for (entry, outcome) in std::mem::take(&mut self.reports) {
            if self.cares_for(&entry) {
                self.reports.push((entry, outcome));
            } else {
                let progress = self.reign.reported(entry.tenure, entry.n, outcome);
                assert_eq!(progress, Progress::Ignored, "{entry:?}");
            }
        }
    }

    /// Is told what became of a record; what is confirmed by that.
    pub(crate) fn told(&mut self, protocol: &Protocol, name: usize, report: usize) -> Vec<Promise> {
        let (entry, outcome) = self.reports.remove(report);
        let was_claiming = self.reign.active() && !self.reign.serving();
        let before = self.reign.confirmed();
        match self.reign.reported(entry.tenure, entry.n, outcome) {
            Progress::Ignored => {}
            Progress::Claimed { .. } => self.begin_if_folded(),
            Progress::Confirmed { through } => {
                let (epoch, tenure) = (self.reign.epoch().expect("it serves"), entry.tenure);
                self.confirm(epoch, tenure, through);
                let promise = |n| Promise { node: name, tenure, n, offset: epoch + n };
                return (before + 1..=through).map(promise).collect();
            }
            Progress::Over => {
                self.claim_unknown = was_claiming;
                self.question = None;
                if protocol.driver.drops_dirty_state {
                    self.working = None;
                }
            }
        }
        Vec::new()
    }

    /// Own records are folded when they are confirmed, without reading them.
    fn confirm(&mut self, epoch: Offset, tenure: u64, through: u64) {
        let Reader { cursor, last, .. } = &mut self.confirmed;
        while cursor.n < through {
            cursor.n += 1;
            *last = Some((tenure, cursor.n));
        }
        self.position = epoch + cursor.n + 1;
    }
}
