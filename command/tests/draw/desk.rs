//! A partition's writers over a log in a list, driven by hand: nothing
//! happens before the test says so.

use std::collections::VecDeque;
use std::sync::Arc;

use secrecy::SecretString;
use usher_command::draw_keys::DrawKeys;
use usher_command::opening::{Command, Request, Schedule, schedule_id};
use usher_command::writer::{HashOrder, Output, Partition, Reply, Submitted, WriterConfig};
use usher_events::event::{Beacon, BeaconValue, Event};
use usher_events::ids::{Actor, CommandId, Hash, OpeningId, Ticket};
use usher_events::log::Report;
use usher_events::policy::Policy;
use usher_events::record::{Record, StoredRecord};
use usher_events::time::Timestamp;
use uuid::Uuid;

/// When quicknet's round 1,000 came out.
const ROUND_AT: Timestamp = Timestamp(1_692_806_364_000);
const RANDOM: u64 = 0x5eed;

/// The moment `seconds` after round 1,000 came out.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(ROUND_AT.0 + seconds * 1_000)
}

/// Opens a minute before the round.
pub(crate) const OPENS_AT_S: i64 = -60;

pub(crate) fn opening(name: &str) -> OpeningId {
    OpeningId::new(name).unwrap()
}

pub(crate) fn ticket(i: u8) -> Ticket {
    Ticket::of_secret(&[i; 32])
}

pub(crate) fn beacon() -> Beacon {
    Beacon { source: "drand-quicknet".to_owned(), round: 1_000, round_at: ROUND_AT }
}

/// The round as the edge hands it on.
pub(crate) fn round() -> BeaconValue {
    BeaconValue {
        source: "drand-quicknet".to_owned(),
        round: 1_000,
        randomness: "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd".parse().unwrap(),
        signature:
            "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
                .to_owned(),
    }
}

/// The command that brings it.
pub(crate) fn bring() -> Command {
    Command::BringBeacon { beacon: round(), drawn: None }
}

fn draw_keys() -> Arc<DrawKeys> {
    let key = SecretString::from("a-draw-key-of-at-least-32-characters");
    Arc::new(DrawKeys::new(vec![("test".to_owned(), key)]).unwrap())
}

/// The log: what landed, for all desks.
#[derive(Default)]
pub(crate) struct Shelf {
    records: Vec<Record>,
}

impl Shelf {
    /// What happened to `opening`.
    pub(crate) fn events(&self, opening: &OpeningId) -> Vec<Event> {
        let of_it = self.records.iter().filter(|record| record.key.as_ref() == Some(opening));
        of_it.map(|record| record.event().unwrap()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

/// One instance's partition.
pub(crate) struct Desk {
    pub(crate) partition: Partition<u64>,
    keys: Arc<DrawKeys>,
    /// Hashes that are asked for and not made.
    pub(crate) orders: VecDeque<HashOrder>,
    /// Records handed over that have not landed.
    pub(crate) outbox: VecDeque<Record>,
    pub(crate) replies: Vec<(u64, Reply)>,
    /// Who waits for which beacon, as it was told last.
    pub(crate) beacons: Vec<(OpeningId, Beacon)>,
    tokens: u64,
}

impl Desk {
    /// One that hashes everything in another thread.
    pub(crate) fn new() -> Self {
        let keys = draw_keys();
        let config = WriterConfig::new(1, "http://127.0.0.1:1".to_owned(), Arc::clone(&keys));
        let config = WriterConfig { hash_inline: 0, ..config };
        Self {
            partition: Partition::new(0, Arc::new(config)),
            keys,
            orders: VecDeque::new(),
            outbox: VecDeque::new(),
            replies: Vec::new(),
            beacons: Vec::new(),
            tokens: 0,
        }
    }

    /// Reads what it has not read, and owns the partition from now on.
    pub(crate) fn claim(&mut self, shelf: &mut Shelf, now: Timestamp) {
        self.want(now);
        self.land(shelf, now);
        self.read(shelf, now);
        assert!(self.partition.serving());
    }

    /// Is asked to own the partition.
    pub(crate) fn want(&mut self, now: Timestamp) {
        self.partition.want(true, now, RANDOM ^ now.0.cast_unsigned());
        self.take();
    }

    /// Reads what it has not folded.
    pub(crate) fn read(&mut self, shelf: &Shelf, now: Timestamp) {
        let from = usize::try_from(self.partition.state().position).unwrap();
        self.read_on(shelf, from, now);
    }

    /// Reads from a place in the log on.
    pub(crate) fn read_on(&mut self, shelf: &Shelf, from: usize, now: Timestamp) {
        let stored = |(at, record): (usize, &Record)| StoredRecord {
            offset: at as u64,
            appended_at: now,
            record: record.clone(),
        };
        let new = shelf.records.iter().enumerate().skip(from).map(stored).collect();
        self.partition.followed(new, now, RANDOM);
        self.take();
    }

    /// Sends a command; its answer comes under the number given back.
    pub(crate) fn send(&mut self, opening: &OpeningId, command: Command, now: Timestamp) -> u64 {
        self.tokens += 1;
        let digest = command.digest(opening);
        let id = match &command {
            Command::Schedule(_) => schedule_id(opening),
            command => command.own_id(&digest).unwrap_or(CommandId(Uuid::from_u128(self.tokens.into()))),
        };
        let actor = Actor::Operator("desk".into());
        let request = Request { id, digest, actor, now, command };
        let patience_until = Timestamp(now.0 + 8_000);
        let submitted =
            Submitted { opening: opening.clone(), request, patience_until, reply_to: self.tokens };
        self.partition.submit(Box::new(submitted), now);
        self.take();
        self.tokens
    }

    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.partition.tick(now, RANDOM);
        self.take();
    }

    /// Everything that was handed over lands, and is reported.
    pub(crate) fn land(&mut self, shelf: &mut Shelf, now: Timestamp) {
        while let Some(record) = self.outbox.pop_front() {
            let (tenure, n) = (record.headers.tenure, record.headers.n);
            let outcome = Ok(shelf.records.len() as u64);
            shelf.records.push(record);
            self.partition.reported(vec![Report { partition: 0, tenure, n, outcome }], now, RANDOM);
            self.take();
        }
    }

    /// Makes the hashes that were asked for first.
    pub(crate) fn hash(&mut self, now: Timestamp) {
        let HashOrder { purpose, opening, job, seed } =
            self.orders.pop_front().expect("no hashes are asked for");
        self.partition.hashed(purpose, &opening, job.run(seed), now, RANDOM);
        self.take();
    }

    fn take(&mut self) {
        loop {
            let outputs = self.partition.take_outputs();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                match output {
                    Output::Append(records) => self.outbox.extend(records),
                    Output::Reply(token, reply) => self.replies.push((token, reply)),
                    Output::Hash(order) => self.orders.push_back(*order),
                    Output::Beacons(awaited) => self.beacons = awaited,
                    Output::Follow(_) | Output::Unfollow | Output::Owner(_) | Output::Changed(..) => {}
                }
            }
        }
    }

    /// The answer to a command, if there is one.
    pub(crate) fn reply(&self, token: u64) -> Option<&Reply> {
        self.replies.iter().find(|(answered, _)| *answered == token).map(|(_, reply)| reply)
    }

    /// A schedule whose draw takes `beacon`.
    pub(crate) fn schedule(&self, name: &str, beacon: Option<Beacon>) -> Command {
        let opening = opening(name);
        let (draw_key_id, seed_commitment) = self.keys.commit(&opening, schedule_id(&opening)).unwrap();
        Command::Schedule(Box::new(Schedule {
            title: name.to_owned(),
            opens_at: at(OPENS_AT_S),
            drains_at: None,
            closes_at: at(36_000),
            policy: Policy::default(),
            beacon,
            plans: Default::default(),
            showings: Vec::new(),
            seed_commitment,
            draw_key_id,
        }))
    }

    pub(crate) fn seed(&self, name: &str) -> Hash {
        let opening = opening(name);
        self.keys.seed("test", &opening, schedule_id(&opening)).unwrap()
    }
}
