//! Telling other processes that a view changed, by Redis's publish.

use std::time::Duration;

use ::redis::{AsyncCommands, Client};
use futures::StreamExt;
use tokio::sync::broadcast::error::RecvError;
use tracing::{info, warn};

use super::RedisQueues;
use crate::projection::Announcer;
use crate::store::Changed;

/// How long to wait before listening again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

fn channel(prefix: &str) -> String {
    format!("{prefix}:changes")
}

/// Passes what `announcer` announces on to other processes, for ever.
///
/// A notice that is lost costs a second: answers are kept no longer.
pub async fn publish(queues: RedisQueues, announcer: Announcer) {
    let (mut changes, channel) = (announcer.listen(), channel(&queues.prefix));
    loop {
        let changed = match changes.recv().await {
            Ok(changed) => changed,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Ok(notice) = serde_json::to_string(&*changed) else { continue };
        let sent: Result<(), _> = queues.connection.clone().publish(&channel, notice).await;
        if let Err(fault) = sent {
            tracing::debug!(%fault, "a notice was not sent");
        }
    }
}

/// Announces what other processes publish, for ever.
pub async fn listen(client: Client, prefix: String, announcer: Announcer) {
    let mut told = false;
    loop {
        match listen_once(&client, &channel(&prefix), &announcer, told).await {
            Ok(()) => warn!("the notices of changes ended; listening again"),
            Err(fault) if !told => warn!(%fault, "no notices of changes: Redis cannot be reached; trying on"),
            Err(_) => {}
        }
        told = true;
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn listen_once(
    client: &Client,
    channel: &str,
    announcer: &Announcer,
    again: bool,
) -> ::redis::RedisResult<()> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(channel).await?;
    if again {
        info!("listening to notices of changes again");
    }
    let mut notices = subscription.on_message();
    while let Some(notice) = notices.next().await {
        if let Ok(changed) = serde_json::from_slice::<Changed>(notice.get_payload_bytes()) {
            announcer.announce(changed);
        }
    }
    Ok(())
}
