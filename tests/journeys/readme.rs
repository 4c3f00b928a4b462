//! The README's lines, run as they are written.

use std::process::{Command, Stdio};

use crate::ALONE;
use crate::process::Process;
use crate::roles::Roles;
use crate::servers::Place;

/// The shell lines between the fences of a section of the README.
pub(crate) fn lines_of(section: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))
        .expect("there is a README");
    let begin = readme.find(&format!("\n## {section}\n")).expect("the section is there") + 1;
    let text = &readme[begin..];
    let text = &text[..text[1..].find("\n## ").map_or(text.len(), |end| end + 1)];
    let fenced = |part: &str| part.split_once("\n```").map(|(lines, _)| lines.to_owned());
    text.split("```sh\n").skip(1).map(|part| fenced(part).expect("every fence is closed")).collect()
}

/// Runs shell lines; what they printed.
pub(crate) fn run(lines: &str, environment: &[(&str, &str)]) -> String {
    let child = Command::new("bash")
        .args(["-euo", "pipefail", "-c", lines])
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("there is a bash");
    let (said, faults) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{lines}\n--- said: {said}\n--- and: {faults}");
    said.into_owned()
}

/// The keys that the section's first lines make.
fn made_keys(lines: &str) -> Vec<(String, String)> {
    let making: Vec<_> =
        lines.lines().filter(|l| l.starts_with("key()") || l.starts_with("export ")).collect();
    let printed = run(&format!("{}\nenv", making.join("\n")), &[]);
    let names = ["USHER_AUTH__OPERATOR_KEY", "USHER_DRAW__KEYS", "USHER_PASS__KEYS"];
    let value = |name| printed.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    names.map(|name| (name.to_owned(), value(name).expect("the README makes it").to_owned())).to_vec()
}

/// The journey of "Try it", against other addresses than the README's.
fn journey(commands: &str, queries: &str) -> String {
    let blocks = lines_of("Try it");
    assert!(blocks[0].ends_with("serve --sample"), "{}", blocks[0]);
    let lines = blocks[1..].join("\n");
    let written = "COMMANDS=http://127.0.0.1:8080 QUERIES=http://127.0.0.1:8080";
    assert!(lines.contains(written), "{lines}");
    run(&lines.replace(written, &format!("COMMANDS={commands} QUERIES={queries}")), &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_journey_ends_with_seats_g7_and_g8_in_one_process() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let settings = [("USHER_DATA__DIR".to_owned(), dir.path().display().to_string())];
    let usher = Process::start(&["serve", "--sample"], &settings);
    usher.ready().await;
    let said = tokio::task::block_in_place(|| journey(&usher.url(), &usher.url()));
    assert!(said.lines().last().unwrap().contains(r#""state":"booked""#), "{said}");
    assert!(said.lines().last().unwrap().contains(r#""seats":["G7","G8"]"#), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_journey_ends_with_seats_g7_and_g8_over_the_servers() {
    let _alone = ALONE.lock().await;
    let sections = lines_of("As roles, over Kafka, Redis and Postgres");
    let keys = made_keys(&sections[0]);
    let mut place = Place::new().await;
    place.environment.retain(|(name, _)| !keys.iter().any(|(made, _)| made == name));
    place.environment.extend(keys.iter().cloned());
    let roles = Roles::start(&place, 1).await;
    let (commands, queries) = (roles.commands[0].url(), roles.query.url());
    // The last lines of the section schedule the sample.
    let schedule = sections.last().unwrap();
    let written = "COMMANDS=http://127.0.0.1:8081 QUERIES=http://127.0.0.1:8082";
    assert!(schedule.contains(written), "{schedule}");
    let schedule = schedule.replace(written, &format!("COMMANDS={commands} QUERIES={queries}"));
    let schedule = schedule.replace("target/release/usher", env!("CARGO_BIN_EXE_usher"));
    let said = tokio::task::block_in_place(|| {
        let keys: Vec<_> = keys.iter().map(|(name, value)| (&**name, &**value)).collect();
        run(&schedule, &keys);
        journey(&commands, &queries)
    });
    assert!(said.lines().last().unwrap().contains(r#""seats":["G7","G8"]"#), "{said}");
}
