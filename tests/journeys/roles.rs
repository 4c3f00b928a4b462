//! The roles as processes of their own, over Kafka, Redis and Postgres.

use std::time::{Duration, Instant};

use reqwest::Method;
use usher_events::event::Event;
use usher_events::ids::OpeningId;
use usher_events::log::Log;
use usher_events::log::kafka::{KafkaConfig, KafkaLog};
use usher_events::partition::partition_of;
use uuid::Uuid;

use crate::crowd::{Acknowledged, Doors, Load, Visitor};
use crate::operator::answers_operators;
use crate::process::Process;
use crate::servers::Place;
use crate::{ALONE, log};

/// How many partitions the journeys' logs have.
pub(crate) const PARTITIONS: u32 = 4;
/// Writes go on within this, whatever is killed.
pub(crate) const GO_ON_WITHIN: Duration = Duration::from_secs(10);

/// Two commands, a projector and a query, ready.
pub(crate) struct Roles {
    pub(crate) commands: Vec<Process>,
    pub(crate) projector: Process,
    pub(crate) query: Process,
    pub(crate) log: KafkaLog,
}

impl Roles {
    pub(crate) async fn start(place: &Place, commands: usize) -> Self {
        let mut migrate = Process::start(&["migrate"], &place.environment);
        assert_eq!(migrate.ended().await, Some(0), "{}", migrate.log());
        let start = |role: &str| Process::start(&[role], &place.environment);
        let commands: Vec<Process> = (0..commands).map(|_| start("command")).collect();
        let (projector, query) = (start("projector"), start("query"));
        for process in commands.iter().chain([&projector, &query]) {
            process.ready().await;
        }
        let config = KafkaConfig {
            topic: place.topic.clone(),
            partitions: PARTITIONS,
            ..KafkaConfig::new(&place.brokers)
        };
        Self { commands, projector, query, log: KafkaLog::new(config).unwrap() }
    }

    pub(crate) fn doors(&self, opening: &str) -> Doors {
        Doors::new(self.commands.iter().map(Process::url).collect(), self.query.url(), opening)
    }

    /// Which instance's claim is the newest in the opening's partition.
    pub(crate) async fn owner(&self, opening: &str) -> usize {
        let partition = partition_of(&OpeningId::new(opening).unwrap(), PARTITIONS);
        let end = self.log.end(partition).await.unwrap();
        let (mut reader, mut at, mut owner) = (self.log.read(partition, 0), 0, None);
        while at < end {
            for stored in reader.next().await.unwrap() {
                at = stored.offset + 1;
                if let Ok(Event::WriterClaimed(claimed)) = stored.record.event() {
                    owner = self.commands.iter().position(|command| command.url() == claimed.address);
                }
            }
        }
        owner.expect("somebody owns the partition")
    }

    /// Everything acknowledged is in the log and in both views.
    pub(crate) async fn check(&self, doors: &Doors, acknowledged: &[Acknowledged]) {
        let events = log::valid_events(&log::read_all(&self.log, PARTITIONS).await);
        log::check(&events, acknowledged);
        let last = Visitor::new().join(doors).await.as_of();
        let behind = doors.caught_up(&last).await;
        println!("the views had all of it after {behind:.1?}");
        for what in acknowledged {
            match what {
                Acknowledged::Joined(ticket) => {
                    let seen = doors.query(&format!("/tickets/{ticket}?after={last}"), "").await;
                    assert_eq!(seen.status, 200, "{what:?} is not in the queue view");
                }
                Acknowledged::Booked { booking, .. } => {
                    let key = crate::process::OPERATOR_KEY;
                    let seen = doors.query(&format!("/bookings/{booking}?after={last}"), key).await;
                    assert_eq!(seen.body["state"], "booked", "{what:?} is not in the booking view");
                }
                Acknowledged::Held { hold, .. } => {
                    let key = crate::process::OPERATOR_KEY;
                    let seen = doors.query(&format!("/holds/{hold}?after={last}"), key).await;
                    assert_eq!(seen.status, 200, "{what:?} is not in the booking view");
                }
            }
        }
    }
}

/// One visitor from the lobby to the booking, every answer looked at.
pub(crate) async fn whole_journey(doors: &Doors) {
    let scheduled = doors.schedule(40, 10).await;
    assert_eq!(scheduled.body["state"], "scheduled");
    let visitor = Visitor::new();
    let joined = visitor.join(doors).await;
    assert_eq!((joined.status, &joined.body["state"]), (201, &"lobby".into()));
    let path = format!("/tickets/{}", visitor.ticket);
    let seen = doors.query(&format!("{path}?after={}", joined.as_of()), "").await;
    assert_eq!((seen.status, &seen.body["state"]), (200, &"lobby".into()));
    let again = visitor.join(doors).await;
    assert_eq!(again.status, 200, "the same ticket again has no second effect");
    let entered = visitor.enter(doors).await;
    assert_eq!((entered.status, &entered.body["state"]), (201, &"inside".into()));
    let (hold, booking) = (Uuid::new_v4(), Uuid::new_v4());
    let held = visitor.hold(doors, hold, &["S7", "S8"]).await;
    assert_eq!((held.status, &held.body["state"]), (201, &"live".into()));
    let other = Visitor::new();
    other.join(doors).await;
    other.enter(doors).await;
    let refused = other.hold(doors, Uuid::new_v4(), &["S8", "S9"]).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.body["seats"], serde_json::json!([{"seat": "S8", "why": "held"}]));
    let booked = visitor.book(doors, booking, hold).await;
    assert_eq!((booked.status, &booked.body["state"]), (201, &"booked".into()));
    let after = booked.as_of();
    let seen = doors.query(&format!("/bookings/{booking}?after={after}"), &visitor.secret).await;
    assert_eq!((seen.status, &seen.body["seats"]), (200, &serde_json::json!(["S7", "S8"])));
    let hidden = doors.query(&format!("/bookings/{booking}"), &other.secret).await;
    assert_eq!(hidden.status, 404, "a booking is its visitor's to read");
    let status = doors.query(&format!("?after={after}"), "").await;
    assert_eq!(status.body["seats"], serde_json::json!({"free": 38, "held": 0, "booked": 2}));
    let seats = doors.query(&format!("/showings/evening/seats?since=0&after={after}"), "").await;
    let sold =
        seats.body["seats"].as_array().unwrap().iter().filter(|seat| seat["state"] == "booked").count();
    assert_eq!(sold, 2);
    let proof = doors.query(&format!("{path}/proof?after={after}"), "").await;
    assert_eq!((proof.status, &proof.body["order"]["index"]), (200, &0.into()));
    let done = doors.query(&path, "").await;
    assert_eq!(done.body["state"], "done");
    let gone = doors.command(Method::PUT, &format!("{path}/entry"), &visitor.secret, None).await;
    assert_eq!(gone.status, 410);
}

/// Of the two visitors of each journey both entered, and one booked.
async fn analysts_see_the_funnel(place: &Place) {
    let pool = sqlx::PgPool::connect(place.told("USHER_POSTGRES__URL")).await.unwrap();
    let begun = Instant::now();
    let funnel = "SELECT joined, admitted, entered, held, booked FROM analytics.funnel_v1 ORDER BY opening";
    loop {
        let rows: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(funnel).fetch_all(&pool).await.unwrap();
        if rows == [(2, 2, 2, 1, 1); 4] {
            break;
        }
        assert!(begun.elapsed() < GO_ON_WITHIN, "the funnel says {rows:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pool.close().await;
}

#[tokio::test]
async fn from_the_lobby_to_the_booking_over_the_servers() {
    let _alone = ALONE.lock().await;
    let place = Place::new().await;
    let mut roles = Roles::start(&place, 2).await;
    for role in [&roles.commands[0], &roles.projector, &roles.query] {
        answers_operators(role).await;
    }
    // Whichever instance is asked first, the owner decides.
    for (opening, first) in [("journey-a", 0), ("journey-b", 1), ("journey-c", 0), ("journey-d", 1)] {
        let mut doors = roles.doors(opening);
        doors.commands.rotate_left(first);
        whole_journey(&doors).await;
    }
    analysts_see_the_funnel(&place).await;
    for command in &mut roles.commands {
        command.stop().await;
    }
    roles.projector.stop().await;
    roles.query.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_owner_is_killed_ten_times() {
    let _alone = ALONE.lock().await;
    let place = Place::new().await;
    let mut roles = Roles::start(&place, 2).await;
    let doors = roles.doors("journey");
    doors.schedule(3_000, 200).await;
    let load = Load::start(&doors, 16, 3_000);
    let mut gaps = Vec::new();
    for _ in 0..10 {
        load.go_on(100, Duration::from_secs(60)).await;
        let owner = roles.owner("journey").await;
        let killed = Instant::now();
        roles.commands[owner].kill_and_restart();
        let survivor = Doors { commands: vec![roles.commands[1 - owner].url()], ..doors.clone() };
        let joined = Visitor::new().join(&survivor).await;
        assert_eq!(joined.status, 201);
        gaps.push(killed.elapsed());
        assert!(killed.elapsed() < GO_ON_WITHIN, "the other instance answered after {:?}", killed.elapsed());
        roles.commands[owner].ready().await;
    }
    let acknowledged = load.stop().await;
    roles.check(&doors, &acknowledged).await;
    gaps.sort_unstable();
    println!(
        "the owner was killed 10 times: {} acknowledged, none lost; gaps {gaps:.1?}",
        acknowledged.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_acknowledges_nothing_that_is_not_in_the_log() {
    let _alone = ALONE.lock().await;
    let place = Place::new().await;
    let roles = Roles::start(&place, 2).await;
    let doors = roles.doors("journey");
    doors.schedule(3_000, 200).await;
    let load = Load::start(&doors, 16, 3_000);
    load.go_on(200, Duration::from_secs(60)).await;
    let owner = roles.owner("journey").await;
    roles.commands[owner].signal("STOP");
    let stopped = Instant::now();
    let survivor = Doors { commands: vec![roles.commands[1 - owner].url()], ..doors.clone() };
    let joined = Visitor::new().join(&survivor).await;
    assert_eq!(joined.status, 201);
    let gap = stopped.elapsed();
    assert!(gap < GO_ON_WITHIN, "the other instance answered after {gap:?}");
    tokio::time::sleep_until((stopped + Duration::from_secs(20)).into()).await;
    roles.commands[owner].signal("CONT");
    // Everybody asks the zombie first now.
    let mut at_zombie = doors.clone();
    at_zombie.commands.rotate_left(owner);
    let more = Load::start(&at_zombie, 8, 3_000);
    more.go_on(300, Duration::from_secs(60)).await;
    let mut acknowledged = load.stop().await;
    acknowledged.extend(more.stop().await);
    roles.check(&doors, &acknowledged).await;
    println!("stopped for 20 s: {} acknowledged, none lost; gap {gap:.1?}", acknowledged.len());
}
