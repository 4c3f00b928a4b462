//! What everyone asks, kept for a moment: one reader of the view at a time,
//! refreshed when the projector says that it changed.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use usher_events::ids::OpeningId;
use usher_events::record::Offset;

/// Old enough to be read again without a notice.
pub(crate) const LIFETIME: Duration = Duration::from_secs(1);
/// A change is shown at most so late: under load one read serves many changes.
pub(crate) const SETTLE: Duration = Duration::from_millis(50);
/// The most answers that are kept.
const MOST: usize = 4_096;

/// A kept answer.
#[derive(Debug)]
pub(crate) struct Kept<V> {
    /// The answer.
    pub(crate) value: V,
    /// The position that it is true of.
    pub(crate) position: Offset,
    read_at: Instant,
    /// How many changes had been told before it was read.
    seen: u64,
}

/// What an answer must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// True of this position, at least.
    pub(crate) at_least: Offset,
    /// How long a change that was told may not be in it.
    pub(crate) settle: Duration,
}

impl Wanted {
    /// True of this position at least, and shared under load.
    pub(crate) fn at(at_least: Offset) -> Self {
        Self { at_least, settle: SETTLE }
    }

    /// The same with every change that was told.
    pub(crate) fn newest(at_least: Offset) -> Self {
        Self { at_least, settle: Duration::ZERO }
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    kept: RwLock<Option<Arc<Kept<V>>>>,
    /// How many changes were told.
    changes: AtomicU64,
    reading: tokio::sync::Mutex<()>,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        let (kept, changes) = (RwLock::new(None), AtomicU64::new(0));
        Self { kept, changes, reading: tokio::sync::Mutex::new(()) }
    }
}

impl<V> Slot<V> {
    /// What it is of changed.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn kept(&self) -> Option<Arc<Kept<V>>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The kept answer, if it is good enough.
    fn good(&self, wanted: Wanted) -> Option<Arc<Kept<V>>> {
        let kept = self.kept()?;
        let age = kept.read_at.elapsed();
        let fresh =
            age < wanted.settle || (age < LIFETIME && kept.seen == self.changes.load(Ordering::Relaxed));
        (fresh && kept.position >= wanted.at_least).then_some(kept)
    }

    /// The answer; read by `read`, which one caller does for all who wait and
    /// which gets the answer that was kept.
    pub(crate) async fn get<E, F>(
        &self,
        wanted: Wanted,
        read: impl FnOnce(Option<Arc<Kept<V>>>) -> F,
    ) -> Result<Arc<Kept<V>>, E>
    where
        F: Future<Output = Result<(V, Offset), E>>,
    {
        if let Some(kept) = self.good(wanted) {
            return Ok(kept);
        }
        let _reading = self.reading.lock().await;
        if let Some(kept) = self.good(wanted) {
            return Ok(kept);
        }
        // Before the read: a change during it makes the answer old at once.
        let (seen, read_at) = (self.changes.load(Ordering::Relaxed), Instant::now());
        let (value, position) = read(self.kept()).await?;
        let kept = Arc::new(Kept { value, position, read_at, seen });
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&kept));
        Ok(kept)
    }

    /// Whether somebody asked for it lately.
    fn is_used(&self) -> bool {
        self.kept().is_none_or(|kept| kept.read_at.elapsed() < LIFETIME)
    }
}

/// What is kept of one opening.
type Slots<K, V> = HashMap<K, Arc<Slot<V>>>;

/// Answers by opening and key.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    slots: RwLock<HashMap<OpeningId, Slots<K, V>>>,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { slots: RwLock::new(HashMap::new()) }
    }
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// Something of `opening` changed.
    pub(crate) fn changed(&self, opening: &OpeningId) {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(opening).into_iter().flat_map(HashMap::values).for_each(|slot| slot.changed());
    }

    /// The answer at `key`; see [`Slot::get`].
    pub(crate) async fn get<E, F>(
        &self,
        opening: &OpeningId,
        key: K,
        wanted: Wanted,
        read: impl FnOnce(Option<Arc<Kept<V>>>) -> F,
    ) -> Result<Arc<Kept<V>>, E>
    where
        F: Future<Output = Result<(V, Offset), E>>,
    {
        self.slot(opening, key).get(wanted, read).await
    }

    fn slot(&self, opening: &OpeningId, key: K) -> Arc<Slot<V>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(opening).and_then(|slots| slots.get(&key)) {
            return Arc::clone(slot);
        }
        drop(slots);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        // Strangers choose openings and showings: what is kept stays bounded.
        if slots.values().map(HashMap::len).sum::<usize>() >= MOST {
            make_room(&mut slots);
        }
        Arc::clone(slots.entry(opening.clone()).or_default().entry(key).or_default())
    }
}

/// Forgets what nobody asks for any more; everything when that is not enough.
fn make_room<K: Hash + Eq, V>(slots: &mut HashMap<OpeningId, Slots<K, V>>) {
    slots.values_mut().for_each(|slots| slots.retain(|_, slot| slot.is_used()));
    slots.retain(|_, slots| !slots.is_empty());
    if slots.values().map(HashMap::len).sum::<usize>() > MOST / 2 {
        slots.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> OpeningId {
        OpeningId::new("a").unwrap()
    }

    async fn read(cache: &Cache<u32, u64>, reads: &AtomicU64, wanted: Wanted) -> u64 {
        let read = |_| async {
            tokio::task::yield_now().await;
            let count = reads.fetch_add(1, Ordering::Relaxed) + 1;
            Ok::<_, ()>((count, count))
        };
        cache.get(&opening(), 0, wanted, read).await.unwrap().value
    }

    #[tokio::test]
    async fn many_who_ask_at_once_are_served_by_one_read() {
        let (cache, reads) = (Cache::default(), AtomicU64::new(0));
        let asked = futures::future::join_all((0..100).map(|_| read(&cache, &reads, Wanted::at(0)))).await;
        assert!(asked.into_iter().all(|answer| answer == 1));
    }

    #[tokio::test]
    async fn who_asks_for_a_later_position_gets_a_new_read() {
        let (cache, reads) = (Cache::default(), AtomicU64::new(0));
        assert_eq!(read(&cache, &reads, Wanted::at(0)).await, 1);
        assert_eq!(read(&cache, &reads, Wanted::at(2)).await, 2);
    }

    #[tokio::test]
    async fn a_change_is_seen_after_it_settled_and_at_once_by_who_wants_the_newest() {
        let (cache, reads) = (Cache::default(), AtomicU64::new(0));
        assert_eq!(read(&cache, &reads, Wanted::at(0)).await, 1);
        let begun = Instant::now();
        cache.changed(&opening());
        assert_eq!(read(&cache, &reads, Wanted::newest(0)).await, 2);
        cache.changed(&opening());
        while read(&cache, &reads, Wanted::at(0)).await == 2 {
            assert!(begun.elapsed() < LIFETIME, "the notice was lost");
        }
    }

    #[tokio::test]
    async fn a_read_that_failed_or_was_given_up_is_tried_again() {
        let slot = Slot::default();
        slot.get(Wanted::at(0), |_| async { Ok::<_, ()>((1, 1)) }).await.unwrap();
        slot.changed();
        let never = |_| std::future::pending::<Result<(u64, u64), ()>>();
        assert!(futures::FutureExt::now_or_never(slot.get(Wanted::newest(0), never)).is_none());
        let failed = slot.get(Wanted::newest(0), |_| async { Err::<(u64, u64), _>(()) }).await;
        assert_eq!(failed.map(|kept| kept.value), Err(()));
        let read = slot.get(Wanted::newest(0), |kept: Option<Arc<Kept<u64>>>| async move {
            Ok::<_, ()>((kept.unwrap().value + 1, 2))
        });
        assert_eq!(read.await.unwrap().value, 2);
    }

    #[tokio::test]
    async fn strangers_who_ask_for_everything_do_not_make_it_grow() {
        let cache = Cache::<u32, u64>::default();
        for key in 0..10_000 {
            cache.get(&opening(), key, Wanted::at(0), |_| async { Ok::<_, ()>((0, 0)) }).await.unwrap();
        }
        let kept = cache.slots.read().unwrap().values().map(HashMap::len).sum::<usize>();
        assert!(kept <= MOST, "{kept}");
    }
}
