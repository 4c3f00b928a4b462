//! Answers: the HTTP of queries. This crate never writes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod after;
mod cache;
mod console;
mod draw;
mod eta;
mod holds;
mod openings;
mod seats;
mod state;
mod tickets;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

pub use state::{QueryConfig, QueryState};

/// The routes of queries.
pub fn router(state: QueryState) -> (Router, utoipa::openapi::OpenApi) {
    OpenApiRouter::new()
        .merge(openings::routes())
        .merge(tickets::routes())
        .merge(draw::routes())
        .merge(seats::routes())
        .merge(holds::routes())
        .merge(console::routes())
        .with_state(state)
        .split_for_parts()
}
