//! What must always be so, and what must be possible.

use std::collections::BTreeSet;

use stateright::Property;
use usher_events::tenure::Verdict;

use crate::world::{Entry, Known, Landed, Protocol, World};

type Rule = (&'static str, fn(&Protocol, &World) -> bool);

pub(crate) const CONFIRMED_COUNTS: &str = "what was confirmed counts, in its place";
pub(crate) const BEGINS_WITH_ALL: &str = "who begins to serve has folded all that counts before its claim";
pub(crate) const NOTHING_STALE: &str = "nothing counts that was decided from another state";
pub(crate) const IN_ITS_PLACE: &str = "what counts stands in its place";
pub(crate) const READERS_AGREE: &str = "a writer that folds what it confirms knows what readers know";
pub(crate) const REFUSALS_TRUE: &str = "a refusal was true of a state of the log";
pub(crate) const ANSWERS_TRUE: &str = "a positive answer was true at some time since the question";
pub(crate) const NEVER_STUCK: &str = "a writer all of whose records are reported has confirmed them";
pub(crate) const TAKEOVERS: &str = "two nodes confirmed records, one after the other";

/// What must be so in every state.
const ALWAYS: [Rule; 8] = [
    (CONFIRMED_COUNTS, confirmed_counts),
    (BEGINS_WITH_ALL, begins_with_all),
    (NOTHING_STALE, nothing_stale),
    (IN_ITS_PLACE, in_its_place),
    (READERS_AGREE, readers_agree),
    (REFUSALS_TRUE, refusals_true),
    (ANSWERS_TRUE, answers_true),
    (NEVER_STUCK, never_stuck),
];

/// What must be possible, or the model is too tame to show anything.
const SOMETIMES: [Rule; 8] = [
    (TAKEOVERS, takeovers),
    ("a node confirmed records in two tenures", one_node_twice),
    ("a record of a node that lost the partition landed void", a_zombies_record_is_void),
    ("the newest tenure was closed by a record that does not count", the_newest_is_closed),
    ("a later record of a burst landed, and no earlier one", a_burst_has_a_hole),
    ("a record landed twice", a_record_landed_twice),
    ("a record landed after a later one of its tenure", a_record_was_overtaken),
    ("a claim landed after a later one", a_claim_was_late),
];

const SOMETIMES_ANSWERED: [Rule; 2] = [
    ("a positive answer was given", |_, world| world.answers.iter().any(|answer| answer.positive)),
    ("a refusal was given", |_, world| world.answers.iter().any(|answer| !answer.positive)),
];

/// The properties that fit what may happen.
pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let always = ALWAYS.into_iter().map(|(name, rule)| Property::always(name, rule));
    let possible = if protocol.bounds.questions > 0 { &SOMETIMES_ANSWERED[..] } else { &SOMETIMES };
    let sometimes = possible.iter().map(|(name, rule)| Property::sometimes(name, *rule));
    always.chain(sometimes).collect()
}

fn counting(world: &World) -> impl Iterator<Item = &Landed> {
    world.log.iter().filter(|landed| landed.verdict == Verdict::Valid)
}

fn confirmed_counts(_: &Protocol, world: &World) -> bool {
    world.promises.iter().all(|promise| {
        let stands = world.log.get(usize::try_from(promise.offset).unwrap());
        stands.is_some_and(|Landed { entry, verdict, .. }| {
            *verdict == Verdict::Valid && entry.known() == (promise.tenure, promise.n)
        })
    })
}

fn begins_with_all(protocol: &Protocol, world: &World) -> bool {
    let beginning = world.nodes.iter().filter(|node| node.reign.serving() && node.reign.sent() == 0);
    beginning.into_iter().all(|node| {
        let epoch = node.reign.epoch().expect("it serves");
        world.reader_at(protocol, epoch + 1).is_some_and(|reader| reader.last == node.working)
    })
}

fn nothing_stale(_: &Protocol, world: &World) -> bool {
    let mut last: Known = None;
    counting(world).all(|landed| {
        let knew = landed.entry.knew;
        knew == last.replace(landed.entry.known())
    })
}

fn in_its_place(_: &Protocol, world: &World) -> bool {
    let mut places = (0..).zip(&world.log).filter(|(_, landed)| landed.verdict == Verdict::Valid);
    places.all(|(offset, landed)| landed.entry.epoch + landed.entry.n == offset)
}

fn readers_agree(protocol: &Protocol, world: &World) -> bool {
    world.nodes.iter().all(|node| world.reader_at(protocol, node.position) == Some(node.confirmed))
}

fn refusals_true(_: &Protocol, world: &World) -> bool {
    let mut refusals = world.answers.iter().filter(|answer| !answer.positive);
    refusals.all(|answer| {
        answer.knew.is_none_or(|known| counting(world).any(|landed| landed.entry.known() == known))
    })
}

fn answers_true(_: &Protocol, world: &World) -> bool {
    world.answers.iter().filter(|answer| answer.positive).all(|answer| answer.was_so)
}

/// Whoever waits for a writer is answered, or the tenure ends, once all that
/// was sent is reported.
fn never_stuck(_: &Protocol, world: &World) -> bool {
    let mut serving = world.nodes.iter().filter(|node| node.reign.serving());
    serving.all(|node| {
        let mut unreported = node.lane.iter().chain(node.reports.iter().map(|(entry, _)| entry));
        let waits = unreported.any(|entry| node.cares_for(entry));
        waits || node.reign.confirmed() == node.reign.sent()
    })
}

// --- what must be possible ----------------------------------------------------

fn takeovers(_: &Protocol, world: &World) -> bool {
    let mut nodes = world.promises.iter().map(|promise| promise.node);
    let first = nodes.next();
    nodes.any(|node| Some(node) != first)
}

fn one_node_twice(_: &Protocol, world: &World) -> bool {
    let mut pairs = world.promises.iter().zip(world.promises.iter().skip(1));
    pairs.any(|(one, next)| one.node == next.node && one.tenure != next.tenure)
}

fn a_zombies_record_is_void(_: &Protocol, world: &World) -> bool {
    let mut voids = world.log.iter().filter(|landed| landed.verdict == Verdict::Void);
    voids.any(|landed| landed.entry.tenure != landed.reader.cursor.tenure && landed.reader.cursor.tenure != 0)
}

fn the_newest_is_closed(_: &Protocol, world: &World) -> bool {
    world.log.last().is_some_and(|landed| {
        let own = landed.entry.tenure == landed.reader.cursor.tenure;
        landed.verdict == Verdict::Void && own
    })
}

fn a_burst_has_a_hole(_: &Protocol, world: &World) -> bool {
    let landed = |known| world.log.iter().any(|landed| landed.entry.known() == known);
    let mut of_same = world.log.iter().filter_map(|landed| {
        let before = landed.entry.knew?;
        (before.0 == landed.entry.tenure).then_some(before)
    });
    of_same.any(|before| !landed(before))
}

fn a_record_landed_twice(_: &Protocol, world: &World) -> bool {
    let distinct: BTreeSet<Entry> = world.log.iter().map(|landed| landed.entry).collect();
    distinct.len() < world.log.len()
}

fn a_record_was_overtaken(_: &Protocol, world: &World) -> bool {
    let mut pairs = world.log.iter().zip(world.log.iter().skip(1)).map(|(one, next)| (one.entry, next.entry));
    pairs.any(|(one, next)| one.tenure == next.tenure && one.n > next.n && next.n > 0)
}

fn a_claim_was_late(_: &Protocol, world: &World) -> bool {
    let claims = world.log.iter().filter(|landed| landed.entry.n == 0).map(|landed| landed.entry.tenure);
    !claims.is_sorted()
}
