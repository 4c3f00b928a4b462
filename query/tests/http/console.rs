//! What operators see beside what everybody sees.

use serde_json::json;
use usher_events::event::*;

use crate::calls::{MERCHANT, OPERATOR, OTHER_OPERATOR, get, visitor};
use crate::happenings::*;
use crate::world::{PREMIERE, World};

#[tokio::test]
async fn a_key_is_told_whose_it_is() {
    let world = World::new();
    assert_eq!(world.send(&get("/v1/console").by(OPERATOR)).await.expect(200), json!({"name": "box-office"}));
    world.send(&get("/v1/console")).await.problem(401, "unauthorized");
    world.send(&get("/v1/console").by(MERCHANT)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn who_did_what_is_for_operators_of_the_opening_only() {
    let world = World::new();
    let message = MessageChanged { at: at(5), message: Some("Soon".to_owned()) };
    let as_of = world.happen_by("box-office", "premiere", &[scheduled().into(), message.into()]).await;
    let path = format!("{PREMIERE}/acts?after={as_of}");
    let acts = world.send(&get(&path).by(OPERATOR)).await.expect(200);
    let newest = &acts["acts"][0];
    assert_eq!((&newest["who"], &newest["what"]), (&json!("box-office"), &json!("MessageChanged")));
    assert_eq!((newest["at"].as_str(), acts["as_of"].as_str()), (Some(&*at(5).to_rfc3339()), Some(&*as_of)));
    world.send(&get(&path)).await.problem(401, "unauthorized");
    for other in [OTHER_OPERATOR, MERCHANT, &visitor('a').0] {
        world.send(&get(&path).by(other)).await.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn how_far_each_view_is_is_told_by_what_the_other_has_more() {
    let world = World::after([scheduled().into()]).await;
    world.happen_in_queue("premiere", &[joined(ANN, None), joined(BEN, None)]).await;
    let views = world.send(&get(format!("{PREMIERE}/views")).by(OPERATOR)).await.expect(200)["views"].clone();
    assert_eq!(views["queue"], json!({"position": 3, "behind": 0}));
    assert_eq!(views["booking"], json!({"position": 1, "behind": 2}));
}
