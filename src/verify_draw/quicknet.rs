//! Rounds of drand's quicknet.

use blst::BLST_ERROR;
use blst::min_sig::{PublicKey, Signature};

use super::published::{Beacon, Bytes32, bytes};
use super::tree::sha256;

/// The chain's public key, as its members published it.
const PUBLIC_KEY: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
/// When round 1 came out, in seconds since the Unix epoch.
const GENESIS_S: i64 = 1_692_803_367;
/// From one round to the next, in seconds.
const PERIOD_S: i64 = 3;
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// Whether the beacon that was named is one whose time is true.
pub(super) fn is_named_truly(beacon: &Beacon) -> Result<(), String> {
    if beacon.source != "drand-quicknet" {
        return Err(format!("`{}` is no source that can be verified here", beacon.source));
    }
    let time: jiff::Timestamp =
        beacon.round_at.parse().map_err(|_| format!("`{}` is no time", beacon.round_at))?;
    let since_genesis = i64::try_from(beacon.round).ok().and_then(|round| (round - 1).checked_mul(PERIOD_S));
    let comes_out = since_genesis.filter(|since| *since >= 0).and_then(|since| GENESIS_S.checked_add(since));
    match comes_out {
        Some(second) if time == jiff::Timestamp::from_second(second).unwrap_or_default() => Ok(()),
        _ => Err(format!("round {} does not come out at {}", beacon.round, beacon.round_at)),
    }
}

/// The randomness of the beacon's round, if its signature is the round's.
pub(super) fn verified(beacon: &Beacon) -> Result<Bytes32, String> {
    let text = beacon.signature.as_deref().ok_or("its round is not there")?;
    let signature: [u8; 48] = bytes(text).ok_or("its signature is not of 96 lower-case digits")?;
    let key: [u8; 96] = bytes(PUBLIC_KEY).ok_or("the public key is unreadable")?;
    let key = PublicKey::key_validate(&key).map_err(|error| format!("the public key: {error:?}"))?;
    let point = Signature::sig_validate(&signature, true);
    let message = sha256(&[&beacon.round.to_be_bytes()]);
    let is_the_rounds = point.is_ok_and(|point| {
        point.verify(true, &message.0, DOMAIN, &[], &key, true) == BLST_ERROR::BLST_SUCCESS
    });
    if !is_the_rounds {
        return Err(format!("the signature is not that of round {}", beacon.round));
    }
    let randomness = sha256(&[&signature]);
    match beacon.randomness {
        Some(published) if published == randomness => Ok(randomness),
        _ => Err("the published randomness is not the SHA-256 of the signature".to_owned()),
    }
}
