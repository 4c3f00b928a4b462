//! What happens at random: time passes, writers claim, and people and
//! machines ask for whatever there is to ask for.

use proptest::prelude::*;
use serde_json::{Value, json};
use usher_command::opening::{Best, Command, Drawn, Relax, Schedule};
use usher_command::quicknet;
use usher_events::draw::commitment;
use usher_events::event::{Beacon, BeaconValue};
use usher_events::ids::{
    Actor, AdmissionId, BookingId, ExtensionId, Hash, HoldId, PaymentReference, PlanName, SeatId, ShowingId,
    Ticket,
};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::{Payment, Policy};
use usher_events::time::Timestamp;
use uuid::Uuid;

/// When the first history begins.
pub(crate) const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
/// A round shortly before.
const FIRST_ROUND: u64 = 35_732_000;
/// The seed of the draw.
pub(crate) const SEED: Hash = Hash([7; 32]);

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Time passes, in milliseconds.
    Pass(i64),
    /// A writer claims the partition.
    Claim,
    /// Somebody asks; the key is for commands that bring no id of their own.
    Ask { actor: Actor, key: u8, command: Command },
    /// A visitor does what comes next; for the seats and ids see `pick`.
    Next { ticket: Ticket, pick: u8 },
    /// A command that was accepted comes again.
    Again(prop::sample::Index),
    /// The id of one that was accepted comes with another command.
    SameId(prop::sample::Index, Actor, Command),
    /// Presence notices that some are away or back, rightly or not.
    Notice(Command),
    /// A hold takes an id that a timer, or another visitor, will come with.
    Squat { ticket: Ticket, other: Ticket, seat: u8 },
}

/// Steps of which at most `most` are asks, after an opening was scheduled.
pub(crate) fn history(most: usize) -> impl Strategy<Value = Vec<Step>> {
    (schedule(), prop::collection::vec(step(), 20..most)).prop_map(|(schedule, mut steps)| {
        let command = Command::Schedule(Box::new(schedule));
        steps.insert(0, Step::Ask { actor: Actor::Operator("desk".into()), key: 0, command });
        steps
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..3_000_i64).prop_map(Step::Pass),
        4 => (3_000..40_000_i64).prop_map(Step::Pass),
        1 => (40_000..400_000_i64).prop_map(Step::Pass),
        1 => Just(Step::Claim),
        30 => visit(),
        40 => (ticket(), any::<u8>()).prop_map(|(ticket, pick)| Step::Next { ticket, pick }),
        8 => operate(),
        4 => hostile(),
        4 => any::<prop::sample::Index>().prop_map(Step::Again),
        2 => (any::<prop::sample::Index>(), actor(), command())
            .prop_map(|(index, actor, command)| Step::SameId(index, actor, command)),
        10 => notice().prop_map(Step::Notice),
        1 => round(0..1).prop_map(|beacon| {
            ask(Actor::Operator("desk".into()), Command::BringBeacon { beacon, drawn: None })
        }),
        3 => (ticket(), ticket(), any::<u8>())
            .prop_map(|(ticket, other, seat)| Step::Squat { ticket, other, seat }),
    ]
}

/// What visitors and the merchant do.
fn visit() -> impl Strategy<Value = Step> {
    let visitor = |command: fn(Ticket) -> Command| {
        (ticket(), Just(command)).prop_map(|(ticket, command)| ask(Actor::Visitor(ticket), command(ticket)))
    };
    prop_oneof![
        6 => visitor(|ticket| Command::Join { ticket }),
        10 => visitor(|ticket| Command::Enter { ticket }),
        1 => visitor(|ticket| Command::Leave { ticket }),
        1 => visitor(|ticket| Command::LeaveWindow { ticket }),
        8 => hold().prop_map(of_visitor),
        4 => hold_best().prop_map(of_visitor),
        3 => extend().prop_map(of_visitor),
        3 => swap().prop_map(of_visitor),
        2 => release().prop_map(of_visitor),
        10 => confirm().prop_map(|command| ask(Actor::Merchant("shop".into()), command)),
        2 => cancel().prop_map(|command| ask(Actor::Merchant("shop".into()), command)),
    ]
}

/// Sent by the visitor whom it is about.
fn of_visitor(command: Command) -> Step {
    let (Command::Hold { ticket, .. }
    | Command::HoldBest { ticket, .. }
    | Command::Swap { ticket, .. }
    | Command::Extend { ticket, .. }
    | Command::Release { ticket, .. }) = &command
    else {
        return ask(Actor::Operator("desk".into()), command);
    };
    ask(Actor::Visitor(*ticket), command)
}

fn ask(actor: Actor, command: Command) -> Step {
    Step::Ask { actor, key: 0, command }
}

/// Of tickets by their index, and of some that are none.
fn notice() -> impl Strategy<Value = Command> {
    let indexes = || prop::collection::vec(0..10_u32, 1..5);
    prop_oneof![
        1 => indexes().prop_map(|indexes| Command::GoAway { indexes }),
        2 => indexes().prop_map(|indexes| Command::Return { indexes }),
    ]
}

/// What operators do.
fn operate() -> impl Strategy<Value = Step> {
    (any::<u8>(), operation()).prop_map(|(key, command)| {
        let actor = Actor::Operator("desk".into());
        Step::Ask { actor, key, command }
    })
}

fn operation() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => Just(Command::Pause),
        6 => Just(Command::Resume),
        1 => Just(Command::Drain),
        1 => Just(Command::Close),
        6 => (id(), prop_oneof![0..6_u32, Just(4_096), Just(4_097), any::<u32>()])
            .prop_map(|(id, count)| Command::AdmitByHand { admission: AdmissionId(id), count }),
        6 => patch().prop_map(|patch| Command::ChangePolicy { patch }),
        2 => prop::option::of("[a-c]{0,2}").prop_map(|message| Command::SetMessage { message }),
        3 => reschedule(),
        4 => (plan_name(), plan()).prop_map(|(name, plan)| Command::AddPlan { name, plan: Box::new(plan) }),
        4 => showing().prop_map(|showing| Command::AddShowing { showing }),
    ]
}

/// Anything by anybody, and timers that nobody set.
fn hostile() -> impl Strategy<Value = Step> {
    (actor(), any::<u8>(), command()).prop_map(|(actor, key, command)| Step::Ask { actor, key, command })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        ticket().prop_map(|ticket| Command::Join { ticket }),
        ticket().prop_map(|ticket| Command::Enter { ticket }),
        ticket().prop_map(|ticket| Command::LeaveWindow { ticket }),
        hold(),
        hold_best(),
        swap(),
        extend(),
        release(),
        confirm(),
        cancel(),
        operation(),
        schedule().prop_map(|schedule| Command::Schedule(Box::new(schedule))),
        (0..9_u32).prop_map(|count| Command::CloseLobby { cohort_root: Hash([1; 32]), count: count + 1_000 }),
        Just(Command::HoldDraw(Drawn {
            seed: Hash([8; 32]),
            order_root: Hash([1; 32]),
            numbering: Default::default(),
        })),
        round(0..3).prop_map(|beacon| Command::BringBeacon { beacon, drawn: None }),
        Just(Command::Open),
        Just(Command::AdmitNext),
        Just(Command::ExpireAdmissions),
        Just(Command::EndVisits),
        Just(Command::ExpireHolds),
        Just(Command::DrainOnTime),
        Just(Command::CloseOnTime),
    ]
}

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        ticket().prop_map(Actor::Visitor),
        Just(Actor::Merchant("shop".into())),
        Just(Actor::Operator("desk".into())),
    ]
}

fn hold() -> impl Strategy<Value = Command> {
    let seats = prop::collection::vec(seat(), 0..4);
    (id(), ticket(), showing_id(), seats).prop_map(|(id, ticket, showing, seats)| Command::Hold {
        hold: HoldId(id),
        ticket,
        showing,
        seats,
        wheelchair: false,
    })
}

fn hold_best() -> impl Strategy<Value = Command> {
    let relax = prop_oneof![Just(Relax::Nothing), Just(Relax::Single), Just(Relax::Split)];
    let best = (0u32..5, relax, any::<bool>());
    let best = best.prop_map(|(count, relax, wheelchair)| Best { count, category: None, relax, wheelchair });
    (id(), ticket(), showing_id(), best).prop_map(|(id, ticket, showing, best)| Command::HoldBest {
        hold: HoldId(id),
        ticket,
        showing,
        best,
    })
}

fn swap() -> impl Strategy<Value = Command> {
    let seats = prop::collection::vec(seat(), 0..4);
    (id(), ticket(), seats).prop_map(|(hold, ticket, seats)| Command::Swap {
        hold: HoldId(hold),
        ticket,
        seats,
        wheelchair: false,
    })
}

fn extend() -> impl Strategy<Value = Command> {
    (id(), ticket(), id()).prop_map(|(hold, ticket, extension)| Command::Extend {
        hold: HoldId(hold),
        ticket,
        extension: ExtensionId(extension),
    })
}

fn release() -> impl Strategy<Value = Command> {
    (id(), ticket()).prop_map(|(hold, ticket)| Command::Release { hold: HoldId(hold), ticket })
}

fn confirm() -> impl Strategy<Value = Command> {
    (id(), id(), 0..2_u8).prop_map(|(booking, hold, payment)| Command::Confirm {
        booking: BookingId(booking),
        hold: HoldId(hold),
        payment_reference: PaymentReference::new(&format!("p-{payment}")).unwrap(),
    })
}

fn cancel() -> impl Strategy<Value = Command> {
    (id(), prop::option::of(seat()))
        .prop_map(|(booking, seat)| Command::Cancel { booking: BookingId(booking), seat })
}

fn reschedule() -> impl Strategy<Value = Command> {
    let time = || prop::option::weighted(0.3, (-60..3_000_i64).prop_map(at));
    (prop::option::of("[a-c]{0,2}"), time(), prop::option::weighted(0.3, time()), time()).prop_map(
        |(title, opens_at, drains_at, closes_at)| Command::Reschedule {
            title,
            opens_at,
            drains_at,
            closes_at,
        },
    )
}

/// Few, so that they meet: also those of different kinds.
fn id() -> impl Strategy<Value = Uuid> {
    prop_oneof![4 => 1..12_u128, 1 => 12..60_u128].prop_map(Uuid::from_u128)
}

fn ticket() -> impl Strategy<Value = Ticket> {
    prop_oneof![6 => 1..5_u8, 2 => 5..14_u8].prop_map(|visitor| Ticket([visitor; 32]))
}

fn seat() -> impl Strategy<Value = SeatId> {
    let real = (1..=6_usize).prop_map(|i| format!("A{i}"));
    prop_oneof![20 => real, 1 => Just("Z9".to_owned())].prop_map(|seat| SeatId::new(&seat).unwrap())
}

fn showing_id() -> impl Strategy<Value = ShowingId> {
    prop_oneof![12 => Just("evening"), 4 => Just("matinee"), 2 => Just("midnight"), 1 => Just("dawn")]
        .prop_map(|name| ShowingId::new(name).unwrap())
}

fn showing() -> impl Strategy<Value = Showing> {
    (showing_id(), plan_name()).prop_map(|(showing, plan)| Showing {
        showing,
        title: "Tonight".to_owned(),
        starts_at: at(9_000),
        plan,
    })
}

fn plan_name() -> impl Strategy<Value = PlanName> {
    prop_oneof![3 => Just("hall"), 1 => Just("roof")].prop_map(|name| PlanName::new(name).unwrap())
}

/// Six seats, of which the last may be blocked; or none, or one twice.
fn plan() -> impl Strategy<Value = Plan> {
    plan_of(prop_oneof![8 => Just(6), 1 => Just(0), 1 => Just(7)])
}

fn plan_of(count: impl Strategy<Value = usize>) -> impl Strategy<Value = Plan> {
    (count, any::<bool>()).prop_map(|(count, blocked)| {
        let seats: Vec<Value> = (0..count).map(|i| json!({"seat_guid": format!("A{}", i % 6 + 1)})).collect();
        let blocked = if blocked && count == 6 { json!({"A6": "a pillar"}) } else { json!({}) };
        serde_json::from_value(json!({
            "seating": {"name": "Hall", "zones": [{"rows": [{"seats": seats}]}]},
            "details": {"blocked": blocked},
        }))
        .unwrap()
    })
}

fn patch() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        8 => (0..6_u32).prop_map(|most| json!({"capacity": most})),
        2 => prop::option::of(0..700_u32).prop_map(|rate| json!({"admissions_per_minute": rate})),
        1 => (0..40_u32).prop_map(|time| json!({"hold_for_s": time})),
        1 => (0..60_u32).prop_map(|time| json!({"stay_for_s": time, "enter_within_s": time})),
        1 => (0..120_u32).prop_map(|time| json!({"late_payment_grace_s": time})),
        1 => (0..6_u32).prop_map(|most| json!({"max_seats": most, "misses": most, "max_extensions": most})),
        1 => (0..12_u32).prop_map(|most| json!({"max_tickets": most})),
        1 => Just(json!({"payment": "none"})),
        1 => Just(json!({"payment": "merchant", "capacity": null})),
        1 => Just(json!({"capacity": -1})),
        1 => Just(json!({"capacity": "many"})),
        1 => Just(json!({"seats": 4})),
        1 => Just(json!(null)),
    ];
    field.boxed()
}

fn policy() -> impl Strategy<Value = Policy> {
    let rate = prop::option::weighted(0.2, 1..700_u32);
    (1..5_u32, rate, 5..40_u32, 10..60_u32, 5..60_u32, 0..3_u32, any::<bool>()).prop_map(
        |(capacity, admissions_per_minute, enter_within_s, stay_for_s, hold_for_s, misses, paid)| Policy {
            capacity,
            admissions_per_minute,
            enter_within_s,
            stay_for_s,
            hold_for_s,
            misses,
            payment: if paid { Payment::Merchant } else { Payment::None },
            late_payment_grace_s: 60,
            ..Policy::default()
        },
    )
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let beacon = prop::option::weighted(0.1, Just(beacon()));
    let times = (-10..20_i64, prop::option::weighted(0.1, 100..900_i64), 0..3_000_i64);
    (times, policy(), beacon, plan_of(Just(6))).prop_map(
        |((opens_at, drains_at, closes_at), policy, beacon, plan)| {
            let name = PlanName::new("hall").unwrap();
            let showing = |showing| Showing {
                showing: ShowingId::new(showing).unwrap(),
                title: "Tonight".to_owned(),
                starts_at: at(9_000),
                plan: name.clone(),
            };
            Schedule {
                title: "Tonight".to_owned(),
                opens_at: at(opens_at),
                drains_at: drains_at.map(at),
                closes_at: at(600 + closes_at),
                policy,
                beacon,
                plans: [(name.clone(), plan)].into(),
                showings: vec![showing("evening"), showing("matinee")],
                seed_commitment: commitment(&SEED),
                draw_key_id: "key-1".to_owned(),
            }
        },
    )
}

/// The round that comes out a minute after the beginning.
fn beacon() -> Beacon {
    let round_at = at(60);
    let round = (1..).find(|round| quicknet::time_of(FIRST_ROUND + round) == Some(round_at)).unwrap();
    Beacon { source: quicknet::SOURCE.to_owned(), round: FIRST_ROUND + round, round_at }
}

/// That round, or one of its neighbours.
fn round(off: std::ops::Range<u64>) -> impl Strategy<Value = BeaconValue> {
    off.prop_map(|off| BeaconValue {
        source: quicknet::SOURCE.to_owned(),
        round: beacon().round + off,
        randomness: Hash([6; 32]),
        signature: "ab".repeat(48),
    })
}

/// So many seconds after the beginning.
fn at(seconds: i64) -> Timestamp {
    Timestamp(BEGIN.0 + seconds * 1_000)
}
