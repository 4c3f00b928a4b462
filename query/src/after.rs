//! `?after=`: waiting, within bounds, until a view has what the caller saw.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::problem::Problem;
use usher_projector::store::Changed;

use crate::state::{QueryState, away};

/// How often to look when no notice comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The query parameters of most routes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<AsOf>,
}

/// Which views an answer is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Views {
    Queue,
    Booking,
    Both,
}

impl After {
    /// What an answer must be true of.
    pub(crate) fn new(after: Option<AsOf>) -> Self {
        Self { after }
    }

    /// What the caller saw, if anything.
    pub(crate) fn positions(&self) -> &[(Partition, Offset)] {
        self.after.as_ref().map_or(&[], AsOf::positions)
    }

    /// What the caller saw of `partition`; 0, which every view has, if nothing.
    pub(crate) fn position(&self, partition: Partition) -> Offset {
        self.after.as_ref().map_or(0, |after| after.position(partition))
    }

    /// Waits until the views have what the caller saw; the opening's
    /// partition and the position to answer of, at least.
    pub(crate) async fn wait(
        &self,
        state: &QueryState,
        opening: &OpeningId,
        views: Views,
    ) -> Result<(Partition, Offset), Problem> {
        let partition = state.partition_of(opening);
        let position = self.position(partition);
        state.wait_for(partition, position, views).await?;
        Ok((partition, position))
    }
}

impl QueryState {
    /// Waits until the views of `partition` have everything before `position`.
    pub(crate) async fn wait_for(
        &self,
        partition: Partition,
        position: Offset,
        views: Views,
    ) -> Result<(), Problem> {
        if position == 0 {
            return Ok(());
        }
        // Listening first: a change between looking and listening is not missed.
        let mut changes = self.announcer.listen();
        if self.has(partition, position, views, Instant::now()).await? {
            return Ok(());
        }
        let too_late = || {
            Problem::unavailable("view-behind", "the view does not have that yet")
                .with("after", AsOf::one(partition, position))
        };
        let _place = Arc::clone(&self.waiters).try_acquire_owned().map_err(|_| too_late())?;
        let deadline = Instant::now() + self.config.after_timeout;
        loop {
            let look_at = deadline.min(Instant::now() + LOOK_EVERY);
            let noticed = tokio::time::timeout_at(look_at, noticed(&mut changes, partition)).await.is_ok();
            // Without a notice, what another looked up in the meantime will do.
            let since = if noticed { Instant::now() } else { look_at - LOOK_EVERY };
            if self.has(partition, position, views, since).await? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(too_late());
            }
        }
    }

    /// Whether the views are so far, by what was looked up after `since`.
    async fn has(
        &self,
        partition: Partition,
        position: Offset,
        views: Views,
        since: Instant,
    ) -> Result<bool, Problem> {
        if views != Views::Booking {
            let read = || async { self.queues.reached(partition).await.map(|place| place.position) };
            let reached = self.queue_places.reached(partition, position, since, read).await;
            if reached.map_err(away)? < position {
                return Ok(false);
            }
        }
        if views != Views::Queue {
            let read = || async { self.bookings.reached(partition).await.map(|place| place.position) };
            let reached = self.booking_places.reached(partition, position, since, read).await;
            return Ok(reached.map_err(away)? >= position);
        }
        Ok(true)
    }
}

/// Returns when something of `partition` changed, or may have: after notices
/// were missed, looking again is right.
async fn noticed(changes: &mut Receiver<Arc<Changed>>, partition: Partition) {
    while changes.recv().await.is_ok_and(|changed| changed.partition != partition) {}
}
