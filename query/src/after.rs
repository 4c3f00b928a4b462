//! `?after=`: waiting, within bounds, until a view has what the caller saw.

use std::sync::Arc;

use serde::Deserialize;
use tokio::time::Instant;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;
use usher_http::as_of::AsOf;
use usher_http::problem::Problem;

use crate::state::{QueryState, away};

/// How often to look when no notice comes.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

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

    /// The position that the answer must be true of.
    fn position(&self, partition: Partition) -> Offset {
        let positions = self.after.iter().flat_map(AsOf::positions);
        positions.filter(|(of, _)| *of == partition).map(|(_, position)| *position).max().unwrap_or(0)
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
        if position > 0 {
            state.wait_for(partition, position, views).await?;
        }
        Ok((partition, position))
    }
}

impl QueryState {
    async fn wait_for(&self, partition: Partition, position: Offset, views: Views) -> Result<(), Problem> {
        // Listening first: a change between looking and listening is not missed.
        let mut changes = self.announcer.listen();
        if self.reached(partition, views).await? >= position {
            return Ok(());
        }
        let too_late = || {
            Problem::unavailable("view-behind", "the view does not have that yet")
                .with("after", AsOf::one(partition, position))
        };
        let _place = Arc::clone(&self.waiters).try_acquire_owned().map_err(|_| too_late())?;
        let deadline = Instant::now() + self.config.after_timeout;
        while Instant::now() < deadline {
            let look_at = deadline.min(Instant::now() + LOOK_EVERY);
            // Lagged, closed or early: looking again is right in every case.
            let _notice = tokio::time::timeout_at(look_at, async {
                while changes.recv().await.is_ok_and(|changed| changed.partition != partition) {}
            })
            .await;
            if self.reached(partition, views).await? >= position {
                return Ok(());
            }
        }
        Err(too_late())
    }

    async fn reached(&self, partition: Partition, views: Views) -> Result<Offset, Problem> {
        let queue = async { self.queues.reached(partition).await.map(|place| place.position) };
        let booking = async { self.bookings.reached(partition).await.map(|place| place.position) };
        match views {
            Views::Queue => queue.await.map_err(away),
            Views::Booking => booking.await.map_err(away),
            Views::Both => Ok(queue.await.map_err(away)?.min(booking.await.map_err(away)?)),
        }
    }
}
