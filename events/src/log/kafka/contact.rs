//! Whether brokers can be reached, and what librdkafka says, without its
//! repeating itself: one outage is one line, not one a second from each of
//! twenty clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{error, info, warn};

/// For how long the same kind of line is not said again.
const QUIET: Duration = Duration::from_secs(60);
/// The most kinds of lines that are told apart.
const KINDS: usize = 256;

/// Shared by all clients of one log. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact(Arc<State>);

#[derive(Debug, Default)]
struct State {
    away: AtomicBool,
    said: Mutex<HashMap<String, Said>>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    held_back: u64,
}

impl Contact {
    /// Something came back from a broker.
    pub(super) fn reached(&self) {
        if self.0.away.load(Ordering::Relaxed) && self.0.away.swap(false, Ordering::Relaxed) {
            info!("Kafka is reached again");
        }
    }

    /// No broker is reached at all.
    fn lost(&self, reason: &str) {
        if !self.0.away.swap(true, Ordering::Relaxed) {
            warn!(reason, "Kafka cannot be reached; trying on");
        }
    }

    /// How many lines of this kind were held back since the last one that was
    /// said, or none when this one is to be held back too.
    pub(super) fn may_say(&self, kind: &str) -> Option<u64> {
        self.may_say_at(kind, Instant::now())
    }

    fn may_say_at(&self, kind: &str, now: Instant) -> Option<u64> {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = said.get_mut(kind) {
            if now.duration_since(before.at) < QUIET {
                before.held_back += 1;
                return None;
            }
            before.at = now;
            return Some(std::mem::take(&mut before.held_back));
        }
        if said.len() >= KINDS {
            said.clear();
        }
        said.insert(kind.to_owned(), Said { at: now, held_back: 0 });
        Some(0)
    }
}

impl ClientContext for Contact {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        if matches!(level, Notice | Info | Debug) {
            tracing::debug!(target: "librdkafka", facility, "{line}");
            return;
        }
        let Some(held_back) = self.may_say(facility) else { return };
        match level {
            Emerg | Alert | Critical => error!(target: "librdkafka", facility, held_back, "{line}"),
            Error | Warning | Notice | Info | Debug => {
                warn!(target: "librdkafka", facility, held_back, "{line}");
            }
        }
    }

    fn error(&self, fault: KafkaError, reason: &str) {
        match fault.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.lost(reason),
            // Each is followed by the line above if it was the last broker.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                tracing::debug!(target: "librdkafka", "{reason}");
            }
            code => {
                let kind = code.map_or_else(|| fault.to_string(), |code| format!("{code:?}"));
                if let Some(held_back) = self.may_say(&kind) {
                    warn!(%fault, held_back, "Kafka: {reason}");
                }
            }
        }
    }
}

impl ConsumerContext for Contact {}

/// Drops a client in a thread of its own: that waits for librdkafka's threads.
pub(super) fn drop_elsewhere<T: Send + 'static>(client: T) {
    let dropper = std::thread::Builder::new().name("usher-kafka-end".to_owned());
    if let Err(fault) = dropper.spawn(move || drop(client)) {
        warn!(%fault, "no thread for ending a Kafka client; it was ended on the spot");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_kind_of_line_is_said_once_a_minute_with_the_number_held_back() {
        let (contact, start) = (Contact::default(), Instant::now());
        assert_eq!(contact.may_say_at("FAIL", start), Some(0));
        assert_eq!(contact.may_say_at("FAIL", start + QUIET / 2), None);
        assert_eq!(contact.may_say_at("FAIL", start + QUIET / 2), None);
        assert_eq!(contact.may_say_at("REQTMOUT", start + QUIET / 2), Some(0), "another kind");
        assert_eq!(contact.may_say_at("FAIL", start + QUIET), Some(2));
    }

    #[test]
    fn kinds_are_bounded() {
        let (contact, now) = (Contact::default(), Instant::now());
        for i in 0..10 * KINDS {
            assert_eq!(contact.may_say_at(&i.to_string(), now), Some(0));
        }
        assert!(contact.0.said.lock().unwrap().len() <= KINDS);
    }
}
