//! Every number that a view shows recomputes from what is published of the
//! draw: the seed, the root and the cohort.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use usher_events::event::*;
use usher_events::ids::{Hash, Ticket};

use crate::told::*;

/// More than are numbered in one go.
const VISITORS: u32 = 20_000;

fn ticket(kind: u8, i: u32) -> Ticket {
    Ticket(Sha256::new().chain_update([kind]).chain_update(i.to_be_bytes()).finalize().into())
}

fn left(ticket: Ticket, seconds: u32) -> Event {
    VisitorLeft { at: at(seconds), ticket, state: TicketState::Left, released: Vec::new() }.into()
}

fn moved(from: Ticket, to: Ticket, number: Option<u32>, state: TicketState, seconds: u32) -> Event {
    TicketMoved { at: at(seconds), from, to, number, state, subject: Hash([9; 32]) }.into()
}

/// The published cohort in the order of SHA-256(seed, root, ticket), by hand.
fn recomputed(seed: &Hash, root: &Hash, cohort: &[Ticket]) -> HashMap<Ticket, u32> {
    let key = |ticket: &Ticket| -> [u8; 32] {
        Sha256::new().chain_update(seed.0).chain_update(root.0).chain_update(ticket.0).finalize().into()
    };
    let mut order = cohort.to_vec();
    order.sort_by_cached_key(key);
    order.into_iter().zip(1..).collect()
}

#[tokio::test]
async fn every_number_is_the_place_in_the_order_that_anyone_can_compute() {
    let mut cohort: Vec<Ticket> = (0..VISITORS).map(|i| ticket(b'v', i)).collect();
    let mut events = vec![scheduled()];
    events.extend(cohort.iter().map(|ticket| joined(*ticket, None)));
    // In the lobby: one leaves, one's place is taken over, one falls silent.
    let (gone, given_away, taken) = (cohort.remove(0), cohort.remove(0), ticket(b't', 0));
    cohort.push(taken);
    cohort.sort_unstable();
    let silent = cohort[7];
    events.extend([
        left(gone, 10),
        moved(given_away, taken, None, TicketState::Lobby, 11),
        VisitorsWentAway { at: at(12), tickets: vec![silent] }.into(),
        lobby_closed(&cohort),
    ]);
    // While it is drawn: one leaves, one's place is taken over twice.
    let (leaver, first, second, third) = (cohort[100], cohort[200], ticket(b't', 1), ticket(b't', 2));
    let late = ticket(b'l', 0);
    let count = u32::try_from(cohort.len()).unwrap();
    events.extend([
        joined(late, Some(count + 1)),
        left(leaver, 60),
        moved(first, second, None, TicketState::Lobby, 60),
        moved(second, third, None, TicketState::Lobby, 60),
    ]);
    let before = after(events.clone()).await;
    assert!(before.ticket(cohort[0]).await.number.is_none());
    events.push(drawn(&cohort).1);
    let views = after(events).await;

    let draw = views.status().await.draw;
    let published = usher_projector::queue::QueueReader::cohort(&views.queues, &opening()).await.unwrap();
    assert_eq!(&*published, &cohort[..]);
    let numbers = recomputed(&draw.seed.unwrap(), &draw.cohort_root.unwrap(), &published);
    let mut ahead_of = vec![true; cohort.len() + 1];
    for away in [silent, leaver] {
        ahead_of[numbers[&away] as usize - 1] = false;
    }
    let present: Vec<u32> = ahead_of
        .iter()
        .scan(0, |ahead, is| {
            let before = *ahead;
            *ahead += u32::from(*is);
            Some(before)
        })
        .collect();
    for (ticket, number) in &numbers {
        let view = views.ticket(*ticket).await;
        assert_eq!(view.number, Some(*number), "{ticket}");
        if view.state == TicketState::Waiting {
            assert_eq!(view.ahead, Some(present[*number as usize - 1]), "{ticket}");
        }
    }
    assert_eq!(views.ticket(third).await.number, Some(numbers[&first]));
    assert_eq!(views.ticket(third).await.state, TicketState::Waiting);
    assert_eq!(views.ticket(first).await.state, TicketState::Left);
    assert_eq!(views.ticket(leaver).await.state, TicketState::Left);
    assert_eq!(views.ticket(silent).await.state, TicketState::Away);
    assert_eq!(views.ticket(gone).await.number, None);
    let late = views.ticket(late).await;
    assert_eq!((late.number, late.ahead), (Some(count + 1), Some(count - 2)));
    let counts = views.status().await.counts;
    assert_eq!(counts.get(&TicketState::Lobby), None);
    assert_eq!(counts[&TicketState::Waiting], count - 2 + 1);
    assert_eq!(counts[&TicketState::Away], 1);
}
