//! Whether answers are as the OpenAPI document says. For tests.

use serde_json::Value;
use usher_events::time::Timestamp;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use crate::problem::TYPE_PREFIX;

/// What routes say of themselves.
#[derive(Debug, Clone)]
pub struct Description {
    document: Value,
}

/// One route: its template, its method in lower case, what is said of it.
pub type Route<'a> = (&'a str, &'a str, &'a Value);

/// An answer that somebody got.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's path, without the query.
    pub path: &'a str,
    /// The answer's status.
    pub status: u16,
    /// The answer's media type; empty when it has no body.
    pub media_type: &'a str,
    /// The answer's body; null when it is not JSON.
    pub body: &'a Value,
}

impl Description {
    /// Of the routes that `openapi` describes.
    pub fn new(openapi: &OpenApi) -> Self {
        Self { document: serde_json::to_value(openapi).unwrap_or_default() }
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every route.
    pub fn operations(&self) -> Vec<Route<'_>> {
        let of_path = |(path, methods)| entries(methods).map(move |(method, said)| (path, method, said));
        entries(&self.document["paths"]).flat_map(of_path).collect()
    }

    /// The schema that `schema` stands for.
    pub fn schema<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let named = schema["$ref"].as_str().map(|name| name.trim_start_matches('#'));
        named.map_or(schema, |name| self.document.pointer(name).unwrap_or(&Value::Null))
    }

    /// Says what is not as its route announces. An answer of a route that is
    /// not described, e.g. a 404 for that, is fine.
    pub fn check(&self, answered: &Answered<'_>) -> Result<(), String> {
        let method = answered.method.to_lowercase();
        let is_it = |(path, of, _): &Route<'_>| *of == method && leads(path, answered.path);
        let Some((_, _, operation)) = self.operations().into_iter().find(is_it) else { return Ok(()) };
        self.check_operation(operation, answered).map_err(|fault| format!("{fault}: {answered:?}"))
    }

    fn check_operation(&self, operation: &Value, answered: &Answered<'_>) -> Result<(), String> {
        let said = &operation["responses"][answered.status.to_string()];
        let description = said["description"].as_str().ok_or("the status is not announced")?;
        if answered.media_type.is_empty() {
            let none = said.get("content").is_none();
            return if none { Ok(()) } else { Err("the announced body is missing".to_owned()) };
        }
        let content = said["content"].get(answered.media_type).ok_or("the media type is not announced")?;
        if answered.status >= 400 {
            let kind = answered.body["type"].as_str().unwrap_or_default().trim_start_matches(TYPE_PREFIX);
            let announced = description.contains(&format!("`{kind}`"));
            return if announced { Ok(()) } else { Err(format!("`{description}` is no `{kind}`")) };
        }
        if !answered.media_type.ends_with("json") {
            return Ok(());
        }
        self.fits(&content["schema"], answered.body).map_err(|(at, fault)| format!("body{at}: {fault}"))
    }

    /// Whether `value` is as `schema` says, or where and why not.
    pub fn fits(&self, schema: &Value, value: &Value) -> Result<(), (String, String)> {
        let schema = self.schema(schema);
        for any in ["oneOf", "anyOf"] {
            if let Some(alternatives) = schema[any].as_array() {
                let faults = alternatives.iter().map(|one| self.fits(one, value));
                let faults: Result<Vec<()>, _> =
                    faults.map(|fits| fits.map_or(Ok(()), |()| Err(()))).collect();
                let none = || (String::new(), format!("{value} fits none of {}", schema[any]));
                return faults.map_or(Ok(()), |_| Err(none()));
            }
        }
        plain(schema, value).map_err(|fault| (String::new(), fault))?;
        match value {
            Value::Array(values) => {
                let Some(items) = schema.get("items") else { return Ok(()) };
                for (i, value) in values.iter().enumerate() {
                    self.fits(items, value).map_err(|(at, fault)| (format!("[{i}]{at}"), fault))?;
                }
                Ok(())
            }
            Value::Object(_) => self.fits_object(schema, value),
            _ => Ok(()),
        }
    }

    fn fits_object(&self, schema: &Value, value: &Value) -> Result<(), (String, String)> {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.clone().find(|name| value.get(name).is_none()) {
            return Err((String::new(), format!("`{missing}` is missing")));
        }
        let others = match &schema["additionalProperties"] {
            Value::Object(_) => Some(&schema["additionalProperties"]),
            _ => None,
        };
        let open = schema.get("properties").is_none() || schema["additionalProperties"] == true;
        for (name, value) in entries(value) {
            let inside = |(at, fault)| (format!(".{name}{at}"), fault);
            match schema["properties"].get(name).or(others) {
                Some(schema) => self.fits(schema, value).map_err(inside)?,
                None if open => {}
                None => return Err((String::new(), format!("`{name}` is not announced"))),
            }
        }
        Ok(())
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Whether a path is one of a template.
fn leads(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(expected, part)| expected.starts_with('{') || expected == part)
}

/// Type, format and choice, which need no look at other schemas.
fn plain(schema: &Value, value: &Value) -> Result<(), String> {
    let is = |kind: &Value| match kind.as_str() {
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => false,
    };
    let kinds = &schema["type"];
    let one = kinds.is_null() || is(kinds) || kinds.as_array().is_some_and(|kinds| kinds.iter().any(is));
    if !one {
        return Err(format!("{value} is no {kinds}"));
    }
    if schema["enum"].as_array().is_some_and(|choice| !choice.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    let Some(text) = value.as_str() else { return Ok(()) };
    let good = match schema["format"].as_str() {
        Some("date-time") => Timestamp::parse_rfc3339(text).is_ok(),
        Some("uuid") => text.parse::<Uuid>().is_ok(),
        _ => true,
    };
    if good { Ok(()) } else { Err(format!("{value} is no {}", schema["format"])) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn description() -> Description {
        Description {
            document: json!({
                "paths": {"/v1/things/{thing}": {"get": {"responses": {
                    "200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/s/Thing"}}}},
                    "304": {"description": "Not modified"},
                    "404": {"description": "Problem `not-found`", "content": {"application/problem+json": {}}},
                }}}},
                "s": {"Thing": {"type": "object", "required": ["at", "parts"], "properties": {
                    "at": {"type": ["string", "null"], "format": "date-time"},
                    "parts": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"$ref": "#/s/Part"}]}},
                    "prices": {"type": "object", "additionalProperties": {"type": "integer"}},
                }}, "Part": {"type": "string", "enum": ["a", "b"]}},
            }),
        }
    }

    fn get(status: u16, media_type: &str, body: &Value) -> Result<(), String> {
        description().check(&Answered { method: "GET", path: "/v1/things/7", status, media_type, body })
    }

    #[test]
    fn an_answer_as_it_was_announced_is_fine() {
        let body = json!({"at": "2026-03-01T11:00:00Z", "parts": ["a", null], "prices": {"x": 3}});
        assert_eq!(get(200, "application/json", &body), Ok(()));
        assert_eq!(get(304, "", &Value::Null), Ok(()));
        let problem = json!({"type": "urn:usher:problem:not-found"});
        assert_eq!(get(404, "application/problem+json", &problem), Ok(()));
    }

    #[test]
    fn whatever_was_not_announced_is_told_with_its_place() {
        for (body, fault) in [
            (json!({"at": null}), "body: `parts` is missing"),
            (json!({"at": null, "parts": [], "more": 1}), "body: `more` is not announced"),
            (json!({"at": "yesterday", "parts": []}), "body.at: \"yesterday\" is no \"date-time\""),
            (json!({"at": null, "parts": ["c"]}), "body.parts[0]: \"c\" fits none"),
            (
                json!({"at": null, "parts": [], "prices": {"x": "3"}}),
                "body.prices.x: \"3\" is no \"integer\"",
            ),
            (json!([]), "body: [] is no \"object\""),
        ] {
            let told = get(200, "application/json", &body).unwrap_err();
            assert!(told.starts_with(fault), "{told}");
        }
        assert!(get(200, "", &Value::Null).unwrap_err().starts_with("the announced body is missing"));
        assert!(get(200, "text/plain", &Value::Null).unwrap_err().starts_with("the media type"));
        assert!(get(418, "", &Value::Null).unwrap_err().starts_with("the status"));
        let problem = json!({"type": "urn:usher:problem:gone"});
        assert!(get(404, "application/problem+json", &problem).unwrap_err().contains("is no `gone`"));
    }
}
