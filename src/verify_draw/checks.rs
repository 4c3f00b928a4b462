//! The checks themselves: pure, over what was published.

use super::published::{Bytes32, Draw, Inclusion, Proof};
use super::quicknet;
use super::tree::{root, root_of_path, sha256};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) what: String,
    /// Why it fails, if it does.
    pub(super) fault: Option<String>,
}

/// Everything that was published.
pub(super) struct Published<'a> {
    pub(super) draw: &'a Draw,
    pub(super) cohort: &'a [u8],
    pub(super) proofs: &'a [Proof],
}

/// Makes every check; those that need what another found wrong fail too.
pub(super) fn all(published: &Published<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut note = |what: &str, outcome: Result<(), String>| {
        checks.push(Check { what: what.to_owned(), fault: outcome.err() });
    };
    let draw = published.draw;
    note("the seed opens the commitment", seed_opens(draw));
    let mut randomness = None;
    if let Some(beacon) = &draw.beacon {
        note("the beacon is named by a round and its true time", quicknet::is_named_truly(beacon));
        let verified = quicknet::verified(beacon);
        randomness = verified.as_ref().ok().copied();
        note("the beacon's value is the signed value of that round", verified.map(drop));
    }
    let tickets = tickets(published.cohort);
    note(
        "the cohort is ascending, and names nobody twice",
        tickets.as_deref().map_err(String::clone).and_then(ascending),
    );
    let tickets = tickets.unwrap_or_default();
    note("the cohort has as many tickets as were counted", counted(draw, &tickets));
    note("the cohort's root is that of its tickets", same(draw.cohort_root, root(&tickets)));
    let order = order(draw, randomness, &tickets);
    let order_root = order.as_ref().map_err(String::clone).map(|order| root(order));
    note(
        "the order's root is that of the tickets by SHA-256(seed, cohort root, beacon, ticket)",
        order_root.and_then(|computed| same(draw.order_root, computed)),
    );
    let order = order.unwrap_or_default();
    for proof in published.proofs {
        note(&format!("the proofs of ticket {}", proof.ticket), proven(draw, &tickets, &order, proof));
    }
    checks
}

fn seed_opens(draw: &Draw) -> Result<(), String> {
    let seed = draw.seed.ok_or("the draw is not held yet")?;
    same(Some(draw.seed_commitment), sha256(&[&seed.0]))
}

fn tickets(cohort: &[u8]) -> Result<Vec<Bytes32>, String> {
    let (tickets, rest) = cohort.as_chunks::<32>();
    match rest {
        [] => Ok(tickets.iter().map(|ticket| Bytes32(*ticket)).collect()),
        _ => Err(format!("{} bytes are no list of tickets of 32 each", cohort.len())),
    }
}

fn ascending(tickets: &[Bytes32]) -> Result<(), String> {
    match tickets.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("{} does not come before {}", pair[0], pair[1])),
        None => Ok(()),
    }
}

fn counted(draw: &Draw, tickets: &[Bytes32]) -> Result<(), String> {
    match draw.count {
        Some(count) if count == tickets.len() => Ok(()),
        Some(count) => Err(format!("{count} were counted, the cohort has {}", tickets.len())),
        None => Err("the lobby is not closed yet".to_owned()),
    }
}

/// The drawn order, computed anew.
fn order(draw: &Draw, randomness: Option<Bytes32>, tickets: &[Bytes32]) -> Result<Vec<Bytes32>, String> {
    let (Some(seed), Some(cohort_root)) = (draw.seed, draw.cohort_root) else {
        return Err("the draw is not held yet".to_owned());
    };
    let beacon: &[u8] = match (&draw.beacon, &randomness) {
        (None, _) => &[],
        (Some(_), Some(randomness)) => &randomness.0,
        (Some(_), None) => return Err("without the beacon's value there is no order".to_owned()),
    };
    let key = |ticket: &Bytes32| sha256(&[&seed.0, &cohort_root.0, beacon, &ticket.0]);
    let mut keyed: Vec<(Bytes32, Bytes32)> = tickets.iter().map(|ticket| (key(ticket), *ticket)).collect();
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(_, ticket)| ticket).collect())
}

fn same(published: Option<Bytes32>, computed: Bytes32) -> Result<(), String> {
    match published {
        Some(published) if published == computed => Ok(()),
        Some(published) => Err(format!("published: {published}, computed: {computed}")),
        None => Err("it is not published".to_owned()),
    }
}

/// A ticket's proofs: that it was in the cohort, and where it was drawn.
fn proven(draw: &Draw, tickets: &[Bytes32], order: &[Bytes32], proof: &Proof) -> Result<(), String> {
    let drawn = proof.order.as_ref().ok_or("the draw is not held yet")?;
    included("cohort", draw.cohort_root, tickets, &proof.cohort, &proof.ticket)?;
    included("order", draw.order_root, order, drawn, &proof.ticket)
}

fn included(
    name: &str,
    root: Option<Bytes32>,
    leaves: &[Bytes32],
    inclusion: &Inclusion,
    ticket: &Bytes32,
) -> Result<(), String> {
    let Inclusion { index, path } = inclusion;
    if leaves.get(*index) != Some(ticket) {
        return Err(format!("{name}: the ticket is not at index {index}"));
    }
    let reached = root_of_path(ticket, *index, leaves.len(), path);
    let reached = reached.ok_or(format!("{name}: this is no audit path of index {index}"))?;
    same(root, reached).map_err(|fault| format!("{name}: {fault}"))
}
