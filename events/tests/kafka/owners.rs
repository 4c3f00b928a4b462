//! Who should own what, as the group of owners suggests it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use usher_events::log::Partition;
use usher_events::log::kafka::{KafkaConfig, Suggestions};

use crate::place::{PATIENCE, Place, Reports, record};

type Suggested = watch::Receiver<BTreeSet<Partition>>;

/// A member whose silence is noticed soon; the stack's brokers allow it.
fn config(place: &Place) -> KafkaConfig {
    KafkaConfig { owners_session: Duration::from_secs(2), ..place.config.clone() }
}

async fn until(suggested: &mut Suggested, wanted: impl Fn(&BTreeSet<Partition>) -> bool) {
    let found = tokio::time::timeout(PATIENCE, suggested.wait_for(|now| wanted(now))).await;
    drop(found.expect("the group settles").unwrap());
}

fn all(partitions: u32) -> BTreeSet<Partition> {
    (0..partitions).collect()
}

#[tokio::test]
async fn one_member_is_suggested_all_partitions() {
    let place = Place::new(6).await;
    let member = Suggestions::join(&config(&place)).unwrap();
    until(&mut member.watch(), |now| *now == all(6)).await;
}

#[tokio::test]
async fn two_members_share_and_who_stays_takes_over_from_who_leaves() {
    let place = Place::new(6).await;
    let (first, second) =
        (Suggestions::join(&config(&place)).unwrap(), Suggestions::join(&config(&place)).unwrap());
    let (mut of_first, mut of_second) = (first.watch(), second.watch());
    until(&mut of_first, |now| now.len() == 3).await;
    until(&mut of_second, |now| now.len() == 3).await;
    let both: BTreeSet<_> = of_first.borrow().union(&of_second.borrow()).copied().collect();
    assert_eq!(both, all(6), "each partition is suggested to somebody");

    let start = Instant::now();
    tokio::task::spawn_blocking(|| first.leave()).await.unwrap();
    until(&mut of_second, |now| *now == all(6)).await;
    assert!(start.elapsed() < Duration::from_secs(2), "nobody waits for a silence: {:?}", start.elapsed());
}

#[tokio::test]
async fn who_stays_keeps_what_it_had_when_another_joins() {
    let place = Place::new(6).await;
    let first = Suggestions::join(&config(&place)).unwrap();
    let mut of_first = first.watch();
    until(&mut of_first, |now| *now == all(6)).await;
    let mut changes = first.watch();
    changes.mark_unchanged();
    let least = tokio::spawn(async move {
        let mut least = 6;
        while changes.changed().await.is_ok() {
            least = least.min(changes.borrow_and_update().len());
        }
        least
    });
    let second = Suggestions::join(&config(&place)).unwrap();
    until(&mut second.watch(), |now| now.len() == 3).await;
    until(&mut of_first, |now| now.len() == 3).await;
    tokio::task::spawn_blocking(|| first.leave()).await.unwrap();
    assert_eq!(least.await.unwrap(), 3, "never fewer, so that no tenure ends for nothing");
}

#[tokio::test]
async fn the_partitions_of_a_killed_member_are_suggested_to_who_stays() {
    let place = Place::new(6).await;
    let (member, other) = (Suggestions::join(&config(&place)).unwrap(), OtherProcess::start(&config(&place)));
    let mut suggested = member.watch();
    until(&mut suggested, |now| now.len() == 3).await;
    let start = Instant::now();
    drop(other);
    until(&mut suggested, |now| *now == all(6)).await;
    let noticed = start.elapsed();
    assert!(noticed < Duration::from_secs(6), "{noticed:?}");
}

#[tokio::test]
async fn the_group_commits_nothing_however_much_is_appended() {
    let place = Place::new(1).await;
    let (log, mut reports) = (place.log(), Reports::new());
    let member = Suggestions::join(&config(&place)).unwrap();
    until(&mut member.watch(), |now| *now == all(1)).await;
    log.append(0, (0..100).map(|n| record(1, n)).collect(), &reports.sink);
    reports.offsets(100).await;
    tokio::task::spawn_blocking(|| member.leave()).await.unwrap();
    let committed = committed(&config(&place)).await;
    assert_eq!(committed, rdkafka::Offset::Invalid);
}

async fn committed(config: &KafkaConfig) -> rdkafka::Offset {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let (brokers, group, topic) = (config.brokers.clone(), config.owners_group.clone(), config.topic.clone());
    let asked = tokio::task::spawn_blocking(move || {
        let mut client = rdkafka::ClientConfig::new();
        client.set("bootstrap.servers", brokers).set("group.id", group);
        let consumer: BaseConsumer = client.create().unwrap();
        let mut places = rdkafka::TopicPartitionList::new();
        places.add_partition(&topic, 0);
        consumer.committed_offsets(places, PATIENCE).unwrap().elements()[0].offset()
    });
    asked.await.unwrap()
}

/// What the other process needs to know: topic and group.
const MEMBER: &str = "USHER_TEST_MEMBER";

/// A member of the group in a process of its own, which is killed at the end.
struct OtherProcess(Child);

impl OtherProcess {
    /// Returns once it has been suggested something.
    fn start(config: &KafkaConfig) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owners::a_member_in_another_process", "--nocapture"])
            .env(MEMBER, format!("{} {}", config.topic, config.owners_group))
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let spoke = lines.any(|line| line.unwrap().contains("this member is suggested 3"));
        assert!(spoke, "the other process ended before it was suggested anything");
        Self(child)
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Not a test by itself: what [`OtherProcess`] runs.
#[tokio::test]
async fn a_member_in_another_process() {
    let Ok(member) = std::env::var(MEMBER) else { return };
    let (topic, group) = member.split_once(' ').unwrap();
    let config = KafkaConfig {
        topic: topic.to_owned(),
        owners_group: group.to_owned(),
        owners_session: Duration::from_secs(2),
        ..crate::place::config(6)
    };
    let member = Suggestions::join(&config).unwrap();
    until(&mut member.watch(), |now| now.len() == 3).await;
    writeln!(std::io::stdout(), "this member is suggested 3").unwrap();
    // Until it is killed, or the test that started it is gone.
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}
