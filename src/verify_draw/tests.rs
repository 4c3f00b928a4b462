//! A true draw passes; whatever is changed of it is found.
//!
//! The true draw is made by the code that draws, which the checks share
//! nothing with.

use std::process::ExitCode;

use serde_json::{Value, json};
use usher_events::draw::{commitment, drawn_order, inclusion_proof, merkle_root};
use usher_events::ids::{Hash, Ticket};

use super::VerifyDraw;
use super::checks::{Published, all};

const RANDOMNESS: &str = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd";
const SEED: Hash = Hash([7; 32]);

/// A draw as it is published.
#[derive(Clone)]
struct Documents {
    draw: Value,
    cohort: Vec<u8>,
    proofs: Vec<Value>,
}

fn cohort(count: u32) -> Vec<Ticket> {
    let mut cohort: Vec<Ticket> = (0..count).map(|i| Ticket::of_secret(&[(i % 251) as u8; 32])).collect();
    cohort
        .iter_mut()
        .zip(0u32..)
        .for_each(|(ticket, i)| ticket.0[..4].copy_from_slice(&i.swap_bytes().to_be_bytes()));
    cohort.sort_unstable();
    cohort
}

/// Round 1,000 of quicknet, as its relays answer it.
fn round() -> Value {
    json!({
        "source": "drand-quicknet", "round": 1_000, "round_at": "2023-08-23T15:59:24Z",
        "signature": "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
        "randomness": RANDOMNESS,
    })
}

fn drawn(count: u32, beacon: bool) -> Documents {
    let cohort = cohort(count);
    let randomness: Hash = RANDOMNESS.parse().unwrap();
    let root = merkle_root(&cohort);
    let order = drawn_order(&SEED, &root, beacon.then_some(&randomness), &cohort);
    let inclusion = |tickets: &[Ticket], ticket: &Ticket| {
        let index = tickets.iter().position(|known| known == ticket).unwrap();
        json!({"index": index, "path": inclusion_proof(tickets, index).unwrap()})
    };
    let proof = |ticket: &Ticket| json!({"ticket": ticket, "count": count, "cohort": inclusion(&cohort, ticket), "order": inclusion(&order, ticket)});
    Documents {
        draw: json!({
            "seed_commitment": commitment(&SEED), "draw_key_id": "2026-a", "seed": SEED,
            "beacon": if beacon { round() } else { Value::Null },
            "cohort_root": root, "order_root": merkle_root(&order), "count": count, "as_of": "0.7",
        }),
        proofs: cohort.iter().step_by(7).map(proof).collect(),
        cohort: cohort.iter().flat_map(|ticket| ticket.0).collect(),
    }
}

/// What the checks find: the beginning of each that fails.
fn faults(documents: &Documents) -> Vec<String> {
    let draw = serde_json::from_value(documents.draw.clone()).unwrap();
    let proofs: Vec<_> =
        documents.proofs.iter().map(|proof| serde_json::from_value(proof.clone()).unwrap()).collect();
    let checks = all(&Published { draw: &draw, cohort: &documents.cohort, proofs: &proofs });
    checks.into_iter().filter(|check| check.fault.is_some()).map(|check| check.what).collect()
}

#[track_caller]
fn finds(what: &str, change: impl FnOnce(&mut Documents)) {
    let mut documents = drawn(100, true);
    change(&mut documents);
    let found = faults(&documents);
    assert!(found.iter().any(|fault| fault.starts_with(what)), "expected `{what}`, found {found:?}");
}

#[test]
fn a_true_draw_passes() {
    for count in [0, 1, 2, 3, 64, 100, 129] {
        for beacon in [false, true] {
            assert_eq!(faults(&drawn(count, beacon)), [""; 0], "{count} tickets, beacon: {beacon}");
        }
    }
}

#[test]
fn a_changed_seed_is_found() {
    finds("the seed opens the commitment", |draw| draw.draw["seed"] = json!(Hash([8; 32])));
    finds("the order's root", |draw| draw.draw["seed"] = json!(Hash([8; 32])));
    // Not even with a commitment that fits: the order was another.
    finds("the order's root", |draw| {
        draw.draw["seed"] = json!(Hash([8; 32]));
        draw.draw["seed_commitment"] = json!(commitment(&Hash([8; 32])));
    });
}

#[test]
fn an_added_or_removed_ticket_is_found() {
    let added = |draw: &mut Documents| draw.cohort.extend([0xff; 32]);
    finds("the cohort has as many", added);
    finds("the cohort's root", added);
    finds("the order's root", added);
    let removed = |draw: &mut Documents| drop(draw.cohort.drain(32..64));
    finds("the cohort has as many", removed);
    finds("the cohort's root", removed);
    let replaced = |draw: &mut Documents| draw.cohort[99 * 32..].copy_from_slice(&[0xff; 32]);
    finds("the cohort's root", replaced);
    finds("the order's root", replaced);
}

#[test]
fn a_cohort_that_is_no_ascending_list_is_found() {
    let twice = |draw: &mut Documents| draw.cohort.copy_within(0..32, 32);
    finds("the cohort is ascending", twice);
    finds("the cohort is ascending", |draw| draw.cohort[..64].rotate_left(32));
    finds("the cohort is ascending", |draw| draw.cohort.truncate(100));
}

#[test]
fn another_order_is_found() {
    finds("the order's root", |draw| draw.draw["order_root"] = draw.draw["cohort_root"].clone());
    finds("the order's root", |draw| draw.draw["order_root"] = Value::Null);
    finds("the order's root", |draw| draw.draw["beacon"] = Value::Null);
}

#[test]
fn a_beacon_that_is_not_the_named_round_is_found() {
    let signed = "the beacon's value is";
    let next =
        "b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41";
    finds(signed, |draw| draw.draw["beacon"]["signature"] = json!(next));
    finds(signed, |draw| draw.draw["beacon"]["signature"] = json!("00".repeat(48)));
    finds(signed, |draw| draw.draw["beacon"]["signature"] = json!("short"));
    finds(signed, |draw| draw.draw["beacon"]["signature"] = Value::Null);
    finds(signed, |draw| draw.draw["beacon"]["randomness"] = json!(SEED));
    finds(signed, |draw| draw.draw["beacon"]["round"] = json!(999));
    let named = "the beacon is named";
    finds(named, |draw| draw.draw["beacon"]["round"] = json!(999));
    finds(named, |draw| draw.draw["beacon"]["round"] = json!(0));
    finds(named, |draw| draw.draw["beacon"]["round_at"] = json!("2023-08-23T15:59:27Z"));
    finds(named, |draw| draw.draw["beacon"]["source"] = json!("drand-default"));
}

#[test]
fn a_proof_that_does_not_lead_to_the_roots_is_found() {
    let proofs = "the proofs of ticket";
    finds(proofs, |draw| draw.proofs[3]["cohort"]["path"][0] = json!(SEED));
    finds(proofs, |draw| drop(draw.proofs[3]["order"]["path"].as_array_mut().unwrap().pop()));
    finds(proofs, |draw| draw.proofs[3]["order"]["path"].as_array_mut().unwrap().push(json!(SEED)));
    finds(proofs, |draw| draw.proofs[3]["order"]["index"] = json!(0));
    finds(proofs, |draw| draw.proofs[3]["cohort"]["index"] = json!(1_000));
    finds(proofs, |draw| draw.proofs[3]["order"] = Value::Null);
    finds(proofs, |draw| draw.proofs[3]["ticket"] = json!(Ticket([9; 32])));
    finds(proofs, |draw| {
        let order = draw.proofs[2]["order"].clone();
        draw.proofs[3]["order"] = order;
    });
}

#[test]
fn a_draw_that_is_not_held_yet_does_not_pass() {
    finds("the seed opens the commitment", |draw| {
        for field in ["seed", "order_root"] {
            draw.draw[field] = Value::Null;
        }
    });
    finds("the cohort has as many", |draw| draw.draw["count"] = Value::Null);
}

#[test]
fn files_are_checked_and_the_exit_code_tells() {
    let dir = tempfile::tempdir().unwrap();
    let verify = |documents: &Documents| {
        let write = |name: &str, content: &[u8]| {
            std::fs::write(dir.path().join(name), content).unwrap();
            Some(dir.path().join(name))
        };
        let proof = write("proof.json", documents.proofs[0].to_string().as_bytes());
        VerifyDraw {
            opening: None,
            tickets: Vec::new(),
            draw: write("draw.json", documents.draw.to_string().as_bytes()),
            cohort: write("cohort.bin", &documents.cohort),
            proofs: proof.into_iter().collect(),
        }
        .run()
    };
    let mut documents = drawn(100, true);
    assert_eq!(verify(&documents), ExitCode::SUCCESS);
    documents.draw["seed"] = json!(Hash([8; 32]));
    assert_eq!(verify(&documents), ExitCode::FAILURE);
    documents.draw["seed"] = json!("no hash");
    assert_eq!(verify(&documents), ExitCode::FAILURE);
}
