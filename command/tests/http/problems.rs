//! The problem documents that programs rely on, whole.

use serde_json::{Value, json};

use crate::calls::{OPERATOR, id, put, visitor};
use crate::instance::Instance;
use crate::scenes::{
    CONCERT, admit, confirm, enter, extend, hold, hold_best, join, leave, opening, present, release, schedule,
};

/// What differs from run to run does not show.
fn steady(mut problem: Value) -> Value {
    for name in ["as_of", "retry_after_s", "expired_at"] {
        if let Some(value) = problem.get_mut(name) {
            *value = json!(format!("[{name}]"));
        }
    }
    problem
}

macro_rules! shows {
    ($instance:expr, $call:expr) => {{
        let answer = $instance.send(&$call).await;
        assert!(answer.status >= 400, "{}", answer.body);
        let name = answer.body["type"].as_str().unwrap().trim_start_matches("urn:usher:problem:").to_owned();
        insta::assert_json_snapshot!(name, steady(answer.body));
    }};
}

#[tokio::test]
async fn problems_of_the_queue() {
    let instance = Instance::new().await;
    shows!(instance, join(&visitor('a')));
    let mut body = opening(-1);
    body["policy"]["max_tickets"] = json!(3);
    instance.open_with(body.clone()).await;
    shows!(instance, admit(1, 1));
    shows!(instance, present(&visitor('a')));
    for letter in ['a', 'b', 'c'] {
        instance.send(&join(&visitor(letter))).await.expect(201);
    }
    shows!(instance, join(&visitor('d')));
    shows!(instance, enter(&visitor('b')));
    instance.send(&leave(&visitor('a'))).await.expect(200);
    shows!(instance, enter(&visitor('a')));
    body["title"] = json!("Southern Lights");
    shows!(instance, schedule(&body));
    shows!(instance, put(format!("{CONCERT}/pause")));
}

#[tokio::test]
async fn problems_of_seats_and_payments() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    instance.send(&hold(1, &a, &["G7", "G8"])).await.expect(201);
    shows!(instance, hold(1, &b, &["G7"]));
    shows!(instance, hold(2, &b, &["G1", "G2", "G7"]));
    shows!(instance, hold(2, &b, &["G2", "Z9"]));
    shows!(instance, hold(2, &b, &["G2", "G2"]));
    shows!(instance, hold(2, &b, &["G2", "G3", "G4", "G5", "G6"]));
    shows!(instance, hold_best(2, &b, json!({"count": 4})));
    shows!(instance, confirm(2, 1, "p-1").by(&a.secret));
    shows!(instance, confirm(2, 9, "p-1"));
    instance.send(&extend(1, 3, &a)).await.expect(201);
    shows!(instance, extend(1, 4, &a));
    instance.send(&release(1, &a)).await.expect(200);
    shows!(instance, extend(1, 5, &a));
    shows!(instance, confirm(6, 1, "p-1"));
}

#[tokio::test]
async fn problems_of_who_calls_and_what_they_send() {
    let instance = Instance::new().await;
    shows!(instance, schedule(&json!({})).by("a-key-that-nobody-has-been-given-yet"));
    shows!(instance, schedule(&json!({})).by(&visitor('a').secret));
    shows!(instance, put(format!("{CONCERT}/admissions/{}", id(1))).by(OPERATOR).text("{"));
}
