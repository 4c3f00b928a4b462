//! 500 visitors who want the same seat at the same time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Barrier;
use uuid::Uuid;

use super::exchange::{Connection, Visitor, seat};
use super::shared::doors::{run, usher_with};
use super::shared::{Limit, ROUNDS, median, tell};

const VISITORS: usize = 500;
/// How often they fight, each time for another seat of a hall of 1,000.
const FIGHTS: usize = 100;

/// Prints the winners' and the losers' p99, in microseconds.
pub(crate) async fn load(address: SocketAddr) {
    let together = Arc::new(Barrier::new(VISITORS));
    let mut tasks = Vec::new();
    for _ in 0..VISITORS {
        let mut connection = Connection::new(address).await;
        let visitor = Visitor::new();
        visitor.enter(&mut connection).await;
        let together = Arc::clone(&together);
        tasks.push(tokio::spawn(async move {
            let mut took = Vec::new();
            for fight in 0..FIGHTS {
                let hold = format!("/holds/{}", Uuid::new_v4());
                let body = format!(r#"{{"showing":"evening","seats":["{}"]}}"#, seat(fight * 10));
                together.wait().await;
                let begun = Instant::now();
                let status = connection.ask("PUT", &hold, &visitor.secret, &body).await;
                took.push((fight, status, begun.elapsed().as_micros()));
            }
            took
        }));
    }
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    let mut winners = [0; FIGHTS];
    for task in tasks {
        for (fight, status, took) in task.await.unwrap() {
            match status {
                201 => {
                    winners[fight] += 1;
                    won.push(took);
                }
                409 => lost.push(took),
                other => panic!("answered {other}"),
            }
        }
    }
    assert_eq!(winners, [1; FIGHTS], "one wins each seat");
    won.sort_unstable();
    lost.sort_unstable();
    println!("{} {}", won[won.len() * 99 / 100], lost[lost.len() * 99 / 100]);
}

pub(crate) fn measure() {
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let usher = usher_with(directory.path(), &super::opening(1_000, VISITORS));
        let figures = run("contest", usher.1);
        println!(
            "  {VISITORS} for one seat: p99 of winners {:.0} us, of losers {:.0} us",
            figures[0], figures[1]
        );
        won.push(figures[0]);
        lost.push(figures[1]);
    }
    let what =
        format!("{VISITORS} visitors for one seat, one wins each: the losers' p99 against the winners'");
    tell(&what, median(lost) / median(won), "", Limit::AtMost(2.0));
}
