//! The beacon that a draw may name: drand's quicknet, and no other.
//!
//! Every three seconds the members of the League of Entropy publish a round:
//! a BLS signature of the round's number by a key that no one of them has.
//! Nobody knows a round before it comes out, and anyone can verify it.

use blst::BLST_ERROR;
use blst::min_sig::{PublicKey, Signature};
use sha2::{Digest as _, Sha256};
use usher_events::ids::Hash;
use usher_events::time::Timestamp;

/// What an opening calls this beacon.
pub const SOURCE: &str = "drand-quicknet";
/// The chain's hash, by which relays know it.
pub const CHAIN_HASH: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
/// How long a signature is, in bytes.
pub const SIGNATURE_BYTES: usize = 48;

/// When round 1 came out.
const GENESIS: Timestamp = Timestamp(1_692_803_367_000);
/// From one round to the next, in milliseconds.
const PERIOD_MS: u64 = 3_000;
/// The chain's public key, a compressed point of G2.
const PUBLIC_KEY: [u8; 96] = *b"\x83\xcf\x0f\x28\x96\xad\xee\x7e\xb8\xb5\xf0\x1f\xca\xd3\x91\x22\
\x12\xc4\x37\xe0\x07\x3e\x91\x1f\xb9\x00\x22\xd3\xe7\x60\x18\x3c\
\x8c\x4b\x45\x0b\x6a\x0a\x6c\x3a\xc6\xa5\x77\x6a\x2d\x10\x64\x51\
\x0d\x1f\xec\x75\x8c\x92\x1c\xc2\x2b\x0e\x17\xe6\x3a\xaf\x4b\xcb\
\x5e\xd6\x63\x04\xde\x9c\xf8\x09\xbd\x27\x4c\xa7\x3b\xab\x4a\xf5\
\xa6\xe9\xc7\x6a\x4b\xc0\x9e\x76\xea\xe8\x99\x1e\xf5\xec\xe4\x5a";
/// The ciphersuite's domain (scheme `bls-unchained-g1-rfc9380`).
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// A signature that is not the round's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the round's signature")]
pub struct NotTheRounds;

/// When `round` comes out; none for rounds that never do.
pub fn time_of(round: u64) -> Option<Timestamp> {
    let since = round.checked_sub(1)?.checked_mul(PERIOD_MS)?;
    GENESIS.0.checked_add_unsigned(since).map(Timestamp)
}

/// The randomness of `round`, if `signature` is the round's.
///
/// Takes about a millisecond.
pub fn verify(round: u64, signature: &[u8; SIGNATURE_BYTES]) -> Result<Hash, NotTheRounds> {
    let point = Signature::sig_validate(signature, true).map_err(|_| NotTheRounds)?;
    let key = PublicKey::from_bytes(&PUBLIC_KEY).map_err(|_| NotTheRounds)?;
    let message = Sha256::digest(round.to_be_bytes());
    match point.verify(false, &message, DOMAIN, &[], &key, false) {
        BLST_ERROR::BLST_SUCCESS => Ok(Hash(Sha256::digest(signature).into())),
        _ => Err(NotTheRounds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds as drand's relays answer them.
    const ROUNDS: [(u64, &str); 5] = [
        (
            1_000,
            "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
        ),
        (
            1_001,
            "b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41",
        ),
        (
            1_002,
            "ab066f9c12dd6de1336fca0f925192fb0c72a771c3e4c82ede1fd362c1a770f9eb05843c6308ce2530b53a99c0281a6e",
        ),
        (
            1_003,
            "b104c82771698f45fd8dcfead083d482694c31ab519bcef077f126f3736fe98c8392fd5d45d88aeb76b56ccfcb0296d7",
        ),
        (
            657_413,
            "b713718a38ae728dfd477991af2822e08d2f305e47718cef9f7848ce4050e7be41076862b98fad56e91a6b85b89cd97b",
        ),
    ];

    fn signature(text: &str) -> [u8; SIGNATURE_BYTES] {
        const_hex::decode_to_array(text).unwrap()
    }

    #[test]
    fn real_rounds_are_the_rounds_and_give_their_randomness() {
        for (round, text) in ROUNDS {
            assert!(verify(round, &signature(text)).is_ok(), "round {round}");
        }
        let randomness = |at: usize| verify(ROUNDS[at].0, &signature(ROUNDS[at].1)).unwrap().to_string();
        assert_eq!(randomness(0), "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd");
        assert_eq!(randomness(4), "fc1873a13f3545aeade8401532ef5519920652eee6b0d2b19ca12643b87b3587");
    }

    #[test]
    fn a_signature_is_of_its_own_round_only() {
        for (round, text) in ROUNDS {
            for other in [round - 1, round + 1, 0, u64::MAX] {
                assert_eq!(verify(other, &signature(text)), Err(NotTheRounds), "{round} as {other}");
            }
        }
    }

    #[test]
    fn no_changed_signature_is_taken() {
        let (round, text) = ROUNDS[0];
        for bit in 0..SIGNATURE_BYTES * 8 {
            let mut changed = signature(text);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(round, &changed), Err(NotTheRounds), "bit {bit}");
        }
        let mut infinity = [0; SIGNATURE_BYTES];
        infinity[0] = 0xc0;
        for forged in [[0; SIGNATURE_BYTES], [0xff; SIGNATURE_BYTES], infinity] {
            assert_eq!(verify(round, &forged), Err(NotTheRounds));
        }
    }

    #[test]
    fn a_round_comes_out_every_three_seconds_from_the_first_on() {
        let time = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        assert_eq!(time_of(1), Some(time("2023-08-23T15:09:27Z")));
        assert_eq!(time_of(2), Some(time("2023-08-23T15:09:30Z")));
        assert_eq!(time_of(1_000), Some(time("2023-08-23T15:59:24Z")));
        assert_eq!(time_of(0), None);
        assert_eq!(time_of(u64::MAX), None);
    }
}
