//! Servers as processes of their own, and visitors who join over HTTP from a
//! third one.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::from_environment;
use super::stage::ticket;

/// Which part of the benchmark a process is, and where its server is.
const PART: &str = "USHER_BENCH_PART";
const ADDRESS: &str = "USHER_BENCH_ADDRESS";
const CONNECTIONS: &str = "USHER_BENCH_CONNECTIONS";
const OPERATOR_KEY: &str = "operator-key-operator-key-operator-key";

/// A process that ends with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The part that this process is to play; none in the one that begins.
pub(crate) fn my_part() -> Option<(String, SocketAddr)> {
    let part = std::env::var(PART).ok()?;
    Some((part, std::env::var(ADDRESS).unwrap().parse().unwrap()))
}

fn part(name: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(PART, name).env(ADDRESS, address.to_string());
    command
}

pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts another part of the benchmark, which serves HTTP.
pub(crate) fn serving(name: &str, environment: &[(&str, &str)]) -> (Process, SocketAddr) {
    let address = free_address();
    let process = Process(part(name, address).envs(environment.iter().copied()).spawn().unwrap());
    wait_until_ready(address);
    (process, address)
}

/// Serves routes as bare as axum has them.
pub(crate) async fn serve_bare(address: SocketAddr, routes: axum::Router) {
    use axum::serve::ListenerExt;
    let routes = routes.route("/health/ready", axum::routing::get(|| async {}));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, routes).await.unwrap();
}

/// Starts `usher serve` as it ships, with an opening that opens then.
pub(crate) fn usher(directory: &Path, opens_at: &str, closes_at: &str) -> (Process, SocketAddr) {
    let body = serde_json::json!({
        "title": "The premiere", "opens_at": opens_at, "closes_at": closes_at,
        "policy": {"capacity": 1}
    });
    usher_with(directory, &body)
}

/// The same with an opening of which all is said.
pub(crate) fn usher_with(directory: &Path, body: &serde_json::Value) -> (Process, SocketAddr) {
    let address = free_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    command.arg("serve").env("USHER_DATA__DIR", directory).env("USHER_HTTP__LISTEN", address.to_string());
    command.env("USHER_AUTH__OPERATOR_KEY", OPERATOR_KEY).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process(command.spawn().unwrap());
    wait_until_ready(address);
    block_on(async {
        let request = reqwest::Client::new().put(format!("http://{address}/v1/openings/premiere-2026"));
        let answer = request.bearer_auth(OPERATOR_KEY).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    });
    (process, address)
}

fn wait_until_ready(address: SocketAddr) {
    let ready = format!("http://{address}/health/ready");
    wait_until(|| async { reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) });
}

/// Waits until the opening of `usher` is open.
pub(crate) fn wait_until_open(address: SocketAddr) {
    let status = format!("http://{address}/v1/openings/premiere-2026");
    wait_until(|| async {
        let Ok(answer) = reqwest::get(&status).await else { return false };
        answer.json::<serde_json::Value>().await.is_ok_and(|status| status["state"] == "open")
    });
}

fn wait_until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    block_on(async {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not come");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What is answered at `url`, as soon as the views have it.
pub(crate) fn get(url: &str) -> Vec<u8> {
    wait_until(|| async { reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success()) });
    block_on(async { reqwest::get(url).await.unwrap().bytes().await.unwrap().to_vec() })
}

/// Runs a part of the benchmark as a process of its own; the figures that it
/// prints.
pub(crate) fn run(name: &str, address: SocketAddr) -> Vec<f64> {
    let output = part(name, address).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.split_whitespace().map(|figure| figure.parse().unwrap()).collect()
}

/// What a load measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joins {
    pub(crate) per_second: f64,
    pub(crate) p99_us: f64,
}

/// Has visitors join at the server there, from another process.
pub(crate) fn measure(address: SocketAddr, connections: u64) -> Joins {
    let output = part("load", address).env(CONNECTIONS, connections.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut figures = printed.split_whitespace().map(|figure| figure.parse().unwrap());
    Joins { per_second: figures.next().unwrap(), p99_us: figures.next().unwrap() }
}

/// The part `load`: one visitor after the other joins over each connection;
/// prints what [`measure`] reads.
pub(crate) fn load(address: SocketAddr) {
    let connections = from_environment(CONNECTIONS, 64);
    let took = Duration::from_secs(from_environment("USHER_BENCH_SECONDS", 5));
    let first = u64::from(std::process::id()) << 32;
    let mut took_us: Vec<u32> = block_on(async {
        let until = Instant::now() + took;
        let join = |i| tokio::spawn(visitors(address, first + (i << 20), until));
        let visitors: Vec<_> = (0..connections).map(join).collect();
        let mut all = Vec::new();
        for visitor in visitors {
            all.append(&mut visitor.await.unwrap());
        }
        all
    });
    took_us.sort_unstable();
    println!("{} {}", took_us.len() as f64 / took.as_secs_f64(), took_us[took_us.len() * 99 / 100]);
}

/// How long each visitor's join took, in microseconds.
async fn visitors(address: SocketAddr, first: u64, until: Instant) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut request, mut answer) = (Vec::new(), [0; 4_096]);
    let mut took_us = Vec::new();
    loop {
        let begun = Instant::now();
        if begun >= until {
            return took_us;
        }
        request.clear();
        request.extend_from_slice(b"PUT /v1/openings/premiere-2026/tickets/");
        request.extend_from_slice(ticket(first + took_us.len() as u64).to_string().as_bytes());
        request.extend_from_slice(
            b" HTTP/1.1\r\nhost: usher\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        );
        stream.write_all(&request).await.unwrap();
        // Answers are small and come whole.
        let length = stream.read(&mut answer).await.unwrap();
        let text = &answer[..length];
        let joined = text.starts_with(b"HTTP/1.1 201") && text.ends_with(b"}");
        assert!(joined, "{}", String::from_utf8_lossy(text));
        took_us.push(u32::try_from(begun.elapsed().as_micros()).unwrap());
    }
}
