//! The draw as the writer holds it: hashed in other threads, with a beacon's
//! round or without one, and across a change of owner.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod desk;

use usher_command::opening::{Command, Refusal, Resource};
use usher_command::writer::Reply;
use usher_events::draw::{drawn_order, merkle_root};
use usher_events::event::{DrawHeld, Event, TicketState};
use usher_events::ids::{OpeningId, Ticket};
use usher_events::time::Timestamp;

use desk::{Desk, OPENS_AT_S, Shelf, at, beacon, bring, opening, round, ticket};

const LOBBY: std::ops::RangeInclusive<u8> = 1..=20;

/// A lobby of twenty that is about to be closed.
fn lobby(desk: &mut Desk, shelf: &mut Shelf, beacon: Option<usher_events::event::Beacon>) -> OpeningId {
    let concert = opening("concert");
    let now = at(OPENS_AT_S - 60);
    desk.claim(shelf, now);
    desk.send(&concert, desk.schedule("concert", beacon), now);
    for i in LOBBY {
        desk.send(&concert, Command::Join { ticket: ticket(i) }, now);
    }
    desk.land(shelf, now);
    concert
}

/// The lobby is closed, and its draw waits for hashes or for the beacon.
fn closed_lobby(
    desk: &mut Desk,
    shelf: &mut Shelf,
    beacon: Option<usher_events::event::Beacon>,
) -> OpeningId {
    let concert = lobby(desk, shelf, beacon);
    desk.tick(at(OPENS_AT_S));
    desk.hash(at(OPENS_AT_S));
    desk.land(shelf, at(OPENS_AT_S));
    concert
}

fn number_of(desk: &Desk, concert: &OpeningId, ticket: Ticket) -> Option<u32> {
    let chained = &desk.partition.state().openings[concert];
    chained.opening.queue().ticket(&ticket).and_then(|(_, number)| number)
}

fn draws(shelf: &Shelf, concert: &OpeningId) -> Vec<DrawHeld> {
    let held = |event| match event {
        Event::DrawHeld(held) => Some(held),
        _ => None,
    };
    shelf.events(concert).into_iter().filter_map(held).collect()
}

fn joined_with(reply: Option<&Reply>) -> Option<u32> {
    match reply {
        Some(Reply::Done { resource, .. }) => match **resource {
            Resource::Ticket { number, .. } => number,
            _ => panic!("not a ticket: {resource:?}"),
        },
        other => panic!("not done: {other:?}"),
    }
}

fn done(reply: Option<&Reply>) -> bool {
    matches!(reply, Some(Reply::Done { .. }))
}

fn drawn_with(desk: &Desk, beacon: bool) -> Vec<Ticket> {
    let mut cohort: Vec<Ticket> = LOBBY.map(ticket).collect();
    cohort.sort_unstable();
    let randomness = round().randomness;
    let root = merkle_root(&cohort);
    drawn_order(&desk.seed("concert"), &root, beacon.then_some(&randomness), &cohort)
}

#[track_caller]
fn numbered_as(desk: &Desk, concert: &OpeningId, order: &[Ticket]) {
    for (number, ticket) in (1..).zip(order) {
        assert_eq!(number_of(desk, concert, *ticket), Some(number));
    }
}

#[test]
fn while_the_lobby_is_hashed_it_does_not_change_and_other_openings_go_on() {
    let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
    let concert = lobby(&mut desk, &mut shelf, None);
    let other = opening("other");
    desk.send(&other, desk.schedule("other", None), at(OPENS_AT_S - 1));
    let now = at(OPENS_AT_S);
    let late = desk.send(&concert, Command::Join { ticket: ticket(99) }, now);
    let left = desk.send(&concert, Command::Leave { ticket: ticket(1) }, now);
    let elsewhere = desk.send(&other, Command::Join { ticket: ticket(99) }, at(OPENS_AT_S - 1));
    desk.land(&mut shelf, now);
    assert!(desk.reply(late).is_none() && desk.reply(left).is_none());
    assert!(done(desk.reply(elsewhere)));
    desk.hash(now);
    desk.land(&mut shelf, now);
    assert_eq!(joined_with(desk.reply(late)), Some(21), "behind the whole lobby");
    assert!(done(desk.reply(left)));
}

#[test]
fn while_the_order_is_hashed_joins_and_leaves_of_the_same_opening_go_on() {
    let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut desk, &mut shelf, None);
    let now = at(OPENS_AT_S + 1);
    desk.tick(now);
    assert_eq!(desk.orders.len(), 1, "the order is hashed once, however often time passes");
    let joined = desk.send(&concert, Command::Join { ticket: ticket(99) }, now);
    let left = desk.send(&concert, Command::Leave { ticket: ticket(1) }, now);
    desk.land(&mut shelf, now);
    assert_eq!(joined_with(desk.reply(joined)), Some(21));
    assert!(done(desk.reply(left)));
    assert!(draws(&shelf, &concert).is_empty());
    desk.hash(now);
    desk.land(&mut shelf, now);
    numbered_as(&desk, &concert, &drawn_with(&desk, false));
    let queue = desk.partition.state().openings[&concert].opening.queue();
    assert_eq!(queue.ticket(&ticket(1)).map(|(state, _)| state), Some(TicketState::Left));
    assert_eq!(number_of(&desk, &concert, ticket(99)), Some(21));
}

#[test]
fn an_opening_that_is_closed_while_its_order_is_hashed_is_not_drawn() {
    let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut desk, &mut shelf, None);
    desk.tick(at(OPENS_AT_S));
    let closed = desk.send(&concert, Command::Close, at(OPENS_AT_S + 1));
    desk.hash(at(OPENS_AT_S + 2));
    desk.land(&mut shelf, at(OPENS_AT_S + 2));
    assert!(done(desk.reply(closed)));
    assert!(draws(&shelf, &concert).is_empty());
    assert!(matches!(shelf.events(&concert).last(), Some(Event::OpeningClosed(_))));
}

#[test]
fn with_a_beacon_the_draw_waits_for_its_round_and_later_joins_are_numbered_at_once() {
    let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut desk, &mut shelf, Some(beacon()));
    assert_eq!(desk.beacons, [(concert.clone(), beacon())], "whoever brings rounds is told");
    desk.tick(at(600));
    assert!(desk.orders.is_empty(), "never drawn without it");
    let joined = desk.send(&concert, Command::Join { ticket: ticket(99) }, at(600));
    desk.land(&mut shelf, at(600));
    assert_eq!(joined_with(desk.reply(joined)), Some(21));
    let brought = desk.send(&concert, bring(), at(601));
    desk.hash(at(602));
    assert!(desk.reply(brought).is_none(), "no answer before it is durable");
    desk.land(&mut shelf, at(602));
    assert!(done(desk.reply(brought)));
    let order = drawn_with(&desk, true);
    let [held] = &draws(&shelf, &concert)[..] else { panic!("drawn once") };
    let expected = DrawHeld {
        at: at(602).max(held.at),
        seed: desk.seed("concert"),
        beacon: Some(round()),
        order_root: merkle_root(&order),
    };
    assert_eq!(*held, DrawHeld { at: held.at, ..expected });
    numbered_as(&desk, &concert, &order);
    assert!(desk.beacons.is_empty(), "nobody need bring it any more");
    desk.tick(at(603));
    desk.land(&mut shelf, at(603));
    assert!(shelf.events(&concert).iter().any(|event| matches!(event, Event::OpeningOpened(_))));
}

#[test]
fn two_who_bring_the_round_at_once_are_both_answered_and_it_is_drawn_once() {
    let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut desk, &mut shelf, Some(beacon()));
    let first = desk.send(&concert, bring(), at(1));
    let second = desk.send(&concert, bring(), at(1));
    assert_eq!(desk.orders.len(), 1);
    desk.hash(at(2));
    desk.land(&mut shelf, at(2));
    assert!(done(desk.reply(first)) && done(desk.reply(second)));
    let third = desk.send(&concert, bring(), at(3));
    desk.land(&mut shelf, at(3));
    assert!(matches!(desk.reply(third), Some(Reply::Done { created: false, .. })));
    assert_eq!(draws(&shelf, &concert).len(), 1);
}

#[test]
fn the_round_comes_too_early_while_the_lobby_is_open() {
    let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
    let concert = lobby(&mut desk, &mut shelf, Some(beacon()));
    let early = desk.send(&concert, bring(), at(OPENS_AT_S - 1));
    desk.land(&mut shelf, at(OPENS_AT_S - 1));
    let Some(Reply::Refused { refusal, .. }) = desk.reply(early) else { panic!("not refused") };
    assert!(matches!(**refusal, Refusal::WrongState { .. }));
    // It may be brought again, and waits while the lobby closes.
    let again = desk.send(&concert, bring(), at(OPENS_AT_S));
    desk.hash(at(OPENS_AT_S));
    desk.hash(at(OPENS_AT_S));
    desk.land(&mut shelf, at(OPENS_AT_S));
    assert!(done(desk.reply(again)));
}

#[test]
fn another_writer_that_claims_waits_for_the_same_round_and_draws_the_same_order() {
    let (mut first, mut second, mut shelf) = (Desk::new(), Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut first, &mut shelf, Some(beacon()));
    second.claim(&mut shelf, at(10));
    assert_eq!(second.beacons, [(concert.clone(), beacon())]);
    let brought = second.send(&concert, bring(), at(11));
    second.hash(at(11));
    second.land(&mut shelf, at(11));
    assert!(done(second.reply(brought)));
    numbered_as(&second, &concert, &drawn_with(&second, true));
}

/// A follower numbers alike, from the log alone, and goes on with the rest
/// once the draw is hashed.
#[test]
fn a_follower_hashes_a_large_draw_beside_the_thread_and_loses_no_record() {
    let (mut owner, mut shelf) = (Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut owner, &mut shelf, Some(beacon()));
    let mut follower = Desk::new();
    follower.read(&shelf, at(0));
    owner.send(&concert, bring(), at(1));
    owner.hash(at(1));
    owner.send(&concert, Command::Join { ticket: ticket(99) }, at(1));
    owner.land(&mut shelf, at(1));
    follower.read(&shelf, at(2));
    let read = shelf.len();
    let waits_at = follower.partition.state().position;
    assert_eq!(follower.partition.held_up(), Some(waits_at));
    assert_eq!(number_of(&follower, &concert, ticket(99)), None, "what comes after the draw waits for it");
    owner.send(&concert, Command::Join { ticket: ticket(98) }, at(3));
    owner.land(&mut shelf, at(3));
    follower.read_on(&shelf, read, at(3));
    follower.hash(at(4));
    assert_eq!(follower.partition.held_up(), None);
    assert_eq!(follower.partition.state().position, shelf.len() as u64);
    numbered_as(&follower, &concert, &drawn_with(&owner, true));
    assert_eq!(number_of(&follower, &concert, ticket(98)), Some(22));
    // It may take over from there.
    follower.claim(&mut shelf, at(5));
}

/// A follower that is asked to own the partition while a draw is hashed does
/// not serve before it is folded.
#[test]
fn nobody_serves_before_the_draw_is_folded() {
    let (mut owner, mut shelf) = (Desk::new(), Shelf::default());
    let concert = closed_lobby(&mut owner, &mut shelf, None);
    owner.tick(at(OPENS_AT_S + 1));
    owner.hash(at(OPENS_AT_S + 1));
    owner.land(&mut shelf, at(OPENS_AT_S + 1));
    let mut second = Desk::new();
    second.read(&shelf, at(0));
    let read = shelf.len();
    // The owner's claim is old by then.
    second.want(at(10));
    second.land(&mut shelf, at(10));
    let behind = usize::try_from(second.partition.state().position).unwrap();
    second.read_on(&shelf, read, at(10));
    assert!(!second.partition.serving() && behind < shelf.len());
    second.hash(at(11));
    assert!(second.partition.serving());
    numbered_as(&second, &concert, &drawn_with(&second, false));
}

/// The tenure ends while the round's order is hashed or on its way: whoever
/// brought it is answered all the same, by hashes of the lobby that counts.
#[test]
fn a_round_that_was_brought_survives_the_end_of_the_tenure() {
    for landed in [false, true] {
        let (mut desk, mut shelf) = (Desk::new(), Shelf::default());
        let concert = closed_lobby(&mut desk, &mut shelf, Some(beacon()));
        let brought = desk.send(&concert, bring(), at(1));
        let before = shelf.len();
        if landed {
            // Decided, but lost on its way.
            desk.hash(at(1));
            desk.outbox.clear();
        }
        let stale = desk.orders.pop_front();
        break_tenure(&mut desk, at(2));
        assert!(desk.beacons.is_empty(), "somebody else may own the partition");
        desk.claim(&mut shelf, at(4));
        if let Some(order) = stale {
            let made = order.job.run(order.seed);
            desk.partition.hashed(order.purpose, &order.opening, made, at(4), 7);
        }
        assert!(draws(&shelf, &concert).is_empty() && desk.reply(brought).is_none());
        desk.hash(at(5));
        desk.land(&mut shelf, at(5));
        assert!(done(desk.reply(brought)), "landed: {landed}");
        assert!(shelf.len() > before);
        numbered_as(&desk, &concert, &drawn_with(&desk, true));
    }
}

fn break_tenure(desk: &mut Desk, now: Timestamp) {
    let end = desk.partition.state().position + 1_000;
    desk.partition.end_seen(end, now, 7);
    assert!(!desk.partition.serving());
    desk.tick(now);
    desk.outbox.retain(|record| record.key.is_none());
}
