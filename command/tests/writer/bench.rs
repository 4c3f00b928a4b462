//! Partitions of several instances over the simulated log, driven by hand:
//! nothing lands, is reported, read or late before the test says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use usher_command::opening::{Command, Refusal};
use usher_command::writer::{Output, Owner, Partition, Reply, Submitted, WriterConfig};
use usher_events::event::Event;
use usher_events::log::simulated::{Faults, SimulatedLog};
use usher_events::log::{AppendError, Report};
use usher_events::record::{Offset, Record};
use usher_events::time::Timestamp;

use crate::asks::{at, keys, opening, request, schedule};

/// How long a command waits for a writer.
pub(crate) const PATIENCE_S: i64 = 8;

/// One instance.
struct Node {
    partition: Partition<u64>,
    owner: Owner,
    /// Handed over, and on its way.
    outbox: VecDeque<Record>,
    reports: Vec<Report>,
}

/// Instances, a log, and a clock that they share.
pub(crate) struct Bench {
    pub(crate) log: SimulatedLog,
    pub(crate) now: Timestamp,
    nodes: Vec<Node>,
    replies: Vec<(u64, Reply)>,
    tokens: u64,
    random: StdRng,
}

pub(crate) fn config() -> WriterConfig {
    WriterConfig {
        patience: Duration::from_secs(PATIENCE_S.cast_unsigned()),
        ..WriterConfig::new(1, String::new(), keys("k"))
    }
}

impl Bench {
    /// `count` instances, at addresses `http://0`, `http://1`, ... It is an
    /// hour before the opening opens.
    pub(crate) fn new(count: usize) -> Self {
        Self::with(count, config())
    }

    pub(crate) fn with(count: usize, config: WriterConfig) -> Self {
        let mut bench = Self {
            log: SimulatedLog::new(1),
            now: at(-3_600),
            nodes: Vec::new(),
            replies: Vec::new(),
            tokens: 0,
            random: StdRng::seed_from_u64(1),
        };
        for _ in 0..count {
            bench.add(config.clone());
        }
        bench
    }

    /// One more instance; its number.
    pub(crate) fn add(&mut self, config: WriterConfig) -> usize {
        let node = self.nodes.len();
        let config = WriterConfig { address: format!("http://{node}"), ..config };
        let partition = Partition::new(0, Arc::new(config));
        self.nodes.push(Node {
            partition,
            owner: Owner::Nobody,
            outbox: VecDeque::new(),
            reports: Vec::new(),
        });
        self.carry_out(node);
        node
    }

    /// An instance that serves an opening which it has scheduled.
    pub(crate) fn scheduled() -> Self {
        let mut bench = Self::new(2);
        bench.serve(0);
        let token = bench.ask(0, schedule(&keys("k")));
        bench.land(0);
        bench.expect_done(token);
        bench
    }

    /// The same after it opened, with visitors 1 and 2 inside, and 3 in line.
    pub(crate) fn opened() -> Self {
        let mut bench = Self::scheduled();
        bench.pass_to(at(1));
        for visitor in 1..=3 {
            bench.done(0, crate::asks::join(visitor));
        }
        bench.pass_to(at(2));
        bench.land(0);
        for visitor in 1..=2 {
            bench.done(0, crate::asks::enter(visitor));
        }
        bench
    }

    // --- the log ------------------------------------------------------------

    /// How many records of a node are on their way.
    pub(crate) fn in_flight(&self, node: usize) -> usize {
        self.nodes[node].outbox.len()
    }

    /// The first `count` of them land; their reports are not told yet.
    pub(crate) fn arrive(&mut self, node: usize, count: usize) {
        self.log.set_now(self.now);
        for record in self.sent(node, count) {
            self.log.submit(node, 0, vec![record]);
            let landed = self.log.step(&Faults::NONE, &mut self.random);
            self.nodes[node].reports.extend(landed.map(|(_, report)| report));
        }
    }

    /// They are lost, and reported so.
    pub(crate) fn lose(&mut self, node: usize, count: usize) {
        for record in self.sent(node, count) {
            let (tenure, n) = (record.headers.tenure, record.headers.n);
            let outcome = Err(AppendError::Unknown("timed out".to_owned()));
            self.nodes[node].reports.push(Report { partition: 0, tenure, n, outcome });
        }
    }

    fn sent(&mut self, node: usize, count: usize) -> Vec<Record> {
        assert!(self.in_flight(node) >= count, "{} records are on their way", self.in_flight(node));
        self.nodes[node].outbox.drain(..count).collect()
    }

    /// A node is told what became of its records.
    pub(crate) fn report(&mut self, node: usize) {
        let reports = std::mem::take(&mut self.nodes[node].reports);
        let now = self.now;
        self.nodes[node].partition.reported(reports, now, 7);
        self.carry_out(node);
    }

    /// What became of a node's records, which it is not told.
    pub(crate) fn take_reports(&mut self, node: usize) -> Vec<Report> {
        std::mem::take(&mut self.nodes[node].reports)
    }

    /// A node is told this of its records.
    pub(crate) fn report_these(&mut self, node: usize, reports: Vec<Report>) {
        self.nodes[node].reports = reports;
        self.report(node);
    }

    /// All that a node has on its way lands and is reported, also what it
    /// sends then.
    pub(crate) fn land(&mut self, node: usize) {
        while self.in_flight(node) > 0 {
            self.arrive(node, self.in_flight(node));
            self.report(node);
        }
    }

    /// A node reads what it has not read, if it follows.
    pub(crate) fn read(&mut self, node: usize) {
        let partition = &mut self.nodes[node].partition;
        if partition.following() {
            let from = partition.state().position;
            let records = self.log.records(0, from, usize::MAX);
            partition.followed(records, self.now, 7);
            self.carry_out(node);
        }
    }

    /// Events of the opening that are in the log.
    pub(crate) fn events(&self) -> Vec<Event> {
        let records = self.log.records(0, 0, usize::MAX).into_iter();
        records.filter(|stored| stored.record.key.is_some()).map(|s| s.record.event().unwrap()).collect()
    }

    /// How many signs of life are in the log.
    pub(crate) fn alive(&self) -> usize {
        let records = self.log.records(0, 0, usize::MAX).into_iter();
        records.filter(|stored| matches!(stored.record.event(), Ok(Event::WriterAlive(_)))).count()
    }

    /// Somebody else writes.
    pub(crate) fn write(&mut self, record: Record) {
        self.log.set_now(self.now);
        self.log.submit(usize::MAX, 0, vec![record]);
        self.log.step(&Faults::NONE, &mut self.random);
    }

    pub(crate) fn end(&self) -> Offset {
        self.log.end_of(0)
    }

    // --- instances ----------------------------------------------------------

    pub(crate) fn want(&mut self, node: usize, wanted: bool) {
        let now = self.now;
        self.nodes[node].partition.want(wanted, now, 1_000 + node as u64);
        self.carry_out(node);
    }

    /// A node claims the partition and serves it.
    pub(crate) fn serve(&mut self, node: usize) {
        self.read(node);
        self.want(node, true);
        if self.in_flight(node) == 0 {
            // A claim that is news is let settle first.
            self.now = Timestamp(self.now.0 + 1_500);
            self.tick(node);
        }
        self.claim(node);
        assert!(self.serving(node));
    }

    /// The claim of a node lands, is reported and read.
    pub(crate) fn claim(&mut self, node: usize) {
        self.arrive(node, 1);
        self.report(node);
        self.read(node);
    }

    pub(crate) fn serving(&self, node: usize) -> bool {
        self.nodes[node].partition.serving()
    }

    pub(crate) fn partition(&mut self, node: usize) -> &mut Partition<u64> {
        &mut self.nodes[node].partition
    }

    /// Who owns the partition, as a node announced it last.
    pub(crate) fn owner(&self, node: usize) -> &Owner {
        &self.nodes[node].owner
    }

    /// A node looks at the log's end.
    pub(crate) fn look_at_end(&mut self, node: usize) {
        let (end, now) = (self.end(), self.now);
        self.nodes[node].partition.end_seen(end, now, 7);
        self.carry_out(node);
    }

    /// The clock shows `now`, and a tick comes to all.
    pub(crate) fn pass_to(&mut self, now: Timestamp) {
        self.now = now;
        for node in 0..self.nodes.len() {
            self.nodes[node].partition.tick(now, 7);
            self.carry_out(node);
        }
    }

    /// A tick comes to one node.
    pub(crate) fn tick(&mut self, node: usize) {
        let now = self.now;
        self.nodes[node].partition.tick(now, 7);
        self.carry_out(node);
    }

    /// Time passes, and a tick comes to all.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.pass_to(Timestamp(self.now.0 + ms));
    }

    fn carry_out(&mut self, node: usize) {
        for output in self.nodes[node].partition.take_outputs() {
            match output {
                Output::Append(records) => self.nodes[node].outbox.extend(records),
                Output::Reply(token, reply) => self.replies.push((token, reply)),
                Output::Owner(owner) => self.nodes[node].owner = owner,
                Output::Hash(_) => panic!("few tickets are hashed at once"),
                Output::Follow(_) | Output::Unfollow | Output::Beacons(_) | Output::Changed(..) => {}
            }
        }
    }

    // --- callers ------------------------------------------------------------

    /// Sends a command to a node; its answer comes under the number given back.
    pub(crate) fn ask(&mut self, node: usize, command: Command) -> u64 {
        self.tokens += 1;
        let key = u128::from(self.tokens);
        self.ask_again(node, command, key)
    }

    /// The same, with the key of an earlier one.
    pub(crate) fn ask_again(&mut self, node: usize, command: Command, key: u128) -> u64 {
        let token = self.submit(node, command, key);
        self.carry_out(node);
        token
    }

    /// Several at once: what they lead to goes out together.
    pub(crate) fn ask_together<const N: usize>(&mut self, node: usize, commands: [Command; N]) -> [u64; N] {
        let tokens = commands.map(|command| {
            let key = u128::from(self.tokens) + 1;
            self.submit(node, command, key)
        });
        self.carry_out(node);
        tokens
    }

    fn submit(&mut self, node: usize, command: Command, key: u128) -> u64 {
        self.tokens += 1;
        let patience_until = Timestamp(self.now.0 + PATIENCE_S * 1_000);
        let request = request(command, key);
        let submitted = Submitted { opening: opening(), request, patience_until, reply_to: self.tokens };
        let now = self.now;
        self.nodes[node].partition.submit(Box::new(submitted), now);
        self.tokens
    }

    /// A command that is done, durably.
    pub(crate) fn done(&mut self, node: usize, command: Command) {
        let token = self.ask(node, command);
        self.land(node);
        self.expect_done(token);
    }

    pub(crate) fn reply(&self, token: u64) -> Option<&Reply> {
        let mut replies = self.replies.iter().filter(|(answered, _)| *answered == token);
        let reply = replies.next().map(|(_, reply)| reply);
        assert!(replies.next().is_none(), "answered twice");
        reply
    }

    /// Done, as of which position.
    #[track_caller]
    pub(crate) fn expect_done(&self, token: u64) -> Offset {
        match self.reply(token) {
            Some(Reply::Done { position, .. }) => *position,
            other => panic!("answered with {other:?}"),
        }
    }

    /// Refused, why and as of which position.
    #[track_caller]
    pub(crate) fn expect_refused(&self, token: u64) -> (&Refusal, Offset) {
        match self.reply(token) {
            Some(Reply::Refused { refusal, position }) => (refusal, *position),
            other => panic!("answered with {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn expect_unknown(&self, token: u64) {
        assert!(matches!(self.reply(token), Some(Reply::Unknown)), "{:?}", self.reply(token));
    }

    #[track_caller]
    pub(crate) fn expect_no_answer(&self, token: u64) {
        assert!(self.reply(token).is_none(), "{:?}", self.reply(token));
    }
}
