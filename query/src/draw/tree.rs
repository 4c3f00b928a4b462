//! A Merkle tree that is built once and then proves any of its leaves.

use sha2::{Digest, Sha256};
use usher_events::ids::{Hash, Ticket};

/// So many leaves are hashed again for each proof, a power of two: what lies
/// below is not kept, which is nine tenths of a tree.
pub(super) const BLOCK: usize = 8;

/// The tree of RFC 6962, section 2.1, over tickets in some order.
#[derive(Debug)]
pub(super) struct Tree {
    leaves: usize,
    /// From the roots of the blocks up to the root.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub(super) fn new(tickets: &[Ticket]) -> Self {
        let mut level: Vec<Hash> = tickets.chunks(BLOCK).map(block_root).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = parents(&level);
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { leaves: tickets.len(), levels }
    }

    pub(super) fn root(&self) -> Hash {
        let root = self.levels.last().and_then(|level| level.first()).copied();
        root.unwrap_or_else(|| Hash(Sha256::digest([]).into()))
    }

    /// The audit path of RFC 6962, section 2.1.1, for the leaf at `index`:
    /// sibling hashes from the leaf up. `leaf` tells the ticket at an index.
    pub(super) fn path(&self, index: usize, leaf: impl Fn(usize) -> Ticket) -> Vec<Hash> {
        let first = index / BLOCK * BLOCK;
        let block = first..self.leaves.min(first + BLOCK);
        let mut level: Vec<Hash> = block.map(|at| leaf_hash(&leaf(at))).collect();
        let (mut at, mut path) = (index - first, Vec::with_capacity(32));
        while level.len() > 1 {
            path.extend(level.get(at ^ 1));
            level = parents(&level);
            at /= 2;
        }
        let mut at = index / BLOCK;
        for level in &self.levels {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        path
    }
}

fn block_root(tickets: &[Ticket]) -> Hash {
    let mut level: Vec<Hash> = tickets.iter().map(leaf_hash).collect();
    while level.len() > 1 {
        level = parents(&level);
    }
    level.first().copied().unwrap_or_default()
}

fn leaf_hash(ticket: &Ticket) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(ticket.0).finalize().into())
}

/// A lone last node moves up as it is.
fn parents(level: &[Hash]) -> Vec<Hash> {
    let parent = |pair: &[Hash]| match pair {
        [left, right] => {
            Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
        }
        _ => pair[0],
    };
    level.chunks(2).map(parent).collect()
}

#[cfg(test)]
mod tests {
    use usher_events::draw::{inclusion_proof, merkle_root};

    use super::*;

    #[test]
    fn it_has_the_root_and_the_paths_of_the_draws_own_tree() {
        for count in (0..70).chain([511, 512, 513]) {
            let tickets: Vec<Ticket> =
                (0..count).map(|i: u32| Ticket::of_secret(&[i as u8 ^ (i >> 8) as u8; 32])).collect();
            let tree = Tree::new(&tickets);
            assert_eq!(tree.root(), merkle_root(&tickets), "{count} tickets");
            for index in (0..tickets.len()).step_by(if count < 70 { 1 } else { 37 }) {
                let path = tree.path(index, |at| tickets[at]);
                assert_eq!(Some(path), inclusion_proof(&tickets, index), "{index} of {count}");
            }
        }
    }
}
