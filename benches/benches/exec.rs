//! What `runner exec` costs: per job beside the same checkouts and shells without us, masking beside one pass of
//! `memchr`, and memory while a job prints a lot.
//!
//! `cargo bench -p benches --bench exec [-- --quick]`

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "what is printed needs no more than 52 bits")]

use std::{path::Path, time::Duration};

use anyhow::Result;
use benches::{
    floor,
    masking_corpus::{self, CORPUS_SIZE, Speeds},
    project::{self, Project},
};
use runner_core::log::Masks;

const AT_ONCE: usize = 4;

struct Size {
    jobs: usize,
    rounds: usize,
    printed: u64,
}

const FULL: Size = Size { jobs: 100, rounds: 5, printed: 1 << 30 };
const QUICK: Size = Size { jobs: 20, rounds: 1, printed: 64 << 20 };

fn main() -> Result<()> {
    let size = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let runner = project::runner()?;
    let caches = tempfile::tempdir()?;
    cost_per_job(&runner, caches.path(), &size)?;
    // Before there is a large text in this process: the peak of a child counts from before its program is loaded.
    memory(&runner, caches.path(), &size)?;
    masking(&size);
    Ok(())
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

fn cost_per_job(runner: &Path, caches: &Path, size: &Size) -> Result<()> {
    let jobs: Vec<_> = (0..size.jobs).map(|job| format!("job-{job}:\n  script: 'true'\n")).collect();
    let pipeline = jobs.concat();
    let project = Project::new(&pipeline)?;
    let mut pairs = Vec::new();
    for _ in 0..size.rounds {
        let floor = floor::checkouts_and_shells(&project, size.jobs, AT_ONCE)?;
        let ours = project::exec(runner, &project, caches, AT_ONCE)?;
        pairs.push((floor, ours.wall));
    }
    let per_job = |wall: Duration| wall.as_secs_f64() * 1000.0 / size.jobs as f64;
    let mut costs: Vec<f64> = pairs.iter().map(|(floor, ours)| per_job(*ours) - per_job(*floor)).collect();
    println!("{} trivial jobs, --jobs {AT_ONCE}, {} rounds in turn with the floor", size.jobs, size.rounds);
    for (floor, ours) in &pairs {
        println!(
            "  floor {:.1} ms a job, ours {:.1} ms a job, ratio {:.2}",
            per_job(*floor),
            per_job(*ours),
            per_job(*ours) / per_job(*floor)
        );
    }
    costs.sort_by(f64::total_cmp);
    let median = costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN);
    println!("  our own cost: {median:.1} ms a job (median), goal <= 15 ms: {}\n", verdict(median <= 15.0));
    Ok(())
}

fn masking(size: &Size) {
    let secrets = masking_corpus::secrets();
    // Never less of it: a large cache would hold that, and be measured in place of the memory.
    let text = masking_corpus::corpus(CORPUS_SIZE, &secrets);
    let count = secrets.len();
    let rounds = size.rounds.max(3);
    let Speeds { memchr, masking, ratio } = masking_corpus::measure(&text, &Masks::new(secrets, []), rounds);
    println!("masking {count} secrets in {} MiB, {rounds} rounds in turn with memchr", CORPUS_SIZE >> 20);
    println!("  memchr {:.2} GB/s, masking {:.2} GB/s (medians)", memchr / 1e9, masking / 1e9);
    println!("  ratio {ratio:.2}, goal >= 0.33: {}", verdict(ratio >= 1.0 / 3.0));
}

fn memory(runner: &Path, caches: &Path, size: &Size) -> Result<()> {
    let script =
        format!("yes 'a line as a job prints it, over and over again' | head -c {} || true", size.printed);
    let project = Project::new(&format!("print:\n  script:\n    - \"{script}\"\n"))?;
    let cost = project::exec(runner, &project, caches, AT_ONCE)?;
    let peak = cost.peak_memory as f64 / f64::from(1 << 20);
    println!("a job that prints {} MiB", size.printed >> 20);
    println!(
        "  {:.1} s, {:.0} MB/s",
        cost.wall.as_secs_f64(),
        size.printed as f64 / 1e6 / cost.wall.as_secs_f64()
    );
    println!("  peak memory {peak:.1} MiB, goal <= 64 MiB: {}\n", verdict(peak <= 64.0));
    Ok(())
}
