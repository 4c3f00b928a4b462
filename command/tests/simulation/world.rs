//! Processes, a log, a crowd and a clock, all driven by one seed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use usher_command::opening::{Command, Request};
use usher_command::writer::{Output, Partition, Reply, Submitted, WriterConfig, WriterRules};
use usher_events::log::Report;
use usher_events::log::simulated::{Faults, SimulatedLog};
use usher_events::time::Timestamp;

use crate::crowd::{self, Crowd, opening};

/// How many things happen before the world is left in peace.
const STEPS: usize = 2_500;
/// How many processes there are at a time.
const NODES: usize = 3;
/// How long peace may take to settle everything.
const SETTLING: usize = 20_000;

/// A command on its way, and who waits for it.
#[derive(Debug, Clone)]
struct Waiting {
    client: usize,
    request: Request,
}

/// A definite answer that a client got.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) request: Request,
    pub(crate) reply: Reply,
}

/// What happened, over many runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    pub(crate) records: u64,
    pub(crate) claims: u64,
    pub(crate) voids: u64,
    pub(crate) answers: u64,
    pub(crate) bookings: u64,
    pub(crate) refunds: u64,
    /// Bookings of holds that had expired.
    pub(crate) late: u64,
    pub(crate) cancelled: u64,
    /// Holds that ran out.
    pub(crate) expired: u64,
    /// Admissions that nobody used.
    pub(crate) missed: u64,
    pub(crate) closed: u64,
    /// Claims of another process than the one before.
    pub(crate) moves: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.claims += other.claims;
        self.voids += other.voids;
        self.answers += other.answers;
        self.bookings += other.bookings;
        self.refunds += other.refunds;
        self.late += other.late;
        self.cancelled += other.cancelled;
        self.expired += other.expired;
        self.missed += other.missed;
        self.closed += other.closed;
        self.moves += other.moves;
    }
}

/// One process.
struct Node {
    /// Anew after each crash: its old records are nobody's.
    id: usize,
    partition: Partition<u64>,
    inbox: VecDeque<Report>,
    paused_until: Timestamp,
}

/// Everything.
pub(crate) struct World {
    pub(crate) log: SimulatedLog,
    pub(crate) answers: Vec<Answer>,
    pub(crate) unanswered: usize,
    random: StdRng,
    faults: Faults,
    now: Timestamp,
    config: WriterConfig,
    nodes: Vec<Node>,
    next_node: usize,
    crowd: Crowd,
    /// What each client waits for, if it does.
    outstanding: Vec<Option<u64>>,
    waiting: HashMap<u64, Waiting>,
    /// Commands that are to be sent again.
    unanswered_yet: Vec<u64>,
    next_token: u64,
}

impl World {
    pub(crate) fn new(seed: u64, rules: WriterRules) -> Self {
        let config = WriterConfig {
            rules,
            patience: Duration::from_secs(5),
            max_in_flight: 64,
            ..WriterConfig::new(1, String::new(), crowd::keys())
        };
        let crowd = Crowd::new();
        let mut world = Self {
            log: SimulatedLog::new(1),
            answers: Vec::new(),
            unanswered: 0,
            random: StdRng::seed_from_u64(seed),
            // Half of the worlds are quieter, so that more gets done in them.
            faults: if seed.is_multiple_of(2) { Faults::ALL } else { Faults::ALL.scaled(0.2) },
            now: Timestamp(1_700_000_000_000),
            config,
            nodes: Vec::new(),
            next_node: 0,
            outstanding: vec![None; crowd.len()],
            crowd,
            waiting: HashMap::new(),
            unanswered_yet: Vec::new(),
            next_token: 0,
        };
        for _ in 0..NODES {
            let node = world.new_node();
            world.nodes.push(node);
        }
        let schedule = crowd::schedule(world.now, &mut world.random);
        world.send(0, schedule);
        world
    }

    fn new_node(&mut self) -> Node {
        self.next_node += 1;
        let address = format!("http://127.0.0.1:{}", self.next_node);
        let config = Arc::new(WriterConfig { address, ..self.config.clone() });
        Node {
            id: self.next_node,
            partition: Partition::new(0, config),
            inbox: VecDeque::new(),
            paused_until: Timestamp(0),
        }
    }

    /// Lets everything happen that can.
    pub(crate) fn run(&mut self) {
        self.suggest(0);
        for _ in 0..STEPS {
            self.log.set_now(self.now);
            match self.random.random_range(0..1_000) {
                0..300 => self.step_log(),
                300..480 => self.deliver(),
                480..600 => self.follow(),
                600..830 => self.ask(),
                830..840 => self.notice(),
                840..975 => self.pass_time(2_000),
                975..980 => self.pass_time(40_000),
                980..985 => {
                    let owner = self.random.random_range(0..NODES);
                    self.suggest(owner);
                }
                985..990 => self.one_sided_suggestion(),
                990..994 => self.look_at_end(),
                994..997 => self.pause(),
                _ => self.crash(),
            }
        }
    }

    /// Leaves the world in peace until every caller has an answer.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.faults = Faults::NONE;
        for node in &mut self.nodes {
            node.paused_until = Timestamp(0);
        }
        self.suggest(0);
        for step in 0..SETTLING {
            self.log.set_now(self.now);
            for _ in 0..20 {
                self.step_log();
            }
            self.deliver();
            self.follow();
            self.pass_time(200);
            self.look_at_end();
            let answered = self.outstanding.iter().all(Option::is_none);
            if step > 50 && answered && self.log.in_flight() == 0 && self.nodes[0].partition.in_flight() == 0
            {
                return Ok(());
            }
        }
        self.unanswered = self.outstanding.iter().flatten().count();
        Err(format!("{} callers got no answer in peace", self.unanswered))
    }

    /// The state of the process that owns the partition in the end.
    pub(crate) fn owner(&self) -> &Partition<u64> {
        &self.nodes[0].partition
    }

    fn awake(&mut self) -> Option<usize> {
        let node = self.random.random_range(0..NODES);
        (self.nodes[node].paused_until <= self.now).then_some(node)
    }

    fn step_log(&mut self) {
        if let Some((id, report)) = self.log.step(&self.faults, &mut self.random)
            && let Some(node) = self.nodes.iter_mut().find(|node| node.id == id)
        {
            node.inbox.push_back(report);
        }
    }

    fn deliver(&mut self) {
        let Some(at) = self.awake() else { return };
        let count = self.random.random_range(0..=self.nodes[at].inbox.len());
        let reports: Vec<Report> = self.nodes[at].inbox.drain(..count).collect();
        let random = self.random.random();
        self.nodes[at].partition.reported(reports, self.now, random);
        self.carry_out(at);
    }

    fn follow(&mut self) {
        let Some(at) = self.awake() else { return };
        if !self.nodes[at].partition.following() {
            return;
        }
        let from = self.nodes[at].partition.state().position;
        let records = self.log.read_from(0, from, &self.faults, &mut self.random);
        let random = self.random.random();
        self.nodes[at].partition.followed(records, self.now, random);
        self.carry_out(at);
    }

    fn ask(&mut self) {
        let client = self.random.random_range(0..self.crowd.len());
        if self.outstanding[client].is_none() {
            let request = self.crowd.next(client, &mut self.random);
            self.send(client, request);
        }
    }

    fn send(&mut self, client: usize, request: Request) {
        let token = self.next_token;
        self.next_token += 1;
        self.outstanding[client] = Some(token);
        self.waiting.insert(token, Waiting { client, request: request.clone() });
        // Usually the owner is asked, sometimes whoever answers.
        let owner = self.nodes.iter().position(|node| node.partition.serving());
        let at = match owner {
            Some(owner) if self.random.random_bool(0.9) => owner,
            _ => self.random.random_range(0..NODES),
        };
        let patience_until = self.now + self.config.patience;
        let submitted = Submitted { opening: opening(), request, patience_until, reply_to: token };
        self.nodes[at].partition.submit(Box::new(submitted), self.now);
        self.carry_out(at);
    }

    fn pass_time(&mut self, most_ms: i64) {
        self.now = Timestamp(self.now.0 + self.random.random_range(1..=most_ms));
        for token in std::mem::take(&mut self.unanswered_yet) {
            self.again(token);
        }
        for at in 0..NODES {
            if self.nodes[at].paused_until <= self.now {
                let random = self.random.random();
                self.nodes[at].partition.tick(self.now, random);
                self.carry_out(at);
            }
        }
    }

    fn suggest(&mut self, owner: usize) {
        for at in 0..NODES {
            let random = self.random.random();
            self.nodes[at].partition.want(at == owner, self.now, random);
            self.carry_out(at);
        }
    }

    /// Somebody is told, and the others are not: two think that they own it,
    /// or nobody does.
    fn one_sided_suggestion(&mut self) {
        let at = self.random.random_range(0..NODES);
        let (wanted, random) = (self.random.random_bool(0.8), self.random.random());
        self.nodes[at].partition.want(wanted, self.now, random);
        self.carry_out(at);
    }

    fn look_at_end(&mut self) {
        let Some(at) = self.awake() else { return };
        let random = self.random.random();
        self.nodes[at].partition.end_seen(self.log.end_of(0), self.now, random);
        self.carry_out(at);
    }

    /// Presence notices that somebody fell silent, or is back: rightly or not,
    /// and also where nobody owns the partition.
    fn notice(&mut self) {
        let Some(at) = self.awake() else { return };
        let partition = &mut self.nodes[at].partition;
        let known = partition.state().openings.get(&opening());
        let tickets = known.map_or(0, |chained| chained.opening.queue().len());
        let some = if self.random.random_bool(0.2) { 0.2 } else { 0.8 };
        let indexes =
            (0..u32::try_from(tickets).unwrap()).filter(|_| self.random.random_bool(some)).collect();
        let command = if some < 0.5 { Command::GoAway { indexes } } else { Command::Return { indexes } };
        partition.noticed(&opening(), command, self.now);
        self.carry_out(at);
    }

    fn pause(&mut self) {
        let at = self.random.random_range(0..NODES);
        self.nodes[at].paused_until = Timestamp(self.now.0 + self.random.random_range(1_000..30_000));
    }

    /// A process dies: whoever waited for it asks another.
    fn crash(&mut self) {
        let at = self.random.random_range(0..NODES);
        self.log.crash(self.nodes[at].id, &mut self.random);
        self.nodes[at] = self.new_node();
        // A real caller's connection breaks; here everyone asks again after
        // a while, which is the same command with the same id.
        let mut lost: Vec<u64> = self.waiting.keys().copied().collect();
        lost.sort_unstable();
        for token in lost {
            self.again(token);
        }
        let owner = self.random.random_range(0..NODES);
        self.suggest(owner);
    }

    fn again(&mut self, token: u64) {
        if let Some(Waiting { client, request }) = self.waiting.remove(&token) {
            self.send(client, request);
        }
    }

    fn carry_out(&mut self, at: usize) {
        for output in self.nodes[at].partition.take_outputs() {
            match output {
                Output::Append(records) => self.log.submit(self.nodes[at].id, 0, records),
                Output::Reply(token, reply) => self.answered(token, reply),
                Output::Hash(order) => {
                    let made = order.job.run(order.seed);
                    let (purpose, random) = (order.purpose, self.random.random());
                    self.nodes[at].partition.hashed(purpose, &order.opening, made, self.now, random);
                }
                Output::Follow(_) | Output::Unfollow | Output::Owner(_) => {}
                Output::Beacons(_) | Output::Changed(..) => {}
            }
        }
    }

    fn answered(&mut self, token: u64, reply: Reply) {
        match reply {
            // Whoever gets no definite answer asks again, after a while.
            Reply::Unknown | Reply::Elsewhere(_) => self.unanswered_yet.push(token),
            definite => {
                // A late answer to a command that was sent again is one, too.
                if let Some(Waiting { client, request }) = self.waiting.remove(&token) {
                    self.outstanding[client] = None;
                    self.crowd.told(client, &request, &definite, &mut self.random);
                    self.answers.push(Answer { request, reply: definite });
                }
            }
        }
    }
}
