//! What an operator may ask and do about projections.

use usher_events::log::{Log, Partition, ReadError};
use usher_events::record::Offset;
use usher_events::time::Timestamp;

use crate::store::{Act, Place, Skip, Stop, Store, StoreError};

/// Where one projection of one partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Which projection.
    pub projection: &'static str,
    /// Which partition.
    pub partition: Partition,
    /// How far it is.
    pub place: Place,
    /// Whether it has stopped, and why.
    pub stop: Option<Stop>,
    /// What operators did about its stops, newest first.
    pub acts: Vec<Act>,
}

/// Where a projection is, in each of `partitions` partitions.
pub async fn inspect(store: &dyn Store, partitions: u32) -> Result<Vec<Inspected>, StoreError> {
    let mut inspected = Vec::with_capacity(partitions as usize);
    for partition in 0..partitions {
        inspected.push(Inspected {
            projection: store.projection(),
            partition,
            place: store.place(partition).await?,
            stop: store.stopped(partition).await?,
            acts: store.acts(partition).await?,
        });
    }
    Ok(inspected)
}

/// Has a stopped projection try its record again; what it had stopped for,
/// or none when it had not stopped.
pub async fn resume(store: &dyn Store, partition: Partition, by: &str) -> Result<Option<Stop>, StoreError> {
    let Some(stop) = store.stopped(partition).await? else { return Ok(None) };
    store.go_on(partition, None, &act("resume", stop.offset, by, "")).await?;
    Ok(Some(stop))
}

/// Has a projection that stopped at `offset` go on after that record, which
/// is never applied. Refused when it did not stop there.
pub async fn skip(
    log: &dyn Log,
    store: &dyn Store,
    partition: Partition,
    offset: Offset,
    by: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let follows = store.place(partition).await?;
    let stop = store.stopped(partition).await?;
    if follows.position != offset || stop.is_none_or(|stop| stop.offset != offset) {
        return Err(StoreError::Refused);
    }
    let unreadable = |error: ReadError| StoreError::Unavailable(error.to_string());
    let records = log.read(partition, offset).next().await.map_err(unreadable)?;
    let Some(record) = records.into_iter().find(|stored| stored.offset == offset) else {
        return Err(StoreError::Refused);
    };
    let mut to = Place { position: offset + 1, ..follows };
    to.cursor.judge(offset, record.record.stamp());
    store.go_on(partition, Some(&Skip { follows, to }), &act("skip", offset, by, reason)).await
}

fn act(what: &str, offset: Offset, by: &str, reason: &str) -> Act {
    Act { what: what.to_owned(), offset, by: by.to_owned(), reason: reason.to_owned(), at: Timestamp::now() }
}
