//! Heartbeats of openings that another instance owns: collected for a moment
//! and sent on together, once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use usher_events::ids::OpeningId;
use usher_http::auth;
use usher_http::problem::Problem;

use super::Forwarder;
use super::heartbeats::{self, Heard, HeardTogether, Heartbeat, Heartbeats};
use super::problems;
use crate::writer::{Owner, Writers};

/// How long heartbeats are collected.
const COLLECT_FOR: Duration = Duration::from_millis(50);
/// The most heartbeats of this instance that wait for their owners.
const WAITING: usize = 16_384;
/// How long an owner may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Sends heartbeats on. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    forwarder: Forwarder,
    places: Arc<Semaphore>,
    /// What is collected for each owner, by its address.
    collected: Mutex<HashMap<Arc<str>, Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    heartbeat: Heartbeat,
    reply: oneshot::Sender<Heard>,
    _place: OwnedSemaphorePermit,
}

impl Relay {
    pub(super) fn new(forwarder: Forwarder) -> Self {
        let (places, collected) = (Arc::new(Semaphore::new(WAITING)), Mutex::default());
        Self { shared: Arc::new(Shared { forwarder, places, collected }) }
    }

    /// Has the owner hear the visitor whose secret is in `headers`.
    pub(super) async fn tell(
        &self,
        writers: &Writers,
        opening: OpeningId,
        headers: &HeaderMap,
    ) -> Result<Heard, Problem> {
        let Owner::Other(address) = writers.owner(&opening) else { return Ok(Heard::Elsewhere) };
        let secret = auth::credential(headers)?.unwrap_or_default().to_owned();
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        let Ok(_place) = place else { return Err(problems::overloaded()) };
        let (reply, answer) = oneshot::channel();
        self.collect(address, Waiting { heartbeat: Heartbeat { opening, secret }, reply, _place });
        // Nothing can be half done: it may simply be said again.
        answer.await.map_err(|_| problems::owner_unreachable())
    }

    /// The first one waits for others, the one that makes it full for none.
    fn collect(&self, address: Arc<str>, waiting: Waiting) {
        let mut collected = self.shared.collected();
        match collected.entry(Arc::clone(&address)) {
            Entry::Vacant(entry) => {
                entry.insert(vec![waiting]);
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    tokio::time::sleep(COLLECT_FOR).await;
                    let together = shared.collected().remove(&address);
                    shared.send(&address, together.unwrap_or_default()).await;
                });
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().push(waiting);
                if entry.get().len() == heartbeats::MOST {
                    let (shared, together) = (Arc::clone(&self.shared), entry.remove());
                    tokio::spawn(async move { shared.send(&address, together).await });
                }
            }
        }
    }
}

impl Shared {
    fn collected(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Waiting>>> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what was collected and answers each; who gets no answer is told
    /// to come again.
    async fn send(&self, address: &str, together: Vec<Waiting>) {
        if together.is_empty() {
            return;
        }
        let (heartbeats, replies): (Vec<_>, Vec<_>) =
            together.into_iter().map(|waiting| (waiting.heartbeat, (waiting.reply, waiting._place))).unzip();
        match self.exchange(address, Heartbeats { heartbeats }).await {
            Ok(answers) => {
                for ((reply, _place), heard) in replies.into_iter().zip(answers) {
                    // A caller who is gone misses nothing.
                    drop(reply.send(heard));
                }
            }
            Err(fault) => self.forwarder.warn(address, &fault, "heartbeats were not passed on"),
        }
    }

    async fn exchange(&self, address: &str, heartbeats: Heartbeats) -> Result<Vec<Heard>, String> {
        let body = serde_json::to_vec(&heartbeats).map_err(|fault| fault.to_string())?;
        let posted = self.forwarder.post(address, heartbeats::PATH, Bytes::from(body));
        let answered = tokio::time::timeout(ANSWER_WITHIN, posted).await;
        let body = answered.map_err(|_| "no answer in time".to_owned())??;
        let told: HeardTogether = serde_json::from_slice(&body).map_err(|fault| fault.to_string())?;
        if told.answers.len() == heartbeats.heartbeats.len() {
            Ok(told.answers)
        } else {
            Err("answers to other heartbeats".to_owned())
        }
    }
}
