//! An usher that is started for the rehearsal: `serve` as a process of its
//! own, with an empty log in a directory that is removed afterwards.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use usher_http::auth;

use super::address::Address;

/// How long it may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// A running `serve`.
pub(super) struct Host {
    dir: TempDir,
    child: Child,
    pub(super) address: Address,
    pub(super) operator: SecretString,
    pub(super) merchant: SecretString,
}

impl Host {
    /// Starts it on a free port of 127.0.0.1, with keys of its own, and waits
    /// until it is ready. All else is as configured.
    pub(super) async fn start(config: Option<&Path>) -> Result<Self, String> {
        let dir =
            tempfile::Builder::new().prefix("usher-rehearsal-").tempdir().map_err(failed("a directory"))?;
        let said = File::create(dir.path().join("serve.log")).map_err(failed("a log file"))?;
        let listening = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let listen = listening.map_err(failed("a port"))?.to_string();
        let key = || SecretString::from(auth::mint());
        let (operator, merchant) = (key(), key());
        let mut command = Command::new(std::env::current_exe().map_err(failed("this program"))?);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command
            .arg("serve")
            .env("USHER_HTTP__LISTEN", &listen)
            .env("USHER_DATA__DIR", dir.path().join("data"))
            .env("USHER_AUTH__OPERATOR_KEY", operator.expose_secret())
            .env("USHER_AUTH__MERCHANT_KEY", merchant.expose_secret())
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(failed("a log file"))?)
            .stderr(said)
            .kill_on_drop(true);
        let child = command.spawn().map_err(failed("usher serve"))?;
        let address = Address::parse(&format!("http://{listen}"))?;
        let mut host = Self { dir, child, address, operator, merchant };
        host.ready().await?;
        Ok(host)
    }

    async fn ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("usher serve ended ({status}): {}", self.said()));
            }
            let ask = super::script::plain(
                super::ask::Kind::Status,
                hyper::Method::GET,
                "/health/ready".to_owned(),
            );
            if let Ok(super::ask::Outcome::Told { status: 200, .. }) =
                super::lines::once(&self.address, ask).await
            {
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(format!("usher serve is not ready: {}", self.said()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The end of what it logged.
    fn said(&self) -> String {
        let said = std::fs::read_to_string(self.dir.path().join("serve.log")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("; ")
    }

    /// Its process, whose memory and time can be looked at.
    pub(super) fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where its log is.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.path().join("data").join("log.redb")
    }

    /// Asks it to stop, and waits until it has. What it answered is in its log
    /// either way.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        let pid =
            self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        let Some(pid) = pid else { return Err(format!("usher serve has ended: {}", self.said())) };
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(failed("usher serve"))?;
        match tokio::time::timeout(STOPPED_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("usher serve ended ({status}): {}", self.said())),
            Ok(Err(error)) => Err(format!("usher serve: {error}")),
            Err(_) => Err("usher serve does not stop".to_owned()),
        }
    }
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// A process's memory now and at its most, in MiB, where the system tells.
pub(super) fn memory_mib(process: u32) -> Option<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = |name: &str| -> Option<f64> {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))?
            .trim()
            .trim_end_matches(" kB")
            .trim()
            .parse()
            .ok()
    };
    Some((kib("VmRSS:")? / 1_024.0, kib("VmHWM:")? / 1_024.0))
}

/// The seconds of processor time that a process used, where the system tells.
pub(super) fn processor_s(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    #[allow(clippy::cast_precision_loss, reason = "a hundred")]
    Some(ticks / per_second as f64)
}
