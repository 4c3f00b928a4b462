//! Who may do what: told before a writer, or even the body, is looked at.

use axum::http::Method;
use serde_json::Value;

use crate::calls::{Call, MERCHANT, OPERATOR, OTHER_OPERATOR, id, put, visitor};
use crate::instance::Instance;
use crate::scenes::{CONCERT, confirm, hold, join, schedule};

/// A call of the route, by nobody, with a body that nobody can read.
fn call_of(template: &str, method: &str) -> Call {
    let path = template
        .replace("{opening}", "concert")
        .replace("{ticket}", &visitor('a').ticket)
        .replace("{plan}", "hall-9")
        .replace("{showing}", "late");
    let path = ["{admission}", "{hold}", "{extension}", "{booking}"]
        .iter()
        .fold(path, |path, name| path.replace(name, &id(1).to_string()));
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    Call { method, ..put(path).text("no JSON at all") }
}

/// Whose credentials the route asks for, by its description.
fn asks_for(said: &Value) -> Vec<&str> {
    let schemes = said["security"].as_array().map(Vec::as_slice).unwrap_or_default();
    schemes.iter().flat_map(|scheme| scheme.as_object().unwrap().keys()).map(String::as_str).collect()
}

#[tokio::test]
async fn only_joining_the_public_keys_and_heartbeats_that_bring_their_own_need_no_credentials() {
    let instance = Instance::new().await;
    let routes = instance.description.operations();
    let open = routes.iter().filter(|(_, _, said)| asks_for(said).is_empty());
    let open: Vec<_> = open.map(|(path, method, _)| (*path, *method)).collect();
    let expected = [
        ("/.well-known/jwks.json", "get"),
        ("/v1/heartbeats", "post"),
        ("/v1/openings/{opening}/tickets/{ticket}", "put"),
    ];
    assert_eq!(open, expected);
}

#[tokio::test]
async fn who_cannot_be_told_is_401_on_every_route_that_asks() {
    let instance = Instance::new().await;
    instance.open().await;
    for (template, method, said) in instance.description.operations() {
        if asks_for(said).is_empty() {
            continue;
        }
        let call = call_of(template, method);
        let answer = instance.refused(call.clone()).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        answer.problem(401, "unauthorized");
        for credential in ["a-key-that-nobody-has-been-given-yet", "short"] {
            instance.refused(call.clone().by(credential)).await.problem(401, "unauthorized");
        }
        let basic = call.header("authorization", "Basic b3BlcmF0b3I6a2V5");
        instance.refused(basic).await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn whose_credentials_are_for_something_else_is_403_on_every_route() {
    let instance = Instance::new().await;
    instance.open().await;
    let visitor = visitor('a').secret;
    for (template, method, said) in instance.description.operations() {
        let asked = asks_for(said);
        if asked.is_empty() {
            continue;
        }
        for (who, credential) in [("operator", OPERATOR), ("merchant", MERCHANT), ("visitor", &visitor)] {
            if !asked.contains(&who) {
                let call = call_of(template, method).by(credential);
                instance.refused(call).await.problem(403, "forbidden");
            }
        }
        if asked.contains(&"operator") {
            let call = call_of(template, method).by(OTHER_OPERATOR);
            instance.refused(call).await.problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_secret_is_good_for_its_own_ticket_only() {
    let instance = Instance::new().await;
    let [a, b] = instance.inside(['a', 'b']).await;
    for (template, method, said) in instance.description.operations() {
        if template.contains("{ticket}") && !asks_for(said).is_empty() {
            let call = call_of(template, method).by(&b.secret);
            instance.refused(call).await.problem(403, "forbidden");
        }
    }
    instance.send(&hold(1, &a, &["G7"])).await.expect(201);
}

#[tokio::test]
async fn an_operator_with_a_prefix_manages_what_begins_with_it() {
    let instance = Instance::new().await;
    let body = crate::scenes::opening(3_600);
    instance.refused(schedule(&body).by(OTHER_OPERATOR)).await.problem(403, "forbidden");
    instance.send(&put("/v1/openings/play-1").by(OTHER_OPERATOR).json(&body)).await.expect(201);
}

#[tokio::test]
async fn no_credential_is_taken_from_the_url() {
    let instance = Instance::new().await;
    instance.open().await;
    let secret = visitor('a').secret;
    let call = put(format!("{CONCERT}/tickets/{}/entry?secret={secret}&key={OPERATOR}", visitor('a').ticket));
    instance.refused(call).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_stranger_who_joins_needs_no_credentials_and_wrong_ones_change_nothing() {
    let instance = Instance::new().await;
    instance.open().await;
    instance.send(&join(&visitor('a')).by("short")).await.expect(201);
    instance.send(&join(&visitor('a'))).await.expect(200);
    instance.refused(confirm(1, 2, "p-1").by("short")).await.problem(401, "unauthorized");
}
