//! What a caller is told when nobody decides.

use std::sync::Arc;
use std::time::Duration;

use usher_events::log::simulated::SimulatedLog;

use crate::calls::visitor;
use crate::instance::{Instance, PARTITIONS, writer_config};
use crate::scenes::join;

#[tokio::test]
async fn a_full_mailbox_refuses_at_once_and_says_when_to_come_again() {
    let instance = Instance::with(|config| config.mailbox = 0).await;
    let answer = instance.refused(join(&visitor('a'))).await;
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(answer.problem(503, "overloaded")["retry_after_s"], seconds);
}

#[tokio::test]
async fn not_all_who_are_refused_come_again_at_the_same_time() {
    let instance = Instance::with(|config| config.mailbox = 0).await;
    let mut seconds = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let answer = instance.send(&join(&visitor('a'))).await;
        seconds.insert(answer.headers["retry-after"].clone().to_str().unwrap().to_owned());
    }
    assert!(seconds.len() > 1, "{seconds:?}");
}

#[tokio::test]
async fn a_command_that_nobody_decided_in_time_may_be_repeated_with_its_id() {
    let log = Arc::new(SimulatedLog::new(PARTITIONS).node(0));
    let mut config = writer_config("http://127.0.0.1:1");
    config.patience = Duration::from_millis(50);
    let instance = Instance::over(log, config, None);
    let answer = instance.refused(join(&visitor('a'))).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(503, "outcome-unknown");
}
