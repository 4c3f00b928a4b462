//! How many joins are taken from one address, and into one opening.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use futures::future::join_all;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;
use usher_command::http::{Forwarder, JoinRates};
use usher_events::log::simulated::SimulatedLog;
use usher_http::peer::{Peer, Proxies};

use crate::calls::{Answer, Call, visitor};
use crate::forwarding::TIMEOUT;
use crate::instance::{Instance, PARTITIONS, read, writer_config};
use crate::scenes::{admit, enter, join, leave};

const HOME: &str = "192.0.2.1";
const SCHOOL: &str = "192.0.2.2";

fn two_from_each_address(trusted: &[&str]) -> JoinRates {
    let trusted: Vec<String> = trusted.iter().map(|network| (*network).to_owned()).collect();
    JoinRates::new(2, 0, Proxies::new(&trusted).unwrap())
}

impl Instance {
    /// Sends a request as it comes in from `address`.
    async fn send_from(&self, address: &str, call: &Call) -> Answer {
        let mut request = call.request();
        let peer: IpAddr = address.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        read(self.router.clone().oneshot(request).await.unwrap()).await
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers[name].to_str().unwrap()
}

#[track_caller]
fn too_many(answer: Answer, limit: &str) -> Value {
    let after: u64 = header(&answer, "retry-after").parse().unwrap();
    assert!(after >= 1, "{after}");
    let problem = answer.problem(429, "too-many-joins");
    assert_eq!((&problem["limit"], &problem["retry_after_s"]), (&limit.into(), &after.into()));
    problem
}

#[tokio::test]
async fn an_address_that_sends_too_many_joins_is_told_when_to_come_again_and_others_are_not() {
    let instance = Instance::with_rates(two_from_each_address(&[])).await;
    instance.open().await;
    let first = instance.send_from(HOME, &join(&visitor('a'))).await;
    assert_eq!(header(&first, "ratelimit-policy"), r#""address";q=2;w=60"#);
    assert_eq!(header(&first, "ratelimit"), r#""address";r=1;t=30"#);
    first.expect(201);
    // The same again counts, too: it costs as much.
    instance.send_from(HOME, &join(&visitor('a'))).await.expect(200);
    let refused = instance.send_from(HOME, &join(&visitor('b'))).await;
    assert!(header(&refused, "ratelimit").starts_with(r#""address";r=0;t="#));
    too_many(refused, "address");
    instance.send_from(SCHOOL, &join(&visitor('b'))).await.expect(201);
}

#[tokio::test]
async fn only_joins_are_counted() {
    let instance = Instance::with_rates(two_from_each_address(&[])).await;
    instance.open().await;
    instance.send_from(HOME, &join(&visitor('a'))).await.expect(201);
    instance.send_from(HOME, &admit(1, 1)).await.expect(201);
    for _ in 0..5 {
        let entered = instance.send_from(HOME, &enter(&visitor('a'))).await;
        assert!(!entered.headers.contains_key("ratelimit"));
        assert!(entered.status < 300, "{}", entered.body);
    }
    instance.send_from(HOME, &leave(&visitor('a'))).await.expect(200);
    instance.send_from(HOME, &join(&visitor('b'))).await.expect(201);
}

#[tokio::test]
async fn an_opening_takes_so_many_joins_in_a_second_whoever_sends_them() {
    let instance = Instance::with_rates(JoinRates::new(0, 3, Proxies::default())).await;
    instance.open().await;
    let calls: Vec<Call> = ('a'..='z').map(|letter| join(&visitor(letter))).collect();
    let answers = join_all(calls.iter().cycle().take(200).map(|call| instance.send(call))).await;
    let (refused, taken): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 429);
    assert!(taken.len() >= 3 && !refused.is_empty(), "{} taken", taken.len());
    assert!(taken.iter().all(|answer| answer.status < 300));
    for refused in refused {
        assert_eq!(header(&refused, "ratelimit-policy"), r#""opening";q=3;w=1"#);
        too_many(refused, "opening");
    }
}

/// An owner and one that owns nothing, which trust those in `trusted`.
async fn owner_and_other(trusted: &[&str]) -> (Instance, Instance) {
    let log = SimulatedLog::new(PARTITIONS);
    let instance = |node, address: &str| {
        let (config, forwarder) = (writer_config(address), Some(Forwarder::new(TIMEOUT)));
        Instance::over_with_rates(Arc::new(log.node(node)), config, forwarder, two_from_each_address(trusted))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let owner = instance(0, &format!("http://{}", listener.local_addr().unwrap()));
    let other = instance(1, "http://127.0.0.1:1");
    let router = owner.router.clone();
    tokio::spawn(usher_http::server::serve(listener, router, std::future::pending()));
    owner.own_everything().await;
    other.sees_another_owner().await;
    (owner, other)
}

#[tokio::test]
async fn a_join_that_is_passed_on_counts_where_it_came_in_and_not_for_who_passed_it_on() {
    let (owner, other) = owner_and_other(&["127.0.0.1"]).await;
    owner.open().await;
    for (address, letters) in [(HOME, ['a', 'b']), (SCHOOL, ['c', 'd']), ("2001:db8::1", ['e', 'f'])] {
        for letter in letters {
            other.send_from(address, &join(&visitor(letter))).await.expect(201);
        }
        too_many(other.send_from(address, &join(&visitor('g'))).await, "address");
    }
}

#[tokio::test]
async fn a_stranger_who_says_that_they_passed_it_on_is_counted() {
    let (owner, _other) = owner_and_other(&["127.0.0.1"]).await;
    owner.open().await;
    let made_up =
        |letter, of: &str| join(&visitor(letter)).header("usher-hop", "1").header("x-forwarded-for", of);
    owner.send_from(HOME, &made_up('a', "192.0.2.7")).await.expect(201);
    owner.send_from(HOME, &made_up('b', "192.0.2.8")).await.expect(201);
    too_many(owner.send_from(HOME, &made_up('c', "192.0.2.9")).await, "address");
}

#[tokio::test]
async fn whom_a_trusted_proxy_asks_for_is_counted_and_not_the_proxy() {
    let instance = Instance::with_rates(two_from_each_address(&["10.0.0.0/8"])).await;
    instance.open().await;
    let asks_for = |letter, address| join(&visitor(letter)).header("x-forwarded-for", address);
    for (address, letters) in [(HOME, ['a', 'b']), (SCHOOL, ['c', 'd'])] {
        for letter in letters {
            instance.send_from("10.1.2.3", &asks_for(letter, address)).await.expect(201);
        }
        too_many(instance.send_from("10.1.2.3", &asks_for('e', address)).await, "address");
    }
}
