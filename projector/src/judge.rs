//! Which records of the log count, and what they say.

use usher_events::event::Event;
use usher_events::log::Partition;
use usher_events::record::{Offset, StoredRecord};
use usher_events::tenure::Verdict;

use crate::store::{Batch, Claim, Located, Place};

/// Records as a projection applies them.
#[derive(Debug)]
pub struct Judged {
    /// The step that they make, up to the first that cannot be understood.
    pub batch: Batch,
    /// Where void records stand; they are never applied.
    pub voids: Vec<Offset>,
    /// The first record that cannot be understood, with the reason.
    pub poison: Option<(Offset, String)>,
}

/// Judges records that follow a place. Those before it were seen already.
pub fn judge(partition: Partition, follows: Place, records: &[StoredRecord]) -> Judged {
    let batch = Batch { partition, follows, to: follows, events: Vec::with_capacity(records.len()) };
    let mut judged = Judged { batch, voids: Vec::new(), poison: None };
    for stored in records.iter().skip_while(|stored| stored.offset < follows.position) {
        if let Err(reason) = judged.add(stored) {
            judged.poison = Some((stored.offset, reason));
            break;
        }
    }
    judged
}

impl Judged {
    fn add(&mut self, stored: &StoredRecord) -> Result<(), String> {
        let offset = stored.offset;
        let before = Place { position: offset, ..self.batch.to };
        let mut after = Place { position: offset + 1, ..before };
        if after.cursor.judge(offset, stored.record.stamp()) == Verdict::Void {
            self.voids.push(offset);
        } else {
            match stored.record.event().map_err(|error| error.to_string())? {
                Event::WriterClaimed(claimed) => after.claim = Some(Claim { offset, at: claimed.at }),
                event => {
                    if let Some(opening) = stored.record.key.clone() {
                        let operator = stored.record.headers.actor.strip_prefix("operator:").map(Into::into);
                        self.batch.events.push(Located { offset, opening, event, operator, before });
                    }
                }
            }
        }
        self.batch.to = after;
        Ok(())
    }
}
