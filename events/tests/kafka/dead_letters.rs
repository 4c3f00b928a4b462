//! Dead letters come back as they were kept.

use usher_events::log::kafka::{DeadLetter, DeadLetters};

use crate::place::{Place, record};

fn letter(offset: u64) -> DeadLetter {
    DeadLetter {
        projection: "bookings".to_owned(),
        partition: 3,
        offset,
        reason: format!("the value is no known event: version {offset}"),
        record: record(77, offset + 1),
    }
}

#[tokio::test]
async fn a_dead_letter_keeps_the_record_and_says_why_and_where_from() {
    let place = Place::new(1).await;
    let letters = DeadLetters::new(place.config.clone()).unwrap();
    assert_eq!(letters.append(&letter(5)).await, Ok(0));
    let listed = letters.list(10).await.unwrap();
    assert_eq!(listed.len(), 1);
    let (offset, _, kept) = &listed[0];
    assert_eq!((offset, kept), (&0, &letter(5)));
}

#[tokio::test]
async fn the_newest_dead_letters_are_listed_oldest_first() {
    let place = Place::new(1).await;
    let letters = DeadLetters::new(place.config.clone()).unwrap();
    for offset in 0..5 {
        letters.append(&letter(offset)).await.unwrap();
    }
    let listed = letters.list(2).await.unwrap();
    let offsets: Vec<_> = listed.iter().map(|(_, _, kept)| kept.offset).collect();
    assert_eq!(offsets, [3, 4]);
}

#[tokio::test]
async fn no_dead_letters_is_an_empty_list() {
    let place = Place::new(1).await;
    let letters = DeadLetters::new(place.config.clone()).unwrap();
    assert_eq!(letters.list(10).await.unwrap(), []);
}

#[tokio::test]
async fn an_endless_reason_is_cut_and_the_letter_kept() {
    let place = Place::new(1).await;
    let letters = DeadLetters::new(place.config.clone()).unwrap();
    letters.append(&DeadLetter { reason: "ü".repeat(1_000_000), ..letter(0) }).await.unwrap();
    let kept = letters.list(1).await.unwrap().remove(0).2;
    assert_eq!(kept.reason, "ü".repeat(2_048));
}
