//! How soon all who listen see a hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::exchange::{Connection, Visitor, seat};
use super::shared::doors::{run, usher_with};
use super::shared::{Limit, ROUNDS, from_environment, median, tell};

const SEATS: usize = 1_000;
/// How many holds there are, and how far apart.
const HOLDS: usize = 40;
const APART: Duration = Duration::from_millis(500);
/// How long all of them may take to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

fn listeners() -> usize {
    usize::try_from(from_environment("USHER_BENCH_LISTENERS", 5_000)).unwrap()
}

/// Listens, says when it has begun to, and then which seat it saw held when.
async fn listen(address: SocketAddr, begun: Arc<AtomicUsize>, seen: mpsc::UnboundedSender<(usize, Instant)>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = "GET /v1/openings/premiere-2026/updates?showing=evening HTTP/1.1\r\nhost: usher\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let (mut text, mut next, mut listening) = (Vec::new(), 0, false);
    while next < HOLDS {
        if stream.read_buf(&mut text).await.unwrap() == 0 {
            panic!("the server gave a listener up");
        }
        let now = Instant::now();
        if !listening && text.windows(12).any(|window| window == b"event: seats") {
            listening = true;
            begun.fetch_add(1, Ordering::Relaxed);
        }
        while next < HOLDS && find(&text, seat(next).as_bytes()) {
            seen.send((next, now)).unwrap();
            next += 1;
        }
        // What may still be cut in two is in the newest bytes.
        let keep = text.len().saturating_sub(64);
        text.drain(..keep);
    }
}

fn find(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// Prints the p50 and the p99 of the time from a hold's request until a
/// listener saw it, in milliseconds.
pub(crate) async fn load(address: SocketAddr) {
    let (count, begun) = (listeners(), Arc::new(AtomicUsize::new(0)));
    let (send, mut seen) = mpsc::unbounded_channel();
    for i in 0..count {
        tokio::spawn(listen(address, Arc::clone(&begun), send.clone()));
        // As many as wait to be accepted.
        while i - begun.load(Ordering::Relaxed).min(i) > 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while begun.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut connection, visitor) = (Connection::new(address).await, Visitor::new());
    visitor.enter(&mut connection).await;
    let mut asked = Vec::new();
    for i in 0..HOLDS {
        tokio::time::sleep(APART).await;
        let body = format!(r#"{{"showing":"evening","seats":["{}"]}}"#, seat(i));
        asked.push(Instant::now());
        let hold = format!("/holds/{}", Uuid::new_v4());
        assert_eq!(connection.ask("PUT", &hold, &visitor.secret, &body).await, 201);
    }
    let mut took = Vec::new();
    while took.len() < count * HOLDS {
        let (i, at) = tokio::time::timeout(PATIENCE, seen.recv()).await.expect("all see all").unwrap();
        took.push(at.duration_since(asked[i]).as_secs_f64() * 1e3);
    }
    took.sort_unstable_by(f64::total_cmp);
    println!("{} {}", took[took.len() / 2], took[took.len() * 99 / 100]);
}

pub(crate) fn measure() {
    let (count, mut p99) = (listeners(), Vec::new());
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let usher = usher_with(directory.path(), &super::opening(SEATS, 1));
        let figures = run("listen", usher.1);
        println!("  {count} listeners: seen after {:.0} ms (p50), {:.0} ms (p99)", figures[0], figures[1]);
        p99.push(figures[1]);
    }
    tell(&format!("{count} listeners see a hold, p99"), median(p99), " ms", Limit::AtMost(250.0));
}
