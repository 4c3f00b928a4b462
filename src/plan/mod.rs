//! `usher plan check`: what is wrong with a plan, and how its hall looks.

mod drawing;
mod svg;
mod text;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use usher_events::plan::Plan;

use crate::cli::{fail, say};

/// Looks at seating plans.
#[derive(Debug, Args)]
pub(crate) struct PlanCommand {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Says all that is wrong with a plan, or draws its hall.
    ///
    /// Takes seating as pretix's editor writes it, or an object with `seating`
    /// and `details`, as plans are added to an opening. Ends with 1 when
    /// something is wrong.
    Check {
        /// The plan, in JSON.
        file: PathBuf,
        /// Draw the hall here, too.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
}

impl PlanCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let Act::Check { file, svg } = &self.act;
        match check(file, svg.as_deref()) {
            Ok(drawn) => say(&drawn),
            Err(told) => fail(&told),
        }
    }
}

fn check(file: &Path, svg: Option<&Path>) -> Result<String, String> {
    let named = file.display();
    let json = std::fs::read_to_string(file).map_err(|error| format!("{named}: {error}"))?;
    let plan = Plan::read(&json).map_err(|faults| {
        let mut told = format!("{named}: {} wrong", count(faults.len(), "thing is", "things are"));
        for fault in faults {
            let _ = write!(told, "\n  {fault}");
        }
        told
    })?;
    if let Some(svg) = svg {
        let drawn = svg::draw(&plan);
        std::fs::write(svg, drawn).map_err(|error| format!("{}: {error}", svg.display()))?;
    }
    Ok(text::draw(&plan))
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hall of two rows with an aisle, prices, kinds and a blocked seat.
    pub(super) fn hall() -> Plan {
        let seat = |row: &str, number: i32| {
            serde_json::json!({
                "seat_guid": format!("{row}{number}"), "seat_number": number.to_string(),
                "category": if row == "A" { "Prime" } else { "<Std>" },
                "position": {"x": f64::from(number + i32::from(number > 2)) * 25.0, "y": 0.0},
            })
        };
        let row = |name: &str, y: i32| {
            serde_json::json!({
                "row_number": name, "position": {"x": 0, "y": y},
                "seats": (1..=4).map(|number| seat(name, number)).collect::<Vec<_>>(),
            })
        };
        let plan = serde_json::json!({
            "seating": {
                "name": "Hall 1 & 2",
                "categories": [{"name": "Prime", "color": "#b45309"}, {"name": "<Std>", "color": "\"/>"}],
                "zones": [{"name": "Floor", "position": {"x": 10, "y": 10}, "rows": [row("A", 0), row("B", 30)]}],
                "size": {"width": 200, "height": 100},
            },
            "details": {
                "kinds": {"A1": "wheelchair", "A2": "companion", "B4": "restricted_view"},
                "blocked": {"B1": "pillar"},
                "category_prices": {"Prime": {"amount": 27_000, "currency": "KRW"}},
                "seat_prices": {"A4": {"amount": 30_000, "currency": "KRW"}},
            },
        });
        Plan::read(&plan.to_string()).unwrap()
    }

    fn written(json: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json).unwrap();
        file
    }

    #[test]
    fn a_broken_plan_is_told_with_all_its_faults() {
        let broken = r#"{"name": "x", "zones": [{"rows": [{"seats": [{"seat_guid": ""}, {}]}]}]}"#;
        let told = check(written(broken).path(), None).unwrap_err();
        assert!(told.contains("2 things are wrong"), "{told}");
        assert!(told.contains("\n  zones[0].rows[0].seats[0].seat_guid: "), "{told}");
        assert!(told.contains("\n  zones[0].rows[0].seats[1]: missing field `seat_guid`"), "{told}");
    }

    #[test]
    fn a_good_plan_is_drawn_in_text_and_as_a_picture() {
        let plan = serde_json::to_string(&hall()).unwrap();
        let picture = tempfile::NamedTempFile::new().unwrap();
        let drawn = check(written(&plan).path(), Some(picture.path())).unwrap();
        assert!(drawn.contains("8 seats"), "{drawn}");
        assert!(std::fs::read_to_string(picture.path()).unwrap().starts_with("<svg "));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_by_name() {
        assert!(check(Path::new("no-such-plan.json"), None).unwrap_err().starts_with("no-such-plan.json: "));
    }
}
