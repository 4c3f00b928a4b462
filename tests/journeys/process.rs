//! The real binary as processes.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) const OPERATOR_KEY: &str = "operator-key-operator-key-operator-key";
/// How long a process may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One role, running.
pub(crate) struct Process {
    role: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    child: Child,
    log: tempfile::NamedTempFile,
}

impl Process {
    /// Starts a role on a port of its own.
    pub(crate) fn start(role: &[&str], environment: &[(String, String)]) -> Self {
        let (port, log) = (free_port(), tempfile::NamedTempFile::new().unwrap());
        let role: Vec<String> = role.iter().map(|&word| word.to_owned()).collect();
        let child = spawn(&role, environment, port, log.reopen().unwrap());
        Self { role, environment: environment.to_vec(), port, child, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self) {
        let begun = Instant::now();
        while self.readiness().await.is_none_or(|ready| ready["ready"] != true) {
            assert!(begun.elapsed() < PATIENCE, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it says of its readiness, if it answers.
    pub(crate) async fn readiness(&self) -> Option<Value> {
        let answer = reqwest::get(format!("{}/health/ready", self.url())).await.ok()?;
        answer.json().await.ok()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "the process is there");
    }

    /// `kill -9`, and start again on the same port.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.child = spawn(&self.role, &self.environment, self.port, self.log.reopen().unwrap());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        assert_eq!(self.ended().await, Some(0), "{}", self.log());
    }

    /// Waits until it has ended; its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        self.ended_within(PATIENCE).await
    }

    /// The same with another patience.
    pub(crate) async fn ended_within(&mut self, patience: Duration) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < patience, "does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn spawn(role: &[String], environment: &[(String, String)], port: u16, log: File) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("USHER_")) {
        command.env_remove(name);
    }
    // Appending, so that a restart keeps what was logged before.
    let log = File::options()
        .append(true)
        .open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&log)))
        .unwrap();
    command
        .args(role)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("USHER_HTTP__LISTEN", format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            println!("--- the log of {:?} on port {}:\n{}", self.role, self.port, self.log());
        }
    }
}
