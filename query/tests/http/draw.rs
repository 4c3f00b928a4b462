//! The draw as it is published, checked by code of this file's own.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use usher_events::event::*;
use usher_events::ids::{Hash, Ticket};

use crate::calls::{get, visitor};
use crate::happenings::*;
use crate::world::{PREMIERE, World, partition};

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

fn bytes(hex: &Value) -> [u8; 32] {
    hex.as_str().unwrap().parse::<Hash>().unwrap().0
}

/// RFC 9162, section 2.1.3.2: the root that a proof leads to.
fn root_of(ticket: &[u8; 32], inclusion: &Value, count: u64) -> [u8; 32] {
    let (mut at, mut last) = (inclusion["index"].as_u64().unwrap(), count - 1);
    let mut root = sha256(&[&[0], ticket]);
    for sibling in inclusion["path"].as_array().unwrap().iter().map(bytes) {
        assert_ne!(last, 0, "the path is too long");
        if at % 2 == 1 || at == last {
            root = sha256(&[&[1], &sibling, &root]);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            root = sha256(&[&[1], &root, &sibling]);
        }
        (at, last) = (at / 2, last / 2);
    }
    assert_eq!(last, 0, "the path is too short");
    root
}

fn cohort(count: usize) -> Vec<Ticket> {
    let mut tickets: Vec<Ticket> =
        ('A'..='Z').chain('a'..='z').map(|letter| visitor(letter).1).take(count).collect();
    tickets.sort_unstable();
    tickets
}

async fn in_lobby(tickets: &[Ticket]) -> World {
    let world = World::after([scheduled().into()]).await;
    world.happen("premiere", tickets.iter().map(|ticket| joined(*ticket, None))).await;
    world
}

#[tokio::test]
async fn what_does_not_exist_yet_is_null() {
    let world = in_lobby(&cohort(3)).await;
    let draw = world.send(&get(format!("{PREMIERE}/draw"))).await.expect(200);
    let commitment = Hash(sha256(&[&SEED.0]));
    let expected = json!({
        "seed_commitment": commitment, "draw_key_id": "key-1", "seed": null, "beacon": null,
        "cohort_root": null, "order_root": null, "count": null, "as_of": format!("{}.4", partition("premiere")),
    });
    assert_eq!(draw, expected);
    world.send(&get(format!("{PREMIERE}/draw/cohort"))).await.problem(404, "not-found");
    let proof = get(format!("{PREMIERE}/tickets/{}/proof", cohort(3)[0]));
    world.send(&proof).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_draw_is_checked_from_what_is_published_alone() {
    let tickets = cohort(37);
    let world = in_lobby(&tickets).await;
    let as_of = world.happen("premiere", [lobby_closed(&tickets), drawn(&tickets).1]).await;
    let draw = world.get_after(&format!("{PREMIERE}/draw"), &as_of).await;
    assert_eq!(sha256(&[&bytes(&draw["seed"])]), bytes(&draw["seed_commitment"]));

    let published = world.send(&get(format!("{PREMIERE}/draw/cohort"))).await;
    assert_eq!(published.header("content-type"), "application/octet-stream");
    assert_eq!(published.header("content-length"), (37 * 32).to_string());
    let raw: Vec<[u8; 32]> = published.bytes.as_chunks::<32>().0.to_vec();
    assert!(raw.is_sorted() && raw.iter().eq(tickets.iter().map(|ticket| &ticket.0)));
    let mut order = raw.clone();
    order.sort_by_key(|ticket| sha256(&[&bytes(&draw["seed"]), &bytes(&draw["cohort_root"]), ticket]));

    for ticket in &tickets {
        let proof = world.send(&get(format!("{PREMIERE}/tickets/{ticket}/proof"))).await.expect(200);
        assert_eq!((&proof["ticket"], &proof["count"]), (&json!(ticket), &json!(37)));
        assert_eq!(root_of(&ticket.0, &proof["cohort"], 37), bytes(&draw["cohort_root"]));
        assert_eq!(root_of(&ticket.0, &proof["order"], 37), bytes(&draw["order_root"]));
        let number = proof["order"]["index"].as_u64().unwrap() as usize + 1;
        assert_eq!(order[number - 1], ticket.0, "the number is the place in the drawn order");
        let stands = world.send(&get(format!("{PREMIERE}/tickets/{ticket}"))).await.expect(200);
        assert_eq!(stands["number"], number);
    }
    world.send(&get(format!("{PREMIERE}/tickets/{ANN}/proof"))).await.problem(404, "not-found");
}

#[tokio::test]
async fn between_the_closing_and_the_draw_there_is_one_proof() {
    let tickets = cohort(5);
    let world = in_lobby(&tickets).await;
    let closed = world.happen("premiere", [lobby_closed(&tickets)]).await;
    let path = format!("{PREMIERE}/tickets/{}/proof", tickets[2]);
    let draw = world.get_after(&format!("{PREMIERE}/draw"), &closed).await;
    let proof = world.get_after(&path, &closed).await;
    assert_eq!(root_of(&tickets[2].0, &proof["cohort"], 5), bytes(&draw["cohort_root"]));
    assert_eq!(proof["order"], json!(null));
    let held = world.happen("premiere", [drawn(&tickets).1]).await;
    assert!(world.get_after(&path, &held).await["order"]["index"].is_u64());
}

#[tokio::test]
async fn a_place_that_moved_is_proven_by_the_ticket_that_was_drawn() {
    let tickets = cohort(4);
    let world = in_lobby(&tickets).await;
    let moved = |from, to| -> Event {
        TicketMoved {
            at: at(70),
            from,
            to,
            number: None,
            state: TicketState::Lobby,
            subject: Hash::default(),
        }
        .into()
    };
    let events = [
        lobby_closed(&tickets),
        moved(tickets[1], ANN),
        moved(ANN, BEN),
        drawn(&tickets).1,
        joined(CAT, Some(5)),
    ];
    let as_of = world.happen("premiere", events).await;
    let proof = world.get_after(&format!("{PREMIERE}/tickets/{BEN}/proof"), &as_of).await;
    assert_eq!(proof["ticket"], json!(tickets[1]));
    let number = world.send(&get(format!("{PREMIERE}/tickets/{BEN}"))).await.expect(200)["number"].as_u64();
    assert_eq!(number, proof["order"]["index"].as_u64().map(|index| index + 1));
    // Who came after the draw was never in the cohort.
    world.send(&get(format!("{PREMIERE}/tickets/{CAT}/proof"))).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_named_beacon_is_shown_with_what_it_came_out_as() {
    let beacon = Beacon { source: "drand-quicknet".to_owned(), round: 7, round_at: at(70) };
    let event = OpeningScheduled { beacon: Some(beacon), ..scheduled() };
    let world = World::after([event.into(), joined(ANN, None), lobby_closed(&[ANN])]).await;
    let path = format!("{PREMIERE}/draw");
    let shown = world.send(&get(&path)).await.expect(200)["beacon"].clone();
    let mut expected = json!({
        "source": "drand-quicknet", "round": 7, "round_at": at(70).to_rfc3339(),
        "signature": null, "randomness": null,
    });
    assert_eq!(shown, expected);
    let Event::DrawHeld(held) = drawn(&[ANN]).1 else { panic!() };
    let value = BeaconValue {
        source: "drand-quicknet".to_owned(),
        round: 7,
        randomness: Hash([8; 32]),
        signature: "abcd".to_owned(),
    };
    let as_of = world.happen("premiere", [DrawHeld { beacon: Some(value), ..held }.into()]).await;
    expected["signature"] = json!("abcd");
    expected["randomness"] = json!(Hash([8; 32]));
    assert_eq!(world.get_after(&path, &as_of).await["beacon"], expected);
}
