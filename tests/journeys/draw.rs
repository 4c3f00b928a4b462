//! A draw in one process, and everybody's number recomputed from what is
//! published of it.

use std::process::Command;

use reqwest::Method;
use serde_json::Value;
use usher_events::draw::drawn_order;
use usher_events::ids::Ticket;

use crate::ALONE;
use crate::crowd::{Doors, Visitor};
use crate::process::{OPERATOR_KEY, Process};

const VISITORS: usize = 40;

fn environment(dir: &tempfile::TempDir) -> Vec<(String, String)> {
    let settings = [
        ("USHER_DATA__DIR", dir.path().display().to_string()),
        ("USHER_AUTH__OPERATOR_KEY", OPERATOR_KEY.to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// `usher verify-draw`, as anyone runs it: whether it was content, and what
/// it said.
async fn verify(arguments: Vec<String>) -> (bool, String) {
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_usher")).arg("verify-draw").args(arguments).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_draw_recomputes_from_what_is_published_and_a_changed_one_does_not() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut usher = Process::start(&["serve"], &environment(&dir));
    usher.ready().await;
    let doors = Doors::new(vec![usher.url()], usher.url(), "drawn");
    doors.schedule(20, 5).await;
    let visitors: Vec<Visitor> = (0..VISITORS).map(|_| Visitor::new()).collect();
    for visitor in &visitors {
        assert_eq!(visitor.join(&doors).await.body["state"], "lobby");
    }
    let (gone, lobby) = visitors.split_last().unwrap();
    let path = format!("/tickets/{}", gone.ticket);
    assert_eq!(doors.command(Method::DELETE, &path, &gone.secret, None).await.status, 200);
    let opening = format!("{}/v1/openings/drawn", usher.url());
    let (content, said) = verify(vec![opening.clone()]).await;
    assert!(!content, "nothing is drawn yet: {said}");

    // Whoever is first in line may enter as soon as it is drawn.
    let late = Visitor::new();
    while doors.query("/draw", "").await.body["order_root"].is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let joined = late.join(&doors).await;
    assert_eq!(joined.body["number"], VISITORS, "behind the whole lobby");
    doors.caught_up(&joined.as_of()).await;

    let draw = doors.query("/draw", "").await.body;
    let bytes = reqwest::get(format!("{opening}/draw/cohort")).await.unwrap().bytes().await.unwrap();
    let cohort: Vec<Ticket> = bytes.as_chunks::<32>().0.iter().map(|ticket| Ticket(*ticket)).collect();
    let mut expected: Vec<Ticket> = lobby.iter().map(|visitor| visitor.ticket).collect();
    expected.sort_unstable();
    assert_eq!(cohort, expected);
    let hash = |field: &str| draw[field].as_str().unwrap().parse().unwrap();
    let order = drawn_order(&hash("seed"), &hash("cohort_root"), None, &cohort);
    for (number, ticket) in (1..).zip(&order) {
        let seen = doors.query(&format!("/tickets/{ticket}"), "").await.body;
        assert_eq!(seen["number"], number);
    }

    let mut arguments = vec![opening];
    arguments.extend(order.iter().take(5).flat_map(|ticket| ["--ticket".to_owned(), ticket.to_string()]));
    let (content, said) = verify(arguments.clone()).await;
    assert!(content && said.matches("ok    the proofs of ticket").count() == 5, "{said}");
    let (content, said) =
        verify(vec![arguments[0].clone(), "--ticket".to_owned(), late.ticket.to_string()]).await;
    assert!(!content, "who came late was not drawn: {said}");

    let changed = dir.path().join("draw.json");
    let mut forged = draw.clone();
    forged["seed"] = Value::from("00".repeat(32));
    std::fs::write(&changed, forged.to_string()).unwrap();
    let (content, said) =
        verify(vec![arguments[0].clone(), "--draw".to_owned(), changed.display().to_string()]).await;
    assert!(!content && said.contains("FAIL  the seed opens the commitment"), "{said}");
    usher.stop().await;
}
