//! Making the topics, and bringing the database's tables up to date.

use secrecy::ExposeSecret;
use tracing::info;
use usher_events::log::kafka::ensure_topics;
use usher_projector::analytics::let_analyst_in;
use usher_projector::places::MIGRATIONS;

use super::{RoleError, servers};
use crate::config::{Config, ConfigError};

/// Does what is configured: topics where there are brokers, tables where
/// there is a database, and the role of analysts that was asked for. Safe to
/// repeat.
pub(crate) async fn run(config: Config, analyst: Option<String>) -> Result<(), RoleError> {
    let kafka = servers::kafka(&config);
    let has_database = !config.postgres.url.expose_secret().is_empty();
    match kafka {
        Ok(kafka) => {
            let facts = ensure_topics(&kafka).await.map_err(|error| RoleError::Other(error.to_string()))?;
            info!(
                topic = kafka.topic,
                partitions = facts.partitions,
                replicas = facts.replicas,
                "the topics are there"
            );
        }
        Err(missing) if !has_database => return Err(missing),
        Err(_) => info!("no kafka.brokers: the topics are left alone"),
    }
    if has_database {
        let pool = servers::postgres(&config)?;
        MIGRATIONS.run(&pool).await.map_err(|error| RoleError::Other(format!("the tables: {error}")))?;
        info!("the tables are up to date");
        if let Some(role) = analyst {
            let_analyst_in(&pool, &role).await.map_err(|error| RoleError::Other(error.to_string()))?;
            info!(role, "the role reads the views of the schema analytics");
        }
    } else if analyst.is_some() {
        return Err(ConfigError::Missing("postgres.url", "POSTGRES__URL").into());
    } else {
        info!("no postgres.url: the tables are left alone");
    }
    Ok(())
}
