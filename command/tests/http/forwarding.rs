//! Any instance takes any command; the owner decides it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use usher_command::http::Forwarder;
use usher_command::writer::Owner;
use usher_events::ids::OpeningId;
use usher_events::log::simulated::SimulatedLog;

use crate::calls::{Call, OPERATOR, post, visitor};
use crate::instance::{Instance, PARTITIONS, until, writer_config};
use crate::scenes::{CONCERT, admit, confirm, enter, hold, join, opening, schedule};

/// How long a forwarder waits in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// An instance that answers on the loopback.
pub(crate) struct Served {
    instance: Instance,
    _stop: oneshot::Sender<()>,
}

impl Deref for Served {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

/// Instance `node` of those that share `log`, answering on the loopback.
async fn serve(log: &SimulatedLog, node: usize) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let instance = at(log, node, &address, TIMEOUT);
    let (stop, stopped) = oneshot::channel::<()>();
    let until_stopped = async move { drop(stopped.await) };
    tokio::spawn(usher_http::server::serve(listener, instance.router.clone(), until_stopped));
    Served { instance, _stop: stop }
}

/// Instance `node`, which says that it answers at `address`.
pub(crate) fn at(log: &SimulatedLog, node: usize, address: &str, timeout: Duration) -> Instance {
    Instance::over(Arc::new(log.node(node)), writer_config(address), Some(Forwarder::new(timeout)))
}

impl Instance {
    /// Waits until this instance knows that another one owns the concert.
    pub(crate) async fn sees_another_owner(&self) {
        let (writers, concert) = (self.writers(), OpeningId::new("concert").unwrap());
        until(|| matches!(writers.owner(&concert), Owner::Other(_))).await;
    }
}

/// One that owns everything, and one that owns nothing.
pub(crate) async fn owner_and_other() -> (Served, Served) {
    let log = SimulatedLog::new(PARTITIONS);
    let owner = serve(&log, 0).await;
    let other = serve(&log, 1).await;
    owner.own_everything().await;
    other.sees_another_owner().await;
    (owner, other)
}

#[tokio::test]
async fn every_command_may_be_sent_to_an_instance_that_owns_nothing() {
    let (_owner, other) = owner_and_other().await;
    let [a, b] = other.inside(['a', 'b']).await;
    other.send(&hold(1, &a, &["G7", "G8"])).await.expect(201);
    let taken = other.send(&hold(2, &b, &["G7"])).await.problem(409, "seats-taken");
    assert_eq!(taken["seats"], json!([{"seat": "G7", "why": "held"}]));
    assert_eq!(other.send(&confirm(3, 1, "p-1")).await.expect(201)["state"], "booked");
    assert_eq!(other.writers().owned(), 0);
}

#[tokio::test]
async fn the_owners_answer_passes_through_unchanged() {
    let (owner, other) = owner_and_other().await;
    other.open().await;
    other.send(&join(&visitor('a'))).await.expect(201);
    let calls = [
        enter(&visitor('a')),
        enter(&visitor('b')),
        enter(&visitor('a')).by("short"),
        join(&visitor('a')).text("{"),
        hold(1, &visitor('a'), &["G7"]),
        post(format!("{CONCERT}/pause")),
    ];
    for call in calls {
        let call = call.header("x-request-id", "one-and-the-same");
        let (mut direct, mut passed_on) = (owner.send(&call).await, other.send(&call).await);
        // When to come again is drawn anew for each.
        for answer in [&mut direct, &mut passed_on] {
            answer.headers.remove("retry-after").is_some().then(|| answer.body["retry_after_s"].take());
            answer.headers.remove("content-length");
            answer.headers.remove("date");
        }
        assert_eq!(direct, passed_on, "{call:?}");
    }
}

#[tokio::test]
async fn a_pass_is_signed_by_the_owner_and_holds_seats_through_any_instance() {
    let (owner, other) = owner_and_other().await;
    let [a] = other.inside(['a']).await;
    let entered = other.send(&enter(&a)).await.expect(200);
    let pass = entered["pass"].as_str().unwrap();
    other.send(&hold(1, &a, &["G7"]).by(pass)).await.expect(201);
    owner.send(&hold(1, &a, &["G7"]).by(pass)).await.expect(200);
}

#[tokio::test]
async fn a_command_keeps_its_id_whichever_way_it_comes() {
    let (owner, other) = owner_and_other().await;
    other.open().await;
    let resume = post(format!("{CONCERT}/resume")).by(OPERATOR).key(1);
    other.send(&resume).await.expect(200);
    other.send(&post(format!("{CONCERT}/pause")).by(OPERATOR).key(2)).await.expect(200);
    let repeated = owner.send(&resume).await.expect(200);
    assert_eq!(repeated["state"], "paused", "it was done once");
    other.send(&join(&visitor('a'))).await.expect(201);
    other.send(&admit(3, 1)).await.expect(201);
    owner.send(&admit(3, 1)).await.expect(200);
}

#[tokio::test]
async fn a_command_is_passed_on_at_most_once() {
    let (_owner, other) = owner_and_other().await;
    other.open().await;
    let answer = other.refused(join(&visitor('a')).header("usher-hop", "1")).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(503, "owner-changed");
}

#[tokio::test]
async fn a_claim_with_a_wrong_address_sends_nobody_in_circles() {
    let log = SimulatedLog::new(PARTITIONS);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let other = at(&log, 1, &address, TIMEOUT);
    let served = usher_http::server::serve(listener, other.router.clone(), std::future::pending());
    tokio::spawn(served);
    // The owner says that it answers where the other one does.
    let owner = at(&log, 0, &address, TIMEOUT);
    owner.own_everything().await;
    other.sees_another_owner().await;
    other.refused(join(&visitor('a'))).await.problem(503, "owner-changed");
}

#[tokio::test]
async fn a_command_that_waited_for_a_writer_goes_to_whoever_takes_the_partition_over() {
    let log = SimulatedLog::new(PARTITIONS);
    let owner = serve(&log, 0).await;
    let other = serve(&log, 1).await;
    let router = other.router.clone();
    let sent = tokio::spawn(async move {
        let request = schedule(&opening(3_600)).request();
        tower::ServiceExt::oneshot(router, request).await.unwrap()
    });
    tokio::task::yield_now().await;
    owner.own_everything().await;
    let answer = crate::instance::read(sent.await.unwrap()).await;
    assert_eq!(answer.expect(201)["opening"], "concert");
}

#[tokio::test]
async fn after_a_handover_the_former_owner_passes_on() {
    let (first, second) = owner_and_other().await;
    first.open().await;
    first.send(&join(&visitor('a'))).await.expect(201);
    first.hand_over();
    second.own_everything().await;
    first.sees_another_owner().await;
    let again = first.send(&join(&visitor('a'))).await.expect(200);
    assert_eq!((&again["state"], &again["number"]), (&json!("waiting"), &json!(1)));
    assert_eq!(second.send(&join(&visitor('b'))).await.expect(201)["number"], 2);
}

#[tokio::test]
async fn an_owner_that_cannot_be_reached_is_503_and_the_caller_may_come_again() {
    let log = SimulatedLog::new(PARTITIONS);
    // Bound and let go: nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let owner = at(&log, 0, &format!("http://{gone}"), TIMEOUT);
    let other = at(&log, 1, "http://127.0.0.1:1", TIMEOUT);
    owner.own_everything().await;
    other.sees_another_owner().await;
    let answer = other.refused(join(&visitor('a'))).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(503, "owner-unreachable");
}

#[tokio::test]
async fn an_address_that_is_none_is_503() {
    let log = SimulatedLog::new(PARTITIONS);
    let owner = at(&log, 0, "nowhere at all", TIMEOUT);
    let other = at(&log, 1, "http://127.0.0.1:1", TIMEOUT);
    owner.own_everything().await;
    other.sees_another_owner().await;
    other.refused(join(&visitor('a'))).await.problem(503, "owner-unreachable");
}

/// An owner that takes connections and does nothing good with them: it keeps
/// them open, or closes them as soon as something has come.
async fn bad_owner(closes: bool) -> (String, Arc<AtomicUsize>) {
    use tokio::io::AsyncReadExt;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            if closes {
                drop(stream.read(&mut [0; 1_024]).await);
            } else {
                open.push(stream);
            }
        }
    });
    (address, connections)
}

async fn asked_of_a_bad_owner(closes: bool) {
    let log = SimulatedLog::new(PARTITIONS);
    let (address, connections) = bad_owner(closes).await;
    let owner = at(&log, 0, &address, TIMEOUT);
    let other = at(&log, 1, "http://127.0.0.1:1", Duration::from_millis(300));
    owner.own_everything().await;
    other.sees_another_owner().await;
    let asked = Instant::now();
    let answer = other.refused(join(&visitor('a'))).await;
    // Long before the connection itself is given up.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(503, "outcome-unknown");
    assert_eq!(connections.load(Ordering::SeqCst), 1, "it is never sent again");
}

#[tokio::test]
async fn an_owner_that_does_not_answer_leaves_the_outcome_unknown() {
    asked_of_a_bad_owner(false).await;
}

#[tokio::test]
async fn nobody_waits_for_an_owner_that_was_replaced() {
    let log = SimulatedLog::new(PARTITIONS);
    let (address, _connections) = bad_owner(false).await;
    let silent = at(&log, 0, &address, TIMEOUT);
    let other = serve(&log, 1).await;
    silent.own_everything().await;
    other.sees_another_owner().await;
    let router = other.router.clone();
    let asked = Instant::now();
    let sent = tokio::spawn(tower::ServiceExt::oneshot(router, join(&visitor('a')).request()));
    tokio::task::yield_now().await;
    other.own_everything().await;
    let answer = crate::instance::read(sent.await.unwrap().unwrap()).await;
    answer.problem(503, "outcome-unknown");
    // Long before the forwarder gives up by itself, or the connection.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn an_owner_that_breaks_off_leaves_the_outcome_unknown_and_is_not_asked_again() {
    asked_of_a_bad_owner(true).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_passed_on() {
    let (_owner, other) = owner_and_other().await;
    other.open().await;
    let large: Call = join(&visitor('a')).text(&format!("{{}}{}", " ".repeat(64 * 1024)));
    other.refused(large).await.problem(413, "too-large");
    // What an operator sends may be larger.
    let mut body = opening(-1);
    body["title"] = json!("Northern Lights");
    let padded = format!("{body}{}", " ".repeat(64 * 1024));
    let plans = crate::calls::put("/v1/openings/other").by(OPERATOR).text(&padded);
    other.send(&plans).await.expect(201);
}
