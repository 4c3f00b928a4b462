//! What waits to be told: the port, and what its adapters share.

use std::time::Duration;

use async_trait::async_trait;
use usher_events::ids::OpeningId;
use uuid::Uuid;

use super::message::Message;
use crate::store::Store;

/// What one receiver is to be told of one opening, in order; leased to one
/// courier at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who.
    pub receiver: String,
    /// Of which opening.
    pub opening: OpeningId,
    /// Who has the lease knows it.
    pub lease: Uuid,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub fault: String,
    /// Whether the receiver answered that it does not want the message.
    pub refused: bool,
}

/// How a line is, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineState {
    /// Who is told.
    pub receiver: String,
    /// How many messages wait.
    pub waiting: u64,
    /// The one that is told next.
    pub next: Option<Message>,
    /// Those that are told no more unless they are redriven, the first
    /// [`LineState::DEAD_LISTED`] in order.
    pub dead: Vec<Message>,
    /// How many those are in all.
    pub dead_count: u64,
}

impl LineState {
    /// How many dead letters are listed.
    pub const DEAD_LISTED: usize = 100;
}

/// Why an outbox did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// Another courier has the line now: leave it alone.
    #[error("another courier has the line")]
    Lost,
    /// It cannot be reached now: try again.
    #[error("the outbox cannot be reached: {0}")]
    Unavailable(String),
}

/// What waits to be told. As a [`Store`], the projection that fills it.
///
/// An event is told to the receivers that were known when it happened: a
/// receiver is told nothing that is older than its first start.
#[async_trait]
pub trait Outbox: Store {
    /// Makes receivers known, from now on.
    async fn know(&self, receivers: &[String]) -> Result<(), OutboxError>;

    /// Leases at most `most` lines of a receiver for so long, in which
    /// messages wait that may be sent now; those that wait longest first.
    async fn take(&self, receiver: &str, most: usize, lease: Duration) -> Result<Vec<Line>, OutboxError>;

    /// The first messages of a line, at most `most`, in order.
    async fn next(&self, line: &Line, most: usize) -> Result<Vec<Message>, OutboxError>;

    /// Forgets a message that the receiver has taken, and goes on with the
    /// lease for so long.
    async fn delivered(&self, line: &Line, message: &Message, lease: Duration) -> Result<(), OutboxError>;

    /// Keeps that an attempt failed, and gives the line back: its messages
    /// may be sent again in so long.
    async fn failed(
        &self,
        line: &Line,
        message: &Message,
        failure: &Failure,
        again_in: Duration,
    ) -> Result<(), OutboxError>;

    /// Makes a dead letter of a message, after a last failure, and goes on
    /// with the lease for so long.
    async fn bury(
        &self,
        line: &Line,
        message: &Message,
        failure: &Failure,
        lease: Duration,
    ) -> Result<(), OutboxError>;

    /// Gives a line back: its messages may be sent at once.
    async fn give_back(&self, line: &Line) -> Result<(), OutboxError>;

    /// How the lines of an opening are, in the receivers' order.
    async fn lines(&self, opening: &OpeningId) -> Result<Vec<LineState>, OutboxError>;

    /// Sends the dead letters of a line again, in their order and before what
    /// waits; how many.
    async fn redrive(&self, receiver: &str, opening: &OpeningId) -> Result<u64, OutboxError>;
}
