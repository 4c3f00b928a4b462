//! The roles, and how each is wired.

pub(crate) mod command;
mod gate;
pub(crate) mod key;
pub(crate) mod migrate;
mod parts;
pub(crate) mod projector;
pub(crate) mod query;
pub(crate) mod serve;
pub(crate) mod servers;
pub(crate) mod subjects;
mod webhooks;

/// Why a role ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoleError {
    #[error("settings: {0}")]
    Config(#[from] crate::config::ConfigError),
    #[error("settings: {0}")]
    Setting(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the log: {0}; {1}")]
    Log(usher_events::log::embedded::OpenError, &'static str),
    #[error(transparent)]
    Start(#[from] usher_command::writer::StartError),
    #[error("{0}")]
    Other(String),
}
