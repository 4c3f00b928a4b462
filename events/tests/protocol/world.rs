//! The world that is explored: nodes, and a log in which things go wrong.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use stateright::{Model, Property};
use usher_events::record::Offset;
use usher_events::reign::Rules;
use usher_events::tenure::{Cursor, CursorRules, Stamp, Verdict, named};

use crate::node::{Answer, Node};
use crate::properties;

/// A record: its stamp, and the last record that its writer knew when it was
/// decided, which stands for all of a history, as a chain of hashes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) tenure: u64,
    pub(crate) n: u64,
    /// Where its writer's claim stands; a claim has 0.
    pub(crate) epoch: Offset,
    pub(crate) knew: Known,
}

/// Which record is the last of a history: its tenure and rank.
pub(crate) type Known = Option<(u64, u64)>;

impl Entry {
    pub(crate) fn known(self) -> (u64, u64) {
        (self.tenure, self.n)
    }
}

/// A record in the log, with what readers make of all up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) entry: Entry,
    pub(crate) verdict: Verdict,
    /// What a reader keeps that has read it.
    pub(crate) reader: Reader,
}

impl Hash for Landed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest follows from the entries.
        self.entry.hash(state);
    }
}

/// What a reader knows: which records count next, and the last that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    pub(crate) cursor: Cursor,
    pub(crate) last: Known,
    /// Where the newest claim stands.
    epoch: Offset,
}

impl Reader {
    pub(crate) fn new(protocol: &Protocol) -> Self {
        Self { cursor: Cursor::with_rules(protocol.cursor), last: None, epoch: 0 }
    }

    /// Reads the record at `offset`.
    pub(crate) fn read(&mut self, protocol: &Protocol, offset: Offset, entry: Entry) -> Verdict {
        let Entry { mut tenure, n, epoch, .. } = entry;
        if !protocol.driver.names_its_claim && n > 0 {
            // All that it could say then is what the claim drew.
            tenure = named(tenure - epoch, self.epoch);
        }
        let verdict = self.cursor.judge(offset, Stamp { tenure, n });
        match verdict {
            Verdict::Claim => self.epoch = offset,
            Verdict::Valid => self.last = Some(entry.known()),
            Verdict::Void => {}
        }
        verdict
    }
}

/// How much happens at most, so that the exploration ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Claims, of all nodes.
    pub(crate) claims: u64,
    /// Records of one tenure, beside its claim.
    pub(crate) records: u64,
    /// Faults.
    pub(crate) faults: u8,
    /// Commands that are answered without an event.
    pub(crate) questions: u8,
}

/// Which tenure an attempt to claim gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mint {
    /// One that was never used.
    New,
    /// The node's name.
    NodeName,
    /// The one before, when nobody knows what became of its claim.
    AgainIfUnknown,
}

/// What a node's driver does beside the pure code, rule by rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Driver {
    pub(crate) mint: Mint,
    /// A record says behind which landing of its claim it belongs.
    pub(crate) names_its_claim: bool,
    /// What was decided in a tenure that is over is dropped.
    pub(crate) drops_dirty_state: bool,
    /// Answers wait until what they tell is confirmed.
    pub(crate) answers_wait: bool,
    /// A positive answer waits for one own record that was sent after the question.
    pub(crate) shows_ownership: bool,
}

/// The protocol, and the rules that are in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) bounds: Bounds,
    pub(crate) rules: Rules,
    pub(crate) cursor: CursorRules,
    pub(crate) driver: Driver,
}

impl Protocol {
    /// Every rule is in force.
    pub(crate) fn within(bounds: Bounds) -> Self {
        let driver = Driver {
            mint: Mint::New,
            names_its_claim: true,
            drops_dirty_state: true,
            answers_wait: true,
            shows_ownership: true,
        };
        Self { bounds, rules: Rules::default(), cursor: CursorRules::default(), driver }
    }
}

/// What a node confirmed to those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Promise {
    pub(crate) node: usize,
    pub(crate) tenure: u64,
    pub(crate) n: u64,
    /// Where it is said to stand.
    pub(crate) offset: Offset,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) log: Vec<Landed>,
    pub(crate) nodes: Vec<Node>,
    /// Reported already, and yet to land, perhaps.
    pub(crate) ghosts: Vec<Entry>,
    pub(crate) promises: BTreeSet<Promise>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) claims: u64,
    pub(crate) faults: u8,
    pub(crate) questions: u8,
}

/// The next thing that happens; the first number is the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It sends a claim.
    Claims(usize),
    /// It decides a command and sends its record.
    Decides(usize),
    /// Somebody asks what needs no event: the answer is positive, or a refusal.
    IsAsked(usize, bool),
    /// It reads the log to its end.
    Reads(usize),
    /// It is told what became of a record: the report at this place.
    IsTold(usize, usize),
    /// It is gone, with what it knew; what it sent may still land.
    Restarts(usize),
    /// Its first record on the way lands.
    Lands(usize),
    /// The same, but nobody tells it.
    LandsUnacknowledged(usize),
    /// Its first record on the way is lost; later ones may land.
    IsDropped(usize),
    /// It is told that nobody knows; the record may land at any later time.
    IsDelayed(usize),
    /// It lands, and may land again.
    LandsAndAgain(usize),
    /// It lands, and the report tells its place in the batch.
    LandsMisreported(usize, Offset),
    /// Its second record on the way overtakes the first.
    Overtakes(usize),
    /// What had been given up lands.
    GhostLands(usize),
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            log: Vec::new(),
            nodes: vec![Node::new(self), Node::new(self)],
            ghosts: Vec::new(),
            promises: BTreeSet::new(),
            answers: Vec::new(),
            claims: 0,
            faults: 0,
            questions: 0,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for (i, node) in world.nodes.iter().enumerate() {
            self.steps_of_node(world, i, node, steps);
            self.steps_of_lane(world, i, node, steps);
        }
        steps.extend((0..world.ghosts.len()).map(Step::GhostLands));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        world.take(self, step);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}

impl Protocol {
    fn steps_of_node(&self, world: &World, i: usize, node: &Node, steps: &mut Vec<Step>) {
        let Bounds { claims, records, faults, questions } = self.bounds;
        // Nodes differ by their names only: the first claim is the first one's.
        if !node.reign.active() && world.claims < claims && (i == 0 || world.claims > 0) {
            steps.push(Step::Claims(i));
        }
        if node.reign.serving() && node.reign.sent() < records {
            steps.push(Step::Decides(i));
        }
        if node.reign.serving() && world.questions < questions && node.question.is_none() {
            steps.extend([Step::IsAsked(i, true), Step::IsAsked(i, false)]);
        }
        let behind = node.position < world.log.len() as Offset;
        if node.reign.active() && !node.reign.serving() && behind {
            steps.push(Step::Reads(i));
        }
        steps.extend((0..node.reports.len()).map(|report| Step::IsTold(i, report)));
        if world.faults < faults && (node.reign.active() || !node.lane.is_empty()) {
            steps.push(Step::Restarts(i));
        }
    }

    fn steps_of_lane(&self, world: &World, i: usize, node: &Node, steps: &mut Vec<Step>) {
        let Some(first) = node.lane.front() else { return };
        steps.push(Step::Lands(i));
        if world.faults >= self.bounds.faults {
            return;
        }
        steps.extend([Step::IsDropped(i), Step::IsDelayed(i), Step::LandsAndAgain(i)]);
        if node.lane.len() > 1 {
            steps.push(Step::Overtakes(i));
        }
        // What it is told of a tenure that is over is no matter.
        if node.cares_for(first) {
            steps.push(Step::LandsUnacknowledged(i));
            // A batch that was a duplicate is reported as -1, 0, 1, ...; the
            // log tells -1 as an unknown outcome. A claim may share a batch
            // with records of earlier tenures; others only with those before.
            let in_batch = first.n.checked_sub(1).unwrap_or(2);
            let elsewhere = in_batch.min(world.log.len() as Offset);
            steps.extend((0..elsewhere).map(|offset| Step::LandsMisreported(i, offset)));
        }
    }
}

impl World {
    fn take(&mut self, protocol: &Protocol, step: Step) {
        match step {
            Step::Claims(i) => {
                self.claims += 1;
                self.nodes[i].claim(protocol, i, self.claims);
            }
            Step::Decides(i) => self.nodes[i].decide(),
            Step::IsAsked(i, positive) => {
                self.questions += 1;
                let last = self.reader(protocol).last;
                self.nodes[i].ask(protocol, positive, last);
                self.answered(i);
            }
            Step::Reads(i) => self.nodes[i].read(protocol, &self.log),
            Step::IsTold(i, report) => {
                let promised = self.nodes[i].told(protocol, i, report);
                self.promises.extend(promised);
                self.answered(i);
            }
            Step::Restarts(i) => {
                self.faults += 1;
                let gone = std::mem::replace(&mut self.nodes[i], Node::new(protocol));
                self.ghosts.extend(gone.lane);
                self.ghosts.sort_unstable();
            }
            Step::GhostLands(ghost) => {
                let entry = self.ghosts.remove(ghost);
                self.land(protocol, entry);
            }
            Step::Overtakes(i) => {
                self.faults += 1;
                self.nodes[i].lane.swap(0, 1);
            }
            Step::Lands(i) => {
                let entry = self.nodes[i].sent();
                let offset = self.land(protocol, entry);
                self.nodes[i].report(entry, Ok(offset));
            }
            faulty => self.go_wrong(protocol, faulty),
        }
        if protocol.driver.mint == Mint::New {
            self.nodes.iter_mut().for_each(Node::ignore_old_news);
        }
    }

    fn go_wrong(&mut self, protocol: &Protocol, step: Step) {
        self.faults += 1;
        let (i, lands, ghost, outcome) = match step {
            Step::LandsUnacknowledged(i) => (i, true, false, Some(Err(()))),
            Step::IsDropped(i) => (i, false, false, Some(Err(()))),
            Step::IsDelayed(i) => (i, false, true, Some(Err(()))),
            Step::LandsAndAgain(i) => (i, true, true, None),
            Step::LandsMisreported(i, offset) => (i, true, false, Some(Ok(offset))),
            other => unreachable!("{other:?} is no fault"),
        };
        let entry = self.nodes[i].sent();
        let offset = lands.then(|| self.land(protocol, entry));
        if ghost {
            self.ghosts.push(entry);
            self.ghosts.sort_unstable();
        }
        self.nodes[i].report(entry, outcome.unwrap_or_else(|| offset.ok_or(())));
    }

    fn land(&mut self, protocol: &Protocol, entry: Entry) -> Offset {
        let (offset, mut reader) = (self.log.len() as Offset, self.reader(protocol));
        let verdict = reader.read(protocol, offset, entry);
        self.log.push(Landed { entry, verdict, reader });
        self.nodes.iter_mut().for_each(|node| node.log_is_at(reader.last));
        offset
    }

    fn answered(&mut self, i: usize) {
        if let Some(answer) = self.nodes[i].answer() {
            self.answers.push(answer);
            self.answers.sort_unstable();
        }
    }

    /// What a reader knows that has read all.
    pub(crate) fn reader(&self, protocol: &Protocol) -> Reader {
        self.reader_at(protocol, self.log.len() as Offset).expect("there is an end")
    }

    /// What a reader knows that has read up to `position`, the next offset;
    /// none beyond the end.
    pub(crate) fn reader_at(&self, protocol: &Protocol, position: Offset) -> Option<Reader> {
        match usize::try_from(position).unwrap().checked_sub(1) {
            None => Some(Reader::new(protocol)),
            Some(last) => self.log.get(last).map(|landed| landed.reader),
        }
    }
}
