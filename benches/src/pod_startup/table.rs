//! What came out, for people.

use std::fmt::Write;

use super::{
    figures::{Figures, RequestFigures},
    requests::is_shared,
    statistics::Spread,
};

/// A table with what is to be reached.
pub fn table(figures: &Figures) -> String {
    text_of(|text| write(figures, text))
}

/// What is written.
pub(crate) fn text_of(write: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let written = write(&mut text);
    debug_assert!(written.is_ok());
    text
}

fn write(figures: &Figures, to: &mut String) -> std::fmt::Result {
    let Figures { floor, alone, burst, .. } = figures;
    writeln!(to, "one at a time, in ms                                  median      p95      min")?;
    row(to, "bare pod, one container: created -> its command runs", &floor.one_container)?;
    row(to, "bare pod, helper + build: created -> build's runs", &floor.two_containers)?;
    row(to, "bare pod, helper + build: created -> seen ended", &floor.two_containers_seen)?;
    row(to, "bare pod, helper + build: deleted -> gone", &floor.two_containers_gone)?;
    row(to, "job: taken -> stored and accepted", &alone.started)?;
    row(to, "job: taken -> first script line runs", &alone.first_line)?;
    row(to, "job: taken -> that line is reported", &alone.first_line_seen)?;
    row(to, "job: taken -> its end is acknowledged", &alone.finished)?;
    row(to, "job: from there until its pod is gone", &alone.gone)?;
    let ratio = alone.first_line.median / floor.two_containers.median;
    goal(to, &format!("first script line, {ratio:.2} x helper + build"), "<= 1.25 x", ratio <= 1.25)?;
    let seconds = alone.first_line.median / 1000.0;
    goal(to, &format!("first script line, {seconds:.2} s"), "<= 0.80 s", seconds <= 0.8)?;
    let gone = alone.gone.median / 1000.0;
    goal(to, &format!("the pod of a finished job is gone within {gone:.2} s"), "<= 2 s", gone <= 2.0)?;
    writeln!(to, "\n{} at once, in ms", burst.jobs)?;
    row(to, "bare pods: first created -> last command runs", &floor.burst_last_began)?;
    row(to, "bare pods: first created -> all seen ended", &floor.burst_wall)?;
    row(to, "jobs: first taken -> last script begins", &burst.last_began)?;
    row(to, "jobs: first taken -> all ends acknowledged", &burst.wall)?;
    row(to, "jobs: from there until its pod is gone", &burst.gone)?;
    let ratio = burst.wall.median / floor.burst_wall.median;
    goal(to, &format!("until all ends are known here, {ratio:.2} x bare pods"), "<= 1.35 x", ratio <= 1.35)?;
    let ratio = burst.last_began.median / floor.burst_last_began.median;
    writeln!(to, "until the last one's command runs, {ratio:.2} x bare pods")?;
    writeln!(
        to,
        "The end of a bare pod is known from its status, that of a job from its report: a job need not wait for"
    )?;
    writeln!(
        to,
        "the kubelet to notice the end of its containers. The second ratio compares the same moment.\n"
    )?;
    requests(to, &figures.requests)?;
    #[expect(clippy::cast_precision_loss, reason = "a size of memory in kilobytes is small")]
    let memory = figures.peak_rss_kb as f64 / 1024.0;
    let what = format!("\npeak memory of this process {memory:.1} MiB with {} jobs", burst.jobs);
    goal(to, &what, "<= 30 MB", figures.peak_rss_kb * 1024 <= 30_000_000)?;
    writeln!(
        to,
        "In pods time is /proc/uptime, in steps of 10 ms; each node's was compared with the clock here."
    )?;
    writeln!(to, "CPU time of this process {:.1} ms a job", figures.cpu_ms_per_job)
}

fn requests(to: &mut String, requests: &RequestFigures) -> std::fmt::Result {
    let source =
        if requests.audited { "the audit log" } else { "our client, since no audit log can be read" };
    let per_job = requests.per_job();
    goal(to, &format!("{per_job:.1} requests a job"), "<= 6", per_job <= 6.0)?;
    let shared = requests.shared_per_job();
    writeln!(
        to,
        "and {shared:.2} lists and watches that jobs share; {} jobs, told by {source}:",
        requests.jobs
    )?;
    for (kind, count) in &requests.counts {
        let shared = if is_shared(kind) { " (shared)" } else { "" };
        writeln!(to, "  {count:5} {kind}{shared}")?;
    }
    let (seconds, quiet) = &requests.quiet;
    let count: usize = quiet.values().sum();
    goal(to, &format!("{count} requests while a job runs for {seconds} s"), "0", count == 0)?;
    quiet.iter().try_for_each(|(kind, count)| writeln!(to, "  {count:5} {kind}"))
}

pub(crate) fn row(to: &mut String, what: &str, spread: &Spread) -> std::fmt::Result {
    let Spread { median, p95, least } = spread;
    writeln!(to, "  {what:51} {median:8.0} {p95:8.0} {least:8.0}")
}

pub(crate) fn goal(to: &mut String, what: &str, goal: &str, is_reached: bool) -> std::fmt::Result {
    writeln!(to, "{what}, goal {goal}: {}", if is_reached { "reached" } else { "MISSED" })
}
