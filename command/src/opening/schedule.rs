//! The opening itself: its schedule, rules, plans and states.

use garde::Validate;
use serde_json::Value;
use usher_events::event::{
    Beacon, MessageChanged, OpeningClosed, OpeningDrained, OpeningPaused, OpeningRescheduled, OpeningResumed,
    OpeningScheduled, PlanAdded, PolicyChanged, ShowingAdded,
};
use usher_events::ids::{CommandId, PlanName};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;

use crate::quicknet;

use super::{Decision, DrawFacts, Opening, OpeningState, Refusal, Request, Resource, Schedule};

/// The most showings of one opening.
const MAX_SHOWINGS: usize = 500;
/// The most plans of one opening.
const MAX_PLANS: usize = 100;
/// The longest title or message, in characters.
const MAX_TEXT: usize = 2_000;

impl Opening {
    /// Lets the opening be; its id is never reused.
    pub(super) fn schedule(&self, request: &Request, asked: &Schedule) -> Result<Decision, Refusal> {
        if self.exists() {
            let same = self.commands.get(&request.id).is_some_and(|done| done.digest == request.digest);
            return if same { Ok(Decision::Repeated) } else { Err(Refusal::IdReused) };
        }
        let now = request.now;
        check_text("title", &asked.title)?;
        check_times(now, asked.opens_at, asked.drains_at, asked.closes_at)?;
        check_policy(&asked.policy)?;
        if let Some(beacon) = &asked.beacon {
            check_beacon(beacon, asked.opens_at, asked.closes_at)?;
        }
        if asked.plans.len() > MAX_PLANS {
            return Err(Refusal::invalid("plans", format!("more than {MAX_PLANS}")));
        }
        for (name, plan) in &asked.plans {
            check_plan(plan, &format!("plans.{name}."), &format!("details.{name}"))?;
        }
        if asked.showings.len() > MAX_SHOWINGS {
            return Err(Refusal::invalid("showings", format!("more than {MAX_SHOWINGS}")));
        }
        for (i, showing) in asked.showings.iter().enumerate() {
            check_text(&format!("showings[{i}].title"), &showing.title)?;
            if !asked.plans.contains_key(&showing.plan) {
                return Err(Refusal::invalid(
                    format!("showings[{i}].plan"),
                    format!("no plan `{}`", showing.plan),
                ));
            }
            if asked.showings[..i].iter().any(|earlier| earlier.showing == showing.showing) {
                let problem = format!("showing `{}` is there twice", showing.showing);
                return Err(Refusal::invalid(format!("showings[{i}].showing"), problem));
            }
        }
        Ok(Decision::Accepted(
            OpeningScheduled {
                at: now,
                title: asked.title.clone(),
                opens_at: asked.opens_at,
                drains_at: asked.drains_at,
                closes_at: asked.closes_at,
                policy: asked.policy.clone(),
                seed_commitment: asked.seed_commitment,
                draw_key_id: asked.draw_key_id.clone(),
                beacon: asked.beacon.clone(),
                plans: asked.plans.clone(),
                showings: asked.showings.clone(),
            }
            .into(),
        ))
    }

    pub(super) fn reschedule(
        &self,
        now: Timestamp,
        title: Option<&String>,
        opens_at: Option<Timestamp>,
        drains_at: Option<Option<Timestamp>>,
        closes_at: Option<Timestamp>,
    ) -> Result<Decision, Refusal> {
        self.not_closed()?;
        if let Some(title) = title {
            check_text("title", title)?;
        }
        if opens_at.is_some_and(|asked| asked != self.opens_at) && self.state != OpeningState::Scheduled {
            return Err(Refusal::LobbyClosed);
        }
        let event = OpeningRescheduled {
            at: now,
            title: title.unwrap_or(&self.title).clone(),
            opens_at: opens_at.unwrap_or(self.opens_at),
            drains_at: drains_at.unwrap_or(self.drains_at),
            closes_at: closes_at.unwrap_or(self.closes_at),
        };
        let times = (event.opens_at, event.drains_at, event.closes_at);
        if event.title == self.title && times == (self.opens_at, self.drains_at, self.closes_at) {
            return Ok(Decision::Already);
        }
        check_times(now, event.opens_at, event.drains_at, event.closes_at)?;
        if let Some(round_at) = self.draw.beacon.as_ref().map(|beacon| beacon.round_at) {
            if round_at <= event.opens_at {
                return Err(Refusal::invalid("opens_at", "the beacon's round comes out after it opens"));
            }
            if self.draw.seed.is_none() && round_at >= event.closes_at {
                return Err(Refusal::invalid("closes_at", "the beacon's round comes out before it closes"));
            }
        }
        Ok(Decision::Accepted(event.into()))
    }

    pub(super) fn add_plan(&self, now: Timestamp, name: &PlanName, plan: &Plan) -> Result<Decision, Refusal> {
        self.not_closed()?;
        if self.halls.contains_key(name) {
            return Err(Refusal::IdReused);
        }
        if self.halls.len() >= MAX_PLANS {
            return Err(Refusal::invalid("plan", format!("more than {MAX_PLANS} plans")));
        }
        check_plan(plan, "seating.", "details")?;
        Ok(Decision::Accepted(PlanAdded { at: now, name: name.clone(), plan: plan.clone() }.into()))
    }

    pub(super) fn add_showing(&self, now: Timestamp, showing: &Showing) -> Result<Decision, Refusal> {
        self.not_closed()?;
        if self.find_showing(&showing.showing).is_some() {
            return Err(Refusal::IdReused);
        }
        if self.showings.len() >= MAX_SHOWINGS {
            return Err(Refusal::invalid("showing", format!("more than {MAX_SHOWINGS} showings")));
        }
        check_text("title", &showing.title)?;
        if !self.halls.contains_key(&showing.plan) {
            return Err(Refusal::UnknownPlan);
        }
        Ok(Decision::Accepted(ShowingAdded { at: now, showing: showing.clone() }.into()))
    }

    /// Changes the rules by a JSON merge patch over those in force.
    pub(super) fn change_policy(&self, now: Timestamp, patch: &Value) -> Result<Decision, Refusal> {
        self.not_closed()?;
        let Value::Object(changes) = patch else {
            return Err(Refusal::invalid("policy", "expected an object with the fields to change"));
        };
        let unreadable = |error: serde_json::Error| Refusal::invalid("policy", error.to_string());
        let mut merged = serde_json::to_value(&self.policy).map_err(unreadable)?;
        for (field, value) in changes {
            // Null takes a field away: its default comes back.
            match value {
                Value::Null => drop(merged.as_object_mut().and_then(|fields| fields.remove(field))),
                value => merged[field.as_str()] = value.clone(),
            }
        }
        let policy: Policy = serde_json::from_value(merged).map_err(unreadable)?;
        check_policy(&policy)?;
        if policy == self.policy {
            return Ok(Decision::Already);
        }
        Ok(Decision::Accepted(PolicyChanged { at: now, policy }.into()))
    }

    pub(super) fn set_message(&self, now: Timestamp, message: Option<&String>) -> Result<Decision, Refusal> {
        if let Some(message) = message {
            check_text("message", message)?;
        }
        if message == self.message.as_ref() {
            return Ok(Decision::Already);
        }
        Ok(Decision::Accepted(MessageChanged { at: now, message: message.cloned() }.into()))
    }

    pub(super) fn pause(&self, now: Timestamp) -> Result<Decision, Refusal> {
        match self.state {
            OpeningState::Open => Ok(Decision::Accepted(OpeningPaused { at: now }.into())),
            OpeningState::Paused => Ok(Decision::Already),
            state => Err(Refusal::WrongState { state }),
        }
    }

    pub(super) fn resume(&self, now: Timestamp) -> Result<Decision, Refusal> {
        match self.state {
            OpeningState::Paused => Ok(Decision::Accepted(OpeningResumed { at: now }.into())),
            OpeningState::Open => Ok(Decision::Already),
            state => Err(Refusal::WrongState { state }),
        }
    }

    pub(super) fn drain(&self, now: Timestamp) -> Result<Decision, Refusal> {
        match self.state {
            OpeningState::Open | OpeningState::Paused => {
                Ok(Decision::Accepted(OpeningDrained { at: now }.into()))
            }
            OpeningState::Draining => Ok(Decision::Already),
            state => Err(Refusal::WrongState { state }),
        }
    }

    pub(super) fn close(&self, now: Timestamp) -> Result<Decision, Refusal> {
        match self.state {
            OpeningState::Closed => Ok(Decision::Already),
            _ => Ok(Decision::Accepted(OpeningClosed { at: now }.into())),
        }
    }

    fn not_closed(&self) -> Result<(), Refusal> {
        match self.state {
            OpeningState::Closed => Err(Refusal::WrongState { state: self.state }),
            _ => Ok(()),
        }
    }

    pub(super) fn opening_resource(&self) -> Resource {
        Resource::Opening {
            opening: None,
            state: self.state,
            title: self.title.clone(),
            opens_at: self.opens_at,
            drains_at: self.drains_at,
            closes_at: Some(self.closes_at),
            message: self.message.clone(),
            policy: Box::new(self.policy.clone()),
        }
    }

    // --- fold -------------------------------------------------------------

    pub(super) fn scheduled(&mut self, command_id: CommandId, event: &OpeningScheduled) {
        self.scheduled_by = Some(command_id);
        self.title.clone_from(&event.title);
        self.opens_at = event.opens_at;
        self.drains_at = event.drains_at;
        self.closes_at = event.closes_at;
        self.policy = event.policy.clone();
        self.draw = DrawFacts {
            seed_commitment: event.seed_commitment,
            key_id: event.draw_key_id.clone(),
            beacon: event.beacon.clone(),
            ..DrawFacts::default()
        };
        for (name, plan) in &event.plans {
            self.plan_added(name, plan);
        }
        for showing in &event.showings {
            self.showing_added(showing);
        }
    }

    pub(super) fn rescheduled(&mut self, event: &OpeningRescheduled) {
        self.title.clone_from(&event.title);
        self.opens_at = event.opens_at;
        self.drains_at = event.drains_at;
        self.closes_at = event.closes_at;
    }
}

fn check_text(field: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid(field, "expected a text"));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(Refusal::invalid(field, format!("longer than {MAX_TEXT} characters")));
    }
    Ok(())
}

fn check_times(
    now: Timestamp,
    opens_at: Timestamp,
    drains_at: Option<Timestamp>,
    closes_at: Timestamp,
) -> Result<(), Refusal> {
    if closes_at <= opens_at {
        return Err(Refusal::invalid("closes_at", "it closes before it opens"));
    }
    if closes_at <= now {
        return Err(Refusal::invalid("closes_at", "this time has passed"));
    }
    if drains_at.is_some_and(|drains_at| drains_at <= opens_at || drains_at > closes_at) {
        return Err(Refusal::invalid("drains_at", "it drains after it opens and not after it closes"));
    }
    Ok(())
}

/// Only what can be verified is taken, and only what nobody knows before the
/// lobby is closed.
fn check_beacon(beacon: &Beacon, opens_at: Timestamp, closes_at: Timestamp) -> Result<(), Refusal> {
    if beacon.source != quicknet::SOURCE {
        return Err(Refusal::invalid("beacon.source", format!("expected `{}`", quicknet::SOURCE)));
    }
    let Some(round_at) = quicknet::time_of(beacon.round) else {
        return Err(Refusal::invalid("beacon.round", "this round never comes out"));
    };
    if beacon.round_at != round_at {
        return Err(Refusal::invalid("beacon.round_at", format!("this round comes out at {round_at}")));
    }
    if round_at <= opens_at {
        return Err(Refusal::invalid("beacon.round_at", "the round comes out after the opening opens"));
    }
    if round_at >= closes_at {
        return Err(Refusal::invalid("beacon.round_at", "the round comes out before the opening closes"));
    }
    Ok(())
}

/// `seating` and `details` are where the request has the two parts of a plan.
fn check_plan(plan: &Plan, seating: &str, details: &str) -> Result<(), Refusal> {
    plan.check().map_err(|error| {
        let field = match error.path.strip_prefix("details") {
            Some(rest) => format!("{details}{rest}"),
            None => format!("{seating}{}", error.path),
        };
        Refusal::invalid(field, error.problem)
    })
}

fn check_policy(policy: &Policy) -> Result<(), Refusal> {
    let report = policy.validate();
    let first = report.as_ref().err().and_then(|report| report.iter().next());
    match first {
        Some((path, error)) => Err(Refusal::invalid(format!("policy.{path}"), error.to_string())),
        None => Ok(()),
    }
}
