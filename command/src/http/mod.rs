//! The HTTP of commands.

mod answer;
mod beacon;
mod bookings;
mod callers;
mod description;
mod forward;
mod heartbeats;
mod holds;
mod openings;
mod passes;
mod problems;
mod rates;
mod relay;
mod running;
mod tickets;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::{Extension, Router};
use usher_events::ids::{Actor, CommandId, OpeningId};
use usher_events::time::Timestamp;
use usher_http::auth::Keys;
use usher_http::pass::PassKeys;
use usher_http::problem::Problem;
use utoipa_axum::router::OpenApiRouter;

pub use beacon::{Round, bring_beacon_as};
pub use forward::Forwarder;
pub use openings::schedule_as;
pub use rates::JoinRates;

use forward::Forwarding;
use relay::Relay;

use crate::claims::Claims;
use crate::draw_keys::DrawKeys;
use crate::opening::{Command, Request};
use crate::writer::{Overloaded, Reply, Writers};

/// What the routes of commands need.
#[derive(Debug, Clone)]
pub struct CommandState {
    /// The way to the writers.
    pub writers: Writers,
    /// Who may do what.
    pub keys: Keys,
    /// What new openings commit to.
    pub draw_keys: Arc<DrawKeys>,
    /// What passes are signed with.
    pub passes: Arc<PassKeys>,
    /// What entry claims are checked with.
    pub claims: Arc<Claims>,
    /// How many joins are taken.
    pub join_rates: Arc<JoinRates>,
}

impl CommandState {
    /// Has the opening's writer decide, and answers when it is durable. `id`
    /// is for commands whose resource does not name them.
    async fn decide(
        &self,
        opening: OpeningId,
        id: Option<CommandId>,
        actor: Actor,
        command: Command,
    ) -> Result<Response, Problem> {
        let partition = self.writers.partition_of(&opening);
        let reply = self.ask(&opening, id, actor, command).await?;
        answer::respond(&opening, partition, reply)
    }

    async fn ask(
        &self,
        opening: &OpeningId,
        id: Option<CommandId>,
        actor: Actor,
        command: Command,
    ) -> Result<Result<Reply, Overloaded>, Problem> {
        let digest = command.digest(opening);
        let id = id.or_else(|| command.own_id(&digest));
        let Some(id) = id else { return Err(Problem::malformed("an `Idempotency-Key` is needed")) };
        // Anyone may join with any ticket; every other command shows a secret.
        if let (Actor::Visitor(ticket), false) = (&actor, matches!(command, Command::Join { .. })) {
            self.writers.sign_of_life(opening, ticket);
        }
        let request = Request { id, digest, actor, now: Timestamp::default(), command };
        Ok(self.writers.decide(opening.clone(), request).await)
    }
}

/// The largest body of who is no operator, in bytes; more than any of their
/// commands needs.
const SMALL_BODY: usize = 64 * 1024;

/// The routes of commands. With a `forwarder`, requests for partitions of
/// other instances are passed on to them.
pub fn router(state: CommandState, forwarder: Option<Forwarder>) -> (Router, utoipa::openapi::OpenApi) {
    let of_everybody = OpenApiRouter::new()
        .merge(tickets::routes())
        .merge(heartbeats::routes())
        .merge(holds::routes())
        .merge(bookings::routes())
        .layer(DefaultBodyLimit::max(SMALL_BODY));
    let (router, mut openapi) = OpenApiRouter::new()
        .merge(openings::routes())
        .merge(running::routes())
        .merge(passes::routes())
        .merge(beacon::routes())
        .merge(of_everybody)
        .with_state(state.clone())
        .split_for_parts();
    description::complete(&mut openapi);
    let rates = state.join_rates;
    // A layer costs something on each request: there are those that do something.
    let router = match rates.limit_openings() {
        true => router.layer(from_fn_with_state(Arc::clone(&rates), rates::by_opening)),
        false => router,
    };
    let router = match forwarder {
        Some(forwarder) => {
            let router = router.layer(Extension(Relay::new(forwarder.clone())));
            let forwarding = Forwarding { writers: state.writers, keys: state.keys, forwarder };
            router.layer(from_fn_with_state(Arc::new(forwarding), forward::to_owner))
        }
        None => router,
    };
    // Where a request comes in; the owner alone knows all joins of an opening.
    let router = match rates.limit_addresses() {
        true => router.layer(from_fn_with_state(rates, rates::by_address)),
        false => router,
    };
    (router, openapi)
}
