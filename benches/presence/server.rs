//! A server in a process of its own, and what that process uses.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The argument that makes this program the bare server.
pub(crate) const BARE: &str = "be-bare";
const OPERATOR: &str = "an-operator-key-of-at-least-32-characters";
/// What a second of processor time is counted in, in /proc.
const TICKS_PER_SECOND: u64 = 100;

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    client: reqwest::Client,
    _directory: Option<TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// The real one, with everything in one process and one opening, which is
    /// open and lets nobody in.
    pub(crate) async fn usher() -> Self {
        let (directory, port) = (TempDir::new().unwrap(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command
            .arg("serve")
            .env("USHER_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("USHER_DATA__DIR", directory.path())
            .env("USHER_LOG__PARTITIONS", "1")
            .env("USHER_TRACE__FILTER", "warn")
            .env("USHER_AUTH__OPERATOR_KEY", OPERATOR);
        let server = Self::started(command, port, "/health/ready", Some(directory)).await;
        let now = jiff::Timestamp::now();
        let in_s = |seconds| (now + jiff::SignedDuration::from_secs(seconds)).to_string();
        let body = json!({"title": "A crowd", "opens_at": in_s(0), "closes_at": in_s(86_400)});
        server.operate(reqwest::Method::PUT, "", body).await;
        server.operate(reqwest::Method::POST, "/pause", json!({})).await;
        server
    }

    /// A bare axum handler.
    pub(crate) async fn bare() -> Self {
        let port = free_port();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(BARE).env("USHER_BENCH_PORT", port.to_string());
        Self::started(command, port, "/ready", None).await
    }

    async fn started(mut command: Command, port: u16, ready: &str, directory: Option<TempDir>) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let address = format!("127.0.0.1:{port}");
        let server = Self { child, address, client: reqwest::Client::new(), _directory: directory };
        let ready = format!("http://{}{ready}", server.address);
        for _ in 0..600 {
            let answer = server.client.get(&ready).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{ready} is never ready");
    }

    async fn operate(&self, method: reqwest::Method, path: &str, body: Value) {
        let url = format!("http://{}/v1/openings/crowd{path}", self.address);
        let request = self.client.request(method, url).bearer_auth(OPERATOR).json(&body);
        let key = uuid::Uuid::new_v4().to_string();
        let answer = request.header("idempotency-key", key).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    pub(crate) async fn away_after(&self, seconds: u32) {
        self.operate(reqwest::Method::PATCH, "/policy", json!({"away_after_s": seconds})).await;
    }

    /// The processor time that the process has used, in user and kernel.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
    }

    /// How many cores it uses when it is left alone for so long.
    pub(crate) async fn cores(&self, seconds: Duration) -> f64 {
        let before = self.cpu();
        tokio::time::sleep(seconds).await;
        (self.cpu() - before).as_secs_f64() / seconds.as_secs_f64()
    }

    pub(crate) fn memory_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
    }
}

/// Answers every heartbeat with the same words, until it is ended.
pub(crate) fn be_bare() {
    let answer = || async {
        let words = json!({
            "ticket": "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc",
            "state": "waiting", "next_in_s": 200, "as_of": "0.1000003",
        });
        axum::Json(words)
    };
    let router = Router::new()
        .route("/ready", axum::routing::get(|| async {}))
        .route("/v1/openings/{opening}/tickets/{ticket}/presence", post(answer));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let address = format!("127.0.0.1:{}", std::env::var("USHER_BENCH_PORT").unwrap());
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        usher_http::server::serve(listener, router, std::future::pending()).await.unwrap();
    });
}
