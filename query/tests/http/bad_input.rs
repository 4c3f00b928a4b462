//! Whatever cannot be understood is a problem that names it.

use crate::calls::{OPERATOR, get};
use crate::happenings::*;
use crate::world::{PREMIERE, World};

#[tokio::test]
async fn a_parameter_that_cannot_be_is_400_and_named() {
    let world = World::after(holds(ANN)).await;
    let (hold, booking) = (hold_id(1), booking_id(1));
    for (path, field) in [
        ("/v1/openings/Premiere".to_owned(), "opening"),
        ("/v1/openings/premiere!".to_owned(), "opening"),
        (format!("/v1/openings/{}", "x".repeat(65)), "opening"),
        ("/v1/openings/%FF".to_owned(), "opening"),
        ("/v1/openings/-/draw".to_owned(), "opening"),
        (format!("{PREMIERE}/tickets/1234"), "ticket"),
        (format!("{PREMIERE}/tickets/{}", ANN.to_string().replace('1', "A")), "ticket"),
        (format!("{PREMIERE}/tickets/{}/proof", "g".repeat(64)), "ticket"),
        (format!("{PREMIERE}/showings/Evening/seats"), "showing"),
        (format!("{PREMIERE}/plans/hall_1"), "plan"),
        (format!("{PREMIERE}/holds/1"), "hold"),
        (format!("{PREMIERE}/bookings/{}x", booking), "booking"),
        (format!("{PREMIERE}/showings/evening/seats?since=-1"), "since"),
        (format!("{PREMIERE}/showings/evening/seats?since=x"), "since"),
        (format!("{PREMIERE}/showings/evening/seats?since="), "since"),
        (format!("{PREMIERE}/showings/evening/seats?since=18446744073709551616"), "since"),
        (format!("{PREMIERE}/showings/evening/seats?sinse=1"), "sinse"),
        (format!("{PREMIERE}?after=yesterday"), "after"),
        (format!("{PREMIERE}?after="), "after"),
        (format!("{PREMIERE}?after=0.1_"), "after"),
        ("/v1/openings?after=01.1".to_owned(), "after"),
        ("/v1/openings?limit=3".to_owned(), "limit"),
        (format!("{PREMIERE}?since=1"), "since"),
        (format!("{PREMIERE}/tickets/{ANN}?now=1"), "now"),
        (format!("{PREMIERE}/tickets/{ANN}/proof?after=x"), "after"),
        (format!("{PREMIERE}/draw?after=1"), "after"),
        (format!("{PREMIERE}/draw/cohort?after=1.-1"), "after"),
        (format!("{PREMIERE}/plans/hall-1?after=%20"), "after"),
        (format!("{PREMIERE}/holds/{hold}?after=1.1.1"), "after"),
        (format!("{PREMIERE}/bookings/{booking}?sort=asc"), "sort"),
        (format!("{PREMIERE}/updates?showing=Evening"), "showing"),
        (format!("{PREMIERE}/updates?last_event_id=1"), "last_event_id"),
        (format!("{PREMIERE}/acts?after=x"), "after"),
        (format!("{PREMIERE}/views?all=1"), "all"),
        ("/v1/console?all=1".to_owned(), "all"),
    ] {
        let problem = world.send(&get(&path).by(OPERATOR)).await.problem(400, "malformed");
        assert_eq!(problem["field"], field, "{path}: {problem}");
    }
}

#[tokio::test]
async fn a_parameter_that_comes_twice_is_400() {
    let world = World::after(holds(ANN)).await;
    for path in [
        format!("{PREMIERE}?after=0.1&after=0.2"),
        format!("{PREMIERE}/showings/evening/seats?since=1&since=1"),
    ] {
        let problem = world.send(&get(&path)).await.problem(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains("duplicate"), "{problem}");
    }
}

#[tokio::test]
async fn a_position_beyond_all_partitions_names_nothing_that_is_waited_for() {
    let world = World::after(holds(ANN)).await;
    world.send(&get(format!("{PREMIERE}?after=4294967295.1"))).await.expect(200);
}
