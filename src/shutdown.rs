//! When to stop: an interrupt or a request to terminate.

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A token that is cancelled at the first SIGINT or SIGTERM.
pub(crate) fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancel = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        info!(signal = name, "stopping: no new requests, the ones under way are finished");
        cancel.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        warn!("stopping at once: a second signal came");
        std::process::exit(130);
    });
    Ok(token)
}
