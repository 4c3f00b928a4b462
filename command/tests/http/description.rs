//! The OpenAPI document, and whether answers are as it says.

use std::collections::BTreeSet;

use usher_http::description::check::{Answered, Description};

use crate::calls::{Answer, Call};
use crate::instance::Instance;

/// Panics unless the answer is one that the route announces.
#[track_caller]
pub(crate) fn check(description: &Description, call: &Call, answer: &Answer) {
    let answered = Answered {
        method: call.method.as_str(),
        path: &call.path,
        status: answer.status,
        media_type: if answer.status < 400 { "application/json" } else { "application/problem+json" },
        body: &answer.body,
    };
    description.check(&answered).unwrap_or_else(|fault| panic!("{fault}"));
}

#[tokio::test]
async fn every_command_of_the_interface_has_its_route() {
    let instance = Instance::new().await;
    let routes = instance.description.operations();
    let routes: BTreeSet<(&str, &str)> = routes.iter().map(|(path, method, _)| (*path, *method)).collect();
    let expected = BTreeSet::from([
        ("/.well-known/jwks.json", "get"),
        ("/v1/heartbeats", "post"),
        ("/v1/openings/{opening}", "put"),
        ("/v1/openings/{opening}", "patch"),
        ("/v1/openings/{opening}/policy", "patch"),
        ("/v1/openings/{opening}/plans/{plan}", "put"),
        ("/v1/openings/{opening}/showings/{showing}", "put"),
        ("/v1/openings/{opening}/pause", "post"),
        ("/v1/openings/{opening}/resume", "post"),
        ("/v1/openings/{opening}/drain", "post"),
        ("/v1/openings/{opening}/close", "post"),
        ("/v1/openings/{opening}/message", "put"),
        ("/v1/openings/{opening}/beacon", "put"),
        ("/v1/openings/{opening}/admissions/{admission}", "put"),
        ("/v1/openings/{opening}/tickets/{ticket}", "put"),
        ("/v1/openings/{opening}/tickets/{ticket}", "delete"),
        ("/v1/openings/{opening}/tickets/{ticket}/presence", "post"),
        ("/v1/openings/{opening}/tickets/{ticket}/entry", "put"),
        ("/v1/openings/{opening}/tickets/{ticket}/entry", "delete"),
        ("/v1/openings/{opening}/holds/{hold}", "put"),
        ("/v1/openings/{opening}/holds/{hold}", "patch"),
        ("/v1/openings/{opening}/holds/{hold}", "delete"),
        ("/v1/openings/{opening}/holds/{hold}/extensions/{extension}", "put"),
        ("/v1/openings/{opening}/bookings/{booking}", "put"),
        ("/v1/openings/{opening}/bookings/{booking}", "delete"),
        ("/v1/openings/{opening}/bookings/{booking}/seats/{seat}", "delete"),
    ]);
    assert_eq!(routes, expected);
}

#[tokio::test]
async fn every_route_shows_what_it_answers_and_what_problems_look_like() {
    let instance = Instance::new().await;
    for (path, method, said) in instance.description.operations() {
        for (status, response) in said["responses"].as_object().unwrap() {
            let what = format!("{method} {path} {status}: {response}");
            if status.starts_with('2') {
                let schema = &response["content"]["application/json"]["schema"];
                assert!(instance.description.schema(schema)["properties"].is_object(), "{what}");
            } else {
                let schema = &response["content"]["application/problem+json"]["schema"];
                assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{what}");
            }
        }
    }
    assert!(instance.description.document()["components"]["schemas"]["Problem"].is_object());
}

#[tokio::test]
async fn every_body_and_every_answer_has_an_example() {
    let instance = Instance::new().await;
    let schemas = instance.description.document()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        if name == "Problem" || schema.get("example").is_some() {
            continue;
        }
        for (field, said) in schema["properties"].as_object().unwrap() {
            let told = said.get("example").is_some() || said["format"] == "uuid" || said["type"] == "boolean";
            let required =
                schema["required"].as_array().is_some_and(|all| all.contains(&field.as_str().into()));
            assert!(told || !required, "{name}.{field}: {said}");
        }
    }
}
