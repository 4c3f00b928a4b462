//! Making API keys.

use std::process::ExitCode;

use secrecy::ExposeSecret;
use usher_http::auth;

use crate::cli::{self, KeyKind};

/// Prints a new key, and what to configure: only the hash is kept.
pub(crate) fn mint(kind: KeyKind) -> ExitCode {
    let (name, kind) = match kind {
        KeyKind::Operator => ("operator", auth::KeyKind::Operator),
        KeyKind::Merchant => ("merchant", auth::KeyKind::Merchant),
    };
    let (key, config) = auth::mint_key(&format!("{name}-1"), kind);
    let (key, hash) = (key.expose_secret(), config.sha256);
    cli::say(&format!(
        "key (shown once): {key}\nfor the settings:  {{ name = \"{name}-1\", kind = \"{name}\", sha256 = \"{hash}\" }}\n"
    ))
}
