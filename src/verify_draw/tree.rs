//! Merkle trees and audit paths, written down from RFC 6962 and RFC 9162 and
//! from nothing else.

use sha2::{Digest as _, Sha256};

use super::published::Bytes32;

pub(super) fn sha256(parts: &[&[u8]]) -> Bytes32 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    Bytes32(hash.finalize().into())
}

/// MTH of RFC 6962, section 2.1.
pub(super) fn root(leaves: &[Bytes32]) -> Bytes32 {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], &leaf.0]),
        _ => {
            // The largest power of two that is smaller than their count.
            let split = 1 << (leaves.len() - 1).ilog2();
            let (left, right) = leaves.split_at(split);
            sha256(&[&[1], &root(left).0, &root(right).0])
        }
    }
}

/// The root that an audit path leads to, by RFC 9162, section 2.1.3.2; none
/// when it can be no path of that leaf.
pub(super) fn root_of_path(leaf: &Bytes32, index: usize, count: usize, path: &[Bytes32]) -> Option<Bytes32> {
    if index >= count {
        return None;
    }
    let (mut at, mut last) = (index, count - 1);
    let mut node = sha256(&[&[0], &leaf.0]);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            node = sha256(&[&[1], &sibling.0, &node.0]);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            node = sha256(&[&[1], &node.0, &sibling.0]);
        }
        (at, last) = (at / 2, last / 2);
    }
    (last == 0).then_some(node)
}
