//! Making keys.

use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use usher_http::{auth, pass};
use usher_projector::webhooks;

use crate::cli::{self, KeyKind};

/// Prints a new key, and what to configure: of an API key only the hash is kept.
pub(crate) fn mint(kind: KeyKind) -> ExitCode {
    let (name, kind) = match kind {
        KeyKind::Operator => ("operator", auth::KeyKind::Operator),
        KeyKind::Merchant => ("merchant", auth::KeyKind::Merchant),
        KeyKind::Pass => return mint_pass_key(),
        KeyKind::Webhook => return cli::say(&format!("{}\n", webhooks::mint().expose_secret())),
    };
    let (key, config) = auth::mint_key(&format!("{name}-1"), kind);
    let (key, hash) = (key.expose_secret(), config.sha256);
    cli::say(&format!(
        "key (shown once): {key}\nfor the settings:  {{ name = \"{name}-1\", kind = \"{name}\", sha256 = \"{hash}\" }}\n"
    ))
}

fn mint_pass_key() -> ExitCode {
    let secret = SecretString::from(auth::mint());
    match pass::id_of(&secret) {
        Ok(id) => cli::say(&format!("{{ id = \"{id}\", secret = \"{}\" }}\n", secret.expose_secret())),
        Err(error) => cli::fail(&error.to_string()),
    }
}
