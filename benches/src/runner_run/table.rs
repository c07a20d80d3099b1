//! What came out, for people.

use std::fmt::Write;

use super::figures::{Figures, Many};
use crate::pod_startup::{
    Counts, RequestFigures,
    requests::is_of_lease,
    table::{goal, row, text_of},
};

/// A table with what is to be reached.
pub fn table(figures: &Figures) -> String {
    text_of(|text| write(figures, text))
}

fn write(figures: &Figures, to: &mut String) -> std::fmt::Result {
    times(figures, to)?;
    at_once(figures, to)?;
    match &figures.requests {
        Some(found) => requests(found, to)?,
        None => writeln!(to, "\nNo audit log can be read: how many requests a job needs is not known.")?,
    }
    let manager = &figures.manager;
    writeln!(to, "\nthe manager")?;
    memory(to, "memory while it waits for jobs", manager.idle_memory, 20)?;
    let own = megabytes(manager.idle_own_memory);
    writeln!(
        to,
        "  {own:.1} MB of it are data; the rest are pages of the program, which the kernel can drop"
    )?;
    memory(to, &format!("most memory with {} jobs at once", figures.burst.jobs), manager.burst_memory, 30)?;
    goal(to, &format!("CPU time {:.1} ms a job", manager.cpu), "<= 10 ms", manager.cpu <= 10.0)?;
    writeln!(to, "CPU time while it waits for jobs {:.0} ms a minute", manager.idle_cpu)?;
    figures.many.as_ref().map_or(Ok(()), |found| many(found, to))
}

fn times(figures: &Figures, to: &mut String) -> std::fmt::Result {
    let Figures { floor, alone, .. } = figures;
    writeln!(to, "one at a time, in ms                                  median      p95      min")?;
    row(to, "bare pod, helper + build: created -> build's runs", &floor.began)?;
    row(to, "bare pod, helper + build: created -> seen ended", &floor.ended)?;
    row(to, "job: queued -> handed out", &alone.queued)?;
    row(to, "job: handed out -> first script line runs", &alone.began)?;
    row(to, "job: handed out -> the server has that line", &alone.first_line)?;
    row(to, "job that goes on: handed out -> ... has that line", &alone.lasting)?;
    row(to, "job: handed out -> its end is acknowledged", &alone.finished)?;
    let seconds = alone.began.median / 1000.0;
    let ratio = alone.began.median / floor.began.median;
    let what = format!("first script line runs after {seconds:.2} s, {ratio:.2} x helper + build");
    goal(to, &what, "<= 0.80 s", seconds <= 0.8)?;
    let seconds = alone.finished.median / 1000.0;
    goal(to, &format!("finished {seconds:.2} s"), "<= 1.0 s", seconds <= 1.0)?;
    let seconds = alone.queued.median / 1000.0;
    goal(to, &format!("queue wait {seconds:.3} s"), "<= 0.1 s", seconds <= 0.1)
}

fn at_once(figures: &Figures, to: &mut String) -> std::fmt::Result {
    let Figures { floor, burst, .. } = figures;
    writeln!(to, "\n{} at once, in ms", burst.jobs)?;
    row(to, "bare pods: first created -> all seen ended", &floor.burst_wall)?;
    row(to, "jobs: first queued -> last handed out", &burst.handed_out)?;
    row(to, "jobs: first queued -> all ends acknowledged", &burst.wall)?;
    let ratio = burst.wall.median / floor.burst_wall.median;
    goal(to, &format!("wall {ratio:.2} x bare pods"), "<= 1.35 x", ratio <= 1.35)
}

fn requests(found: &RequestFigures, to: &mut String) -> std::fmt::Result {
    let per_job = found.per_job();
    writeln!(to)?;
    goal(to, &format!("{per_job:.1} requests to Kubernetes a job"), "<= 6", per_job <= 6.0)?;
    let shared = found.shared_per_job();
    writeln!(to, "and {shared:.2} lists and watches that jobs share; of {} jobs:", found.jobs)?;
    for (kind, count) in &found.counts {
        writeln!(to, "  {count:5} {kind}")?;
    }
    let (seconds, quiet) = &found.quiet;
    let count = of_jobs(quiet);
    goal(to, &format!("{count} requests while a job runs for {seconds} s"), "0", count == 0)?;
    quiet.iter().try_for_each(|(kind, count)| writeln!(to, "  {count:5} {kind}"))
}

/// How many requests were not those by which the manager shows that it lives.
pub(super) fn of_jobs(counts: &Counts) -> usize {
    counts.iter().filter(|(kind, _)| !is_of_lease(kind)).map(|(_, count)| count).sum()
}

fn many(found: &Many, to: &mut String) -> std::fmt::Result {
    let Many { jobs, memory: most, cpu, running_cpu, wall } = found;
    writeln!(
        to,
        "\n{jobs} jobs at once in simulated pods, all running {:.1} s after the first was queued",
        wall / 1000.0
    )?;
    memory(to, "most memory", *most, 150)?;
    goal(to, &format!("CPU time {cpu:.1} ms a job"), "<= 10 ms", *cpu <= 10.0)?;
    writeln!(to, "CPU time while they run {running_cpu:.2} ms a job and minute")
}

fn memory(to: &mut String, what: &str, kilobytes: u64, most: u64) -> std::fmt::Result {
    let is_reached = kilobytes * 1024 <= most * 1_000_000;
    goal(to, &format!("{what} {:.1} MB", megabytes(kilobytes)), &format!("<= {most} MB"), is_reached)
}

#[expect(clippy::cast_precision_loss, reason = "a size of memory is small")]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * 1024.0 / 1e6
}
