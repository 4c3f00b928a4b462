//! What the OpenAPI documents of all roles say alike: who may call, and the
//! problems that routes have for what they are, not for what they do.

#[cfg(feature = "check")]
pub mod check;

use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, Response};

use crate::problem::Problem;

/// A status with what it means.
pub type Said = (&'static str, &'static str);

/// The problems that many routes of a role have.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// Of every route.
    pub any: &'static [Said],
    /// Of routes that look at credentials.
    pub with_credentials: &'static [Said],
    /// Of routes that take a body.
    pub with_body: &'static [Said],
}

/// Completes what the routes say of themselves.
pub fn complete(openapi: &mut OpenApi, common: &Common) {
    let components = openapi.components.get_or_insert_with(Components::new);
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    for (name, description) in [
        ("visitor", "The visitor's secret: 32 random bytes as 43 characters of base64url"),
        ("operator", "An operator's API key"),
        ("merchant", "A merchant's API key"),
        ("pass", "The pass of a visitor who is inside, for the opening in the path"),
    ] {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.description = Some(description.to_owned());
        components.security_schemes.insert(name.to_owned(), RefOr::T(SecurityScheme::Http(http)));
    }
    for operation in openapi.paths.paths.values_mut().flat_map(operations) {
        add_problems(operation, common);
        show_answers(operation);
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, patch, delete, .. } = path;
    [get, put, post, patch, delete].into_iter().flatten()
}

fn add_problems(operation: &mut Operation, common: &Common) {
    let mut problems = common.any.to_vec();
    if operation.security.is_some() {
        problems.extend(common.with_credentials);
    }
    if operation.request_body.is_some() {
        problems.extend(common.with_body);
    }
    for (status, description) in problems {
        let response = operation.responses.responses.entry(status.to_owned());
        let response = response.or_insert_with(|| Response::new("").into());
        let RefOr::T(Response { description: said, .. }) = response else { continue };
        *said = if said.is_empty() { description.to_owned() } else { format!("{said}. {description}") };
    }
}

/// Problems all look alike, and a repeat is answered like the first time.
fn show_answers(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let content = |response: &RefOr<Response>| match response {
        RefOr::T(response) => response.content.clone(),
        RefOr::Ref(_) => Default::default(),
    };
    let created = responses.get("201").map(content);
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert("application/problem+json".to_owned(), problem.into());
        } else if status == "200"
            && response.content.is_empty()
            && let Some(created) = &created
        {
            response.content.clone_from(created);
        }
    }
}
