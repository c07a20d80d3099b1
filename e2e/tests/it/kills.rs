//! Kills of the runner at random moments. It does as it is told by the environment:
//!
//! - without anything: a few kills of one seed;
//! - `SOAK_KILLS=200`: so many kills, of the seed `SOAK_SEED` or of a new one;
//! - `SOAK_SECONDS=180`: so long, two thirds of it with seeds that stay the same, and the rest with a new one.

use std::{
    path::Path,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use e2e::soak::{Soak, Summary};

pub(crate) const CONCURRENT: usize = 5;

/// Seeds that stay the same.
const SEEDS: [u64; 2] = [1, 2];

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_again_and_again_loses_nothing() -> Result<()> {
    let mut summary = Summary::default();
    for Length { seed, kills, time } in plan(Duration::from_secs(20))? {
        let soak = Soak { seed, kills, time, concurrent: CONCURRENT };
        let found = soak.run(Path::new(env!("CARGO_BIN_EXE_victim"))).await?;
        println!("soak: seed {seed}: {found}");
        summary.add(found);
    }
    for fault in &summary.faults {
        println!("FAULT {fault}");
    }
    println!("soak: {summary}");
    ensure!(summary.is_clean(), "{summary}");
    Ok(())
}

/// One run.
pub(crate) struct Length {
    pub(crate) seed: u64,
    pub(crate) kills: usize,
    pub(crate) time: Duration,
}

/// The runs; without anything that is told, one of this time at most.
pub(crate) fn plan(short: Duration) -> Result<Vec<Length>> {
    let soak = |seed, kills, time| Length { seed, kills, time };
    let seed = given("SOAK_SEED")?;
    let fresh = seed.unwrap_or_else(fresh_seed);
    if let Some(kills) = given("SOAK_KILLS")? {
        return Ok(vec![soak(fresh, kills, Duration::from_hours(24))]);
    }
    if let Some(seconds) = given("SOAK_SECONDS")? {
        let time = Duration::from_secs(seconds) / 3;
        return Ok(SEEDS.into_iter().chain([fresh]).map(|seed| soak(seed, usize::MAX, time)).collect());
    }
    Ok(vec![soak(seed.unwrap_or(SEEDS[0]), 6, short)])
}

pub(crate) fn given<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
) -> Result<Option<T>> {
    let text = std::env::var(name).ok();
    text.map(|text| text.parse().with_context(|| format!("{name} is no number"))).transpose()
}

pub(crate) fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
