//! What an operator sees: a start that fails says why, a stop is in good order.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::ALONE;
use crate::process::{OPERATOR_KEY, Process};

/// How long a stop may take, whatever a client does; ten seconds are for
/// what is under way.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// What every role answers to operators.
pub(crate) async fn answers_operators(process: &Process) {
    for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"] {
        let answer = reqwest::get(format!("{}{path}", process.url())).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

fn serve(dir: &tempfile::TempDir) -> Process {
    let settings = [
        ("USHER_DATA__DIR", dir.path().display().to_string()),
        ("USHER_LOG__PARTITIONS", "2".to_owned()),
        ("USHER_AUTH__OPERATOR_KEY", OPERATOR_KEY.to_owned()),
        ("USHER_TRACE__FORMAT", "json".to_owned()),
    ];
    Process::start(&["serve"], &settings.map(|(name, value)| (name.to_owned(), value)))
}

/// A connection that has sent this much of a request.
fn asking(process: &Process, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(process.url().trim_start_matches("http://")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(ENDS_WITHIN)).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_what_is_under_way_and_takes_nothing_new() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut usher = serve(&dir);
    usher.ready().await;
    answers_operators(&usher).await;
    // It waits for what never comes, and is then told so.
    let waits = "GET /v1/openings/concert?after=0.1000000_1.1000000 HTTP/1.1\r\nhost: usher\r\n\r\n";
    let mut under_way = asking(&usher, waits);
    tokio::time::sleep(Duration::from_millis(500)).await;
    usher.signal("TERM");
    let begun = Instant::now();
    while TcpStream::connect(usher.url().trim_start_matches("http://")).is_ok() {
        assert!(begun.elapsed() < ENDS_WITHIN, "connections are still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answer = String::new();
    drop(under_way.read_to_string(&mut answer));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("view-behind"), "{answer}");
    assert_eq!(usher.ended().await, Some(0));
    let log = usher.log();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("every line of the log is JSON");
    }
    assert!(log.lines().last().unwrap().contains("everything that was answered is in the log"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_client_does_not_hold_a_stop_up() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut usher = serve(&dir);
    usher.ready().await;
    let _stuck = asking(&usher, "GET /v1/openings HTTP/1.1\r\nhost: us");
    let _half = asking(&usher, "PUT /v1/openings/a HTTP/1.1\r\nhost: u\r\ncontent-length: 9\r\n\r\n{");
    tokio::time::sleep(Duration::from_millis(200)).await;
    usher.signal("TERM");
    let begun = Instant::now();
    assert_eq!(usher.ended().await, Some(0));
    assert!(begun.elapsed() < ENDS_WITHIN, "{:?}", begun.elapsed());
}

/// Starts a role that cannot start; what it says.
fn fails(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("USHER_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).envs(environment.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?} {environment:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The arguments, the environment, and what is said of them.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[test]
fn a_start_that_fails_says_why_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let draw = format!("[{{id = \"a\", secret = \"{}\"}}]", "k".repeat(40));
    let cases: [Case<'_>; 10] = [
        (&["serve"], &[("USHER_HTTP__LISTEN", &taken)], "already in use"),
        (&["serve"], &[("USHER_LOG__PARTITION", "3")], "there is no setting `log.partition`"),
        (&["serve"], &[("USHER_LOG__PARTITIONS", "0")], "log.partitions: lower than 1"),
        (&["serve"], &[("USHER_AUTH__OPERATOR_KEY", "short")], "shorter than 32 characters"),
        (&["serve"], &[("USHER_TRACE__FILTER", "=a=")], "trace.filter"),
        (&["--config", "nowhere.toml", "serve"], &[], "nowhere.toml"),
        (&["command"], &[], "USHER_KAFKA__BROKERS"),
        (&["command"], &[("USHER_KAFKA__BROKERS", "127.0.0.1:1")], "draw.keys"),
        (&["migrate"], &[("USHER_REDIS__PREFIX", "a{b}")], "redis.prefix: takes"),
        (
            &["projector"],
            &[("USHER_KAFKA__BROKERS", "127.0.0.1:1"), ("USHER_DRAW__KEYS", &draw)],
            "USHER_POSTGRES__URL",
        ),
    ];
    for (arguments, environment, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data").display().to_string();
        let mut environment = environment.to_vec();
        environment.push(("USHER_DATA__DIR", &data));
        let said = fails(arguments, &environment);
        assert!(said.contains(expected), "{arguments:?} {environment:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
