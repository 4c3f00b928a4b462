//! Brings the rounds that draws wait for, from a relay of drand's, and says
//! aloud when one does not come.
//!
//! It is a caller like any other: what it brings is verified and decided as
//! if an operator had brought it, so the relay need not be trusted.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_command::http::{CommandState, Round, bring_beacon_as};
use usher_command::quicknet;
use usher_events::event::Beacon;
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;

use crate::fetch::Fetcher;

/// How often to look whether a draw waits for a round that is out.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a relay may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer of a relay, in bytes; a round has some 300.
const LONGEST_ANSWER: usize = 16 * 1024;
/// The least and the most time between two tries for one opening.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A round that is later than this does not seem to come at all.
const OVERDUE_AFTER: Duration = Duration::from_secs(600);

/// A round as a relay answers it, which says more than we need.
#[derive(Deserialize)]
struct RelayRound {
    round: u64,
    signature: String,
}

/// Where rounds are read.
struct Relay {
    fetcher: Fetcher,
    base: String,
}

impl Relay {
    async fn round(&self, round: u64) -> Result<Round, String> {
        let url = format!("{}/{}/public/{round}", self.base, quicknet::CHAIN_HASH);
        let answer = self.fetcher.get(&url, LONGEST_ANSWER, ANSWER_WITHIN).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let RelayRound { round, signature } =
            serde_json::from_slice(&answer).map_err(|error| format!("the answer is no round: {error}"))?;
        Ok(Round { round, signature, randomness: None })
    }
}

/// What is known of a draw that waits.
#[derive(Default)]
struct Waiting {
    tries: u32,
    not_before: Timestamp,
    told_overdue: bool,
}

/// Looks after the draws of this instance that wait for their rounds.
pub(crate) struct Beacons {
    state: CommandState,
    relay: Option<Relay>,
    waiting: HashMap<OpeningId, Waiting>,
}

impl Beacons {
    /// With the base address of a relay, or with none: then rounds are an
    /// operator's to bring.
    pub(crate) fn new(state: CommandState, relay: &str) -> Result<Self, rustls::Error> {
        let relay = match relay.trim().trim_end_matches('/') {
            "" => None,
            base => Some(Relay { fetcher: Fetcher::new()?, base: base.to_owned() }),
        };
        Ok(Self { state, relay, waiting: HashMap::new() })
    }

    /// Looks after them until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = self.look() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&mut self) {
        let awaited = self.state.writers.beacons();
        self.waiting.retain(|opening, _| awaited.iter().any(|(waiting, _)| waiting == opening));
        let mut overdue = 0;
        for (opening, beacon) in awaited {
            let now = Timestamp::now();
            if now < beacon.round_at {
                continue;
            }
            if now >= beacon.round_at + OVERDUE_AFTER {
                overdue += 1;
                self.tell_overdue(&opening, &beacon);
            }
            self.bring(opening, &beacon, now).await;
        }
        metrics::gauge!("usher_beacons_overdue").set(f64::from(overdue));
    }

    fn tell_overdue(&mut self, opening: &OpeningId, beacon: &Beacon) {
        let waiting = self.waiting.entry(opening.clone()).or_default();
        if !std::mem::replace(&mut waiting.told_overdue, true) {
            warn!(
                %opening, round = beacon.round, round_at = %beacon.round_at,
                "the beacon's round has not come: the draw waits for it or for the opening to be closed, and \
                 is never held without it"
            );
        }
    }

    /// Tries to bring the round, unless the last try was a moment ago.
    async fn bring(&mut self, opening: OpeningId, beacon: &Beacon, now: Timestamp) {
        let Some(relay) = &self.relay else { return };
        let waiting = self.waiting.entry(opening.clone()).or_default();
        if now < waiting.not_before {
            return;
        }
        let brought = match relay.round(beacon.round).await {
            Ok(round) => bring_beacon_as("fetch-beacon", &self.state, &opening, &round)
                .await
                .map_err(|problem| format!("{problem:?}")),
            Err(reason) => Err(reason),
        };
        match brought {
            Ok(()) => info!(%opening, round = beacon.round, "brought the beacon's round from the relay"),
            Err(reason) => {
                let (least, most) = AGAIN_AFTER;
                let pause = least.saturating_mul(1 << waiting.tries.min(10)).min(most);
                if waiting.tries == 0 {
                    warn!(%opening, round = beacon.round, reason, "the relay's round is of no use; trying on");
                }
                waiting.tries += 1;
                waiting.not_before = Timestamp::now() + pause.mul_f64(rand::random_range(0.75..1.25));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::StatusCode;
    use axum::routing::get;
    use secrecy::SecretString;
    use serde_json::{Value, json};
    use usher_command::claims::Claims;
    use usher_command::draw_keys::DrawKeys;
    use usher_command::http::JoinRates;
    use usher_command::writer::{WriterConfig, WriterThreads};
    use usher_events::log::embedded::EmbeddedLog;
    use usher_http::auth::Keys;
    use usher_http::pass::PassKeys;

    use super::*;

    const SIGNATURE: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

    /// A relay that answers with each of `answers`, and then with the last.
    async fn relay(answers: Vec<Value>) -> (String, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let answer = move || {
            let at = counted.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let answer = answers[at].clone();
            let status = if answer.is_null() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            std::future::ready((status, answer.to_string()))
        };
        let path = format!("/{}/public/1000", quicknet::CHAIN_HASH);
        let routes = axum::Router::new().route(&path, get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (address, asked)
    }

    /// Writers with one opening, whose draw takes round 1,000.
    async fn waiting(dir: &tempfile::TempDir) -> (WriterThreads, CommandState) {
        let log = Arc::new(EmbeddedLog::open(&dir.path().join("log.redb"), 1).unwrap());
        let key = SecretString::from("a-draw-key-of-at-least-32-characters");
        let draw_keys = Arc::new(DrawKeys::new(vec![("test".to_owned(), key)]).unwrap());
        let config = WriterConfig::new(1, "http://127.0.0.1:1".to_owned(), Arc::clone(&draw_keys));
        let threads = WriterThreads::start(config, log).unwrap();
        threads.want(&[0]);
        let keys = Keys::new(Vec::new()).unwrap();
        let pass_key = SecretString::from(format!("{}A", "p".repeat(42)));
        let passes = Arc::new(PassKeys::new("test", vec![("test".to_owned(), pass_key)]).unwrap());
        let (claims, join_rates) = (Arc::new(Claims::none()), Arc::new(JoinRates::unlimited()));
        let state = CommandState { writers: threads.writers(), keys, draw_keys, passes, claims, join_rates };
        let body = json!({
            "title": "Northern Lights", "opens_at": "2023-08-23T15:58:24Z",
            "closes_at": Timestamp::now().plus_s(3_600).to_rfc3339(),
            "beacon": {"source": "drand-quicknet", "round": 1_000, "round_at": "2023-08-23T15:59:24Z"},
        });
        let opening = OpeningId::new("concert").unwrap();
        assert!(usher_command::http::schedule_as("test", &state, &opening, &body).await.unwrap());
        until(|| !state.writers.beacons().is_empty()).await;
        (threads, state)
    }

    async fn until(is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("this is never so");
    }

    #[tokio::test]
    async fn a_relays_round_is_brought_once_it_is_there_and_right() {
        let dir = tempfile::tempdir().unwrap();
        let (threads, state) = waiting(&dir).await;
        let (address, asked) = relay(vec![
            Value::Null,
            json!("no round"),
            json!({"round": 1_000, "signature": "00".repeat(48)}),
            json!({"round": 999, "signature": SIGNATURE}),
            json!({"round": 1_000, "randomness": "not looked at", "signature": SIGNATURE}),
        ])
        .await;
        let mut beacons = Beacons::new(state.clone(), &address).unwrap();
        let concert = OpeningId::new("concert").unwrap();
        for tries in 1..=4 {
            beacons.look().await;
            assert_eq!(beacons.waiting[&concert].tries, tries);
            beacons.look().await;
            assert_eq!(asked.load(Ordering::Relaxed) as u32, tries, "not again at once");
            beacons.waiting.get_mut(&concert).unwrap().not_before = Timestamp(0);
            assert_eq!(state.writers.beacons().len(), 1, "still waiting");
        }
        beacons.look().await;
        until(|| state.writers.beacons().is_empty()).await;
        beacons.look().await;
        assert_eq!(asked.load(Ordering::Relaxed), 5);
        assert!(beacons.waiting.is_empty());
        threads.stop();
    }

    #[tokio::test]
    async fn without_a_relay_a_round_that_does_not_come_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (threads, state) = waiting(&dir).await;
        let mut beacons = Beacons::new(state.clone(), "").unwrap();
        beacons.look().await;
        assert!(beacons.waiting.values().all(|waiting| waiting.told_overdue && waiting.tries == 0));
        assert_eq!(state.writers.beacons().len(), 1, "never drawn without it");
        threads.stop();
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let endless = "x".repeat(LONGEST_ANSWER + 1);
        let routes = axum::Router::new().fallback(move || std::future::ready(endless.clone()));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let read = Fetcher::new().unwrap().get(&address, LONGEST_ANSWER, ANSWER_WITHIN).await;
        assert!(matches!(read, Err(crate::fetch::FetchError::Body(_))), "{read:?}");
    }
}
