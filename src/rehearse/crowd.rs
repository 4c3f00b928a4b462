//! All visitors together: who is due, who asks, who is told. One task, a heap
//! of times, and no task for each of a hundred thousand visitors.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::ask::Outcome;
use super::ledger::Ledger;
use super::lines::{Done, Job, Lines};
use super::listen::{Heard, listen};
use super::options::Options;
use super::plan::Plan;
use super::progress::Progress;
use super::script::Script;
use super::tally::{Gauges, Tally};
use super::visitor::{End, Habits, Move, Visitor};

/// How many visitors' estimates are noted, about.
const NOTED: u32 = 2_000;
/// The most events that wait to be heard.
const EVENTS: usize = 4_096;
/// The most answers that are taken at once.
const BATCH: usize = 256;

/// What a rehearsal left behind.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) tally: Tally,
    pub(super) ledger: Ledger,
    pub(super) ends: BTreeMap<End, u64>,
    /// Who had not finished when the curtain fell.
    pub(super) unfinished: u64,
    pub(super) took: Duration,
    /// The most listeners at once.
    pub(super) most_listeners: usize,
}

/// Until when, and who looks on.
pub(super) struct Around<'a> {
    pub(super) at_most: Duration,
    pub(super) stop: CancellationToken,
    pub(super) progress: &'a mut Progress,
    /// The memory of the usher that was started for this, in MiB.
    pub(super) memory_mib: &'a dyn Fn() -> Option<f64>,
}

/// The crowd.
pub(super) struct Crowd<'a> {
    script: &'a Script,
    began: Instant,
    visitors: Vec<Visitor>,
    /// When each rests until; `BUSY` while an answer is awaited or it is over.
    rests: Vec<u64>,
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    lines: Lines,
    listeners: HashMap<u32, AbortHandle>,
    most_listeners: usize,
    listeners_at_most: usize,
    tell: mpsc::Sender<(u32, Heard)>,
    tally: Tally,
    ledger: Ledger,
    ends: BTreeMap<End, u64>,
    over: usize,
}

/// Rests until it is told something.
const BUSY: u64 = u64::MAX;

impl<'a> Crowd<'a> {
    pub(super) fn new(
        script: &'a Script,
        options: &Options,
        lines: Lines,
        began: Instant,
    ) -> Result<(Self, mpsc::Receiver<(u32, Heard)>), String> {
        let habits = Habits { repeat: options.mix.repeat, note_estimates_of: options.visitors / NOTED + 1 };
        let (tell, heard) = mpsc::channel(EVENTS);
        let visitor = |index| {
            let (plan, dice) = Plan::of(index, options);
            Visitor::new(index, plan, dice, habits)
        };
        let visitors: Vec<Visitor> = (0..options.visitors).map(visitor).collect();
        let crowd = Self {
            script,
            began,
            rests: vec![BUSY; visitors.len()],
            timers: BinaryHeap::with_capacity(visitors.len() + visitors.len() / 4),
            visitors,
            lines,
            listeners: HashMap::new(),
            most_listeners: 0,
            listeners_at_most: options.listeners as usize,
            tell,
            tally: Tally::new()?,
            ledger: Ledger::default(),
            ends: BTreeMap::new(),
            over: 0,
        };
        Ok((crowd, heard))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(BUSY)
    }

    /// Plays until everybody is through, or the curtain falls.
    pub(super) async fn play(
        mut self,
        mut told: mpsc::Receiver<Done>,
        mut heard: mpsc::Receiver<(u32, Heard)>,
        around: Around<'_>,
    ) -> Played {
        for index in 0..self.visitors.len() {
            self.wake(index);
        }
        let Around { at_most, stop, progress, memory_mib } = around;
        let mut second = 0;
        let curtain = self.began + at_most;
        let mut answers = Vec::with_capacity(BATCH);
        while self.over < self.visitors.len() && !stop.is_cancelled() && Instant::now() < curtain {
            self.wake_all_due();
            let next_second = u64::from(second + 1) * 1_000;
            if self.now() >= next_second {
                second += 1;
                self.tally.second(second, memory_mib());
                progress.show(second, &self.tally, self.over);
                self.lines.send(Job { visitor: None, ask: self.script.watch(), wanted: Instant::now() }, 0);
                continue;
            }
            let next = self.timers.peek().map_or(next_second, |Reverse((at, _))| (*at).min(next_second));
            let wake = self.began + Duration::from_millis(next);
            tokio::select! {
                count = told.recv_many(&mut answers, BATCH) => {
                    if count == 0 { break; }
                    for done in answers.drain(..) { self.told(done); }
                }
                Some((index, heard)) = heard.recv() => self.heard(index, heard),
                () = tokio::time::sleep_until(wake.into()) => {}
                () = stop.cancelled() => {}
            }
        }
        self.listeners.values().for_each(AbortHandle::abort);
        Played {
            unfinished: (self.visitors.len() - self.over) as u64,
            tally: self.tally,
            ledger: self.ledger,
            ends: self.ends,
            took: self.began.elapsed(),
            most_listeners: self.most_listeners,
        }
    }

    fn wake_all_due(&mut self) {
        let now = self.now();
        while let Some(Reverse((at, index))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            let index = index as usize;
            // Whoever was told something meanwhile has another time.
            if self.rests[index] == at {
                self.tally.late.note(Duration::from_millis(now - at));
                self.wake(index);
            }
        }
    }

    /// Lets a visitor who waits for no answer do what is next.
    fn wake(&mut self, index: usize) {
        let now = self.now();
        let visitor = &mut self.visitors[index];
        match visitor.step(now) {
            Move::Ask(kind) => {
                self.rests[index] = BUSY;
                let ask = self.script.ask(visitor, kind);
                let turn = index + visitor.tries as usize;
                self.lines.send(Job { visitor: Some(visitor.index), ask, wanted: Instant::now() }, turn);
            }
            Move::RestUntil(at) => {
                let at = at.max(now + 1);
                self.rests[index] = at;
                self.timers.push(Reverse((at, visitor.index)));
            }
            Move::Over => {
                self.rests[index] = BUSY;
                self.over += 1;
                if let Some(end) = visitor.end() {
                    *self.ends.entry(end).or_default() += 1;
                }
            }
        }
        self.attend(index);
    }

    fn told(&mut self, done: Done) {
        self.lines.freed(&done);
        let Some(index) = done.visitor else {
            if let Outcome::Told { said, .. } = &done.outcome
                && let Some(gauges) =
                    said.body.as_ref().and_then(|body| serde_json::from_slice::<Gauges>(body).ok())
            {
                self.tally.gauges = gauges;
            }
            return;
        };
        self.tally.note(&done);
        let now = self.now();
        self.visitors[index as usize].hear(now, done.kind, &done.outcome, &mut self.ledger);
        self.wake(index as usize);
    }

    /// Begins or ends listening to events as the visitor wants it.
    fn attend(&mut self, index: usize) {
        let visitor = &mut self.visitors[index];
        let listening = self.listeners.contains_key(&visitor.index);
        if visitor.listens() && !listening && self.listeners.len() < self.listeners_at_most {
            let Some(address) = self.lines.query(index) else { return };
            let listening = listen(visitor.index, address.clone(), self.script.updates(), self.tell.clone());
            self.listeners.insert(visitor.index, tokio::spawn(listening).abort_handle());
            self.most_listeners = self.most_listeners.max(self.listeners.len());
        } else if listening && !visitor.listens() {
            visitor.told_by_events = false;
            if let Some(listener) = self.listeners.remove(&visitor.index) {
                listener.abort();
            }
        }
    }

    fn heard(&mut self, index: u32, heard: Heard) {
        // What was on its way when the listener was ended is not heard.
        if !self.listeners.contains_key(&index) {
            return;
        }
        let (at, now) = (index as usize, self.now());
        let visitor = &mut self.visitors[at];
        match heard {
            Heard::Connected => visitor.told_by_events = true,
            Heard::Silence => visitor.told_by_events = false,
            Heard::Status(said) => {
                self.tally.events += 1;
                visitor.told_status(now, &said);
            }
        }
        if self.rests[at] != BUSY {
            self.wake(at);
        }
    }
}
