//! Who is told, where, and how they know that it is us.

use std::fmt;

use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use standardwebhooks::Webhook;
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;

use super::kind::Kind;
use super::message::Message;

/// The most secrets that a receiver has: one, and while it is replaced the
/// one before.
const MOST_SECRETS: usize = 4;
/// How long a secret is, in bytes, says the Standard Webhooks specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What precedes a secret.
const SECRET_PREFIX: &str = "whsec_";

/// A receiver as it is configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// What operators call it. What waits for a receiver waits under its name.
    pub name: String,
    /// Where it is told: `https`, or `http` on this machine.
    pub url: String,
    /// What messages are signed with, each like `whsec_...`: with all of them,
    /// so that a secret can be replaced.
    pub secrets: Vec<SecretString>,
    /// Only of openings whose ids begin so; empty: of all.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Only of these; empty: of everything.
    #[serde(default)]
    pub types: Vec<Kind>,
}

/// Why a receiver cannot be used as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverFault {
    /// A name is needed to know what waits for whom.
    #[error("a receiver's name takes 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, not `{0}`")]
    Name(String),
    /// Two have one name.
    #[error("the receiver `{0}` is there twice")]
    Twice(String),
    /// It is no address, or bytes would leave the machine in clear.
    #[error("the receiver `{0}` needs a url with https (or http to 127.0.0.1, [::1] or localhost)")]
    Url(String),
    /// It has none, or too many, or one of another form.
    #[error(
        "the receiver `{0}` needs 1 to 4 secrets like whsec_..., of 24 to 64 bytes (`usher key webhook` makes one)"
    )]
    Secrets(String),
}

/// Who is told. Cheap to share, not to clone.
pub struct Receiver {
    pub(crate) name: String,
    pub(crate) url: Uri,
    prefixes: Vec<String>,
    kinds: Vec<Kind>,
    signers: Vec<Webhook>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether bytes to `url` are encrypted, or stay on this machine.
fn is_private(url: &Uri) -> bool {
    let here = matches!(url.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.host().is_some_and(|host| !host.is_empty())
        && matches!((url.scheme_str(), here), (Some("https"), _) | (Some("http"), true))
}

/// A new secret.
pub fn mint() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    SecretString::from(format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes)))
}

fn signer(secret: &SecretString) -> Option<Webhook> {
    let bytes = STANDARD.decode(secret.expose_secret().strip_prefix(SECRET_PREFIX)?).ok()?;
    if SECRET_BYTES.contains(&bytes.len()) { Webhook::from_bytes(bytes).ok() } else { None }
}

impl Receiver {
    /// The receivers as they are configured.
    pub fn all(configs: Vec<ReceiverConfig>) -> Result<Vec<Self>, ReceiverFault> {
        let mut all: Vec<Self> = Vec::with_capacity(configs.len());
        for config in configs {
            let receiver = Self::new(config)?;
            if all.iter().any(|other| other.name == receiver.name) {
                return Err(ReceiverFault::Twice(receiver.name));
            }
            all.push(receiver);
        }
        Ok(all)
    }

    fn new(config: ReceiverConfig) -> Result<Self, ReceiverFault> {
        let ReceiverConfig { name, url, secrets, prefixes, types } = config;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(ReceiverFault::Name(name));
        }
        let Some(url) = url.parse().ok().filter(is_private) else { return Err(ReceiverFault::Url(name)) };
        let signers: Option<Vec<_>> = secrets.iter().map(signer).collect();
        match signers {
            Some(signers) if (1..=MOST_SECRETS).contains(&signers.len()) => {
                Ok(Self { name, url, prefixes, kinds: types, signers })
            }
            _ => Err(ReceiverFault::Secrets(name)),
        }
    }

    /// What operators call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is to be told of this.
    pub(crate) fn wants(&self, opening: &OpeningId, kind: Kind) -> bool {
        let within = |prefix: &String| opening.as_str().starts_with(prefix.as_str());
        (self.prefixes.is_empty() || self.prefixes.iter().any(within))
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }

    /// The signatures of a message that is sent now, with each secret.
    pub(crate) fn sign(&self, message: &Message, now: Timestamp) -> Result<String, String> {
        let signatures = self
            .signers
            .iter()
            .map(|signer| signer.sign(&message.id, now.0.div_euclid(1_000), message.body.as_bytes()));
        let signatures: Result<Vec<_>, _> = signatures.collect();
        signatures.map(|all| all.join(" ")).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Order;
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn config() -> ReceiverConfig {
        ReceiverConfig {
            name: "shop".into(),
            url: "https://shop.example/hooks".into(),
            secrets: vec![SECRET.into()],
            prefixes: Vec::new(),
            types: Vec::new(),
        }
    }

    /// A message as the test vector of the Standard Webhooks libraries has it.
    fn vector() -> Message {
        Message {
            order: Order { offset: 0, part: 0 },
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            kind: Kind::SeatsHeld,
            body: r#"{"test": 2432232314}"#.into(),
            since: Timestamp(0),
            attempts: 0,
            refusals: 0,
            fault: None,
        }
    }

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let receiver = Receiver::new(config()).unwrap();
        let signature = receiver.sign(&vector(), Timestamp(1_614_265_330_999)).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let other = format!("whsec_{}", "A".repeat(32));
        let receiver =
            Receiver::new(ReceiverConfig { secrets: vec![other.into(), SECRET.into()], ..config() }).unwrap();
        let signatures = receiver.sign(&vector(), Timestamp(1_614_265_330_000)).unwrap();
        let (new, old) = signatures.split_once(' ').unwrap();
        assert_eq!(old, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(new.starts_with("v1,") && new != old);
    }

    #[test]
    fn bytes_that_leave_the_machine_are_encrypted() {
        let with = |url: &str| Receiver::new(ReceiverConfig { url: url.into(), ..config() });
        for url in ["https://shop.example/hooks", "http://127.0.0.1:9000/", "http://[::1]:9000/x"] {
            assert!(with(url).is_ok(), "{url}");
        }
        for url in
            ["http://shop.example/", "http://127.0.0.1.shop.example/", "ftp://localhost/", "/hooks", ""]
        {
            assert_eq!(with(url).unwrap_err(), ReceiverFault::Url("shop".into()), "{url}");
        }
    }

    #[test]
    fn a_receiver_needs_a_name_of_its_own_and_secrets_of_the_right_form() {
        let with = |secrets: &[&str]| {
            let secrets = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
            Receiver::new(ReceiverConfig { secrets, ..config() }).map(drop)
        };
        let wrong = Err(ReceiverFault::Secrets("shop".into()));
        for secrets in
            [&[][..], &["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], &["whsec_c2hvcnQ="], &["whsec_?"], &[SECRET; 5]]
        {
            assert_eq!(with(secrets), wrong, "{secrets:?}");
        }
        assert_eq!(with(&[mint().expose_secret()]), Ok(()));
        let unnamed = Receiver::all(vec![ReceiverConfig { name: "a shop".into(), ..config() }]);
        assert_eq!(unnamed.unwrap_err(), ReceiverFault::Name("a shop".into()));
        let twice = Receiver::all(vec![config(), config()]);
        assert_eq!(twice.unwrap_err(), ReceiverFault::Twice("shop".into()));
    }

    #[test]
    fn a_receiver_is_told_of_its_openings_and_of_what_it_wants() {
        let receiver = Receiver::new(ReceiverConfig {
            prefixes: vec!["film-".into()],
            types: vec![Kind::RefundDue],
            ..config()
        });
        let receiver = receiver.unwrap();
        let opening = |id: &str| OpeningId::new(id).unwrap();
        assert!(receiver.wants(&opening("film-a"), Kind::RefundDue));
        assert!(!receiver.wants(&opening("film-a"), Kind::SeatsHeld));
        assert!(!receiver.wants(&opening("concert"), Kind::RefundDue));
        let all = Receiver::new(config()).unwrap();
        assert!(all.wants(&opening("concert"), Kind::SeatsHeld));
    }

    #[test]
    fn secrets_do_not_show_when_a_receiver_is_printed() {
        let shown = format!("{:?} {:?}", config(), Receiver::new(config()).unwrap());
        assert!(!shown.contains("MfKQ"), "{shown}");
    }
}
