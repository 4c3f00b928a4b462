//! The verifiable shuffle of the lobby: one function for writers and views.

use sha2::{Digest as _, Sha256};

use crate::ids::{Hash, Ticket};

/// The cohort's tickets in drawn order: sorted by
/// `SHA-256(seed || cohort_root || beacon || ticket)` over raw bytes; the
/// first one gets number 1. `beacon` is the round's randomness, or empty.
pub fn drawn_order(seed: &Hash, cohort_root: &Hash, beacon: Option<&Hash>, cohort: &[Ticket]) -> Vec<Ticket> {
    let mut prefix = Sha256::new();
    prefix.update(seed.0);
    prefix.update(cohort_root.0);
    if let Some(beacon) = beacon {
        prefix.update(beacon.0);
    }
    let mut keyed: Vec<([u8; 32], Ticket)> = cohort
        .iter()
        .map(|ticket| (prefix.clone().chain_update(ticket.0).finalize().into(), *ticket))
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, ticket)| ticket).collect()
}

/// The Merkle tree hash of RFC 6962, section 2.1, over the tickets' bytes in
/// the given order.
pub fn merkle_root(tickets: &[Ticket]) -> Hash {
    let mut level: Vec<Hash> = tickets.iter().map(leaf).collect();
    if level.is_empty() {
        return Hash(Sha256::digest([]).into());
    }
    while level.len() > 1 {
        level = parents(&level);
    }
    level[0]
}

/// The inclusion proof (audit path of RFC 6962, section 2.1.1) for the ticket
/// at `index`, from the leaf's sibling up; none when there is no such ticket.
pub fn inclusion_proof(tickets: &[Ticket], index: usize) -> Option<Vec<Hash>> {
    if index >= tickets.len() {
        return None;
    }
    let mut level: Vec<Hash> = tickets.iter().map(leaf).collect();
    let (mut index, mut path) = (index, Vec::new());
    while level.len() > 1 {
        if let Some(sibling) = level.get(index ^ 1) {
            path.push(*sibling);
        }
        level = parents(&level);
        index /= 2;
    }
    Some(path)
}

fn leaf(ticket: &Ticket) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(ticket.0).finalize().into())
}

// A lone last node moves up unchanged, which is the same tree as RFC 6962's
// split at the largest power of two.
fn parents(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => {
                let hash = Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0);
                Hash(hash.finalize().into())
            }
            _ => pair[0],
        })
        .collect()
}

/// SHA-256 of the seed: what is published before the draw.
pub fn commitment(seed: &Hash) -> Hash {
    Hash(Sha256::digest(seed.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(count: u8) -> Vec<Ticket> {
        (0..count).map(|i| Ticket([i; 32])).collect()
    }

    /// RFC 6962's definition, word for word.
    fn by_definition(leaves: &[Ticket]) -> Hash {
        match leaves {
            [] => Hash(Sha256::digest([]).into()),
            [one] => leaf(one),
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                let (left, right) = (by_definition(&leaves[..k]), by_definition(&leaves[k..]));
                Hash(
                    Sha256::new()
                        .chain_update([1])
                        .chain_update(left.0)
                        .chain_update(right.0)
                        .finalize()
                        .into(),
                )
            }
        }
    }

    fn root_from_proof(ticket: &Ticket, index: usize, size: usize, path: &[Hash]) -> Hash {
        // RFC 9162, section 2.1.3.2.
        let (mut node, mut at, mut last) = (leaf(ticket), index, size - 1);
        for sibling in path {
            let pair = |l: &Hash, r: &Hash| {
                Hash(Sha256::new().chain_update([1]).chain_update(l.0).chain_update(r.0).finalize().into())
            };
            if at % 2 == 1 || at == last {
                node = pair(sibling, &node);
                while at % 2 == 0 && at != 0 {
                    at /= 2;
                    last /= 2;
                }
            } else {
                node = pair(&node, sibling);
            }
            at /= 2;
            last /= 2;
        }
        node
    }

    #[test]
    fn the_root_is_rfc_6962s_and_every_proof_leads_to_it() {
        for count in 0..40 {
            let tickets = tickets(count);
            let root = merkle_root(&tickets);
            assert_eq!(root, by_definition(&tickets), "{count} tickets");
            for (index, ticket) in tickets.iter().enumerate() {
                let path = inclusion_proof(&tickets, index).unwrap();
                assert_eq!(root_from_proof(ticket, index, tickets.len(), &path), root);
            }
        }
    }

    #[test]
    fn the_order_depends_on_seed_cohort_and_beacon_and_keeps_every_ticket() {
        let cohort = tickets(50);
        let (seed, root) = (Hash([1; 32]), merkle_root(&cohort));
        let order = drawn_order(&seed, &root, None, &cohort);
        assert_ne!(order, drawn_order(&Hash([2; 32]), &root, None, &cohort));
        assert_ne!(order, drawn_order(&seed, &Hash([2; 32]), None, &cohort));
        assert_ne!(order, drawn_order(&seed, &root, Some(&Hash([2; 32])), &cohort));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, cohort);
    }
}
