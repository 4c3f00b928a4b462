//! Checks a draw from what was published of it, and from nothing else.
//!
//! The code of this check is its own: it shares none with the code that
//! draws, so that a fault there is not repeated here. See `docs/draw.md`.

mod checks;
mod published;
mod quicknet;
#[cfg(test)]
mod tests;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;

use crate::cli;
use crate::fetch::Fetcher;
use checks::{Check, Published};
use published::{Draw, Proof};

/// The largest cohort that is read: four million tickets of 32 bytes.
const MOST_BYTES: usize = 128 * 1024 * 1024;
/// How long one document may take.
const WITHIN: Duration = Duration::from_secs(120);

/// Where the published data are: at an address, or in files.
#[derive(Debug, Args)]
pub(crate) struct VerifyDraw {
    /// The opening's address, e.g. https://tickets.example/v1/openings/concert
    #[arg(value_name = "URL", required_unless_present_all = ["draw", "cohort"])]
    opening: Option<String>,
    /// A ticket whose proofs are read from the address and checked, too.
    #[arg(long = "ticket", value_name = "TICKET", requires = "opening")]
    tickets: Vec<String>,
    /// The draw as it was published, instead of `URL/draw`.
    #[arg(long, value_name = "FILE")]
    draw: Option<PathBuf>,
    /// The cohort as it was published, instead of `URL/draw/cohort`.
    #[arg(long, value_name = "FILE")]
    cohort: Option<PathBuf>,
    /// A ticket's proofs as they were published.
    #[arg(long = "proof", value_name = "FILE")]
    proofs: Vec<PathBuf>,
}

impl VerifyDraw {
    /// Makes every check and prints what it found, one a line; fails when
    /// one does.
    pub(crate) fn run(&self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let read = match runtime {
            Ok(runtime) => runtime.block_on(self.read()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok((draw, cohort, proofs)) => {
                report(&draw, &checks::all(&Published { draw: &draw, cohort: &cohort, proofs: &proofs }))
            }
            Err(reason) => cli::fail(&reason),
        }
    }

    async fn read(&self) -> Result<(Draw, Vec<u8>, Vec<Proof>), String> {
        let fetcher = Fetcher::new().map_err(|error| error.to_string())?;
        let draw = self.document(&fetcher, self.draw.as_deref(), "draw").await?;
        let cohort = self.document(&fetcher, self.cohort.as_deref(), "draw/cohort").await?;
        let mut proofs = Vec::new();
        for file in &self.proofs {
            proofs.push(parsed(&self.document(&fetcher, Some(file), "").await?, "the proof")?);
        }
        for ticket in &self.tickets {
            let proof = self.document(&fetcher, None, &format!("tickets/{ticket}/proof")).await?;
            proofs.push(parsed(&proof, "the proof")?);
        }
        Ok((parsed(&draw, "the draw")?, cohort, proofs))
    }

    /// A document from its file, or from the opening's address.
    async fn document(&self, fetcher: &Fetcher, file: Option<&Path>, path: &str) -> Result<Vec<u8>, String> {
        if let Some(file) = file {
            return std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
        }
        let opening = self.opening.as_deref().unwrap_or_default().trim_end_matches('/');
        let url = format!("{opening}/{path}");
        let read = fetcher.get(&url, MOST_BYTES, WITHIN).await;
        read.map(|bytes| bytes.to_vec()).map_err(|error| format!("{url}: {error}"))
    }
}

fn parsed<T: DeserializeOwned>(document: &[u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(document).map_err(|error| format!("{what} is unreadable: {error}"))
}

fn report(draw: &Draw, checks: &[Check]) -> ExitCode {
    let mut text = String::new();
    for Check { what, fault } in checks {
        text += &match fault {
            None => format!("ok    {what}\n"),
            Some(fault) => format!("FAIL  {what}: {fault}\n"),
        };
    }
    if draw.beacon.is_none() {
        text += "note  no beacon was named: this is no proof against whoever has the draw key\n";
    }
    let failed = checks.iter().filter(|check| check.fault.is_some()).count();
    text += &match failed {
        0 => "the draw is true to what was published\n".to_owned(),
        _ => format!("{failed} of {} checks failed\n", checks.len()),
    };
    cli::say(&text);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
