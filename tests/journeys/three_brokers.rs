//! Three brokers, and the leader is killed.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use usher_events::ids::OpeningId;
use usher_events::partition::partition_of;

use crate::ALONE;
use crate::crowd::{Load, Visitor};
use crate::roles::{GO_ON_WITHIN, PARTITIONS, Roles};
use crate::servers::{Place, Stack};

/// Which broker leads the opening's partition.
fn leader(place: &Place, opening: &str) -> i32 {
    let partition = partition_of(&OpeningId::new(opening).unwrap(), PARTITIONS);
    let client: BaseConsumer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &place.brokers).create().unwrap();
    let metadata = client.fetch_metadata(Some(&place.topic), Duration::from_secs(10)).unwrap();
    let partitions = metadata.topics()[0].partitions();
    partitions
        .iter()
        .find(|found| found.id().cast_unsigned() == partition)
        .expect("the partition is there")
        .leader()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_the_leader_of_three_brokers_is_killed() {
    let _alone = ALONE.lock().await;
    let stack = Stack::up(3);
    let place = Place::on(&stack.addresses).await;
    let roles = Roles::start(&place, 2).await;
    let doors = roles.doors("journey");
    doors.schedule(3_000, 200).await;
    let load = Load::start(&doors, 16, 3_000);
    load.go_on(200, Duration::from_secs(60)).await;
    let leader = leader(&place, "journey");
    let killed = Instant::now();
    stack.call(&["kill-broker", &leader.to_string()]);
    let joined = Visitor::new().join(&doors).await;
    assert_eq!(joined.status, 201);
    let gap = killed.elapsed();
    load.go_on(200, Duration::from_secs(60)).await;
    let acknowledged = load.stop().await;
    roles.check(&doors, &acknowledged).await;
    println!(
        "leader {leader} of three was killed: {} acknowledged, none lost; gap {gap:.1?}",
        acknowledged.len()
    );
    assert!(gap < GO_ON_WITHIN, "writes went on after {gap:?}");
}
