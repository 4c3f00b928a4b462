//! The task that tells everyone who watches the same what changed: it reads
//! the views once, however many listen.

use std::cmp::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use usher_events::log::Partition;
use usher_http::as_of::AsOf;
use usher_http::problem::Problem;

use super::event::Id;
use super::hub::Topic;
use super::stream::Stream;
use crate::cache::{Kept, Wanted};
use crate::seats::{Shown, changes_since, no_changes};
use crate::state::{Parts, QueryState, missing};
use crate::status::Status;

/// A status is told so often at most.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// The views are looked at so often at most, and changes of seats told.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look when no notice comes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who listens hears something so often at least.
const BEAT_EVERY: Duration = Duration::from_secs(15);
/// A stream that nobody listens to is kept so long for those who come back.
const LINGER: Duration = Duration::from_secs(30);

/// Something to look at, and from when on.
struct Due {
    is: bool,
    from: Instant,
}

impl Due {
    fn after(wait: Duration) -> Self {
        Self { is: false, from: Instant::now() + wait }
    }

    /// When to look; later than `at` is early enough where nothing is due.
    fn by(&self, at: Instant) -> Instant {
        if self.is { self.from } else { at }
    }

    /// Whether to look now.
    fn now(&self) -> bool {
        self.is && Instant::now() >= self.from
    }
}

/// Tells one topic's changes.
pub(super) struct Teller {
    topic: Topic,
    partition: Partition,
    stream: Arc<Stream>,
    /// What the status said that was told last.
    said: u64,
}

/// What a stream begins with.
struct Begun {
    at: Id,
    status: Arc<Kept<Status>>,
    seats_at: Option<Bytes>,
}

impl Begun {
    fn status(&self) -> &[u8] {
        self.status.value.ready.body.as_deref().unwrap_or_default()
    }
}

impl QueryState {
    /// What is told of `topic` first, if there are such an opening and showing.
    async fn begin(&self, topic: &Topic, partition: Partition) -> Result<Begun, Problem> {
        let Topic { opening, showing } = topic;
        let status = self.status(opening, partition, Wanted::newest(0)).await?;
        if status.value.ready.body.is_none() {
            return Err(missing("opening", partition, status.position));
        }
        let position = status.position;
        let Some(showing) = showing else {
            return Ok(Begun { at: Id { position, version: None }, status, seats_at: None });
        };
        let kept = self.seats(opening, partition, showing, Wanted::newest(0)).await?;
        let Some(Shown { map, .. }) = &kept.value else {
            return Err(missing("showing", partition, kept.position));
        };
        let seats_at = no_changes(showing, map.version, AsOf::one(partition, kept.position))?.body;
        Ok(Begun { at: Id { position, version: Some(map.version) }, status, seats_at })
    }
}

impl Teller {
    /// The teller of a new stream, if there is what it would tell of.
    pub(super) async fn new(state: &QueryState, topic: Topic) -> Result<Self, Problem> {
        let partition = state.partition_of(&topic.opening);
        let begun = state.begin(&topic, partition).await?;
        let stream = Arc::new(Stream::new(begun.at, begun.status(), begun.seats_at.as_deref()));
        Ok(Self { topic, partition, stream, said: begun.status.value.content })
    }

    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Tells what changes until nobody listens any more.
    pub(super) async fn run(mut self, parts: Weak<Parts>) {
        let Some(stop) = parts.upgrade().map(|parts| parts.updates.stop.clone()) else { return };
        let (mut status, mut seats) = (Due::after(STATUS_EVERY), Due::after(SETTLE));
        let mut look_at = Instant::now() + LOOK_EVERY;
        let (mut beat_at, mut heard_at) = (Instant::now() + BEAT_EVERY, Instant::now());
        loop {
            let wake_at = status.by(look_at).min(seats.by(look_at)).min(look_at).min(beat_at);
            let noticed = tokio::select! {
                () = self.stream.changed.notified() => true,
                () = tokio::time::sleep_until(wake_at) => false,
                () = stop.cancelled() => false,
            };
            let Some(state) = parts.upgrade().map(QueryState) else { return };
            if stop.is_cancelled() {
                state.updates.remove(&self.topic, true);
                return;
            }
            if noticed || Instant::now() >= look_at {
                (status.is, seats.is) = (true, self.topic.showing.is_some());
                look_at = Instant::now() + LOOK_EVERY;
            }
            let mut told = false;
            if seats.now() {
                told |= self.tell_seats(&state).await;
                seats = Due::after(SETTLE);
            }
            if status.now() {
                let told_status = self.tell_status(&state).await;
                status = Due::after(if told_status { STATUS_EVERY } else { SETTLE });
                told |= told_status;
            }
            if told || Instant::now() >= beat_at {
                beat_at = Instant::now() + BEAT_EVERY;
                if !told {
                    self.stream.beat();
                }
            }
            if self.stream.listeners() > 0 {
                heard_at = Instant::now();
            } else if heard_at.elapsed() >= LINGER && state.updates.remove(&self.topic, false) {
                return;
            }
        }
    }

    /// Tells the status, if it says something else; whether it did. A view
    /// that cannot be read is looked at again soon.
    async fn tell_status(&mut self, state: &QueryState) -> bool {
        let kept = state.status(&self.topic.opening, self.partition, Wanted::newest(0)).await;
        let Ok(kept) = kept else { return false };
        let Some(status) = &kept.value.ready.body else { return false };
        if kept.position < self.stream.at().position {
            return self.begin_again(state).await;
        }
        if kept.value.content == self.said {
            return false;
        }
        self.said = kept.value.content;
        self.stream.tell_status(kept.position, status);
        true
    }

    /// Tells what changed in the seats, if something did; whether it did.
    async fn tell_seats(&mut self, state: &QueryState) -> bool {
        let (Some(showing), Some(version)) = (&self.topic.showing, self.stream.at().version) else {
            return false;
        };
        let kept = state.seats(&self.topic.opening, self.partition, showing, Wanted::newest(0)).await;
        let Ok(kept) = kept else { return false };
        let Some(Shown { map, .. }) = &kept.value else { return false };
        let as_of = || AsOf::one(self.partition, kept.position);
        match map.version.cmp(&version) {
            Ordering::Less => self.begin_again(state).await,
            Ordering::Equal => false,
            Ordering::Greater => {
                let changes = changes_since(showing, map, version, as_of()).map(|changes| changes.body);
                let seats_at = no_changes(showing, map.version, as_of()).map(|seats_at| seats_at.body);
                let (Ok(Some(changes)), Ok(Some(seats_at))) = (changes, seats_at) else { return false };
                self.stream.tell_seats(map.version, &changes, &seats_at);
                true
            }
        }
    }

    /// The views went back: they are rebuilt.
    async fn begin_again(&mut self, state: &QueryState) -> bool {
        let Ok(begun) = state.begin(&self.topic, self.partition).await else { return false };
        self.said = begun.status.value.content;
        self.stream.begin_again(begun.at, begun.status(), begun.seats_at.as_deref());
        true
    }
}
