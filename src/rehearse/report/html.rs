//! The report as one page that needs nothing else: no script, no other file.

use std::fmt::{self, Write};

use super::chart::{Chart, Series};
use super::text::name;
use super::{Estimates, Load, Report, Requests, Verdict};
use crate::rehearse::tally::{Quantiles, Second};

/// The most points of a line.
const POINTS: usize = 240;

/// The report as a page.
pub(in crate::rehearse) fn html(report: &Report) -> Result<String, fmt::Error> {
    let mut page = String::with_capacity(64 * 1024);
    write(&mut page, report)?;
    Ok(page)
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let played = &report.rehearsed;
    let title = format!("Rehearsal of {}", escaped(&played.opening));
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{}</style></head>\n<body><main>\n<h1>{title}</h1>",
        include_str!("page.css")
    )?;
    let at = played.at.as_deref().map_or("on an usher that was started for it".to_owned(), escaped);
    writeln!(
        out,
        "<p class=\"soft\">{} visitors, seed {}, {at}; began {} and took {:.0} s. Arrivals over {} s, capacity {}, \
         {} admissions a minute, {} seats, {} confirm. usher {}.</p>",
        grouped(played.visitors.into()),
        played.seed,
        escaped(&played.began),
        played.took_s,
        played.over_s,
        grouped(played.capacity.into()),
        grouped(played.per_minute.into()),
        grouped(played.seats.into()),
        if played.merchant_confirms { "merchants" } else { "visitors" },
        report.usher,
    )?;
    verdict(out, &report.verdict)?;
    figures(out, report)?;
    writeln!(out, "<h2>As it went</h2><div class=\"charts\">")?;
    for chart in charts(report) {
        chart.draw(out)?;
    }
    writeln!(out, "</div>")?;
    requests(out, report)?;
    if let Some(judged) = &report.estimates {
        estimates(out, judged)?;
    }
    writeln!(out, "<div class=\"columns\">")?;
    endings(out, report)?;
    refusals(out, &report.requests)?;
    load(out, &report.load)?;
    writeln!(out, "</div></main></body></html>")
}

fn verdict(out: &mut String, verdict: &Verdict) -> fmt::Result {
    let (class, says) = match verdict.held {
        Some(true) => ("held", "Every rule held"),
        Some(false) => ("broken", "A rule was broken"),
        None => ("none", "The verdict is not given"),
    };
    writeln!(out, "<section class=\"verdict {class}\"><p>{says}</p>")?;
    if verdict.held.is_none() {
        return writeln!(out, "<p>{}</p></section>", escaped(&verdict.source));
    }
    writeln!(out, "<ul class=\"rules\">")?;
    for rule in &verdict.rules {
        match rule.finding.broken {
            0 => write!(out, "<li class=\"held\"><b>✓</b>{}", rule.says)?,
            times => write!(out, "<li class=\"broken\"><b>✗</b>{}: broken {times} times", rule.says)?,
        }
        for example in &rule.finding.examples {
            write!(out, "<code>{}</code>", escaped(example))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(
        out,
        "</ul><p class=\"soft\">Looked up in {}, by code that shares nothing with the writer's: {} records ({} void), \
         {} acknowledgements, at most {} admitted or inside at once.</p></section>",
        escaped(&verdict.source),
        grouped(verdict.records),
        grouped(verdict.void),
        grouped(verdict.acknowledged),
        grouped(verdict.totals.most_in_window.into()),
    )
}

fn figures(out: &mut String, report: &Report) -> fmt::Result {
    let (requests, totals) = (&report.requests, &report.verdict.totals);
    writeln!(out, "<dl class=\"figures\">")?;
    let mut figure = |what: &str, value: String| writeln!(out, "<div><dt>{what}</dt><dd>{value}</dd></div>");
    figure("answers", grouped(requests.answers))?;
    figure("answers a second, at most", grouped(requests.most_per_s.into()))?;
    if report.verdict.held.is_some() {
        figure("entered the seat window", grouped(totals.entered))?;
        figure("seats booked", grouped(totals.booked))?;
    }
    if let Some(times) = report.admitted_to_entered {
        figure("admitted until entered, half of them", seconds(times.p50_ms))?;
    }
    if let Some(estimates) = &report.estimates {
        figure("turns within their estimate", format!("{:.0} %", estimates.all.within_percent))?;
    }
    figure("no proper answer", grouped(requests.unanswered))?;
    writeln!(out, "</dl>")
}

fn charts(report: &Report) -> Vec<Chart> {
    let points = condensed(&report.seconds);
    let series = |name, of: fn(&Second) -> f64| Series {
        name,
        points: points.iter().map(|second| (f64::from(second.at_s), of(second))).collect(),
    };
    let chart =
        |title, unit, series| Chart { title, unit, along: " s", series, level: None, scattered: false };
    let capacity = f64::from(report.rehearsed.capacity);
    let mut charts = vec![
        chart(
            "The line",
            "",
            vec![
                series("in the lobby", |second| second.gauges.lobby.into()),
                series("waiting", |second| second.gauges.waiting.into()),
                series("away", |second| second.gauges.away.into()),
            ],
        ),
        Chart {
            level: Some(("capacity", capacity)),
            ..chart(
                "The seat window",
                "",
                vec![
                    series("admitted or inside", |second| {
                        (second.gauges.admitted + second.gauges.inside).into()
                    }),
                    series("inside", |second| second.gauges.inside.into()),
                ],
            )
        },
        chart(
            "Answers a second",
            "",
            vec![
                series("all", |second| second.answers.into()),
                series("to commands", |second| second.commands.into()),
                series("failures", |second| second.failures.into()),
            ],
        ),
        chart(
            "How long answers took",
            " ms",
            vec![series("99 of 100", |second| second.p99_ms), series("half", |second| second.p50_ms)],
        ),
        chart(
            "Seats",
            "",
            vec![
                series("booked", |second| count(second.gauges.seats.booked)),
                series("held", |second| count(second.gauges.seats.held)),
            ],
        ),
    ];
    if let Some(estimates) = &report.estimates {
        let points = vec![Series { name: "one visitor, once", points: estimates.points.clone() }];
        let level = None;
        let (title, along) = ("Told wait (across) and true wait (up)", " s");
        charts.push(Chart { title, unit: " s", along, series: points, level, scattered: true });
    }
    if report.seconds.iter().any(|second| second.memory_mib.is_some()) {
        let memory = series("usher", |second| second.memory_mib.unwrap_or(0.0));
        charts.push(chart("Memory", " MiB", vec![memory]));
    }
    charts
}

#[allow(clippy::cast_precision_loss, reason = "seats")]
fn count(count: u64) -> f64 {
    count as f64
}

/// At most so many points: of each stretch the last state, the mean flow and
/// the worst time.
fn condensed(seconds: &[Second]) -> Vec<Second> {
    let every = seconds.len().div_ceil(POINTS).max(1);
    let one = |stretch: &[Second]| {
        let length = u32::try_from(stretch.len()).unwrap_or(1).max(1);
        let mean = |of: fn(&Second) -> u32| stretch.iter().map(of).sum::<u32>() / length;
        let worst = |of: fn(&Second) -> f64| stretch.iter().map(of).fold(0.0, f64::max);
        Second {
            answers: mean(|second| second.answers),
            commands: mean(|second| second.commands),
            failures: mean(|second| second.failures),
            p50_ms: worst(|second| second.p50_ms),
            p99_ms: worst(|second| second.p99_ms),
            ..stretch.last().copied().unwrap_or_default()
        }
    };
    seconds.chunks(every).map(one).collect()
}

fn quantiles(out: &mut String, what: &str, times: &Quantiles, more: &str) -> fmt::Result {
    writeln!(
        out,
        "<tr><td>{what}</td><td>{}</td>{more}<td>{:.1}</td><td>{:.1}</td><td>{:.1}</td><td>{:.1}</td></tr>",
        grouped(times.count),
        times.p50_ms,
        times.p95_ms,
        times.p99_ms,
        times.max_ms
    )
}

fn requests(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "<h2>Requests, as visitors felt them</h2><div class=\"wide\"><table><tr><th>what</th><th>count</th>\
         <th>a second</th><th>p50 ms</th><th>p95 ms</th><th>p99 ms</th><th>max ms</th></tr>"
    )?;
    for kind in &report.requests.by_kind {
        quantiles(out, kind.name, &kind.times, &format!("<td>{:.1}</td>", kind.per_s))?;
    }
    for (what, times) in [
        ("admitted until known", report.admitted_to_known),
        ("admitted until entered", report.admitted_to_entered),
    ] {
        if let Some(times) = times {
            quantiles(out, what, &times, "<td></td>")?;
        }
    }
    writeln!(out, "</table></div>")
}

fn estimates(out: &mut String, estimates: &Estimates) -> fmt::Result {
    writeln!(
        out,
        "<h2>What visitors were told of their turn</h2><div class=\"wide\"><table><tr><th>the turn was</th>\
         <th>estimates</th><th>within bounds</th><th>off by: half</th><th>nine of ten</th></tr>"
    )?;
    for judged in estimates.by_wait.iter().chain([&estimates.all]) {
        let what = match judged.to_s {
            Some(to) => format!("{:.0} to {to:.0} s ahead", judged.from_s),
            None if judged.from_s > 0.0 => format!("over {:.0} s ahead", judged.from_s),
            None => "all".to_owned(),
        };
        writeln!(
            out,
            "<tr><td>{what}</td><td>{}</td><td>{:.0} %</td><td>{:.1} s</td><td>{:.1} s</td></tr>",
            grouped(judged.count as u64),
            judged.within_percent,
            judged.median_error_s,
            judged.p90_error_s
        )?;
    }
    writeln!(out, "</table></div>")
}

fn endings(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<section><h2>How it ended</h2><table>")?;
    for (end, count) in &report.ends {
        writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", name(end), grouped(*count))?;
    }
    if report.unfinished > 0 {
        writeln!(out, "<tr><td>not finished</td><td>{}</td></tr>", grouped(report.unfinished))?;
    }
    writeln!(out, "</table></section>")
}

fn refusals(out: &mut String, requests: &Requests) -> fmt::Result {
    writeln!(out, "<section><h2>Refusals</h2><table>")?;
    for refusal in &requests.refusals {
        let (reason, status) = (escaped(&refusal.reason), refusal.status);
        writeln!(out, "<tr><td>{reason}</td><td>{status}</td><td>{}</td></tr>", grouped(refusal.count))?;
    }
    for (why, count) in &requests.lost {
        writeln!(out, "<tr><td>{why}</td><td></td><td>{}</td></tr>", grouped(*count))?;
    }
    writeln!(out, "</table></section>")
}

fn load(out: &mut String, load: &Load) -> fmt::Result {
    writeln!(out, "<section><h2>What it took</h2><table>")?;
    let mut row = |what: &str, value: Option<f64>, unit: &str| match value {
        Some(value) => writeln!(out, "<tr><td>{what}</td><td>{value:.0} {unit}</td></tr>"),
        None => Ok(()),
    };
    row("usher's memory, at most", load.usher_memory_mib, "MiB")?;
    row("usher's processor time", load.usher_processor_s, "s")?;
    row("the rehearsal's memory, at most", load.own_memory_mib, "MiB")?;
    row("the rehearsal's processor time", load.own_processor_s, "s")?;
    row("of the times: waiting for its own connections, p99", Some(load.waited_for_connection.p99_ms), "ms")?;
    row("the rehearsal was late, p99", Some(load.late.p99_ms), "ms")?;
    writeln!(out, "</table></section>")
}

fn seconds(ms: f64) -> String {
    if ms < 1_000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1_000.0) }
}

/// A number with thin spaces between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
