//! The rules that never bend, checked from the log and what callers were
//! told; by code that is not the writer's.

mod answers;

use std::collections::HashSet;

use usher_command::opening::schedule_id;
use usher_command::writer::PartitionState;
use usher_events::event::Event;
use usher_events::ids::Hash;
use usher_events::record::{StoredRecord, chain};

use crate::crowd::{self, opening};
use crate::world::{Summary, World};

/// A valid record with its event.
struct Valid<'a> {
    stored: &'a StoredRecord,
    event: Event,
}

/// Which records count, by the protocol's text: a claim opens a tenure, and
/// only its unbroken continuation counts.
fn valid(records: &[StoredRecord]) -> Vec<Valid<'_>> {
    let mut next: Option<(u64, u64)> = None;
    let mut valid = Vec::new();
    for stored in records {
        let (tenure, n) = (stored.record.headers.tenure, stored.record.headers.n);
        let counts = n == 0 || next == Some((tenure, n));
        // A claim's tenure is what it drew plus where it stands.
        let tenure = if n == 0 { tenure.wrapping_add(stored.offset) } else { tenure };
        next = counts.then_some((tenure, n + 1));
        if counts {
            valid.push(Valid {
                stored,
                event: stored.record.event().expect("a writer writes what it can read"),
            });
        }
    }
    valid
}

/// Checks everything; what happened, or what broke.
pub(crate) fn check(world: &World) -> Result<Summary, String> {
    let records = world.log.records(0, 0, usize::MAX);
    let valid = valid(&records);
    chained(&valid)?;
    once(&valid)?;
    no_secret(&records)?;
    answers::check(world, &records, &valid)?;
    same_state(world, &records)?;
    Ok(summary(world, &records, &valid))
}

fn summary(world: &World, records: &[StoredRecord], valid: &[Valid<'_>]) -> Summary {
    let mut owner = None;
    let mut all = Summary {
        records: records.len() as u64,
        voids: (records.len() - valid.len()) as u64,
        answers: world.answers.len() as u64,
        ..Summary::default()
    };
    for record in valid {
        match &record.event {
            Event::WriterClaimed(event) => {
                all.claims += 1;
                all.moves += u64::from(owner.is_some_and(|owner| owner != &event.address));
                owner = Some(&event.address);
            }
            Event::BookingConfirmed(event) => {
                all.bookings += 1;
                all.late += u64::from(event.late);
            }
            Event::RefundDue(_) => all.refunds += 1,
            Event::BookingCancelled(_) => all.cancelled += 1,
            Event::HoldsExpired(event) => all.expired += event.holds.len() as u64,
            Event::AdmissionsExpired(event) => all.missed += (event.away.len() + event.spent.len()) as u64,
            Event::OpeningClosed(_) => all.closed += 1,
            _ => {}
        }
    }
    all
}

/// Every opening's records form one chain without a gap.
fn chained(valid: &[Valid<'_>]) -> Result<(), String> {
    let (mut seq, mut last) = (0, Hash::default());
    for record in valid {
        let Some(key) = &record.stored.record.key else { continue };
        let headers = &record.stored.record.headers;
        seq += 1;
        let expected = chain(&last, key, &record.stored.record.value, headers);
        rule!(headers.seq == seq, "offset {}: seq {} where {seq} follows", record.stored.offset, headers.seq);
        rule!(headers.chain == expected, "offset {}: the chain is broken", record.stored.offset);
        last = headers.chain;
    }
    Ok(())
}

/// An accepted command has no second effect.
fn once(valid: &[Valid<'_>]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for record in valid {
        let headers = &record.stored.record.headers;
        rule!(
            headers.actor.starts_with("timer:") || seen.insert(headers.command_id),
            "offset {}: command {} has a second effect: {}",
            record.stored.offset,
            headers.command_id,
            record.event.kind()
        );
    }
    Ok(())
}

/// No visitor's secret and no draw key is ever in the log, void records
/// included, and no seed before its draw.
fn no_secret(records: &[StoredRecord]) -> Result<(), String> {
    let seed = crowd::keys().seed("a", &opening(), schedule_id(&opening())).unwrap().to_string();
    let mut drawn = false;
    for stored in records {
        let value = String::from_utf8_lossy(&stored.record.value);
        drawn |= value.contains("\"DrawHeld\"");
        let seed = (!drawn).then_some(seed.as_str());
        let secrets = crowd::secret_marks();
        for secret in secrets.iter().map(String::as_str).chain(seed) {
            let told = value.contains(secret) || stored.record.headers.actor.contains(secret);
            rule!(!told, "offset {}: a secret is in the log", stored.offset);
        }
    }
    Ok(())
}

/// The owner's state is what the log makes, by whoever folds it, as far as
/// the owner has read. Behind that no record counts, unless it is a claim
/// that landed late.
fn same_state(world: &World, records: &[StoredRecord]) -> Result<(), String> {
    let owner = world.owner().state();
    let told = |state: &PartitionState| {
        let chained = state.openings.get(&opening())?;
        let opening = serde_json::to_value(&chained.opening).expect("an opening can be kept");
        Some((opening, chained.seq, chained.chain))
    };
    let seq = |state: &PartitionState| state.openings.get(&opening()).map(|chained| chained.seq);
    let mut state = PartitionState::default();
    for stored in records.iter().cloned() {
        state.fold(stored).map_err(|fault| fault.to_string())?;
        if state.position == owner.position {
            rule!(
                state.cursor == owner.cursor,
                "the owner thinks to be at {:?}, not {:?}",
                owner.cursor,
                state.cursor
            );
            rule!(told(&state) == told(owner), "the owner's opening is not what the log makes");
        }
    }
    rule!(
        seq(&state) == seq(owner),
        "the owner has {:?} records of the opening, the log {:?}",
        seq(owner),
        seq(&state)
    );
    Ok(())
}
