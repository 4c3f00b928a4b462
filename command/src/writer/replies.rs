//! Answers that wait until what they tell is durable.

use std::collections::VecDeque;

use usher_events::ids::OpeningId;
use usher_events::record::Offset;
use usher_events::time::Timestamp;

use super::mailbox::Reply;
use crate::opening::{Refusal, Request, Resource};

/// A command on its way, with whom to answer. Kept in a box: it waits in
/// several places, and is large.
#[derive(Debug)]
pub struct Submitted<T> {
    /// Which opening it is for.
    pub opening: OpeningId,
    /// The command.
    pub request: Request,
    /// When its caller stops waiting.
    pub patience_until: Timestamp,
    /// Whom to answer.
    pub reply_to: T,
}

/// What will be answered once it is durable.
#[derive(Debug)]
pub(super) enum Answer {
    /// Done; `created` when this command did it.
    Done { created: bool, resource: Box<Resource> },
    /// Refused.
    Refused(Box<Refusal>),
}

/// One answer that waits.
#[derive(Debug)]
struct Waiting<T> {
    /// Every own record up to this one must be confirmed first.
    n: u64,
    /// The own record after which it was decided, which it is true of.
    as_of: u64,
    submitted: Box<Submitted<T>>,
    answer: Answer,
}

/// The answers of one tenure, in the order of their commands.
#[derive(Debug)]
pub(super) struct Replies<T> {
    waiting: VecDeque<Waiting<T>>,
}

impl<T> Default for Replies<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<T> Replies<T> {
    /// Keeps `answer`, which is true as of record `as_of`, until record `n`
    /// and all before it are confirmed.
    pub(super) fn wait(&mut self, n: u64, as_of: u64, submitted: Box<Submitted<T>>, answer: Answer) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.n <= n), "answers wait in order");
        self.waiting.push_back(Waiting { n, as_of, submitted, answer });
    }

    /// The greatest record that an answer waits for.
    pub(super) fn last_n(&self) -> u64 {
        self.waiting.back().map_or(0, |waiting| waiting.n)
    }

    /// How many answers wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The next answer that is true once records through `confirmed` are
    /// durable, with the position that it is true of.
    pub(super) fn release(&mut self, confirmed: u64, epoch: Offset) -> Option<(Box<Submitted<T>>, Reply)> {
        if self.waiting.front()?.n > confirmed {
            return None;
        }
        let Waiting { as_of, submitted, answer, .. } = self.waiting.pop_front()?;
        let position = epoch + as_of + 1;
        let reply = match answer {
            Answer::Done { created, resource } => Reply::Done { created, resource, position },
            Answer::Refused(refusal) => Reply::Refused { refusal, position },
        };
        Some((submitted, reply))
    }

    /// The commands whose answers will never be known to be true.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Box<Submitted<T>>> + '_ {
        self.waiting.drain(..).map(|waiting| waiting.submitted)
    }
}
