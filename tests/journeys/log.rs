//! The log, read back and checked against what was acknowledged.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use usher_events::event::Event;
use usher_events::log::Log;
use usher_events::record::StoredRecord;
use usher_events::tenure::{Cursor, Verdict};

use crate::crowd::Acknowledged;

/// All records of `log`, partition by partition.
pub(crate) async fn read_all(log: &dyn Log, partitions: u32) -> Vec<Vec<StoredRecord>> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        let end = log.end(partition).await.unwrap();
        let (mut reader, mut records) = (log.read(partition, 0), Vec::new());
        while (records.len() as u64) < end {
            let next = tokio::time::timeout(Duration::from_secs(30), reader.next()).await;
            records.extend(next.expect("what is in the log can be read").unwrap());
        }
        all.push(records);
    }
    all
}

/// The events of the valid records.
pub(crate) fn valid_events(partitions: &[Vec<StoredRecord>]) -> Vec<Event> {
    let mut events = Vec::new();
    for records in partitions {
        let mut cursor = Cursor::default();
        for stored in records {
            if cursor.judge(stored.offset, stored.record.stamp()) != Verdict::Void {
                events.push(stored.record.event().unwrap());
            }
        }
    }
    events
}

/// Everything acknowledged is in the log, and no seat is sold twice.
pub(crate) fn check(events: &[Event], acknowledged: &[Acknowledged]) {
    let (mut joined, mut held, mut booked) = (HashSet::new(), HashMap::new(), HashMap::new());
    let mut sold = HashSet::new();
    for event in events {
        match event {
            Event::VisitorJoined(event) => assert!(joined.insert(event.ticket), "joined twice"),
            Event::SeatsHeld(event) => drop(held.insert(event.hold.0, event.seats.clone())),
            Event::BookingConfirmed(event) => {
                for seat in &event.seats {
                    assert!(sold.insert(seat.clone()), "seat {seat} is sold twice");
                }
                booked.insert(event.booking.0, event.seats.clone());
            }
            _ => {}
        }
    }
    for acknowledged in acknowledged {
        match acknowledged {
            Acknowledged::Joined(ticket) => assert!(joined.contains(ticket), "{acknowledged:?} is lost"),
            Acknowledged::Held { hold, seat } => {
                assert!(
                    held.get(hold).is_some_and(|seats| seats[0].as_str() == seat),
                    "{acknowledged:?} is lost"
                );
            }
            Acknowledged::Booked { booking, seat } => {
                assert!(
                    booked.get(booking).is_some_and(|seats| seats[0].as_str() == seat),
                    "{acknowledged:?} is lost"
                );
            }
        }
    }
}
