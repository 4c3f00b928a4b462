//! The verifiable shuffle of the lobby: one function for writers and views.

use std::num::NonZero;
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::ids::{Hash, Ticket};

/// How many tickets are worth a thread's work; also the leaves of the
/// subtrees that are hashed at once, so a power of two.
const SLICE: usize = 1 << 14;

/// The cohort's tickets in drawn order: sorted by
/// `SHA-256(seed || cohort_root || beacon || ticket)` over raw bytes; the
/// first one gets number 1. `beacon` is the round's randomness, or empty.
pub fn drawn_order(seed: &Hash, cohort_root: &Hash, beacon: Option<&Hash>, cohort: &[Ticket]) -> Vec<Ticket> {
    let order = drawn_indices(seed, cohort_root, beacon, cohort);
    order.into_iter().map(|at| cohort[at as usize]).collect()
}

/// The same order, each ticket by its index in `cohort`.
pub fn drawn_indices(seed: &Hash, cohort_root: &Hash, beacon: Option<&Hash>, cohort: &[Ticket]) -> Vec<u32> {
    let mut prefix = Sha256::new();
    prefix.update(seed.0);
    prefix.update(cohort_root.0);
    if let Some(beacon) = beacon {
        prefix.update(beacon.0);
    }
    let key = |ticket: &Ticket| -> [u8; 32] { prefix.clone().chain_update(ticket.0).finalize().into() };
    sorted_by_key(cohort, key, first_eight)
}

/// The indices of `cohort` in the order of its tickets' keys. What is sorted
/// is the `head` of each key, which is a quarter as much to move; only keys
/// with the same head are made again and compared as a whole.
fn sorted_by_key(
    cohort: &[Ticket],
    key: impl Fn(&Ticket) -> [u8; 32] + Sync,
    head: impl Fn(&[u8; 32]) -> u64 + Sync,
) -> Vec<u32> {
    let mut heads: Vec<(u64, u32)> = in_slices(cohort, threads(cohort.len()), |first, slice| {
        (first..).zip(slice).map(|(at, ticket)| (head(&key(ticket)), at)).collect()
    });
    heads.sort_unstable();
    for same in heads.chunk_by_mut(|one, next| one.0 == next.0).filter(|same| same.len() > 1) {
        same.sort_unstable_by_key(|(_, at)| (key(&cohort[*at as usize]), cohort[*at as usize]));
    }
    heads.into_iter().map(|(_, at)| at).collect()
}

fn first_eight(key: &[u8; 32]) -> u64 {
    key[..8].iter().fold(0, |head, byte| head << 8 | u64::from(*byte))
}

/// The Merkle tree hash of RFC 6962, section 2.1, over the tickets' bytes in
/// the given order.
pub fn merkle_root(tickets: &[Ticket]) -> Hash {
    if tickets.is_empty() {
        return Hash(Sha256::digest([]).into());
    }
    let mut level =
        in_slices(tickets, threads(tickets.len()), |_, slice| slice.chunks(SLICE).map(subtree).collect());
    while level.len() > 1 {
        level = parents(&level);
    }
    level[0]
}

/// The root over a few leaves, without keeping a level of the tree.
fn subtree(tickets: &[Ticket]) -> Hash {
    // Roots of complete trees that wait for one of their size to their right;
    // the bits of the count of leaves so far say how large each is.
    let mut waiting: Vec<Hash> = Vec::with_capacity(usize::BITS as usize);
    for (leaves, ticket) in (1usize..).zip(tickets) {
        let mut node = leaf(ticket);
        for _ in 0..leaves.trailing_zeros() {
            let Some(left) = waiting.pop() else { break };
            node = parent(&left, &node);
        }
        waiting.push(node);
    }
    waiting.into_iter().rev().reduce(|right, left| parent(&left, &right)).unwrap_or_default()
}

/// How many threads hash `count` tickets: one core is left to whoever has to
/// answer meanwhile.
fn threads(count: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (cores - 1).clamp(1, count.div_ceil(SLICE).max(1))
}

/// What `work` makes of all slices, in order, each given with the index of
/// its first ticket.
fn in_slices<T: Send>(
    tickets: &[Ticket],
    threads: usize,
    work: impl Fn(u32, &[Ticket]) -> Vec<T> + Sync,
) -> Vec<T> {
    if threads == 1 {
        return work(0, tickets);
    }
    let share = tickets.len().div_ceil(SLICE).div_ceil(threads) * SLICE;
    let firsts = (0..).step_by(share);
    thread::scope(|scope| {
        let started: Vec<_> = firsts
            .zip(tickets.chunks(share))
            .map(|(first, slice)| {
                let work = &work;
                (first, slice, thread::Builder::new().spawn_scoped(scope, move || work(first, slice)))
            })
            .collect();
        let mut all = Vec::with_capacity(tickets.len());
        for (first, slice, started) in started {
            // Where there is no thread to have, its share is done here.
            let done = started.ok().and_then(|thread| thread.join().ok());
            all.extend(done.unwrap_or_else(|| work(first, slice)));
        }
        all
    })
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
            [left, right] => parent(left, right),
            _ => pair[0],
        })
        .collect()
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
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

    fn ticket(i: u32) -> Ticket {
        Ticket(Sha256::digest(i.to_le_bytes()).into())
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
    fn a_large_tree_has_the_same_root_in_any_number_of_threads() {
        let tickets: Vec<Ticket> = (0..3 * SLICE as u32 + 5).map(ticket).collect();
        for count in [SLICE - 1, SLICE, SLICE + 1, 2 * SLICE, tickets.len()] {
            assert_eq!(merkle_root(&tickets[..count]), by_definition(&tickets[..count]), "{count} tickets");
        }
        let alone: Vec<Hash> = in_slices(&tickets, 1, |_, slice| slice.chunks(SLICE).map(subtree).collect());
        for threads in 2..6 {
            let slices = |_, slice: &[Ticket]| slice.chunks(SLICE).map(subtree).collect();
            assert_eq!(in_slices(&tickets, threads, slices), alone, "{threads} threads");
            let indices: Vec<u32> =
                in_slices(&tickets, threads, |first, slice| (first..).take(slice.len()).collect());
            assert!(indices.into_iter().eq(0..tickets.len() as u32), "{threads} threads");
        }
    }

    #[test]
    fn keys_that_begin_alike_are_compared_as_a_whole() {
        let cohort: Vec<Ticket> = (0..500).map(ticket).collect();
        let key = |ticket: &Ticket| -> [u8; 32] { Sha256::digest(ticket.0).into() };
        let mut expected: Vec<u32> = (0..500).collect();
        expected.sort_by_key(|at| key(&cohort[*at as usize]));
        assert_eq!(sorted_by_key(&cohort, key, first_eight), expected);
        assert_eq!(sorted_by_key(&cohort, key, |key| u64::from(key[0] >> 6)), expected);
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
