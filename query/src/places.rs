//! How far the views are: one reads it for all who wait for the same.

use std::future::Future;

use tokio::sync::Mutex;
use tokio::time::Instant;
use usher_events::log::Partition;
use usher_events::record::Offset;

/// How far one view of one partition was, and when that was looked up.
#[derive(Debug, Clone, Copy)]
struct Known {
    position: Offset,
    read_at: Instant,
}

/// How far one view is, by partition.
#[derive(Debug)]
pub(crate) struct Places(Vec<Mutex<Option<Known>>>);

impl Places {
    pub(crate) fn new(partitions: u32) -> Self {
        Self((0..partitions).map(|_| Mutex::new(None)).collect())
    }

    /// How far `partition` is: what is known, if it is `at_least` so far or
    /// was looked up after `since`; else as `read` tells.
    pub(crate) async fn reached<E, F>(
        &self,
        partition: Partition,
        at_least: Offset,
        since: Instant,
        read: impl FnOnce() -> F,
    ) -> Result<Offset, E>
    where
        F: Future<Output = Result<Offset, E>>,
    {
        let Some(place) = self.0.get(partition as usize) else { return read().await };
        let mut known = place.lock().await;
        if let Some(Known { position, read_at }) = *known
            && (position >= at_least || read_at >= since)
        {
            return Ok(position);
        }
        let read_at = Instant::now();
        let position = read().await?;
        *known = Some(Known { position, read_at });
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    async fn reached(places: &Places, reads: &AtomicU64, at_least: Offset, since: Instant) -> Offset {
        let read = || async {
            tokio::task::yield_now().await;
            Ok::<_, ()>(reads.fetch_add(1, Ordering::Relaxed) + 1)
        };
        places.reached(0, at_least, since, read).await.unwrap()
    }

    #[tokio::test]
    async fn who_came_before_a_look_shares_it() {
        let (places, reads, since) = (Places::new(1), AtomicU64::new(0), Instant::now());
        let all = (0..100).map(|_| reached(&places, &reads, 9, since));
        assert!(futures::future::join_all(all).await.into_iter().all(|position| position == 1));
    }

    #[tokio::test]
    async fn what_is_far_enough_is_not_looked_up_again_and_what_is_not_is() {
        let (places, reads) = (Places::new(1), AtomicU64::new(0));
        assert_eq!(reached(&places, &reads, 1, Instant::now()).await, 1);
        assert_eq!(reached(&places, &reads, 1, Instant::now()).await, 1);
        assert_eq!(reached(&places, &reads, 2, Instant::now()).await, 2);
    }
}
