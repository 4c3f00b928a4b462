//! The thread that tells the writers what presence noticed.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use tokio::sync::Semaphore;
use tracing::error;
use usher_events::log::Partition as PartitionId;

use super::config::WriterConfig;
use super::threads::Input;
use crate::opening::Command;
use crate::presence::{Notice, Presence};

/// Returns are told so often in a second.
const TURNS: u32 = 10;
/// The most notices of one partition that wait for its writer.
const WAITING: usize = 8;

/// The running thread.
#[derive(Debug)]
pub(super) struct Noticing {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Noticing {
    pub(super) fn start(
        config: &WriterConfig,
        presence: Arc<Presence>,
        inboxes: Vec<Sender<Input>>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded::<()>(0);
        let turn = config.presence_second / TURNS;
        let lane = |inbox| Lane { inbox, places: Arc::new(Semaphore::new(WAITING)) };
        let lanes: Vec<Lane> = inboxes.into_iter().map(lane).collect();
        let builder = std::thread::Builder::new().name("usher-presence".to_owned());
        let thread = builder.spawn(move || {
            for turn_of_second in (0..TURNS).cycle() {
                if stopped.recv_timeout(turn) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                look(&presence, &lanes, turn_of_second == 0);
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread.
    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            error!("the thread of presence had panicked");
        }
    }
}

/// The way to one partition's writer.
struct Lane {
    inbox: Sender<Input>,
    places: Arc<Semaphore>,
}

impl Lane {
    /// How many notices it takes now.
    fn room(&self) -> usize {
        self.places.available_permits()
    }

    fn tell(&self, partition: PartitionId, notice: Notice, command: impl Fn(Vec<u32>) -> Command) {
        // Only this thread takes places, and looked how many there are.
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let (opening, command) = (notice.opening, command(notice.indexes));
        drop(self.inbox.send(Input::Noticed { partition, opening, command, permit }));
    }
}

fn look(presence: &Presence, lanes: &[Lane], a_second_passed: bool) {
    if a_second_passed {
        presence.second_passed();
    }
    for (partition, lane) in (0..).zip(lanes) {
        for notice in presence.back(partition, lane.room()) {
            lane.tell(partition, notice, |indexes| Command::Return { indexes });
        }
        if a_second_passed {
            for notice in presence.silent(partition, lane.room()) {
                lane.tell(partition, notice, |indexes| Command::GoAway { indexes });
            }
        }
    }
}
