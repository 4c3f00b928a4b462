//! The opening that is rehearsed: its halls, its rules, and the operator's
//! two commands.

use std::time::Duration;

use hyper::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use usher_events::ids::OpeningId;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::address::Address;
use super::ask::{Ask, Kind, Lost, Outcome, Said};
use super::lines::once;
use super::options::{HALL, Options};
use super::script::{bearer, plain};

/// Seats in a row.
const ROW: u32 = 25;
/// How long the operator tries.
const PATIENCE: Duration = Duration::from_secs(60);

/// The opening, and who manages it.
pub(super) struct Stage {
    pub(super) opening: OpeningId,
    commands: Vec<Address>,
    queries: Vec<Address>,
    operator: SecretString,
}

/// The showings' ids.
pub(super) fn showings(options: &Options) -> Vec<String> {
    (1..=options.seats().div_ceil(HALL)).map(|at| format!("showing-{at}")).collect()
}

/// The rules: the deadlines fit the length of the rehearsal, so that those who
/// miss them are seen to.
pub(super) fn policy(options: &Options, merchant: bool) -> Value {
    let lasts_s = u32::try_from(options.expected_ms() / 1_000).unwrap_or(u32::MAX);
    json!({
        "capacity": options.capacity(),
        "admissions_per_minute": options.rate(),
        "enter_within_s": (lasts_s / 4).clamp(10, 60),
        "stay_for_s": (options.visit * 5).max(30),
        "hold_for_s": options.hold_for_s(),
        "away_after_s": (lasts_s / 2).clamp(10, 120),
        "max_seats": 4,
        "payment": if merchant { "merchant" } else { "none" },
    })
}

fn hall(seats: u32) -> Value {
    let seat =
        |at: u32| json!({"seat_guid": format!("{}-{}", at / ROW + 1, at % ROW + 1), "category": "All"});
    let rows: Vec<Value> = (0..seats.div_ceil(ROW))
        .map(|row| json!({"seats": (row * ROW..((row + 1) * ROW).min(seats)).map(seat).collect::<Vec<_>>()}))
        .collect();
    json!({"name": "Hall", "categories": [{"name": "All"}], "zones": [{"rows": rows}]})
}

fn body(options: &Options, merchant: bool) -> Value {
    let now = Timestamp::now();
    let opens_at = now + Duration::from_millis(u64::from(options.over) * 500);
    let closes_at = opens_at.plus_s(options.over + (options.at_most + 10) * 60);
    let last = options.seats() % HALL;
    let showings = showings(options);
    let count = showings.len();
    let showing = |(at, showing): (usize, &String)| {
        let plan = if at + 1 == count && last > 0 { "last" } else { "hall" };
        json!({"showing": showing, "title": showing, "starts_at": closes_at.plus_s(86_400).to_rfc3339(), "plan": plan})
    };
    let mut plans = serde_json::Map::new();
    if options.seats() >= HALL {
        plans.insert("hall".to_owned(), hall(HALL));
    }
    if last > 0 {
        plans.insert("last".to_owned(), hall(last));
    }
    json!({
        "title": "A rehearsal",
        "opens_at": opens_at.to_rfc3339(),
        "closes_at": closes_at.to_rfc3339(),
        "policy": policy(options, merchant),
        "plans": plans,
        "showings": showings.iter().enumerate().map(showing).collect::<Vec<_>>(),
    })
}

impl Stage {
    pub(super) fn new(
        opening: OpeningId,
        commands: Vec<Address>,
        queries: Vec<Address>,
        operator: SecretString,
    ) -> Self {
        Self { opening, commands, queries, operator }
    }

    fn ask(&self, method: Method, path: &str, body: &Value) -> Ask {
        Ask {
            authorization: bearer(self.operator.expose_secret()),
            body: Some(body.to_string()),
            whole: true,
            ..plain(Kind::Join, method, format!("/v1/openings/{}{path}", self.opening))
        }
    }

    /// Schedules the opening, and waits until the queries have it.
    pub(super) async fn schedule(&self, options: &Options, merchant: bool) -> Result<(), String> {
        let body = body(options, merchant);
        let said = self.command(&self.commands, || self.ask(Method::PUT, "", &body)).await?;
        let after = said.as_of.unwrap_or_default();
        let path = format!("/v1/openings/{}?after={after}", self.opening);
        let query = || Ask { whole: true, ..plain(Kind::Status, Method::GET, path.clone()) };
        self.command(&self.queries, query).await.map(drop)
    }

    /// Closes the opening: nobody else shall stumble into it.
    pub(super) async fn close(&self) -> Result<(), String> {
        let id = Some(Uuid::new_v4());
        let ask = || Ask { idempotency_key: id, ..self.ask(Method::POST, "/close", &json!({})) };
        self.command(&self.commands, ask).await.map(drop)
    }

    /// Asks until the answer is definite; the ids make that harmless.
    async fn command(&self, among: &[Address], ask: impl Fn() -> Ask) -> Result<Said, String> {
        let begun = tokio::time::Instant::now();
        for address in among.iter().cycle() {
            let failed = match once(address, ask()).await {
                Ok(Outcome::Told { status: 200..=299, said }) => return Ok(said),
                Ok(Outcome::Told { status, said }) => {
                    let body = said.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                    return Err(format!("the operator was told {status}: {body}"));
                }
                Ok(Outcome::Later { problem, .. }) => problem.into(),
                Ok(Outcome::Lost(lost)) | Err(lost) => Lost::name(lost).to_owned(),
            };
            if begun.elapsed() > PATIENCE {
                return Err(format!("the operator got no definite answer: {failed}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err("there is no address".to_owned())
    }
}
