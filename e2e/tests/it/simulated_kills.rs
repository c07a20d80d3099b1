//! Many short runs of jobs of a GitLab server in simulated pods, on bad ways between all and with managers that are killed.
//! It does as it is told by the environment:
//!
//! - without anything: some runs, of the first seeds;
//! - `SOAK_RUNS=1000`: so many, from the seed `SOAK_SEED` on or from a new one;
//! - `SOAK_SECONDS=60`: as many as can be begun in that time, from a new seed on.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use e2e::soak::{SimulatedSoak, Summary};
use tokio::{sync::Semaphore, task::JoinSet};

use super::kills::{fresh_seed, given};

/// So many runs at a time: most of a run is waiting.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn no_job_of_many_runs_is_lost_run_twice_or_falsely_green() -> Result<()> {
    let (runs, seconds) = (given("SOAK_RUNS")?, given("SOAK_SECONDS")?);
    let is_short = runs.is_none() && seconds.is_none();
    let first = given("SOAK_SEED")?.unwrap_or_else(|| if is_short { 1 } else { fresh_seed() });
    let runs = runs.unwrap_or(if is_short { 8 } else { u64::MAX });
    let end = Instant::now() + seconds.map_or(Duration::from_hours(24), Duration::from_secs);
    let at_once = given("SOAK_AT_ONCE")?.unwrap_or(AT_ONCE);
    println!("soak: simulated pods, from seed {first} on, {at_once} runs at a time");
    let soak = Arc::new(SimulatedSoak::new(Path::new(env!("CARGO_BIN_EXE_victim"))).await?);
    let summary = run_all(&soak, first, runs, end, at_once).await?;
    if let Some(soak) = Arc::into_inner(soak) {
        soak.close().await?;
    }
    for fault in &summary.faults {
        println!("FAULT {fault}");
    }
    println!("soak: simulated pods: {summary}");
    ensure!(summary.is_clean(), "{summary}");
    Ok(())
}

async fn run_all(
    soak: &Arc<SimulatedSoak>,
    first: u64,
    runs: u64,
    end: Instant,
    at_once: usize,
) -> Result<Summary> {
    let places = Arc::new(Semaphore::new(at_once));
    let (mut summary, mut done, mut running) = (Summary::default(), 0, JoinSet::new());
    for number in 0..runs {
        let place = Arc::clone(&places).acquire_owned().await?;
        if Instant::now() >= end {
            break;
        }
        let soak = Arc::clone(soak);
        running.spawn(async move {
            let found = soak.run(first + number, number).await;
            drop(place);
            found
        });
        while let Some(found) = running.try_join_next() {
            summary.add(found??);
            done += 1;
            if done % 50 == 0 {
                println!("soak: {done} runs: {summary}");
            }
        }
    }
    while let Some(found) = running.join_next().await {
        summary.add(found??);
        done += 1;
    }
    println!("soak: {done} runs");
    Ok(summary)
}
