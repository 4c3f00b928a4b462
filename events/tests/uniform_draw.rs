//! The draw favours nobody: chi-squared tests over many draws of a small
//! lobby. The seeds are fixed, so that a test finds the same every time; the
//! critical values are those that one fair draw in a thousand exceeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use usher_events::draw::{drawn_order, merkle_root};
use usher_events::ids::{Hash, Ticket};

/// Chi-squared at 0.999, by degrees of freedom.
const CRITICAL_23: f64 = 49.73;
const CRITICAL_49: f64 = 85.35;
const DRAWS: u32 = 24_000;

fn seed(draw: u32) -> Hash {
    Hash(Sha256::new().chain_update(b"a seed of a test").chain_update(draw.to_be_bytes()).finalize().into())
}

/// Tickets that differ as little as tickets can.
fn lobby(count: u8) -> Vec<Ticket> {
    (0..count)
        .map(|i| {
            let mut ticket = Ticket::default();
            ticket.0[31] = i;
            ticket
        })
        .collect()
}

/// Draws that differ in the seed, or with one seed in the beacon.
fn draws(lobby: &[Ticket], with_beacon: bool) -> impl Iterator<Item = Vec<Ticket>> {
    let root = merkle_root(lobby);
    (0..DRAWS).map(move |draw| match with_beacon {
        false => drawn_order(&seed(draw), &root, None, lobby),
        true => drawn_order(&Hash([7; 32]), &root, Some(&seed(draw)), lobby),
    })
}

/// Of draws of eight tickets: how far the counts of (ticket, place) are from
/// even ones. A ticket has one place and a place one ticket, so that 7 x 7
/// counts are free, and the sum is scaled by 7/8 to be chi-squared with 49.
fn unevenness_of_places(orders: impl Iterator<Item = Vec<Ticket>>) -> f64 {
    let mut counts = [[0u32; 8]; 8];
    let mut draws = 0;
    for order in orders {
        draws += 1;
        for (place, ticket) in order.iter().enumerate() {
            counts[usize::from(ticket.0[31])][place] += 1;
        }
    }
    let expected = f64::from(draws) / 8.0;
    let off = counts.iter().flatten().map(|count| (f64::from(*count) - expected).powi(2) / expected);
    off.sum::<f64>() * 7.0 / 8.0
}

/// Of draws of four tickets: how far the counts of the 24 orders are from
/// even ones, with 23 degrees of freedom.
fn unevenness_of_orders(orders: impl Iterator<Item = Vec<Ticket>>) -> f64 {
    let mut counts: HashMap<Vec<Ticket>, u32> = HashMap::new();
    let mut draws = 0;
    for order in orders {
        draws += 1;
        *counts.entry(order).or_default() += 1;
    }
    let expected = f64::from(draws) / 24.0;
    let missing = (24 - counts.len()) as f64 * expected;
    counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum::<f64>() + missing
}

#[test]
fn every_ticket_comes_to_every_place_equally_often() {
    for with_beacon in [false, true] {
        let uneven = unevenness_of_places(draws(&lobby(8), with_beacon));
        assert!(uneven < CRITICAL_49, "chi-squared {uneven:.1}, beacon: {with_beacon}");
    }
}

#[test]
fn every_order_is_equally_likely() {
    for with_beacon in [false, true] {
        let uneven = unevenness_of_orders(draws(&lobby(4), with_beacon));
        assert!(uneven < CRITICAL_23, "chi-squared {uneven:.1}, beacon: {with_beacon}");
    }
}

/// The tests themselves: they notice a slight favour.
#[test]
fn a_draw_that_favours_one_ticket_a_little_is_noticed() {
    // In one draw of twenty-five, ticket 3 is moved to the front.
    let favour = |(draw, mut order): (usize, Vec<Ticket>)| {
        if draw % 25 == 0 {
            order.sort_by_key(|ticket| ticket.0[31] != 3);
        }
        order
    };
    assert!(unevenness_of_places(draws(&lobby(8), false).enumerate().map(favour)) > CRITICAL_49);
    assert!(unevenness_of_orders(draws(&lobby(4), false).enumerate().map(favour)) > CRITICAL_23);
}
