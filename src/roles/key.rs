//! Making API keys.

use std::process::ExitCode;

use sha2::{Digest, Sha256};
use usher_events::ids::Hash;
use usher_http::auth;

use crate::cli::{self, KeyKind};

/// Prints a new key, and what to configure: only the hash is kept.
pub(crate) fn mint(kind: KeyKind) -> ExitCode {
    let key = auth::mint();
    let hash = Hash(Sha256::digest(&key).into());
    let kind = match kind {
        KeyKind::Operator => "operator",
        KeyKind::Merchant => "merchant",
    };
    cli::say(&format!(
        "key (shown once): {key}\nfor the settings:  {{ name = \"{kind}-1\", kind = \"{kind}\", sha256 = \"{hash}\" }}\n"
    ))
}
