//! Draws with proofs, true and changed, as files for the page's own check
//! (`web/verify.js`): what it must find of each.
//!
//! `USHER_STACK_WRITE=1 cargo test -p usher-events --test draw_vectors` writes
//! them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use usher_events::draw::{commitment, drawn_order, inclusion_proof, merkle_root};
use usher_events::ids::{Hash, Ticket};

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../web/tests/vectors")).join(name)
}

fn lobby(count: u32) -> Vec<Ticket> {
    let mut cohort: Vec<Ticket> =
        (0..count).map(|i| Ticket(Sha256::digest(i.to_be_bytes()).into())).collect();
    cohort.sort_unstable();
    cohort
}

struct Drawn {
    cohort: Vec<Ticket>,
    order: Vec<Ticket>,
    draw: Value,
}

impl Drawn {
    fn new(count: u32) -> Self {
        let cohort = lobby(count);
        let (seed, root) = (Hash([7; 32]), merkle_root(&cohort));
        let order = drawn_order(&seed, &root, None, &cohort);
        let draw = json!({
            "seed_commitment": commitment(&seed), "seed": seed, "beacon": null,
            "cohort_root": root, "order_root": merkle_root(&order), "count": count,
        });
        Self { cohort, order, draw }
    }

    fn proof(&self, number: usize) -> Value {
        let ticket = self.order[number - 1];
        let inclusion = |tickets: &[Ticket]| {
            let index = tickets.iter().position(|known| *known == ticket).unwrap();
            json!({"index": index, "path": inclusion_proof(tickets, index).unwrap()})
        };
        let (cohort, order) = (inclusion(&self.cohort), inclusion(&self.order));
        json!({"ticket": ticket, "count": self.cohort.len(), "cohort": cohort, "order": order})
    }
}

/// One thing to check: `fails` names the checks that must fail.
fn case(what: &str, draw: &Value, proof: &Value, number: usize, fails: &[&str]) -> Value {
    json!({"what": what, "draw": draw, "proof": proof, "number": number, "fails": fails})
}

fn changed(document: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut document = document.clone();
    change(&mut document);
    document
}

fn true_draws() -> Vec<Value> {
    let mut cases = Vec::new();
    for count in [1, 2, 3, 7, 8, 9, 100] {
        let drawn = Drawn::new(count);
        for number in [1, count.div_ceil(2) as usize, count as usize] {
            let what = format!("number {number} of {count}");
            cases.push(case(&what, &drawn.draw, &drawn.proof(number), number, &[]));
        }
    }
    cases
}

fn changed_draws() -> Vec<Value> {
    let drawn = Drawn::new(9);
    let (draw, proof, other) = (&drawn.draw, drawn.proof(5), drawn.proof(6));
    let wrong = json!(Hash([9; 32]));
    let with = |field: &str| changed(draw, |draw| draw[field] = wrong.clone());
    let path = |part: &str, change: fn(&mut Vec<Value>)| {
        changed(&proof, |proof| change(proof[part]["path"].as_array_mut().unwrap()))
    };
    vec![
        case("another seed", &with("seed"), &proof, 5, &["seed"]),
        case("another commitment", &with("seed_commitment"), &proof, 5, &["seed"]),
        case("another cohort", &with("cohort_root"), &proof, 5, &["cohort"]),
        case("another order", &with("order_root"), &proof, 5, &["order"]),
        case("another number", draw, &proof, 6, &["number"]),
        case("somebody else's proof", draw, &other, 5, &["number"]),
        case(
            "another ticket",
            draw,
            &changed(&proof, |proof| proof["ticket"] = other["ticket"].clone()),
            5,
            &["cohort", "order"],
        ),
        case(
            "another place in the order",
            draw,
            &changed(&proof, |proof| proof["order"]["index"] = json!(5)),
            6,
            &["order"],
        ),
        case("a shorter path", draw, &path("cohort", |path| drop(path.pop())), 5, &["cohort"]),
        case("a longer path", draw, &path("order", |path| path.push(json!(Hash([9; 32])))), 5, &["order"]),
        case("a path in another order", draw, &path("order", |path| path.swap(0, 1)), 5, &["order"]),
        case(
            "an index beyond the cohort",
            draw,
            &changed(&proof, |proof| proof["cohort"]["index"] = json!(9)),
            5,
            &["cohort"],
        ),
        case(
            "a smaller cohort",
            &changed(draw, |draw| draw["count"] = json!(4)),
            &proof,
            5,
            &["cohort", "order"],
        ),
        case(
            "not drawn",
            draw,
            &changed(&proof, |proof| proof["order"] = Value::Null),
            5,
            &["order", "number"],
        ),
    ]
}

#[test]
fn the_vectors_are_what_the_code_makes_of_them() {
    for (name, cases) in [("true-draws.json", true_draws()), ("changed-draws.json", changed_draws())] {
        let text = serde_json::to_string_pretty(&cases).unwrap() + "\n";
        if std::env::var_os("USHER_STACK_WRITE").is_some() {
            std::fs::write(file(name), &text).unwrap();
        }
        let kept = std::fs::read_to_string(file(name)).expect("the vectors are there");
        assert!(kept == text, "{name} differs from what is made today");
    }
}
