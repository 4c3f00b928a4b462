//! What everyone asks, kept for a moment: one reader of the view at a time,
//! refreshed when the projector says that it changed.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use usher_events::ids::OpeningId;
use usher_events::record::Offset;

/// Old enough to be read again without a notice.
const LIFETIME: Duration = Duration::from_secs(1);
/// A change is shown at most so late: under load one read serves many changes.
const SETTLE: Duration = Duration::from_millis(50);
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
}

#[derive(Debug)]
struct Slot<V> {
    kept: RwLock<Option<Arc<Kept<V>>>>,
    stale: AtomicBool,
    reading: tokio::sync::Mutex<()>,
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

impl<V> Slot<V> {
    /// The kept answer, if it is good enough.
    fn good(&self, at_least: Offset) -> Option<Arc<Kept<V>>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let age = kept.read_at.elapsed();
        let fresh = age < SETTLE || (age < LIFETIME && !self.stale.load(Ordering::Relaxed));
        (fresh && kept.position >= at_least).then_some(kept)
    }
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// Something of `opening` changed.
    pub(crate) fn changed(&self, opening: &OpeningId) {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.get(opening).into_iter().flat_map(HashMap::values) {
            slot.stale.store(true, Ordering::Relaxed);
        }
    }

    /// The answer at `key`, true of `at_least` that position; read by `read`,
    /// which one caller does for all who wait.
    pub(crate) async fn get<E, F>(
        &self,
        opening: &OpeningId,
        key: K,
        at_least: Offset,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<Kept<V>>, E>
    where
        F: Future<Output = Result<(V, Offset), E>>,
    {
        let slot = self.slot(opening, key);
        if let Some(kept) = slot.good(at_least) {
            return Ok(kept);
        }
        let _reading = slot.reading.lock().await;
        if let Some(kept) = slot.good(at_least) {
            return Ok(kept);
        }
        // Before the read: a change during it makes the answer old again.
        slot.stale.store(false, Ordering::Relaxed);
        let read_at = Instant::now();
        let (value, position) = read().await?;
        let kept = Arc::new(Kept { value, position, read_at });
        *slot.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&kept));
        Ok(kept)
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
            slots.clear();
        }
        let new = || {
            Arc::new(Slot {
                kept: RwLock::new(None),
                stale: AtomicBool::new(false),
                reading: tokio::sync::Mutex::new(()),
            })
        };
        Arc::clone(slots.entry(opening.clone()).or_default().entry(key).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn opening() -> OpeningId {
        OpeningId::new("a").unwrap()
    }

    async fn read(cache: &Cache<(), u64>, reads: &AtomicU64, at_least: Offset) -> u64 {
        let read = || async {
            tokio::task::yield_now().await;
            let count = reads.fetch_add(1, Ordering::Relaxed) + 1;
            Ok::<_, ()>((count, count))
        };
        cache.get(&opening(), (), at_least, read).await.unwrap().value
    }

    #[tokio::test]
    async fn many_who_ask_at_once_are_served_by_one_read() {
        let (cache, reads) = (Cache::default(), AtomicU64::new(0));
        let asked = futures::future::join_all((0..100).map(|_| read(&cache, &reads, 0))).await;
        assert!(asked.into_iter().all(|answer| answer == 1));
    }

    #[tokio::test]
    async fn who_asks_for_a_later_position_gets_a_new_read() {
        let (cache, reads) = (Cache::default(), AtomicU64::new(0));
        assert_eq!(read(&cache, &reads, 0).await, 1);
        assert_eq!(read(&cache, &reads, 2).await, 2);
    }

    #[tokio::test]
    async fn a_change_is_seen_after_it_settled() {
        let (cache, reads) = (Cache::default(), AtomicU64::new(0));
        assert_eq!(read(&cache, &reads, 0).await, 1);
        let begun = Instant::now();
        cache.changed(&opening());
        while read(&cache, &reads, 0).await == 1 {
            assert!(begun.elapsed() < LIFETIME, "the notice was lost");
        }
    }
}
