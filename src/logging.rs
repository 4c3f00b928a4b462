//! Log lines: text for people, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Trace, TraceFormat};

/// Sends log lines to standard error, as the settings say.
pub(crate) fn start(trace: &Trace) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&trace.filter)?;
    let colours = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match trace.format {
        TraceFormat::Text => lines.with_target(false).try_init(),
        TraceFormat::Json => lines.json().flatten_event(true).try_init(),
    }
}
