//! Scheduling and managing openings.

use serde_json::json;

use crate::calls::{OPERATOR, id, patch, post, put, visitor};
use crate::instance::Instance;
use crate::scenes::{CONCERT, admit, enter, in_s, join, opening, schedule, seating};

#[tokio::test]
async fn an_opening_is_scheduled_once_and_the_same_again_answers_as_it_is_now() {
    let instance = Instance::new().await;
    let body = opening(3_600);
    let scheduled = instance.send(&schedule(&body)).await.expect(201);
    assert_eq!(scheduled["opening"], "concert");
    assert_eq!(scheduled["state"], "scheduled");
    assert_eq!(scheduled["opens_at"], body["opens_at"]);
    assert_eq!(scheduled["policy"]["capacity"], 10);
    let before = instance.records().await;
    assert_eq!(instance.send(&schedule(&body)).await.expect(200), scheduled);
    assert_eq!(instance.records().await, before);
}

#[tokio::test]
async fn an_openings_id_is_never_another_openings() {
    let instance = Instance::new().await;
    instance.lobby().await;
    let mut other = opening(3_600);
    other["title"] = json!("Southern Lights");
    instance.refused(schedule(&other)).await.problem(422, "id-reused");
}

#[tokio::test]
async fn title_and_times_change_until_the_lobby_closes_and_the_title_still_after() {
    let instance = Instance::new().await;
    instance.lobby().await;
    let change = |n, body| patch(CONCERT).by(OPERATOR).key(n).json(&body);
    let (opens_at, drains_at) = (in_s(-60), in_s(5_000));
    let later = instance.send(&change(1, json!({"drains_at": drains_at}))).await.expect(200);
    assert_eq!(later["drains_at"], drains_at.as_str());
    let opened =
        instance.send(&change(2, json!({"opens_at": opens_at, "drains_at": null}))).await.expect(200);
    assert_eq!((&opened["opens_at"], &opened["drains_at"]), (&json!(opens_at), &json!(null)));
    instance.send(&change(3, json!({"opens_at": in_s(3_600)}))).await.problem(409, "lobby-closed");
    let renamed = instance.send(&change(4, json!({"title": "Northern Lights, again"}))).await.expect(200);
    assert_eq!(renamed["title"], "Northern Lights, again");
    assert_eq!(renamed["state"], "open");
}

#[tokio::test]
async fn a_policy_changes_by_a_merge_patch_over_the_one_in_force() {
    let instance = Instance::new().await;
    instance.lobby().await;
    let change = |n, body| patch(format!("{CONCERT}/policy")).by(OPERATOR).key(n).json(&body);
    let faster = json!({"capacity": 20, "admissions_per_minute": 60});
    let faster = change(1, faster).header("content-type", "application/merge-patch+json");
    let changed = instance.send(&faster).await.expect(200);
    assert_eq!(changed["policy"]["capacity"], 20);
    assert_eq!(changed["policy"]["admissions_per_minute"], 60);
    assert_eq!(changed["policy"]["max_seats"], 4, "what is not named stays");
    let back = json!({"capacity": null, "admissions_per_minute": null, "no_single_seat": null});
    let changed = instance.send(&change(2, back)).await.expect(200);
    assert_eq!(changed["policy"]["capacity"], 200, "null brings the default back");
    assert_eq!(changed["policy"]["admissions_per_minute"], json!(null));
}

#[tokio::test]
async fn plans_and_showings_are_added_while_the_opening_is_open_and_never_change() {
    let instance = Instance::new().await;
    instance.open().await;
    let plan = |body| put(format!("{CONCERT}/plans/hall-2")).by(OPERATOR).json(&body);
    let seats = json!({"seating": seating(), "details": {"blocked": {"G8": "a camera"}}});
    let added = instance.send(&plan(seats.clone())).await.expect(201);
    assert_eq!((&added["plan"], &added["seats"]), (&json!("hall-2"), &json!(8)));
    instance.send(&plan(seats)).await.expect(200);
    instance.refused(plan(json!({"seating": seating()}))).await.problem(422, "id-reused");

    let showing = |title: &str| {
        let body = json!({"title": title, "starts_at": "2027-01-01T20:00:00Z", "plan": "hall-2"});
        put(format!("{CONCERT}/showings/late")).by(OPERATOR).json(&body)
    };
    let added = instance.send(&showing("Late")).await.expect(201);
    assert_eq!((&added["showing"], &added["plan"]), (&json!("late"), &json!("hall-2")));
    instance.send(&showing("Late")).await.expect(200);
    instance.refused(showing("Later")).await.problem(422, "id-reused");
}

#[tokio::test]
async fn an_opening_pauses_resumes_drains_and_closes() {
    let instance = Instance::new().await;
    instance.send(&schedule(&opening(-1))).await.expect(201);
    // Someone in line keeps the drained opening from closing by itself.
    instance.send(&post(format!("{CONCERT}/pause")).by(OPERATOR).key(1)).await.expect(200);
    instance.send(&join(&visitor('a'))).await.expect(201);
    for (n, verb, state) in [
        (2, "resume", "open"),
        (3, "pause", "paused"),
        (4, "pause", "paused"),
        (5, "drain", "draining"),
        (6, "close", "closed"),
        (7, "close", "closed"),
    ] {
        let answer = instance.send(&post(format!("{CONCERT}/{verb}")).by(OPERATOR).key(n)).await;
        assert_eq!(answer.expect(200)["state"], state);
    }
    let resume = post(format!("{CONCERT}/resume")).by(OPERATOR).key(8);
    assert_eq!(instance.refused(resume).await.problem(409, "wrong-state")["state"], "closed");
}

#[tokio::test]
async fn a_change_with_the_same_key_again_has_no_second_effect() {
    let instance = Instance::new().await;
    instance.open().await;
    let resume = post(format!("{CONCERT}/resume")).by(OPERATOR).key(1);
    let pause = post(format!("{CONCERT}/pause")).by(OPERATOR).key(2);
    instance.send(&resume).await.expect(200);
    instance.send(&pause).await.expect(200);
    let repeated = instance.send(&resume).await.expect(200);
    assert_eq!(repeated["state"], "paused", "the opening as it is now, not as it was");
    let other = post(format!("{CONCERT}/drain")).by(OPERATOR).key(1);
    instance.refused(other).await.problem(422, "id-reused");
}

#[tokio::test]
async fn a_message_is_said_and_taken_away() {
    let instance = Instance::new().await;
    instance.lobby().await;
    let say = |message| put(format!("{CONCERT}/message")).by(OPERATOR).json(&json!({"message": message}));
    let said = instance.send(&say(json!("A little later"))).await.expect(200);
    assert_eq!(said["message"], "A little later");
    assert_eq!(instance.send(&say(json!(null))).await.expect(200)["message"], json!(null));
}

#[tokio::test]
async fn an_admission_by_hand_lets_in_as_many_as_there_are_and_fit_and_counts_once() {
    let instance = Instance::new().await;
    instance.open().await;
    let nobody = instance.refused(admit(1, 5)).await.problem(409, "nothing-to-admit");
    assert_eq!((&nobody["free_slots"], &nobody["present"]), (&json!(10), &json!(0)));
    for letter in ['a', 'b', 'c'] {
        instance.send(&join(&visitor(letter))).await.expect(201);
    }
    let admitted = instance.send(&admit(1, 2)).await.expect(201);
    assert_eq!(admitted["admission"], id(1).to_string());
    assert_eq!((&admitted["count"], &admitted["serving_number"]), (&json!(2), &json!(2)));
    let repeated = instance.send(&admit(1, 2)).await.expect(200);
    assert_eq!(repeated["count"], 2);
    instance.refused(enter(&visitor('c'))).await.problem(403, "not-your-turn");
    instance.refused(admit(1, 1)).await.problem(422, "id-reused");
}
