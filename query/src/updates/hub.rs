//! All streams: one for each opening and showing that somebody watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use usher_events::ids::{OpeningId, ShowingId};
use usher_http::problem::Problem;

use super::stream::{Beginning, Seen, Stream};

/// What a stream tells of: an opening's status and, with a showing, its seats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) opening: OpeningId,
    pub(super) showing: Option<ShowingId>,
}

/// The streams of one opening, by showing.
type OfOpening = HashMap<Option<ShowingId>, Arc<Stream>>;

/// All streams.
#[derive(Debug)]
pub(crate) struct Hub {
    streams: Mutex<HashMap<OpeningId, OfOpening>>,
    /// One stream is begun at a time.
    pub(super) beginning: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
    /// Ends all streams.
    pub(super) stop: CancellationToken,
}

/// One connection's place among those that may be open.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("usher_updates_connections").decrement(1.0);
    }
}

impl Hub {
    /// Streams for so many connections at most, which end with `stop`.
    pub(crate) fn new(connections: usize, stop: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(connections));
        Self { streams: Mutex::default(), beginning: tokio::sync::Mutex::default(), places, stop }
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<OpeningId, OfOpening>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection.
    pub(super) fn place(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::unavailable("too-many-listeners", "no more connections are taken here; poll meanwhile")
                .retry_after(std::time::Duration::from_secs(10))
        })?;
        metrics::gauge!("usher_updates_connections").increment(1.0);
        Ok(Place(permit))
    }

    /// Something of `opening` changed.
    pub(crate) fn changed(&self, opening: &OpeningId) {
        let streams = self.streams();
        let of_opening = streams.get(opening).into_iter().flat_map(HashMap::values);
        of_opening.for_each(|stream| stream.changed.notify_one());
    }

    /// Listens to the stream of `topic`, if there is one.
    pub(super) fn listen(&self, topic: &Topic, seen: Seen) -> Option<Beginning> {
        let streams = self.streams();
        let stream = streams.get(&topic.opening)?.get(&topic.showing)?;
        Some(stream.listen(seen))
    }

    pub(super) fn add(&self, topic: &Topic, stream: Arc<Stream>) {
        self.streams().entry(topic.opening.clone()).or_default().insert(topic.showing.clone(), stream);
    }

    /// Ends the stream of `topic`, unless somebody listens and it is not
    /// `certain` to end. Whoever comes later begins a new one.
    pub(super) fn remove(&self, topic: &Topic, certain: bool) -> bool {
        let mut streams = self.streams();
        let Some(of_opening) = streams.get_mut(&topic.opening) else { return true };
        if !certain && of_opening.get(&topic.showing).is_some_and(|stream| stream.listeners() > 0) {
            return false;
        }
        of_opening.remove(&topic.showing);
        if of_opening.is_empty() {
            streams.remove(&topic.opening);
        }
        true
    }
}
