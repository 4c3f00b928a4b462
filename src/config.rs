//! Settings: commented defaults, then a file, then the environment.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Toml};
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;

/// The commented defaults, compiled in.
const DEFAULTS: &str = include_str!("../usher.default.toml");
/// Variables of the test stack, which are no settings.
const NOT_SETTINGS: &str = "stack";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File { path: String, error: std::io::Error },
    /// A key is unknown, or a value has the wrong type.
    #[error("{}", form(.0))]
    Form(Box<figment::Error>),
    /// A value is out of its bounds.
    #[error("{}", bounds(.0))]
    Bounds(#[from] garde::Report),
    /// A setting that the role needs is empty.
    #[error("`{0}` is needed for this role (environment: USHER_{1})")]
    Missing(&'static str, &'static str),
}

/// One line, though there may be several faults.
fn form(faults: &figment::Error) -> String {
    let line = |fault: figment::Error| {
        let path = fault.path.join(".").to_lowercase();
        let source = fault.metadata.as_ref().map(|data| match &data.source {
            Some(source) => format!(" in {source}"),
            None => format!(" in {}", data.name),
        });
        let whence = source.unwrap_or_default();
        match &fault.kind {
            Kind::UnknownField(name, known) => {
                let section = path.rsplit_once('.').map(|(section, _)| format!("{section}."));
                let (section, known) = (section.unwrap_or_default(), known.join(", "));
                format!("there is no setting `{section}{name}`{whence}; there are: {known}")
            }
            kind => format!("{path}: {kind}{whence}"),
        }
    };
    faults.clone().into_iter().map(line).collect::<Vec<_>>().join("; ").replace('\n', " ")
}

fn bounds(report: &garde::Report) -> String {
    report.iter().map(|(path, fault)| format!("{path}: {fault}")).collect::<Vec<_>>().join("; ")
}

/// All settings. `usher.default.toml` says what each means.
#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[garde(dive)]
    pub(crate) http: Http,
    #[garde(skip)]
    pub(crate) data: Data,
    #[garde(dive)]
    pub(crate) log: Log,
    #[garde(skip)]
    pub(crate) trace: Trace,
    #[garde(skip)]
    pub(crate) auth: Auth,
    #[garde(skip)]
    pub(crate) draw: Draw,
    #[garde(dive)]
    pub(crate) pass: Pass,
    #[garde(dive)]
    pub(crate) claims: Claims,
    #[garde(dive)]
    pub(crate) limits: Limits,
    #[garde(dive)]
    pub(crate) writer: Writer,
    #[garde(dive)]
    pub(crate) kafka: Kafka,
    #[garde(dive)]
    pub(crate) redis: Redis,
    #[garde(dive)]
    pub(crate) postgres: Postgres,
    #[garde(dive)]
    pub(crate) query: Query,
    #[garde(dive)]
    pub(crate) webhooks: Webhooks,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    #[garde(skip)]
    pub(crate) listen: String,
    #[garde(skip)]
    pub(crate) advertise: String,
    #[garde(range(min = 1_024, max = 15_728_640))]
    pub(crate) max_body_bytes: usize,
    #[garde(range(min = 1, max = 600))]
    pub(crate) timeout_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    #[garde(range(min = 1, max = 1_024))]
    pub(crate) partitions: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TraceFormat {
    Text,
    Json,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trace {
    pub(crate) format: TraceFormat,
    pub(crate) filter: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) operator_key: SecretString,
    pub(crate) merchant_key: SecretString,
    pub(crate) keys: Vec<usher_http::auth::KeyConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draw {
    pub(crate) keys: Vec<DrawKey>,
    pub(crate) beacon_url: String,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pass {
    #[garde(length(min = 1, max = 200))]
    pub(crate) issuer: String,
    #[garde(skip)]
    pub(crate) keys: Vec<PassKey>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PassKey {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    #[garde(range(min = 1, max = 3_650))]
    pub(crate) keep_days: u32,
    #[garde(length(max = 100), custom(distinct_issuers))]
    pub(crate) issuers: Vec<usher_command::claims::IssuerConfig>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    #[garde(range(max = 1_000_000))]
    pub(crate) joins_per_address_per_minute: u32,
    #[garde(range(max = 1_000_000))]
    pub(crate) joins_per_opening_per_second: u32,
    #[garde(length(max = 1_000))]
    pub(crate) trusted_proxies: Vec<String>,
}

fn distinct_issuers(issuers: &[usher_command::claims::IssuerConfig], (): &()) -> garde::Result {
    for (at, one) in issuers.iter().enumerate() {
        if one.issuer.is_empty() || one.jwks.is_empty() {
            return Err(garde::Error::new("an issuer needs a name and a `jwks`"));
        }
        if issuers[..at].iter().any(|earlier| earlier.issuer == one.issuer) {
            return Err(garde::Error::new(format!("the issuer `{}` is there twice", one.issuer)));
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrawKey {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Writer {
    #[garde(range(min = 1, max = 100_000))]
    pub(crate) max_in_flight: usize,
    #[garde(range(min = 1, max = 1_000_000))]
    pub(crate) mailbox: usize,
    #[garde(range(min = 100, max = 60_000))]
    pub(crate) patience_ms: u64,
}

/// A name that Kafka takes for a topic, and Redis in a key beside a hash tag.
fn plain(name: &str, _: &()) -> garde::Result {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=200).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(garde::Error::new("takes 1 to 200 of A-Z, a-z, 0-9, `.`, `_` and `-`"))
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    #[garde(skip)]
    pub(crate) brokers: String,
    #[garde(custom(plain))]
    pub(crate) topic: String,
    #[garde(custom(plain))]
    pub(crate) dead_letter_topic: String,
    #[garde(custom(plain))]
    pub(crate) group: String,
    #[garde(range(min = 0, max = 9))]
    pub(crate) replication: i32,
    #[garde(range(min = 1_000, max = 300_000))]
    pub(crate) message_timeout_ms: u32,
    #[garde(range(min = 1_000, max = 60_000))]
    pub(crate) session_timeout_ms: u32,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    #[garde(skip)]
    pub(crate) url: SecretString,
    #[garde(custom(plain))]
    pub(crate) prefix: String,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    #[garde(skip)]
    pub(crate) url: SecretString,
    #[garde(range(min = 2, max = 200))]
    pub(crate) max_connections: u32,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    #[garde(range(min = 1, max = 60_000))]
    pub(crate) after_timeout_ms: u64,
    #[garde(range(min = 1, max = 1_000_000))]
    pub(crate) after_waiters: usize,
    #[garde(range(min = 1, max = 1_000_000))]
    pub(crate) updates_connections: usize,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhooks {
    #[garde(length(max = 100))]
    pub(crate) receivers: Vec<usher_projector::webhooks::ReceiverConfig>,
    #[garde(range(min = 1, max = 60))]
    pub(crate) timeout_s: u64,
    #[garde(range(min = 1, max = 1_000))]
    pub(crate) refusals: u32,
    #[garde(range(min = 1, max = 8_760))]
    pub(crate) give_up_after_h: u64,
}

impl Config {
    /// Reads the defaults, then `file` if there is one, then the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            let unread = |error| ConfigError::File { path: file.display().to_string(), error };
            drop(std::fs::File::open(file).map_err(unread)?);
            figment = figment.merge(Toml::file_exact(file));
        }
        let environment = Env::prefixed("USHER_")
            .filter(|key| !key.as_str().to_ascii_lowercase().starts_with(NOT_SETTINGS))
            .split("__");
        let config: Self =
            figment.merge(environment).extract().map_err(|error| ConfigError::Form(Box::new(error)))?;
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::result_large_err, reason = "the error is figment's")]
    fn load_with(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut loaded = Err(String::new());
        figment::Jail::expect_with(|jail| {
            for (key, value) in variables {
                jail.set_env(key, value);
            }
            loaded = Config::load(None).map_err(|error| error.to_string());
            Ok(())
        });
        loaded
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(load_with(&[]).unwrap().log.partitions, 16);
    }

    #[test]
    fn the_environment_overrides_the_defaults() {
        let config = load_with(&[("USHER_LOG__PARTITIONS", "4"), ("USHER_HTTP__LISTEN", "127.0.0.1:9000")]);
        let config = config.unwrap();
        assert_eq!(config.log.partitions, 4);
        assert_eq!(config.http.listen, "127.0.0.1:9000");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it_and_those_there_are() {
        let error = load_with(&[("USHER_HTTP__LISTNE", "x")]).unwrap_err();
        assert!(error.starts_with("there is no setting `http.listne` in `USHER_` environment"), "{error}");
        assert!(error.contains("there are: listen, advertise"), "{error}");
        let error = load_with(&[("USHER_HTPP__LISTEN", "x")]).unwrap_err();
        assert!(error.starts_with("there is no setting `htpp`"), "{error}");
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "the error is figment's")]
    fn a_value_of_another_kind_is_an_error_that_names_it_and_where_it_stands() {
        let mut said = String::new();
        figment::Jail::expect_with(|jail| {
            jail.create_file("usher.toml", "[log]\npartitions = \"many\"\n")?;
            said = Config::load(Some(Path::new("usher.toml"))).unwrap_err().to_string();
            Ok(())
        });
        assert!(said.starts_with("log.partitions: ") && said.contains("usher.toml"), "{said}");
        assert_eq!(said.lines().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_that_names_it() {
        let error = Config::load(Some(Path::new("nowhere.toml"))).unwrap_err().to_string();
        assert!(error.starts_with("nowhere.toml: "), "{error}");
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "the error is figment's")]
    fn a_file_overrides_the_defaults_and_the_environment_the_file() {
        figment::Jail::expect_with(|jail| {
            jail.create_file("usher.toml", "[log]\npartitions = 4\n[query]\nafter_waiters = 7\n")?;
            jail.set_env("USHER_LOG__PARTITIONS", "5");
            let config = Config::load(Some(Path::new("usher.toml"))).unwrap();
            assert_eq!((config.log.partitions, config.query.after_waiters), (5, 7));
            Ok(())
        });
    }

    #[test]
    fn a_value_out_of_bounds_is_an_error_that_names_it() {
        let error = load_with(&[("USHER_LOG__PARTITIONS", "0")]).unwrap_err();
        assert_eq!(error, "log.partitions: lower than 1");
    }

    #[test]
    fn a_name_that_redis_or_kafka_would_read_otherwise_is_an_error() {
        let error = load_with(&[("USHER_REDIS__PREFIX", "a{b}"), ("USHER_KAFKA__TOPIC", "")]).unwrap_err();
        assert!(error.contains("redis.prefix: takes") && error.contains("kafka.topic: takes"), "{error}");
    }

    #[test]
    fn the_variables_of_the_test_stack_are_no_settings() {
        assert!(load_with(&[("USHER_STACK", "x"), ("USHER_STACK_DIR", "y")]).is_ok());
    }

    #[test]
    fn a_receiver_of_webhooks_may_stand_in_the_environment() {
        let receivers = "[{name = \"shop\", url = \"https://shop.example\", secrets = [\"whsec_a-secret\"]}]";
        let config = load_with(&[("USHER_WEBHOOKS__RECEIVERS", receivers)]).unwrap();
        assert_eq!(config.webhooks.receivers[0].url, "https://shop.example");
        assert!(!format!("{config:?}").contains("a-secret"));
        let error =
            load_with(&[("USHER_WEBHOOKS__RECEIVERS", "[{name = \"shop\", types = [\"seat.sold\"]}]")]);
        assert!(error.unwrap_err().contains("seats.held"));
    }

    #[test]
    fn secrets_do_not_show_when_the_settings_are_printed() {
        let config = load_with(&[("USHER_AUTH__OPERATOR_KEY", "an-operator-key-of-32-characters")]).unwrap();
        assert!(!format!("{config:?}").contains("an-operator-key"));
    }
}
