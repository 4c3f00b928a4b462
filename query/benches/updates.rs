//! How long a change takes to reach many thousands who listen to server-sent
//! events over loopback, and what a connection costs in memory. Those who
//! listen are another process.
//!
//! `cargo bench -p usher-query --bench updates -- 5000`; each connection needs
//! a file descriptor in both processes (`ulimit -n`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

mod pen;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use usher_events::event::VisitorJoined;
use usher_events::ids::{OpeningId, Ticket};
use usher_events::time::Timestamp;
use usher_http::auth::Keys;
use usher_http::server::{Limits, layered, serve};
use usher_projector::booking::memory::MemoryBookings;
use usher_projector::projection::Announcer;
use usher_projector::queue::memory::MemoryQueues;
use usher_projector::store::Changed;
use usher_query::{QueryConfig, QueryState, router};

use pen::{OPENING, PARTITIONS, Pen, scheduled};

/// Tells the process of those who listen where to.
const LISTEN_TO: &str = "USHER_BENCH_LISTEN_TO";
/// How many changes are told.
const CHANGES: usize = 10;

fn main() {
    let connections = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5_000);
    let mut runtime = match std::env::var(LISTEN_TO) {
        Ok(_) => tokio::runtime::Builder::new_current_thread(),
        Err(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().unwrap();
    match std::env::var(LISTEN_TO) {
        Ok(address) => runtime.block_on(listen(address.parse().unwrap(), connections)),
        Err(_) => runtime.block_on(tell(connections)),
    }
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

/// Serves, and changes something once in a while.
async fn tell(connections: usize) {
    let (queues, bookings) = (MemoryQueues::new(PARTITIONS), MemoryBookings::new(PARTITIONS));
    let announcer = Announcer::default();
    let (mut line, mut seats) = (Pen::new(&queues), Pen::new(&bookings));
    let now = Timestamp::now();
    for pen in [&mut line, &mut seats] {
        pen.write(scheduled(now, now)).await;
        pen.step().await;
    }
    let address = serving(&queues, &bookings, &announcer, connections).await;
    let before = resident_kb();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .arg(connections.to_string())
        .env(LISTEN_TO, address.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(told.next_line().await.unwrap().unwrap(), "connected");
    let kb = (resident_kb() - before) as f64 / connections as f64;
    println!("{connections} connections, {kb:.1} KB of memory each");

    let mut took_ms = Vec::new();
    for change in 0..CHANGES {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let mut ticket = [1; 32];
        ticket[..8].copy_from_slice(&change.to_le_bytes());
        for pen in [&mut line, &mut seats] {
            pen.write(VisitorJoined { at: now, ticket: Ticket(ticket), number: None, subject: None }).await;
            pen.step().await;
        }
        let begun = now_us();
        let opening = OpeningId::new(OPENING).unwrap();
        announcer.announce(Changed { partition: 0, position: 2 + change as u64, openings: vec![opening] });
        let ended: u64 = told.next_line().await.unwrap().unwrap().parse().unwrap();
        took_ms.push(ended.saturating_sub(begun) as f64 / 1_000.0);
    }
    took_ms.sort_by(f64::total_cmp);
    println!(
        "a change reached the last of them after {:.0} ms (median of {CHANGES}; {:.0} at best, {:.0} at worst)",
        took_ms[CHANGES / 2],
        took_ms[0],
        took_ms[CHANGES - 1]
    );
}

async fn serving(
    queues: &MemoryQueues,
    bookings: &MemoryBookings,
    announcer: &Announcer,
    connections: usize,
) -> SocketAddr {
    let config = QueryConfig {
        partitions: PARTITIONS,
        after_timeout: Duration::from_secs(5),
        after_waiters: 1_000,
        updates_connections: connections,
    };
    let stop = CancellationToken::new();
    let (queues, bookings) = (Arc::new(queues.clone()), Arc::new(bookings.clone()));
    let state = QueryState::new(queues, bookings, announcer.clone(), Keys::default(), config, stop.clone());
    let limits = Limits { body_bytes: 1_024, timeout: Duration::from_secs(30) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, layered(router(state).0, limits), stop.cancelled_owned()));
    address
}

/// Memory of this process.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Listens, and says when the last connection has each event.
async fn listen(address: SocketAddr, connections: usize) {
    let heard: Arc<Vec<AtomicUsize>> = Arc::new((0..=CHANGES).map(|_| AtomicUsize::new(0)).collect());
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        tokio::spawn(hear(stream, Arc::clone(&heard), connections));
    }
    std::future::pending::<()>().await;
}

async fn hear(mut stream: TcpStream, heard: Arc<Vec<AtomicUsize>>, connections: usize) {
    let request = format!("GET /v1/openings/{OPENING}/updates HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut buffer, mut text, mut events) = ([0; 4_096], Vec::new(), 0);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "a connection ended");
        text.extend_from_slice(&buffer[..read]);
        while let Some(at) = text.windows(14).position(|window| window == b"event: status\n") {
            text.drain(..at + 14);
            let Some(all) = heard.get(events) else { return };
            if all.fetch_add(1, Ordering::Relaxed) + 1 == connections {
                if events == 0 {
                    println!("connected");
                } else {
                    println!("{}", now_us());
                }
            }
            events += 1;
        }
    }
}
