//! What is checked before a writer serves.

use usher_events::event::Event;
use usher_events::log::{Log, ReadError};
use usher_events::time::Timestamp;

use super::config::WriterRules;
use super::state::PartitionState;
use crate::draw_keys::DrawKeys;

/// The most that this clock and the log's may differ, in milliseconds.
pub(super) const MAX_CLOCK_SKEW_MS: i64 = 2_000;

/// Why an instance does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log was made with another number of partitions.
    #[error(
        "the log has {actual} partitions since its first record, but {configured} are configured; the number never changes"
    )]
    PartitionCount {
        /// What the configuration says.
        configured: u32,
        /// What the log says.
        actual: u32,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The first record of a partition is no claim.
    #[error("the first record of partition {0} is no claim: this is not a log of usher")]
    NotOurs(u32),
}

/// Checks that the log was made with `configured` partitions.
pub async fn check_partition_count(log: &dyn Log, configured: u32) -> Result<(), StartError> {
    for partition in 0..configured {
        if log.end(partition).await? == 0 {
            continue;
        }
        let first = log.read(partition, 0).next().await?.into_iter().next();
        let Some(Ok(Event::WriterClaimed(claimed))) = first.map(|stored| stored.record.event()) else {
            return Err(StartError::NotOurs(partition));
        };
        if claimed.partitions != configured {
            return Err(StartError::PartitionCount { configured, actual: claimed.partitions });
        }
        return Ok(());
    }
    Ok(())
}

/// A draw key that an opening's draw will need is not there, or is another.
#[derive(Debug, thiserror::Error)]
#[error("draw key `{key_id}` does not open the commitment of opening `{opening}`")]
pub(super) struct WrongDrawKey {
    key_id: String,
    opening: String,
}

/// Checks that every draw that is still to come can be held.
pub(super) fn check_draw_keys(state: &PartitionState, keys: &DrawKeys) -> Result<(), WrongDrawKey> {
    for (opening, chained) in &state.openings {
        let Some(undrawn) = chained.opening.undrawn() else { continue };
        let seed = keys.seed(&undrawn.draw_key_id, opening, undrawn.scheduled_by);
        let opens = seed.is_ok_and(|seed| usher_events::draw::commitment(&seed) == undrawn.seed_commitment);
        if !opens {
            let key_id = undrawn.draw_key_id.clone();
            return Err(WrongDrawKey { key_id, opening: opening.to_string() });
        }
    }
    Ok(())
}

/// By how much this clock and the log's differ at least, in milliseconds,
/// when a record sent at `sent_at` and seen at `seen_at` (by this clock) was
/// taken at `appended_at` (by the log's).
pub(super) fn clock_skew_ms(sent_at: Timestamp, appended_at: Timestamp, seen_at: Timestamp) -> i64 {
    sent_at.ms_since(appended_at).max(appended_at.ms_since(seen_at)).max(0)
}

/// The reader's rules in force.
pub(super) fn cursor_rules(rules: WriterRules) -> usher_events::tenure::CursorRules {
    use usher_events::tenure::CursorRules;
    if rules.void { CursorRules::default() } else { CursorRules::NOTHING_IS_VOID }
}

/// The writer's rules in force.
pub(super) fn reign_rules(rules: WriterRules) -> usher_events::reign::Rules {
    usher_events::reign::Rules { latch: rules.latch, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_while_the_log_takes_a_record_between_sending_and_seeing() {
        let skew =
            |sent, appended, seen| clock_skew_ms(Timestamp(sent), Timestamp(appended), Timestamp(seen));
        assert_eq!(skew(1_000, 1_500, 9_000), 0, "a slow log is not a wrong clock");
        assert_eq!(skew(1_000, 400, 1_200), 600, "the log is behind");
        assert_eq!(skew(1_000, 4_200, 1_200), 3_000, "the log is ahead");
    }
}
