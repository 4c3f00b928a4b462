//! Destroying subject keys some days after the last showing.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use usher_events::ids::{Actor, OpeningId};
use usher_events::time::Timestamp;

use super::subject_keys::SubjectKeyStore;
use crate::opening::{Command, Request, Resource};
use crate::writer::{Owner, Reply, Writers};

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
const DAY_S: u32 = 24 * 3_600;

/// Destroys the keys of openings that were over `keep_days` ago, as long as it
/// runs. Each instance looks after the openings that it owns.
pub async fn destroy_when_over(store: Arc<dyn SubjectKeyStore>, writers: Writers, keep_days: u32) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        destroy_due(&*store, &writers, keep_days, Timestamp::now()).await;
    }
}

/// Destroys the keys that are due at `now`.
pub async fn destroy_due(store: &dyn SubjectKeyStore, writers: &Writers, keep_days: u32, now: Timestamp) {
    let openings = match store.openings().await {
        Ok(openings) => openings,
        Err(fault) => return warn!(%fault, "old subject keys are not destroyed now"),
    };
    for opening in openings {
        let Some(over_at) = over_at(writers, &opening).await else { continue };
        if over_at.plus_s(keep_days.saturating_mul(DAY_S)) > now {
            continue;
        }
        match store.destroy(&opening).await {
            Ok(_) => info!(%opening, keep_days, "destroyed the subject key: the opening is long over"),
            Err(fault) => warn!(%opening, %fault, "an old subject key could not be destroyed"),
        }
    }
}

/// When the opening is over, if this instance owns it.
async fn over_at(writers: &Writers, opening: &OpeningId) -> Option<Timestamp> {
    if writers.owner(opening) != Owner::Me {
        return None;
    }
    let command = Command::AskWhenOver;
    let digest = command.digest(opening);
    let id = command.own_id(&digest)?;
    let actor = Actor::Timer(command.name());
    let request = Request { id, digest, actor, now: Timestamp::default(), command };
    match writers.decide(opening.clone(), request).await {
        Ok(Reply::Done { resource, .. }) => match *resource {
            Resource::Over { over_at } => Some(over_at),
            _ => None,
        },
        _ => None,
    }
}
