//! Brokers that a test may kill: a stack of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;
use usher_events::log::kafka::KafkaConfig;

use crate::place::{PATIENCE, config};

/// Brokers of one test's own.
pub(crate) struct Cluster {
    script: PathBuf,
    dir: TempDir,
    pub(crate) brokers: String,
}

impl Cluster {
    pub(crate) fn start(brokers: u32) -> Self {
        let script = std::env::var("USHER_STACK")
            .expect("USHER_STACK is not set: run this through `compose/stack run -- cargo test`");
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Self { script: script.into(), dir, brokers: String::new() };
        cluster.run(&["up", "--brokers", &brokers.to_string()]);
        let addresses = std::fs::read_to_string(cluster.stack().join("env")).unwrap();
        let brokers = addresses.lines().find_map(|line| line.strip_prefix("export USHER_KAFKA__BROKERS="));
        cluster.brokers = brokers.unwrap().replace('\\', "");
        cluster
    }

    /// The stack removes its directory; the one around it is ours.
    fn stack(&self) -> PathBuf {
        self.dir.path().join("stack")
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.script);
        command.args(arguments).env("USHER_STACK_DIR", self.stack()).stdin(Stdio::null());
        let ended = command.status().expect("the stack's script can be run");
        assert!(ended.success(), "stack {arguments:?}: {ended}");
    }

    pub(crate) fn config(&self, partitions: u32) -> KafkaConfig {
        KafkaConfig { brokers: self.brokers.clone(), ..config(partitions) }
    }

    pub(crate) fn leader(&self, topic: &str) -> i32 {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap();
        client.fetch_metadata(Some(topic), PATIENCE).unwrap().topics()[0].partitions()[0].leader()
    }

    pub(crate) fn kill(&self, broker: i32) {
        self.run(&["kill-broker", &broker.to_string()]);
    }

    /// Starts a broker again that was killed, and waits until it serves.
    pub(crate) fn start_again(&self, broker: i32) {
        self.run(&["start-broker", &broker.to_string()]);
    }

    /// Sends a signal to one of the brokers that this cluster started.
    pub(crate) fn signal(&self, broker: i32, signal: &str) {
        let pid = process(&self.stack().join(format!("kafka-{broker}/pid")));
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

/// The process that the stack noted in `file`.
fn process(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().split_whitespace().next().unwrap().to_owned()
}
