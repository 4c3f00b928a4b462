//! The contract of the log port, on the logs that need no server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use usher_events::log::Log;
use usher_events::log::embedded::{EmbeddedLog, OpenError};
use usher_events::log::simulated::{Faults, SimulatedLog};

#[tokio::test]
async fn the_simulated_log_keeps_the_contract() {
    contract::suite(&|| {
        let log = SimulatedLog::new(2);
        Box::new(move || Arc::new(log.node(0)) as Arc<dyn Log>)
    })
    .await;
}

#[tokio::test]
async fn the_embedded_log_keeps_the_contract() {
    contract::suite(&|| {
        let dir = tempfile::tempdir().unwrap();
        Box::new(move || {
            Arc::new(EmbeddedLog::open(&dir.path().join("log.redb"), 2).unwrap()) as Arc<dyn Log>
        })
    })
    .await;
}

#[tokio::test]
async fn an_embedded_log_has_one_process_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.redb");
    let _open = EmbeddedLog::open(&file, 1).unwrap();
    assert!(matches!(EmbeddedLog::open(&file, 1), Err(OpenError::Locked(_))));
}

#[test]
fn an_append_of_unknown_outcome_may_have_landed_or_land_later() {
    let mut landed_anyway = 0;
    for seed in 0..100 {
        let (log, mut random) = (SimulatedLog::new(1), StdRng::seed_from_u64(seed));
        let lossy = Faults { lost_acknowledgement: 0.5, late: 0.5, ..Faults::NONE };
        log.submit(0, 0, vec![contract::any_record()]);
        let (_, report) = log.step(&lossy, &mut random).unwrap();
        for _ in 0..50 {
            log.step(&lossy, &mut random);
        }
        assert_eq!(log.end_of(0), 1, "seed {seed}: it lands sooner or later");
        landed_anyway += u32::from(report.outcome.is_err());
    }
    assert!(landed_anyway > 10, "some of them were reported as unknown");
}
