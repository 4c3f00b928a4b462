//! The real writer on the simulated log: many seeds, every fault, and after
//! each run every rule that never bends, checked from the log alone.
//!
//! A failing seed is printed; `USHER_STACK_SEED=n cargo test --test
//! simulation` runs that one again, exactly as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod crowd;
#[macro_use]
#[path = "../rules/mod.rs"]
mod rules;
mod referee;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use usher_command::writer::WriterRules;

use crate::world::World;

/// How many seeds each run of the tests plays.
const SEEDS: u64 = 1_500;
/// How many seeds a broken rule may survive.
const PATIENCE: u64 = 1_500;

/// Plays one seed; what broke, if something did.
fn play(seed: u64, rules: WriterRules) -> Result<world::Summary, String> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, rules);
        world.run();
        world.settle()?;
        referee::check(&world)
    }));
    played.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        Err(said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default())
    })
}

#[test]
fn no_rule_bends_under_any_fault() {
    let one =
        std::env::var("USHER_STACK_SEED").ok().map(|seed| seed.parse::<u64>().expect("a seed is a number"));
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut all = world::Summary::default();
    for seed in seeds {
        match play(seed, WriterRules::default()) {
            Ok(summary) => all.add(&summary),
            Err(broken) => {
                // Also when another test has silenced panics.
                println!("seed {seed}: {broken}");
                panic!("seed {seed}: {broken}");
            }
        }
    }
    println!("{all:?}");
    if one.is_none() {
        // A simulation in which nothing happens would find nothing.
        assert!(
            all.bookings > SEEDS && all.claims > 2 * SEEDS && all.voids > SEEDS && all.refunds > SEEDS / 2,
            "{all:?}"
        );
        assert!(
            all.late > SEEDS / 10 && all.cancelled > SEEDS / 2 && all.expired > SEEDS && all.moves > SEEDS,
            "{all:?}"
        );
        assert!(all.missed > SEEDS && all.closed > SEEDS / 10, "{all:?}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14, 159] {
        let run = || {
            let mut world = World::new(seed, WriterRules::default());
            world.run();
            world.settle().unwrap();
            world.log.records(0, 0, usize::MAX)
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// The first seed at which a writer without a rule is caught.
fn caught(rules: WriterRules) -> Option<(u64, String)> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = (0..PATIENCE).find_map(|seed| play(seed, rules).err().map(|broken| (seed, broken)));
    std::panic::set_hook(hook);
    found
}

#[test]
fn it_bites_when_replies_are_sent_before_they_are_durable() {
    let (seed, broken) =
        caught(WriterRules { reply_when_durable: false, ..WriterRules::default() }).expect("caught");
    println!("replies before durability: seed {seed}: {broken}");
}

#[test]
fn it_bites_when_a_failed_append_does_not_end_the_tenure() {
    let (seed, broken) = caught(WriterRules { latch: false, ..WriterRules::default() }).expect("caught");
    println!("no latch: seed {seed}: {broken}");
}

#[test]
fn it_bites_when_void_records_are_folded() {
    let (seed, broken) = caught(WriterRules { void: false, ..WriterRules::default() }).expect("caught");
    println!("no voiding: seed {seed}: {broken}");
}
