//! What everyone may keep: tags, 304, and how long.

use usher_events::event::*;

use crate::calls::get;
use crate::happenings::*;
use crate::world::{PREMIERE, World};

const SHARED: &str = "public, max-age=1, stale-while-revalidate=4";

#[tokio::test]
async fn a_status_is_the_same_bytes_for_everyone_and_304_for_who_has_them() {
    let world = World::after(holds(ANN)).await;
    let first = world.send(&get(PREMIERE)).await;
    let again = world.send(&get(PREMIERE)).await;
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.header("cache-control"), SHARED);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = world.send(&get(PREMIERE).header("if-none-match", &known)).await;
        assert_eq!((answer.status, answer.bytes.len()), (304, 0), "{known}");
        assert_eq!((answer.header("etag"), answer.header("cache-control")), (&*tag, SHARED));
    }
    for other in ["\"other\"", "W/\"other\"", &tag[1..tag.len() - 1]] {
        world.send(&get(PREMIERE).header("if-none-match", other)).await.expect(200);
    }
    let two = get(PREMIERE).header("if-none-match", "\"other\"").header("if-none-match", &tag);
    assert_eq!(world.send(&two).await.status, 304, "the header may come twice");
}

#[tokio::test]
async fn a_changed_status_has_another_tag() {
    let world = World::after(holds(ANN)).await;
    let tag = world.send(&get(PREMIERE)).await.header("etag").to_owned();
    let as_of = world.happen("premiere", [joined(BEN, Some(2))]).await;
    let call = get(format!("{PREMIERE}?after={as_of}")).header("if-none-match", &tag);
    assert_eq!(world.send(&call).await.expect(200)["waiting"], 1);
}

#[tokio::test]
async fn seats_halls_and_draws_are_304_until_they_themselves_change() {
    let world = World::after(holds(ANN)).await;
    let paths = ["showings/evening/seats", "plans/hall-1", "draw"].map(|path| format!("{PREMIERE}/{path}"));
    let mut tags = Vec::new();
    for path in &paths {
        let answer = world.send(&get(path)).await;
        assert_eq!(answer.header("cache-control"), SHARED);
        assert!(answer.header("etag").starts_with("W/\""), "{path}");
        tags.push(answer.header("etag").to_owned());
    }
    let as_of = world.happen("premiere", [joined(BEN, Some(2))]).await;
    for (path, tag) in paths.iter().zip(&tags) {
        let call = get(format!("{path}?after={as_of}")).header("if-none-match", tag);
        assert_eq!(world.send(&call).await.status, 304, "{path}");
    }
    let as_of = world.happen("premiere", [released(ANN, hold_id(1), &["A1", "A2"])]).await;
    let call = get(format!("{}?after={as_of}", paths[0])).header("if-none-match", &tags[0]);
    assert_eq!(world.send(&call).await.expect(200)["version"], 2);
}

#[tokio::test]
async fn a_cohort_is_kept_for_long_as_it_never_changes() {
    let world = World::after([scheduled().into(), joined(ANN, None), lobby_closed(&[ANN])]).await;
    let path = format!("{PREMIERE}/draw/cohort");
    let answer = world.send(&get(&path)).await;
    assert!(answer.header("cache-control").contains("immutable"));
    let tag = answer.header("etag").to_owned();
    assert_eq!(world.send(&get(&path).header("if-none-match", &tag)).await.status, 304);
}

#[tokio::test]
async fn what_concerns_one_visitor_and_what_failed_is_never_kept() {
    let mut events = holds(ANN);
    events.push(OpeningPaused { at: at(99) }.into());
    let world = World::after(events).await;
    for path in [format!("{PREMIERE}/tickets/{ANN}"), format!("{PREMIERE}/tickets/{BEN}")] {
        assert_eq!(world.send(&get(path)).await.header("cache-control"), "no-store");
    }
    assert_eq!(world.send(&get("/v1/openings/encore")).await.header("cache-control"), "no-store");
}
