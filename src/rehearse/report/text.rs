//! The report as text.

use std::fmt::{self, Write};

use super::{Estimates, Judged, Load, Report, Requests, Verdict};
use crate::rehearse::tally::Quantiles;

/// The report as people read it at a terminal.
pub(in crate::rehearse) fn text(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::new();
    write(&mut text, report)?;
    Ok(text)
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let played = &report.rehearsed;
    writeln!(
        out,
        "\nRehearsal of `{}`: {} visitors in {:.0} s (seed {}), {}",
        played.opening,
        played.visitors,
        played.took_s,
        played.seed,
        played.at.as_deref().unwrap_or("on an usher that was started for it"),
    )?;
    writeln!(
        out,
        "  capacity {}, {} admissions a minute, {} seats, arrivals over {} s, {} confirm\n",
        played.capacity,
        played.per_minute,
        played.seats,
        played.over_s,
        if played.merchant_confirms { "merchants" } else { "visitors" },
    )?;
    verdict(out, &report.verdict)?;
    writeln!(out, "\nHow it ended")?;
    for (end, count) in &report.ends {
        writeln!(out, "  {:<22}{count:>9}", name(end))?;
    }
    if report.unfinished > 0 {
        writeln!(out, "  {:<22}{:>9}", "not finished", report.unfinished)?;
    }
    requests(out, &report.requests)?;
    writeln!(out, "\nThe turn                     count      p50 ms      p95 ms      p99 ms      max ms")?;
    for (what, times) in [
        ("admitted until known", report.admitted_to_known),
        ("admitted until entered", report.admitted_to_entered),
    ] {
        if let Some(times) = times {
            row(out, what, "", &times)?;
        }
    }
    match &report.estimates {
        Some(judged) => estimates(out, judged)?,
        None => writeln!(out, "\nNo estimate could be compared with the truth")?,
    }
    load(out, &report.load)
}

/// A value's name, as JSON has it.
pub(super) fn name(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().replace('-', " ")
}

fn verdict(out: &mut String, verdict: &Verdict) -> fmt::Result {
    match verdict.held {
        Some(true) => writeln!(out, "Verdict: every rule held")?,
        Some(false) => writeln!(out, "Verdict: A RULE WAS BROKEN")?,
        None => return writeln!(out, "Verdict: NOT GIVEN, {}", verdict.source),
    }
    for rule in &verdict.rules {
        match rule.finding.broken {
            0 => writeln!(out, "  held    {}", rule.says)?,
            times => writeln!(out, "  BROKEN  {} ({times} times)", rule.says)?,
        }
        for example in &rule.finding.examples {
            writeln!(out, "            {example}")?;
        }
    }
    let totals = &verdict.totals;
    writeln!(out, "  from {}: {} records, {} of them void", verdict.source, verdict.records, verdict.void)?;
    writeln!(
        out,
        "  {} joined, {} admissions, {} entered, {} missed, {} went away, {} came back, {} seats held, {} booked;",
        totals.joined,
        totals.admitted,
        totals.entered,
        totals.missed,
        totals.went_away,
        totals.returned,
        totals.held,
        totals.booked
    )?;
    writeln!(
        out,
        "  at most {} admitted or inside; {} acknowledgements looked up",
        totals.most_in_window, verdict.acknowledged
    )
}

fn row(out: &mut String, what: &str, per_s: &str, times: &Quantiles) -> fmt::Result {
    writeln!(
        out,
        "  {what:<22}{:>10}{:>12.1}{:>12.1}{:>12.1}{:>12.1}{per_s:>10}",
        times.count, times.p50_ms, times.p95_ms, times.p99_ms, times.max_ms
    )
}

fn requests(out: &mut String, requests: &Requests) -> fmt::Result {
    writeln!(
        out,
        "\nRequests                     count      p50 ms      p95 ms      p99 ms      max ms     per s"
    )?;
    for kind in &requests.by_kind {
        row(out, kind.name, &format!("{:.1}", kind.per_s), &kind.times)?;
    }
    writeln!(
        out,
        "  {} answers, {:.0}/s on average and {}/s at most, {} of them to commands",
        requests.answers, requests.per_s, requests.most_per_s, requests.commands
    )?;
    if requests.events > 0 {
        let (events, listeners) = (requests.events, requests.most_listeners);
        writeln!(out, "  {events} status events heard, by {listeners} listeners at most")?;
    }
    writeln!(out, "\nRefusals")?;
    for refusal in &requests.refusals {
        writeln!(out, "  {:<34}{:>5}{:>10}", refusal.reason, refusal.status, refusal.count)?;
    }
    for (why, count) in &requests.lost {
        writeln!(out, "  {why:<34}{:>5}{count:>10}", "-")?;
    }
    Ok(())
}

fn estimates(out: &mut String, estimates: &Estimates) -> fmt::Result {
    writeln!(out, "\nEstimates of the turn      count   within bounds   off by: half    nine of ten")?;
    let line = |out: &mut String, what: &str, judged: &Judged| {
        writeln!(
            out,
            "  {what:<22}{:>8}{:>14.0} %{:>13.1} s{:>13.1} s",
            judged.count, judged.within_percent, judged.median_error_s, judged.p90_error_s
        )
    };
    for judged in &estimates.by_wait {
        let what = match judged.to_s {
            Some(to) => format!("{:.0} to {to:.0} s ahead", judged.from_s),
            None => format!("over {:.0} s ahead", judged.from_s),
        };
        line(out, &what, judged)?;
    }
    line(out, "all", &estimates.all)
}

fn load(out: &mut String, load: &Load) -> fmt::Result {
    writeln!(out, "\nWhat it took")?;
    let took = |out: &mut String, who: &str, memory: Option<f64>, processor: Option<f64>| match (
        memory, processor,
    ) {
        (Some(memory), Some(processor)) => {
            writeln!(out, "  {who}: {memory:.0} MiB at most, {processor:.0} s of processor time")
        }
        _ => Ok(()),
    };
    took(out, "usher", load.usher_memory_mib, load.usher_processor_s)?;
    took(out, "the rehearsal", load.own_memory_mib, load.own_processor_s)?;
    writeln!(
        out,
        "  in the times above: p99 {:.1} ms of waiting for one of our own connections; we were late by p99 {:.1} ms",
        load.waited_for_connection.p99_ms, load.late.p99_ms
    )
}
