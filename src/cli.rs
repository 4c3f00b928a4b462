//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use usher_events::time::Timestamp;
use usher_projector::analytics::ANALYST;

use crate::config::Config;
use crate::plan::PlanCommand;
use crate::sample::sample_opening;
use crate::verify_draw::VerifyDraw;
use crate::{logging, rehearse, roles, shutdown};

/// Takes a crowd from "tickets open at 20:00" to "you have seats G7 and G8":
/// fairly, without selling a seat twice, and so that anyone can check it.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// A settings file; `usher settings` prints the commented defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Everything in one process: embedded log, views in memory.
    Serve {
        /// Add a sample opening that opens in half a minute.
        #[arg(long)]
        sample: bool,
    },
    /// Decides commands, over Kafka.
    Command,
    /// Keeps the views in Redis and Postgres up to date with the log.
    Projector(Projector),
    /// Answers queries from Redis and Postgres.
    Query,
    /// Makes the topics and brings the database's tables up to date.
    Migrate {
        /// Also makes a role that reads the analysts' views and nothing else.
        #[arg(long, value_name = "ROLE", num_args = 0..=1, default_missing_value = ANALYST)]
        analyst: Option<String>,
    },
    /// Plays a whole opening with many visitors, and judges it from the log.
    ///
    /// Ends with 0 when every rule held, 1 when one was broken, 2 when it
    /// could not be played, and 3 when the log could not be read. Keys come
    /// from the settings, e.g. USHER_AUTH__OPERATOR_KEY.
    Rehearse(Box<rehearse::Options>),
    /// Makes a key: prints it, and what to configure.
    Key {
        /// What the key is for.
        kind: KeyKind,
    },
    /// Checks a draw from what was published of it, and from nothing else.
    VerifyDraw(VerifyDraw),
    /// Looks at seating plans.
    Plan(PlanCommand),
    /// Looks after the keys that tell visitors with claims apart.
    Subjects {
        #[command(subcommand)]
        act: SubjectsAct,
    },
    /// Prints the commented default settings.
    Settings,
    /// Prints a sample opening that opens in half a minute, to be scheduled.
    Sample,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyKind {
    Operator,
    Merchant,
    /// A key that passes are signed with.
    Pass,
    /// A secret that webhooks are signed with.
    Webhook,
}

/// What an operator does about subject keys. Where `postgres.url` is set they
/// are there, else in the data directory.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SubjectsAct {
    /// Shows the openings that have a key.
    List,
    /// Destroys an opening's key for good: nobody joins it with a claim any
    /// more, and nobody can tell whose ticket was whose.
    Destroy {
        /// Which opening.
        #[arg(long)]
        opening: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Projector {
    #[command(subcommand)]
    pub(crate) act: Option<ProjectorAct>,
}

/// What an operator does about a projection that stopped.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ProjectorAct {
    /// Shows how far each projection is, and which have stopped, and why.
    Inspect,
    /// Has a stopped projection try its event again.
    Resume {
        /// Which projection.
        #[arg(long)]
        projection: String,
        /// Of which partition.
        #[arg(long)]
        partition: u32,
        /// Who says so.
        #[arg(long)]
        by: String,
    },
    /// Has a stopped projection go on after the event that stopped it.
    Skip {
        /// Which projection.
        #[arg(long)]
        projection: String,
        /// Of which partition.
        #[arg(long)]
        partition: u32,
        /// The offset of the event that is skipped.
        #[arg(long)]
        offset: u64,
        /// Who says so.
        #[arg(long)]
        by: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl Cli {
    /// Runs the role until it ends or is told to stop.
    pub(crate) fn run(self) -> ExitCode {
        match &self.role {
            Role::Settings => return say(include_str!("../usher.default.toml")),
            Role::Key { kind } => return roles::key::mint(*kind),
            Role::Sample => return say(&format!("{}\n", sample_opening(Timestamp::now()))),
            Role::VerifyDraw(verify) => return verify.run(),
            Role::Plan(plan) => return plan.run(),
            _ => {}
        }
        let config = match Config::load(self.config.as_deref()) {
            Ok(config) => config,
            Err(error) => return fail(&format!("settings: {error}")),
        };
        if let Err(error) = logging::start(&config.trace) {
            return fail(&format!("settings: trace.filter: {error}"));
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&format!("no runtime: {error}")),
        };
        let file = self.config;
        if let Role::Rehearse(options) = self.role {
            return runtime.block_on(async {
                match shutdown::on_signal() {
                    Ok(stop) => rehearse::run(config, file.as_deref(), *options, stop).await,
                    Err(error) => fail(&format!("signals: {error}")),
                }
            });
        }
        let result = runtime.block_on(run_role(self.role, config));
        // Threads of the Kafka client may outlive a broker that is away.
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(%error, "stopped");
                ExitCode::FAILURE
            }
        }
    }
}

async fn run_role(role: Role, config: Config) -> Result<(), roles::RoleError> {
    let stop = shutdown::on_signal()?;
    match role {
        Role::Serve { sample } => roles::serve::run(config, sample, stop).await,
        Role::Command => roles::command::run(config, stop).await,
        Role::Projector(Projector { act: None }) => roles::projector::run(config, stop).await,
        Role::Projector(Projector { act: Some(act) }) => roles::projector::act(config, act).await,
        Role::Query => roles::query::run(config, stop).await,
        Role::Subjects { act } => roles::subjects::act(config, act).await,
        Role::Migrate { analyst } => roles::migrate::run(config, analyst).await,
        Role::Rehearse(_)
        | Role::Key { .. }
        | Role::VerifyDraw(_)
        | Role::Plan(_)
        | Role::Settings
        | Role::Sample => Ok(()),
    }
}

/// Prints what was asked for to standard output.
#[allow(clippy::print_stdout, reason = "the answer of a command goes to standard output")]
pub(crate) fn say(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

/// Says on standard error what went wrong before there was a log.
#[allow(clippy::print_stderr, reason = "there is no log yet")]
pub(crate) fn fail(text: &str) -> ExitCode {
    eprintln!("usher: {text}");
    ExitCode::FAILURE
}
