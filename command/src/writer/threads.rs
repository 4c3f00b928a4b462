//! The threads that drive partitions: real clock, real log.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tokio::sync::OwnedSemaphorePermit;
use tracing::error;
use usher_events::ids::OpeningId;
use usher_events::log::{Log, Partition as PartitionId, Report, ReportSink};
use usher_events::record::{Offset, StoredRecord};
use usher_events::time::Timestamp;

use super::config::WriterConfig;
use super::follow::{Followers, spawn_followers};
use super::hashing::{HashOrder, HashesFor};
use super::mailbox::{Owner, ReplyTo, Writers};
use super::notices::Noticing;
use super::partition::{Output, Partition};
use super::replies::Submitted;
use crate::opening::Command;
use crate::presence::Presence;

/// The most inputs that are handled before their records go out.
const BATCH: usize = 1_024;
/// The longest a thread waits before it looks at its clock again.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What reaches a writer's thread.
#[derive(Debug)]
pub(super) enum Input {
    Submit(PartitionId, Box<Submitted<ReplyTo>>),
    Reported(Vec<Report>),
    /// Records read in the follower's round `round`; the permit bounds how
    /// much waits here.
    Followed {
        partition: PartitionId,
        round: u64,
        records: Vec<StoredRecord>,
        permit: OwnedSemaphorePermit,
    },
    EndSeen(PartitionId, Offset),
    CatchUpTo(PartitionId, Offset),
    Want(PartitionId, bool),
    /// What presence noticed; the permit bounds how much waits here.
    Noticed {
        partition: PartitionId,
        opening: OpeningId,
        command: Command,
        permit: OwnedSemaphorePermit,
    },
    Hashed {
        partition: PartitionId,
        purpose: HashesFor,
        opening: OpeningId,
        command: Box<Command>,
    },
    Stop,
}

/// The running writers of this process.
#[derive(Debug)]
pub struct WriterThreads {
    writers: Writers,
    inboxes: Vec<Sender<Input>>,
    threads: Vec<JoinHandle<()>>,
    followers: Followers,
    noticing: Noticing,
}

impl WriterThreads {
    /// Starts min(cores, partitions) threads, and a follower for each
    /// partition in the current tokio runtime. Nothing is claimed before
    /// [`WriterThreads::want`] says so.
    pub fn start(config: WriterConfig, log: Arc<dyn Log>) -> std::io::Result<Self> {
        let config = Arc::new(config);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.min(config.partitions as usize).max(1);
        let channels: Vec<_> = (0..count).map(|_| unbounded()).collect();
        let inboxes: Vec<Sender<Input>> =
            (0..config.partitions as usize).map(|partition| channels[partition % count].0.clone()).collect();
        let presence = Arc::new(Presence::new(config.partitions));
        let writers = Writers::new(&config, inboxes.clone(), Arc::clone(&presence));
        let followers = spawn_followers(&log, &inboxes);
        let mut threads = Vec::with_capacity(count);
        let noticing = Noticing::start(&config, Arc::clone(&presence), inboxes.clone())?;
        for (index, (sender, receiver)) in channels.into_iter().enumerate() {
            let shared = (&writers, &followers, &presence);
            let thread = WriterThread::new(index, count, &config, &log, shared, (sender, receiver));
            let builder = std::thread::Builder::new().name(format!("usher-writer-{index}"));
            threads.push(builder.spawn(move || thread.run())?);
        }
        Ok(Self { writers, inboxes, threads, followers, noticing })
    }

    /// The way in for commands.
    pub fn writers(&self) -> Writers {
        self.writers.clone()
    }

    /// Suggests that this instance owns exactly `wanted`.
    pub fn want(&self, wanted: &[PartitionId]) {
        for (partition, inbox) in (0..).zip(&self.inboxes) {
            drop(inbox.send(Input::Want(partition, wanted.contains(&partition))));
        }
    }

    /// Whether all that stood in the log at the start is folded.
    pub fn caught_up(&self) -> bool {
        self.followers.caught_up()
    }

    /// Hands all partitions over, and ends the threads once nothing is in
    /// flight any more.
    pub fn stop(self) {
        self.want(&[]);
        for inbox in &self.inboxes {
            drop(inbox.send(Input::Stop));
        }
        self.followers.stop();
        self.noticing.stop();
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a writer thread had panicked");
            }
        }
    }
}

/// One thread with the partitions it drives.
struct WriterThread {
    inbox: Receiver<Input>,
    own: Sender<Input>,
    log: Arc<dyn Log>,
    reports: ReportSink,
    writers: Writers,
    followers: Followers,
    presence: Arc<Presence>,
    index: usize,
    stride: usize,
    partitions: Vec<Partition<ReplyTo>>,
    /// Of batches that are not folded yet.
    permits: HashMap<PartitionId, Vec<OwnedSemaphorePermit>>,
    stopping: bool,
}

impl WriterThread {
    fn new(
        index: usize,
        stride: usize,
        config: &Arc<WriterConfig>,
        log: &Arc<dyn Log>,
        (writers, followers, presence): (&Writers, &Followers, &Arc<Presence>),
        (own, inbox): (Sender<Input>, Receiver<Input>),
    ) -> Self {
        let sink = own.clone();
        let partitions = (0..config.partitions)
            .skip(index)
            .step_by(stride)
            .map(|id| Partition::new(id, Arc::clone(config)))
            .collect();
        Self {
            inbox,
            own,
            log: Arc::clone(log),
            reports: Arc::new(move |reports| drop(sink.send(Input::Reported(reports)))),
            writers: writers.clone(),
            followers: followers.clone(),
            presence: Arc::clone(presence),
            index,
            stride,
            partitions,
            permits: HashMap::new(),
            stopping: false,
        }
    }

    fn run(mut self) {
        self.flush();
        loop {
            match self.inbox.recv_timeout(self.wait()) {
                Ok(input) => {
                    let now = Timestamp::now();
                    self.handle(input, now);
                    for _ in 1..BATCH {
                        let Ok(input) = self.inbox.try_recv() else { break };
                        self.handle(input, now);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Timestamp::now();
            for partition in &mut self.partitions {
                if partition.next_tick() <= now {
                    partition.tick(now, rand::random());
                }
            }
            self.flush();
            if self.stopping && self.partitions.iter().all(|p| !p.serving()) {
                return;
            }
        }
    }

    fn wait(&self) -> Duration {
        let next = self.partitions.iter().map(Partition::next_tick).min().unwrap_or(Timestamp::MAX);
        let ms = next.ms_since(Timestamp::now()).max(0);
        Duration::from_millis(ms.cast_unsigned()).min(LONGEST_WAIT)
    }

    fn partition(&mut self, id: PartitionId) -> Option<&mut Partition<ReplyTo>> {
        self.partitions.get_mut(id as usize / self.stride)
    }

    fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Submit(id, submitted) => {
                if let Some(partition) = self.partition(id) {
                    partition.submit(submitted, now);
                }
            }
            Input::Reported(reports) => {
                let Some(id) = reports.first().map(|report| report.partition) else { return };
                if let Some(partition) = self.partition(id) {
                    partition.reported(reports, now, rand::random());
                }
            }
            Input::Followed { partition: id, round, records, permit } => {
                if self.followers.round(id) == round
                    && let Some(partition) = self.partition(id)
                {
                    partition.followed(records, now, rand::random());
                    self.permits.entry(id).or_default().push(permit);
                    self.tell_folded(id);
                }
            }
            Input::EndSeen(id, end) => {
                if let Some(partition) = self.partition(id) {
                    partition.end_seen(end, now, rand::random());
                }
            }
            Input::CatchUpTo(id, end) => {
                if let Some(partition) = self.partition(id) {
                    partition.catch_up_to(end);
                    partition.tick(now, rand::random());
                    self.tell_folded(id);
                }
            }
            Input::Want(id, wanted) => {
                let wanted = wanted && !self.stopping;
                if let Some(partition) = self.partition(id) {
                    partition.want(wanted, now, rand::random());
                }
            }
            Input::Noticed { partition: id, opening, command, permit } => {
                if let Some(partition) = self.partition(id) {
                    partition.noticed(&opening, command, now);
                }
                drop(permit);
            }
            Input::Hashed { partition: id, purpose, opening, command } => {
                if let Some(partition) = self.partition(id) {
                    partition.hashed(purpose, &opening, *command, now, rand::random());
                    self.tell_folded(id);
                }
            }
            Input::Stop => self.stopping = true,
        }
    }

    /// Notes how far a partition is folded. While it waits for hashes, its
    /// follower reads no further than there are permits.
    fn tell_folded(&mut self, id: PartitionId) {
        let Some(partition) = self.partition(id) else { return };
        let (position, caught_up) = (partition.state().position, partition.caught_up());
        let held_up = partition.held_up().is_some();
        self.followers.folded(id, position, caught_up);
        if !held_up {
            self.permits.remove(&id);
        }
    }

    fn flush(&mut self) {
        for slot in 0..self.partitions.len() {
            let id = PartitionId::try_from(self.index + slot * self.stride).unwrap_or(PartitionId::MAX);
            for output in self.partitions[slot].take_outputs() {
                self.carry_out(id, output);
            }
        }
    }

    fn carry_out(&self, id: PartitionId, output: Output<ReplyTo>) {
        match output {
            Output::Append(records) => self.log.append(id, records, &self.reports),
            Output::Reply(reply_to, reply) => reply_to.send(reply),
            Output::Follow(from) => self.followers.follow(id, Some(from)),
            Output::Unfollow => self.followers.follow(id, None),
            Output::Owner(owner) => self.owned_by(id, owner),
            Output::Changed(changes, position) => self.presence.apply(id, changes, position),
            Output::Hash(order) => self.hash(id, *order),
            Output::Beacons(awaited) => self.writers.set_beacons(id, awaited),
        }
    }

    /// Presence begins before the first heartbeat is sent here.
    fn owned_by(&self, id: PartitionId, owner: Owner) {
        match (&owner, self.partitions.get(id as usize / self.stride)) {
            (Owner::Me, Some(partition)) => self.presence.begin(id, partition.state()),
            _ => self.presence.end(id),
        }
        self.writers.set_owner(id, owner);
    }

    /// Hashes in a thread of its own: a draw is rare and takes seconds.
    fn hash(&self, partition: PartitionId, order: HashOrder) {
        let own = self.own.clone();
        let HashOrder { purpose, opening, job, seed } = order;
        let builder = std::thread::Builder::new().name("usher-draw".to_owned());
        let spawned = builder.spawn(move || {
            let command = Box::new(job.run(seed));
            drop(own.send(Input::Hashed { partition, purpose, opening, command }));
        });
        if let Err(fault) = spawned {
            error!(partition, %fault, "no thread for the draw's hashes; the tenure goes on without the draw");
        }
    }
}
