//! Takes what waits for a receiver from the outbox to it, in order per opening.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use usher_events::time::Timestamp;

use super::message::Message;
use super::outbox::{Failure, Line, Outbox, OutboxError};
use super::receiver::Receiver;

/// How often to look whether there is something to send.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The most messages of one line before others have their turn.
const AT_ONCE: usize = 128;
/// The most of an answer that is read, for the sake of its connection.
const ANSWER_BYTES: usize = 64 * 1024;
/// A lease is longer than an attempt by this.
const LEASE_BEYOND: Duration = Duration::from_secs(30);
/// The most of a fault that is kept.
const FAULT_CHARS: usize = 300;

/// How messages are sent.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many lines of a receiver are told at once.
    pub lines: usize,
    /// How long to wait after a failure: at first, at most; twice as long
    /// after each, with jitter.
    pub back_off: (Duration, Duration),
    /// A message that the receiver refuses so often is a dead letter.
    pub refusals: u32,
    /// A message that waits for so long, when an attempt fails, is one too.
    pub give_up_after: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            lines: 8,
            back_off: (Duration::from_secs(1), Duration::from_mins(5)),
            refusals: 8,
            give_up_after: Duration::from_hours(72),
        }
    }
}

/// Tells one receiver.
pub struct Courier {
    outbox: Arc<dyn Outbox>,
    receivers: Arc<Vec<Receiver>>,
    /// Which of them.
    index: usize,
    manner: Manner,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Whether the last attempt failed, so that an outage is told once.
    is_away: AtomicBool,
}

/// Why an attempt failed, and when to try again at the earliest.
struct Fault {
    failure: Failure,
    not_before: Duration,
}

impl Fault {
    fn away(fault: impl std::fmt::Display) -> Self {
        let failure = Failure { fault: fault.to_string(), refused: false };
        Self { failure, not_before: Duration::ZERO }
    }

    /// What an answer means that does not say that the message was taken.
    fn answered(status: StatusCode, not_before: Duration) -> Self {
        use StatusCode as S;
        let passing = matches!(status, S::REQUEST_TIMEOUT | S::TOO_EARLY | S::TOO_MANY_REQUESTS);
        let refused = status.is_client_error() && !passing;
        Self { failure: Failure { fault: format!("answered {status}"), refused }, not_before }
    }
}

impl Courier {
    /// A courier for each of `receivers`.
    ///
    /// # Errors
    /// The cryptography of TLS cannot be used.
    pub fn for_all(
        outbox: &Arc<dyn Outbox>,
        receivers: &Arc<Vec<Receiver>>,
        manner: Manner,
    ) -> Result<Vec<Self>, rustls::Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider)?;
        let client = Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build());
        let courier = |index| Self {
            outbox: Arc::clone(outbox),
            receivers: Arc::clone(receivers),
            index,
            manner,
            client: client.clone(),
            is_away: AtomicBool::new(false),
        };
        Ok((0..receivers.len()).map(courier).collect())
    }

    fn receiver(&self) -> &Receiver {
        &self.receivers[self.index]
    }

    fn lease(&self) -> Duration {
        self.manner.timeout + LEASE_BEYOND
    }

    /// Sends what waits, and what will, until told to stop; an attempt under
    /// way is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let courier = Arc::new(self);
        let mut lines = JoinSet::new();
        let mut is_outbox_away = false;
        while !stop.is_cancelled() {
            let room = courier.manner.lines - lines.len();
            let name = &courier.receiver().name;
            let taken = courier.outbox.take(name, room, courier.lease()).await;
            if let Err(error) = &taken
                && !is_outbox_away
            {
                warn!(receiver = name, %error, "webhooks stand still, trying on");
            }
            is_outbox_away = taken.is_err();
            for line in taken.unwrap_or_default() {
                lines.spawn(Arc::clone(&courier).tell(line, stop.clone()));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = lines.join_next() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        lines.join_all().await;
    }

    /// Tells a line's next messages.
    async fn tell(self: Arc<Self>, line: Line, stop: CancellationToken) {
        match self.tell_line(&line, &stop).await {
            Ok(()) | Err(OutboxError::Lost) => {}
            // What was sent and not kept is sent again when the lease is over.
            Err(error) => {
                warn!(receiver = line.receiver, opening = %line.opening, %error, "a webhook's state was not kept")
            }
        }
    }

    async fn tell_line(&self, line: &Line, stop: &CancellationToken) -> Result<(), OutboxError> {
        for message in self.outbox.next(line, AT_ONCE).await? {
            if stop.is_cancelled() {
                break;
            }
            let sent = tokio::time::timeout(self.manner.timeout, self.send(&message)).await;
            let sent = sent.unwrap_or_else(|_| {
                Err(Fault::away(format_args!("no answer within {:?}", self.manner.timeout)))
            });
            let Err(fault) = sent else {
                self.is_there();
                self.count("usher_webhooks_delivered_total");
                self.outbox.delivered(line, &message, self.lease()).await?;
                continue;
            };
            self.count("usher_webhooks_failed_total");
            if !self.is_lost(&message, &fault) {
                self.is_not_there(line, &message, &fault);
                let again_in = self.again_in(&message, &fault);
                return self.outbox.failed(line, &message, &fault.failure, again_in).await;
            }
            self.outbox.bury(line, &message, &fault.failure, self.lease()).await?;
            self.count("usher_webhooks_dead_total");
            let (receiver, id, fault) = (&line.receiver, &message.id, &fault.failure.fault);
            error!(receiver, opening = %line.opening, id, fault, "a webhook is a dead letter: an operator may redrive it");
        }
        self.outbox.give_back(line).await
    }

    async fn send(&self, message: &Message) -> Result<(), Fault> {
        let (receiver, now) = (self.receiver(), Timestamp::now());
        let signature = receiver.sign(message, now).map_err(Fault::away)?;
        let request = Request::post(receiver.url.clone())
            .header(header::CONTENT_TYPE, "application/cloudevents+json; charset=utf-8")
            .header(header::USER_AGENT, concat!("usher/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now.0.div_euclid(1_000).to_string())
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(message.body.clone())))
            .map_err(Fault::away)?;
        let answer = self.client.request(request).await.map_err(|error| Fault::away(causes(&error)))?;
        let status = answer.status();
        let seconds =
            answer.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let not_before = Duration::from_secs(seconds.unwrap_or(0)).min(self.manner.back_off.1);
        // Its status has said all; a connection whose answer was read serves again.
        drop(Limited::new(answer.into_body(), ANSWER_BYTES).collect().await);
        if status.is_success() { Ok(()) } else { Err(Fault::answered(status, not_before)) }
    }

    /// Whether a message is not sent again.
    fn is_lost(&self, message: &Message, fault: &Fault) -> bool {
        let waited = Timestamp::now().0.saturating_sub(message.since.0);
        let refused = fault.failure.refused && message.refusals + 1 >= self.manner.refusals;
        refused || u128::try_from(waited).is_ok_and(|waited| waited >= self.manner.give_up_after.as_millis())
    }

    /// When to send a message again that was sent in vain.
    fn again_in(&self, message: &Message, fault: &Fault) -> Duration {
        let (first, most) = self.manner.back_off;
        let doubled = first.saturating_mul(1 << message.attempts.min(20));
        let jittered = doubled.min(most).mul_f64(rand::rng().random_range(0.75..1.25));
        jittered.max(fault.not_before)
    }

    fn count(&self, what: &'static str) {
        metrics::counter!(what, "receiver" => self.receiver().name.clone()).increment(1);
    }

    fn is_there(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            info!(receiver = self.receiver().name, "webhooks are taken again");
        }
    }

    fn is_not_there(&self, line: &Line, message: &Message, fault: &Fault) {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            let (receiver, id, fault) = (&line.receiver, &message.id, &fault.failure.fault);
            warn!(receiver, opening = %line.opening, id, fault, "a webhook was not taken, trying on");
        }
    }
}

/// An error with what caused it, in a line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.chars().take(FAULT_CHARS).collect()
}
