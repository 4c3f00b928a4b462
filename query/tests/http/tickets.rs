//! Where a ticket stands.

use serde_json::json;
use usher_events::event::*;
use usher_events::ids::Ticket;
use usher_events::time::Timestamp;

use crate::calls::get;
use crate::happenings::*;
use crate::world::{PREMIERE, World, partition};

fn path(ticket: Ticket) -> String {
    format!("{PREMIERE}/tickets/{ticket}")
}

#[tokio::test]
async fn who_is_in_the_lobby_has_no_number_and_no_position() {
    let world = World::after([scheduled().into(), joined(ANN, None)]).await;
    let ticket = world.send(&get(path(ANN))).await.expect(200);
    for (name, value) in [
        ("ticket", json!(ANN)),
        ("state", json!("lobby")),
        ("number", json!(null)),
        ("position", json!(null)),
        ("ahead", json!(null)),
        ("eta", json!(null)),
        ("as_of", json!(format!("{}.2", partition("premiere")))),
    ] {
        assert_eq!(ticket[name], value, "{name}");
    }
}

#[tokio::test]
async fn who_waits_has_the_exact_position_and_an_estimate() {
    let away = VisitorsWentAway { at: at(70), tickets: vec![ANN] };
    let line = [joined(ANN, Some(1)), joined(BEN, Some(2)), joined(CAT, Some(3)), away.into()];
    let world = World::after(in_line(line)).await;
    let before = Timestamp::now();
    let ticket = world.send(&get(path(CAT))).await.expect(200);
    assert_eq!((&ticket["number"], &ticket["position"], &ticket["ahead"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(ticket["poll_after_ms"], 2_000);
    let expected = Timestamp::parse_rfc3339(ticket["eta"]["expected"].as_str().unwrap()).unwrap();
    assert!((2_000..30_000).contains(&expected.ms_since(before)), "two admissions at one a second");
    let late = Timestamp::parse_rfc3339(ticket["eta"]["late"].as_str().unwrap()).unwrap();
    assert!(late > expected, "four visits of ten minutes at once are slower");
    // Away, the place is kept but nobody is waited for.
    let ticket = world.send(&get(path(ANN))).await.expect(200);
    assert_eq!(
        (&ticket["state"], &ticket["position"], &ticket["eta"]),
        (&json!("away"), &json!(1), &json!(null))
    );
}

#[tokio::test]
async fn a_paused_opening_estimates_nothing() {
    let world = World::after(in_line([joined(ANN, Some(1)), OpeningPaused { at: at(70) }.into()])).await;
    assert_eq!(world.send(&get(path(ANN))).await.expect(200)["eta"], json!(null));
}

#[tokio::test]
async fn who_is_admitted_or_inside_is_told_until_when_and_others_are_not() {
    let world = World::after(in_line([joined(ANN, Some(1)), admitted(ANN, 1, at(70))])).await;
    let ticket = world.send(&get(path(ANN))).await.expect(200);
    assert_eq!((&ticket["state"], &ticket["enter_by"]), (&json!("admitted"), &json!(at(90).to_rfc3339())));
    assert!(ticket.get("leave_by").is_none());
    world.happen("premiere", [entered(ANN)]).await;
    let ticket = world.send(&get(path(ANN))).await.expect(200);
    assert_eq!((&ticket["state"], &ticket["leave_by"]), (&json!("inside"), &json!(at(140).to_rfc3339())));
    assert!(ticket.get("enter_by").is_none());
    let left = VisitorLeft { at: at(99), ticket: ANN, state: TicketState::Left, released: Vec::new() };
    world.happen("premiere", [left.into()]).await;
    let ticket = world.send(&get(path(ANN))).await.expect(200);
    assert!(ticket.get("enter_by").is_none() && ticket.get("leave_by").is_none(), "{ticket}");
}

#[tokio::test]
async fn a_claim_moves_earlier_deadlines() {
    let world = World::after(in_line([joined(ANN, Some(1)), admitted(ANN, 1, at(70))])).await;
    world.claimed("premiere", at(85));
    world.happen("premiere", [joined(BEN, Some(2))]).await;
    let ticket = world.send(&get(path(ANN))).await.expect(200);
    assert_eq!(ticket["enter_by"], at(115).to_rfc3339(), "thirty seconds after the claim");
}

#[tokio::test]
async fn a_ticket_never_names_holds_or_bookings() {
    let world = World::after(holds(ANN)).await;
    let answer = world.send(&get(path(ANN))).await;
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    assert!(!text.contains("hold") && !text.contains("A1"), "{text}");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn an_unknown_ticket_is_404_as_of_what_is_known() {
    let world = World::after(holds(ANN)).await;
    let problem = world.send(&get(path(BEN))).await.problem(404, "not-found");
    assert_eq!(problem["as_of"], format!("{}.8", partition("premiere")));
    world.send(&get(format!("/v1/openings/encore/tickets/{ANN}"))).await.problem(404, "not-found");
}
