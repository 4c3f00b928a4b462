//! `usher rehearse`: plays a whole opening the night before, and judges it
//! from the log.

mod address;
mod ask;
mod crowd;
mod host;
mod ledger;
mod lines;
mod listen;
mod options;
mod plan;
mod progress;
mod report;
mod script;
mod stage;
mod tally;
mod verdict;
mod visitor;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use usher_events::ids::OpeningId;
use usher_events::log::Log;
use usher_events::log::embedded::EmbeddedLog;
use usher_events::log::kafka::KafkaLog;
use usher_events::partition::partition_of;
use usher_events::time::Timestamp;

use address::Address;
use crowd::{Around, Crowd, Played};
use host::{Host, memory_mib, processor_s};
use lines::Lines;
use progress::Progress;
use report::{Estimates, Load, Rehearsed, Report, Requests, Verdict};
use script::Script;
use stage::Stage;
use verdict::Judge;

pub(crate) use options::Options;

use crate::config::Config;

/// A rule was broken.
const BROKEN: u8 = 1;
/// The rehearsal could not be played.
const FAILED: u8 = 2;
/// It was played, and the log could not be read.
const NO_VERDICT: u8 = 3;

/// Rehearses; the exit code is the verdict.
pub(crate) async fn run(
    config: Config,
    file: Option<&Path>,
    options: Options,
    stop: CancellationToken,
) -> ExitCode {
    let report = match rehearse(&config, file, &options, stop).await {
        Ok(report) => report,
        Err(why) => {
            crate::cli::fail(&why);
            return FAILED.into();
        }
    };
    if let Err(why) = publish(&report, &options) {
        crate::cli::fail(&why);
        return FAILED.into();
    }
    exit_code(&report.verdict).into()
}

fn exit_code(verdict: &Verdict) -> u8 {
    match verdict.held {
        Some(true) => 0,
        Some(false) => BROKEN,
        None => NO_VERDICT,
    }
}

fn publish(report: &Report, options: &Options) -> Result<(), String> {
    let json = || serde_json::to_string_pretty(report).map_err(|error| error.to_string());
    let write = |file: &Path, text: String| {
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    let text = || report::text(report).map_err(|error| error.to_string());
    let only_json = options.json.as_deref() == Some(Path::new("-"));
    crate::cli::say(&if only_json { json()? + "\n" } else { text()? });
    if let Some(file) = options.json.as_deref().filter(|_| !only_json) {
        write(file, json()?)?;
    }
    match &options.html {
        Some(file) => write(file, report::html(report).map_err(|error| error.to_string())?),
        None => Ok(()),
    }
}

/// Where it is played, and with whose keys.
struct House {
    host: Option<Host>,
    commands: Vec<Address>,
    queries: Vec<Address>,
    operator: SecretString,
    merchant: Option<SecretString>,
}

impl House {
    async fn open(config: &Config, file: Option<&Path>, options: &Options) -> Result<Self, String> {
        let parse =
            |all: &[String]| all.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>();
        let (commands, queries) = match &options.url {
            Some(url) => (vec![Address::parse(url)?], vec![Address::parse(url)?]),
            None => (parse(&options.commands)?, parse(&options.queries)?),
        };
        if commands.is_empty() {
            let host = Host::start(file).await?;
            let at = vec![host.address.clone()];
            let (operator, merchant) = (host.operator.clone(), Some(host.merchant.clone()));
            return Ok(Self { host: Some(host), commands: at.clone(), queries: at, operator, merchant });
        }
        let set = |key: &SecretString| Some(key.clone()).filter(|key| !key.expose_secret().is_empty());
        let Some(operator) = set(&config.auth.operator_key) else {
            return Err("an operator's key is needed to schedule the opening: set USHER_AUTH__OPERATOR_KEY"
                .to_owned());
        };
        Ok(Self { host: None, commands, queries, operator, merchant: set(&config.auth.merchant_key) })
    }
}

async fn rehearse(
    config: &Config,
    file: Option<&Path>,
    options: &Options,
    stop: CancellationToken,
) -> Result<Report, String> {
    let name = match &options.opening {
        Some(name) => name.clone(),
        None => format!("rehearsal-{}", Timestamp::now().0 / 1_000),
    };
    let opening = OpeningId::new(&name).map_err(|error| format!("--opening: {error}"))?;
    let mut progress = Progress::new(options.visitors as usize);
    let mut house = House::open(config, file, options).await?;
    let stage =
        Stage::new(opening.clone(), house.commands.clone(), house.queries.clone(), house.operator.clone());
    let script =
        Script::new(opening.clone(), stage::showings(options), house.merchant.as_ref(), options.mix.cut);
    stage.schedule(options, house.merchant.is_some()).await?;
    let at = house.commands.first().filter(|_| house.host.is_none());
    let at = at.map(|address| format!("at {}:{}", address.host, address.port));
    let mut rehearsed = Rehearsed::of(options, name, at, house.merchant.is_some());
    progress.say(&format!(
        "rehearsing `{opening}`: {} visitors, {} admissions a minute into {} places; this takes about {} s",
        options.visitors,
        options.rate(),
        options.capacity(),
        options.expected_ms() / 1_000 + 30,
    ));

    let (began, began_ms) = (Instant::now(), Timestamp::now().0);
    let (lines, told) = Lines::open(&house.commands, &house.queries, options.connections as usize);
    let (crowd, heard) = Crowd::new(&script, options, lines, began)?;
    let usher = house.host.as_ref().and_then(Host::process);
    let memory = || usher.and_then(memory_mib).map(|(now, _)| now);
    let around = Around {
        at_most: Duration::from_secs(u64::from(options.at_most) * 60),
        stop,
        progress: &mut progress,
        memory_mib: &memory,
    };
    let mut played = crowd.play(told, heard, around).await;
    let load = load_of(&played, usher);
    rehearsed.took_s = played.took.as_secs_f64();
    progress.end();
    if let Err(why) = stage.close().await {
        progress.say(&format!("the opening was not closed: {why}"));
    }
    progress.say("reading the log");
    let mut judge = Judge::new(opening.clone(), &script, options.visitors);
    let read = read_log(config, &mut house, &mut judge).await;
    let verdict = match &read {
        Ok(source) => {
            let findings = judge.findings(&script, &played.ledger);
            Verdict::given(source.clone(), &judge, findings, &played.ledger)
        }
        Err(why) => Verdict::not_given(why.clone(), &played.ledger),
    };
    let turns = read.is_ok().then(|| report::turns(&judge, &played.ledger, began_ms)).transpose()?;
    Ok(Report {
        usher: env!("CARGO_PKG_VERSION"),
        rehearsed,
        verdict,
        ends: std::mem::take(&mut played.ends),
        unfinished: played.unfinished,
        requests: Requests::of(&played),
        admitted_to_known: turns.map(|(known, _)| known),
        admitted_to_entered: turns.map(|(_, entered)| entered),
        estimates: Estimates::of(&judge, &played.ledger, began_ms),
        load,
        seconds: std::mem::take(&mut played.tally.seconds),
    })
}

fn load_of(played: &Played, usher: Option<u32>) -> Load {
    let own = std::process::id();
    Load {
        waited_for_connection: played.tally.queued.summary(),
        late: played.tally.late.summary(),
        own_memory_mib: memory_mib(own).map(|(_, most)| most),
        own_processor_s: processor_s(own),
        usher_memory_mib: usher.and_then(memory_mib).map(|(_, most)| most),
        usher_processor_s: usher.and_then(processor_s),
    }
}

/// Reads the opening's log into `judge`: the file of the usher that was
/// started, or the topic of the one that was there. Where it was read, or why
/// it was not.
async fn read_log(config: &Config, house: &mut House, judge: &mut Judge) -> Result<String, String> {
    let partitions = config.log.partitions;
    let partition = partition_of(judge.opening(), partitions);
    if let Some(host) = &mut house.host {
        host.stop().await?;
        let log = EmbeddedLog::open(&host.log(), partitions).map_err(|error| error.to_string())?;
        judge.read(&log, partition).await?;
        return Ok("the log in its file".to_owned());
    }
    if config.kafka.brokers.is_empty() {
        return Err("as the log cannot be reached: set USHER_KAFKA__BROKERS, or rehearse without an address"
            .to_owned());
    }
    let kafka = crate::roles::servers::kafka(config).map_err(|error| error.to_string())?;
    let topic = kafka.topic.clone();
    let log: Box<dyn Log> = Box::new(KafkaLog::new(kafka).map_err(|error| error.to_string())?);
    judge.read(&*log, partition).await.map_err(|error| format!("as the log could not be read: {error}"))?;
    if judge.totals().joined == 0 {
        return Err(format!("as the topic `{topic}` has nothing of this opening: is it the right one?"));
    }
    Ok(format!("the topic `{topic}`"))
}
