//! Answers: the HTTP of queries. This crate never writes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod after;
mod answer;
mod cache;
mod console;
mod description;
mod draw;
mod holds;
mod openings;
mod pace;
mod places;
mod seats;
mod state;
mod status;
mod tickets;
mod updates;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

pub use state::{QueryConfig, QueryState};

/// The routes of queries.
pub fn router(state: QueryState) -> (Router, utoipa::openapi::OpenApi) {
    let (router, mut openapi) = OpenApiRouter::new()
        .merge(openings::routes())
        .merge(tickets::routes())
        .merge(draw::routes())
        .merge(seats::routes())
        .merge(holds::routes())
        .merge(console::routes())
        .merge(updates::routes())
        .with_state(state)
        .split_for_parts();
    description::complete(&mut openapi);
    (router, openapi)
}
