//! The OpenAPI document, and whether answers are as it says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::calls::{Answer, Call};
use crate::instance::Instance;

/// What the routes say of themselves.
pub(crate) struct Description {
    pub(crate) document: Value,
}

impl Description {
    pub(crate) fn new(openapi: &utoipa::openapi::OpenApi) -> Self {
        Self { document: serde_json::to_value(openapi).unwrap() }
    }

    /// Every route: its template, its method, what is said of it.
    pub(crate) fn operations(&self) -> Vec<(&str, &str, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(move |(method, said)| (path.as_str(), method.as_str(), said))
            })
            .collect()
    }

    fn operation(&self, call: &Call) -> Option<&Value> {
        let method = call.method.as_str().to_lowercase();
        let is_it = |(path, of, _): &(&str, &str, &Value)| *of == method && fits(path, &call.path);
        self.operations().into_iter().find(is_it).map(|(_, _, said)| said)
    }

    /// Panics unless the answer is one that the route announces.
    #[track_caller]
    pub(crate) fn check(&self, call: &Call, answer: &Answer) {
        let Some(operation) = self.operation(call) else { return };
        let said = &operation["responses"][answer.status.to_string()];
        let what = format!("{} {} {}: {}", call.method, call.path, answer.status, answer.body);
        assert!(said.is_object(), "the route does not announce {what}");
        if answer.status >= 400 {
            let kind = answer.body["type"].as_str().unwrap().trim_start_matches("urn:usher:problem:");
            let announced = said["description"].as_str().unwrap();
            assert!(announced.contains(&format!("`{kind}`")), "`{announced}` does not announce {what}");
            return;
        }
        let schema = self.schema(&said["content"]["application/json"]["schema"]);
        let known = names(schema["properties"].as_object().unwrap().keys());
        let required = schema["required"].as_array().unwrap();
        let required = names(required.iter().map(|name| name.as_str().unwrap()));
        let sent = names(answer.body.as_object().unwrap().keys());
        assert!(required.is_subset(&sent) && sent.is_subset(&known), "announced: {known:?}, sent: {what}");
    }

    fn schema<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }
}

fn names(names: impl IntoIterator<Item = impl AsRef<str>>) -> BTreeSet<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(expected, part)| expected.starts_with('{') || expected == part)
}

#[tokio::test]
async fn every_command_of_the_interface_has_its_route() {
    let instance = Instance::new().await;
    let routes = instance.description.operations();
    let routes: BTreeSet<(&str, &str)> = routes.iter().map(|(path, method, _)| (*path, *method)).collect();
    let expected = BTreeSet::from([
        ("/.well-known/jwks.json", "get"),
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
        ("/v1/openings/{opening}/holds/{hold}", "delete"),
        ("/v1/openings/{opening}/holds/{hold}/extensions/{extension}", "put"),
        ("/v1/openings/{opening}/bookings/{booking}", "put"),
        ("/v1/openings/{opening}/bookings/{booking}", "delete"),
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
    assert!(instance.description.document["components"]["schemas"]["Problem"].is_object());
}

#[tokio::test]
async fn every_body_and_every_answer_has_an_example() {
    let instance = Instance::new().await;
    let schemas = instance.description.document["components"]["schemas"].as_object().unwrap();
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
