//! Kills of the manager of GitLab's jobs at random moments, on bad ways between all. It does as it is told by the same
//! environment as `kills.rs`.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use e2e::soak::{GitLabSoak, Summary};

use super::kills::{CONCURRENT, Length, plan};

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_killed_again_and_again_loses_nothing() -> Result<()> {
    let mut summary = Summary::default();
    for Length { seed, kills, time } in plan(Duration::from_secs(30))? {
        let soak = GitLabSoak { seed, kills, time, concurrent: CONCURRENT + 3 };
        let found = soak.run(Path::new(env!("CARGO_BIN_EXE_victim"))).await?;
        println!("soak: GitLab, seed {seed}: {found}");
        summary.add(found);
    }
    for fault in &summary.faults {
        println!("FAULT {fault}");
    }
    println!("soak: GitLab: {summary}");
    ensure!(summary.is_clean(), "{summary}");
    Ok(())
}
