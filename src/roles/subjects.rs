//! Looking after subject keys.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tracing::info;
use usher_command::claims::{Claims, KeyFiles, PostgresKeys, StoreFault, SubjectKeyStore};
use usher_command::writer::Writers;
use usher_events::ids::OpeningId;

use super::{RoleError, servers};
use crate::cli::{self, SubjectsAct};
use crate::config::Config;

/// The store of a data directory.
pub(crate) fn in_directory(dir: &Path) -> Arc<dyn SubjectKeyStore> {
    Arc::new(KeyFiles::new(dir.join("subjects")))
}

/// The store of a deployment.
pub(crate) fn in_database(config: &Config) -> Result<Arc<dyn SubjectKeyStore>, RoleError> {
    Ok(Arc::new(PostgresKeys::new(servers::postgres(config)?)))
}

/// What claims are checked with, as configured.
pub(crate) async fn claims(
    config: &Config,
    store: &Arc<dyn SubjectKeyStore>,
) -> Result<Arc<Claims>, RoleError> {
    let claims = Claims::start(config.claims.issuers.clone(), Arc::clone(store)).await;
    claims.map(Arc::new).map_err(|error| RoleError::Setting(format!("claims.issuers: {error}")))
}

/// Destroys the keys of openings that are long over, until told to stop.
pub(crate) fn watch(
    config: &Config,
    store: Arc<dyn SubjectKeyStore>,
    writers: Writers,
    stop: CancellationToken,
) {
    let watching = usher_command::claims::destroy_when_over(store, writers, config.claims.keep_days);
    tokio::spawn(stop.run_until_cancelled_owned(watching));
}

/// Does what the operator asks for.
pub(crate) async fn act(config: Config, act: SubjectsAct) -> Result<(), RoleError> {
    let has_database = !config.postgres.url.expose_secret().is_empty();
    let store = if has_database { in_database(&config)? } else { in_directory(&config.data.dir) };
    let failed = |fault: StoreFault| RoleError::Other(fault.to_string());
    match act {
        SubjectsAct::List => {
            for opening in store.openings().await.map_err(failed)? {
                cli::say(&format!("{opening}\n"));
            }
        }
        SubjectsAct::Destroy { opening } => {
            let opening = OpeningId::new(&opening).map_err(|error| RoleError::Other(error.to_string()))?;
            if !store.destroy(&opening).await.map_err(failed)? {
                return Err(RoleError::Other(format!("the opening `{opening}` has no subject key")));
            }
            info!(%opening, "destroyed the subject key; running instances forget it within a minute");
        }
    }
    Ok(())
}
