//! The OpenAPI document itself. What it says of answers is compared with them
//! wherever they are asked for.

use std::collections::BTreeSet;

use crate::world::World;

#[tokio::test]
async fn every_query_of_the_interface_has_its_route() {
    let world = World::new();
    let routes = world.description.operations();
    assert!(routes.iter().all(|(_, method, _)| *method == "get"), "queries change nothing");
    let routes: BTreeSet<&str> = routes.iter().map(|(path, _, _)| *path).collect();
    let expected = BTreeSet::from([
        "/v1/openings",
        "/v1/openings/{opening}",
        "/v1/openings/{opening}/tickets/{ticket}",
        "/v1/openings/{opening}/tickets/{ticket}/proof",
        "/v1/openings/{opening}/draw",
        "/v1/openings/{opening}/draw/cohort",
        "/v1/openings/{opening}/showings/{showing}/seats",
        "/v1/openings/{opening}/plans/{plan}",
        "/v1/openings/{opening}/holds/{hold}",
        "/v1/openings/{opening}/bookings/{booking}",
        "/v1/openings/{opening}/updates",
        "/v1/openings/{opening}/acts",
        "/v1/openings/{opening}/views",
        "/v1/console",
    ]);
    assert_eq!(routes, expected);
}

#[tokio::test]
async fn every_route_shows_what_it_answers_and_what_problems_look_like() {
    let world = World::new();
    for (path, _, said) in world.description.operations() {
        for (status, response) in said["responses"].as_object().unwrap() {
            let what = format!("{path} {status}: {response}");
            if status == "200" {
                let content = response["content"].as_object().unwrap();
                let shows = |schema| world.description.schema(schema)["type"].is_string();
                assert!(content.values().all(|content| shows(&content["schema"])), "{what}");
            } else if status.starts_with(['4', '5']) {
                let schema = &response["content"]["application/problem+json"]["schema"];
                assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{what}");
            }
        }
        assert!(said["responses"]["400"].is_object() && said["responses"]["503"].is_object(), "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_an_example() {
    let world = World::new();
    let schemas = world.description.document()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        if name == "Problem" || schema.get("example").is_some() {
            continue;
        }
        let required = schema["required"].as_array().unwrap();
        for (field, said) in schema["properties"].as_object().unwrap() {
            let of_others = said.to_string().contains("$ref");
            let told = said.get("example").is_some() || said["format"] == "uuid" || said["type"] == "boolean";
            let optional = !required.contains(&field.as_str().into());
            assert!(told || of_others || optional, "{name}.{field}: {said}");
        }
    }
}
