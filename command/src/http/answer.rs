//! What a command's caller gets.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::time::Timestamp;
use usher_http::as_of::AsOf;
use usher_http::pass::{PassKeys, Visit};
use usher_http::problem::Problem;

use super::forward::Elsewhere;
use super::problems;
use crate::opening::Resource;
use crate::writer::{Overloaded, Owner, Reply};

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<&'a OpeningId>,
    #[serde(flatten)]
    resource: &'a Resource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<String>,
    as_of: AsOf,
}

/// The response to what became of a command.
pub(super) fn respond(
    opening: &OpeningId,
    partition: Partition,
    reply: Result<Reply, Overloaded>,
) -> Result<Response, Problem> {
    respond_with(opening, partition, reply, None)
}

/// The response to an entry: with a pass while the visitor is inside. Nobody
/// else may keep it.
pub(super) fn admit(
    passes: &PassKeys,
    opening: &OpeningId,
    partition: Partition,
    reply: Result<Reply, Overloaded>,
) -> Result<Response, Problem> {
    let pass = match &reply {
        Ok(Reply::Done { resource, .. }) => match **resource {
            Resource::Entry { ticket, leave_by: Some(leave_by), max_seats, .. } => {
                let visit = Visit { opening, ticket, leave_by, max_seats };
                Some(passes.sign(visit, Timestamp::now())?)
            }
            _ => None,
        },
        _ => None,
    };
    let mut response = respond_with(opening, partition, reply, pass)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn respond_with(
    opening: &OpeningId,
    partition: Partition,
    reply: Result<Reply, Overloaded>,
    pass: Option<String>,
) -> Result<Response, Problem> {
    match reply {
        Ok(Reply::Done { created, resource, position }) => {
            let as_of = AsOf::one(partition, position);
            if let Resource::Refund { .. } = *resource {
                return Err(problems::refund_due(&resource, as_of));
            }
            let names_itself = matches!(*resource, Resource::Opening { .. });
            let opening = names_itself.then_some(opening);
            let answer = Answer { opening, resource: &resource, pass, as_of };
            json(if created { StatusCode::CREATED } else { StatusCode::OK }, &answer)
        }
        Ok(Reply::Refused { refusal, position }) => {
            Err(problems::of_refusal(&refusal).with("as_of", AsOf::one(partition, position)))
        }
        Ok(Reply::Unknown) => Err(problems::outcome_unknown()),
        Ok(Reply::Elsewhere(owner)) => {
            let mut response = problems::owner_changed().into_response();
            if let Owner::Other(address) = owner {
                response.extensions_mut().insert(Elsewhere(address));
            }
            Ok(response)
        }
        Err(Overloaded) => Err(problems::overloaded()),
    }
}

fn json(status: StatusCode, answer: &impl Serialize) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(256);
    serde_json::to_writer(&mut body, answer).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Changes of something that exists answer 200, also the first time.
pub(super) fn as_change(response: Result<Response, Problem>) -> Result<Response, Problem> {
    response.map(|mut response| {
        if response.status() == StatusCode::CREATED {
            *response.status_mut() = StatusCode::OK;
        }
        response
    })
}
